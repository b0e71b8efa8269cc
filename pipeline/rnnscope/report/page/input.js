// What the network was given: a picture with a timestep per row, lines, or tokens.
function inputOf({ run, number: sequence }) {
  const place = run.inputPlace.get(sequence);
  if (place === undefined) return null;
  const [, timesteps, features = 1] = run.inputs.shape;
  const size = timesteps * features;
  return { values: run.inputs.values.subarray(place * size, (place + 1) * size), timesteps, features };
}

// Draw the input of a sequence on a canvas; [start, stop) are the timesteps that are marked.
function drawInput(canvas, sequence, marked = null) {
  const input = inputOf(sequence);
  const { kind } = sequence.run.meta.input;
  if (!input || kind === "tokens") return;
  if (kind === "picture") drawPicture(canvas, input, marked);
  else drawLines(canvas, input, marked);
}

function drawPicture(canvas, { values, timesteps, features }, marked) {
  const length = lengthIn(values, timesteps, features);
  canvas.width = features;
  canvas.height = length;
  const context = canvas.getContext("2d");
  const image = context.createImageData(features, length);
  const ink = dark.matches ? [235, 240, 245] : [20, 26, 32];
  const accent = dark.matches ? [240, 130, 60] : [214, 83, 0];
  for (let i = 0; i < features * length; i++) {
    const row = Math.floor(i / features);
    const on = marked && row >= marked[0] && row < marked[1];
    const share = values[i] === NONE ? 0 : values[i] / (NONE - 1);
    image.data.set([...(on ? accent : ink), 255 * (on ? 0.25 + 0.75 * share : share)], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function lengthIn(values, timesteps, features) {
  let length = timesteps;
  while (length > 1 && values[(length - 1) * features] === NONE) length--;
  return length;
}

function drawLines(canvas, { values, timesteps, features }, marked) {
  const scale = devicePixelRatio;
  canvas.width = (canvas.clientWidth || 120) * scale;
  canvas.height = (canvas.clientHeight || 40) * scale;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const x = (t) => ((t + 0.5) / timesteps) * canvas.width;
  const y = (code) => (0.06 + 0.88 * (1 - code / (NONE - 1))) * canvas.height;
  if (marked) {
    context.fillStyle = style.getPropertyValue("--mark");
    const left = (marked[0] / timesteps) * canvas.width;
    context.fillRect(left, 0, ((marked[1] - marked[0]) / timesteps) * canvas.width, canvas.height);
  }
  context.lineWidth = 1.3 * scale;
  for (let feature = 0; feature < features; feature++) {
    context.strokeStyle = style.getPropertyValue(`--class-${(feature % 10) + 1}`);
    context.beginPath();
    for (let t = 0; t < timesteps; t++) {
      const code = values[t * features + feature];
      if (code === NONE) continue;
      if (t && values[(t - 1) * features + feature] !== NONE) context.lineTo(x(t), y(code));
      else context.moveTo(x(t), y(code));
    }
    context.stroke();
  }
}

const wordOf = (sequence, token) => sequence.run.meta.input.words?.[token] ?? String(token);
const spaceOf = (sequence) => (sequence.run.meta.input.words ? "" : " ");

// The tokens of a sequence, without padding behind the last that was read.
function tokensOf(sequence) {
  const { run, place } = sequence;
  const input = run.meta.input.kind === "tokens" ? inputOf(sequence) : null;
  if (!input) return null;
  const tokens = [...input.values].filter((token) => token >= 0);
  if (place === undefined) return tokens;
  const layer = run.meta.layers[0];
  const codes = run.signal(layer, layer.signals[0]).row(place, 0);
  let read = codes.length;
  while (read > 0 && codes[read - 1] === NONE) read--;
  return codes.length === input.timesteps ? tokens.slice(0, read) : tokens;
}

// A small picture of a sequence for lists, with the timesteps marked.
function thumbnail(sequence, marked = null) {
  const tokens = tokensOf(sequence);
  if (tokens) {
    const from = marked ? Math.max(0, marked[0] - 6) : 0;
    const some = tokens.slice(from, from + 14).map((token, place) => {
      const on = marked && from + place >= marked[0] && from + place < marked[1];
      const text = wordOf(sequence, token);
      return on ? element("mark", {}, text) : text;
    });
    const spaced = some.flatMap((each) => [each, spaceOf(sequence)]);
    return element("span", { className: "words" }, ...spaced);
  }
  if (!inputOf(sequence)) return element("span", { className: "words" }, "input not here");
  const { kind } = sequence.run.meta.input;
  const canvas = element("canvas", { className: `thumb ${kind}`, "aria-hidden": "true" });
  if (kind === "lines") requestAnimationFrame(() => drawInput(canvas, sequence, marked));
  else drawInput(canvas, sequence, marked);
  return canvas;
}
