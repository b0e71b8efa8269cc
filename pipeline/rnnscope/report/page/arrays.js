// What the page carries: JSON that names arrays, and the arrays in one compressed text.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const meta = read("explore");
const TYPES = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };

async function inflated(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

const buffer = await inflated(document.getElementById("arrays").textContent.trim());
document.getElementById("arrays").remove(); // megabytes of text that nothing reads again

const has = (name) => name in meta.arrays;
function array(name) {
  const { at, type, shape } = meta.arrays[name];
  const count = shape.reduce((a, b) => a * b, 1);
  return { values: new TYPES[type](buffer, at, count), shape };
}

// A signal's states: codes [n, U, T], where code k is of the values from edge k to edge k + 1.
const NONE = 255;
class Signal {
  constructor(layer, name) {
    this.layer = layer;
    this.name = name;
    this.key = `${layer.name}/${name}`;
    this.numbers = layer.units[name];
    this.edges = array(`edges/${this.key}`).values;
    const { values, shape } = array(`codes/${this.key}`);
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

const opened = new Map();
function signalOf(layer, name) {
  const key = `${layer.name}/${name}`;
  if (!opened.has(key)) opened.set(key, new Signal(layer, name));
  return opened.get(key);
}

// The sequences on the page: those with states come in the order of the codes' first axis.
const sequences = meta.sequences.sequence.map((number, row) => ({
  number,
  ...Object.fromEntries(Object.keys(meta.sequences).map((name) => [name, meta.sequences[name][row]])),
}));
sequences.filter((each) => each.shown).forEach((each, place) => { each.place = place; });
const shown = sequences.filter((each) => each.shown);
const byNumber = new Map(sequences.map((each) => [each.number, each]));
const className = (label) => meta.classes[label] ?? String(label);
