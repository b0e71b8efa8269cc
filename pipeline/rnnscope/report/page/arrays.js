// What a page carries: JSON that names arrays, and the arrays in one compressed text.
const TYPES = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };

async function inflated(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// A run: this page's own, or that of another page which was opened beside it.
class Run {
  constructor(meta, buffer) {
    this.meta = meta;
    this.buffer = buffer;
    this.signals = new Map();
    const columns = Object.entries(meta.sequences);
    this.sequences = meta.sequences.sequence.map((number, row) =>
      ({ run: this, number, ...Object.fromEntries(columns.map(([name, values]) => [name, values[row]])) }));
    this.shown = this.sequences.filter((each) => each.shown); // in the order of the codes' first axis
    this.shown.forEach((each, place) => { each.place = place; });
    this.byNumber = new Map(this.sequences.map((each) => [each.number, each]));
    this.inputs = meta.input.kind === "none" ? null : this.array("input");
    this.inputPlace = new Map();
    if (this.inputs) {
      this.array("input_sequences").values.forEach((sequence, place) => this.inputPlace.set(sequence, place));
    }
  }

  has(name) {
    return name in this.meta.arrays;
  }

  array(name) {
    const { at, type, shape } = this.meta.arrays[name];
    const count = shape.reduce((a, b) => a * b, 1);
    return { values: new TYPES[type](this.buffer, at, count), shape };
  }

  layer(name) {
    return this.meta.layers.find((layer) => layer.name === name);
  }

  signal(layer, name) {
    const key = `${layer.name}/${name}`;
    if (!this.signals.has(key)) this.signals.set(key, new Signal(this, layer, name));
    return this.signals.get(key);
  }

  className(label) {
    return this.meta.classes[label] ?? String(label);
  }
}

// A signal's states: codes [n, U, T], where code k is of the values from edge k to edge k + 1.
const NONE = 255;
class Signal {
  constructor(run, layer, name) {
    this.layer = layer;
    this.name = name;
    this.key = `${layer.name}/${name}`;
    this.numbers = layer.units[name];
    this.edges = run.array(`edges/${this.key}`).values;
    const { values, shape } = run.array(`codes/${this.key}`);
    [this.count, this.units, this.timesteps] = shape;
    for (let start = 0; start < values.length; start += this.timesteps) {
      // Each code is kept as its difference to the one before.
      for (let t = 1; t < this.timesteps; t++) values[start + t] += values[start + t - 1];
    }
    this.codes = values;
    this.values = Float32Array.from({ length: 256 }, (_, code) =>
      code < this.edges.length - 1 ? (this.edges[code] + this.edges[code + 1]) / 2 : NaN);
    this.limit = this.#limit();
  }

  // Beyond it, colours do not change: 99 % of the values are below, in absolute value.
  #limit() {
    if (this.edges[0] === 0) return 1;
    const counts = new Uint32Array(256);
    for (const code of this.codes) counts[code]++;
    const sizes = [...this.values.keys()].filter((code) => counts[code] && code !== NONE);
    sizes.sort((a, b) => Math.abs(this.values[a]) - Math.abs(this.values[b]));
    let left = 0.99 * sizes.reduce((sum, code) => sum + counts[code], 0);
    for (const code of sizes) if ((left -= counts[code]) <= 0) return Math.abs(this.values[code]);
    return 1;
  }

  row(place, unit) {
    const start = (place * this.units + unit) * this.timesteps;
    return this.codes.subarray(start, start + this.timesteps);
  }

  at(place, unit, t) {
    return this.values[this.row(place, unit)[t]];
  }
}

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const own = new Run(read("explore"), await inflated(document.getElementById("arrays").textContent.trim()));
document.getElementById("arrays").dataset.read = "true";
const { meta, shown, byNumber } = own;
const has = (name) => own.has(name);
const array = (name) => own.array(name);
const signalOf = (layer, name) => own.signal(layer, name);
const className = (label) => own.className(label);

// The run of another page's text, of which nothing but these two texts is looked at.
async function runOf(text) {
  const between = (type, id) => {
    const start = `<script type="${type}" id="${id}">`;
    const at = text.indexOf(start);
    return at < 0 ? null : text.slice(at + start.length, text.indexOf("<" + "/script>", at));
  };
  const about = between("application/json", "explore");
  const arrays = between("text/plain", "arrays");
  if (about === null || arrays === null) return null;
  return new Run(JSON.parse(about), await inflated(arrays.trim()));
}
