// Small charts: axes, lines and legends as SVG.
const WIDTH = 420;
const HEIGHT = 200;
const PAD = { left: 44, right: 8, top: 8, bottom: 30 };

// Axes for y from low to high and x from left to right; returns the SVG and both scales.
function axes(low, high, left, right, xName, label, whole = false) {
  const x = (value) => PAD.left + ((value - left) / (right - left || 1)) * (WIDTH - PAD.left - PAD.right);
  const y = (value) => HEIGHT - PAD.bottom - ((value - low) / (high - low || 1)) * (HEIGHT - PAD.top - PAD.bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const value of ticks(low, high, 4)) {
    svg.append(drawn("line", { x1: PAD.left, x2: WIDTH - PAD.right, y1: y(value), y2: y(value), class: "grid" }),
      drawn("text", { x: PAD.left - 6, y: y(value) + 4, class: "tick end" }, minus(String(value))));
  }
  for (const value of ticks(left, right, 6).filter((each) => !whole || Number.isInteger(each))) {
    svg.append(drawn("text", { x: x(value), y: HEIGHT - PAD.bottom + 15, class: "tick middle" }, minus(String(value))));
  }
  svg.append(drawn("text", { x: (PAD.left + WIDTH) / 2, y: HEIGHT - 2, class: "tick middle" }, xName));
  return { svg, x, y };
}

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
  const found = [];
  for (let value = Math.ceil(low / step); value * step <= high * (1 + 1e-9); value++) {
    found.push(Number((value * step).toPrecision(6)));
  }
  return found;
}

// A single point is drawn as a dot, by the round caps of a line of hardly any length.
const pathOf = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") +
  (points.length === 1 ? "h0.01" : "");

function figureOf(title, svg, legend = null, note = "") {
  return element("figure", {}, element("figcaption", {}, title), svg, legend,
    note ? element("p", { className: "caption" }, note) : null);
}

// Beyond ten classes colours come again, with dashes.
const dashes = (label) => ["none", "6 3", "2 3", "8 3 2 3"][Math.floor(label / 10) % 4];

const legendOf = (names, colours) => element("p", { className: "legend" }, ...names.map((name, i) => {
  const swatch = element("i");
  swatch.style.background = colours[i];
  return element("span", {}, swatch, name);
}));
