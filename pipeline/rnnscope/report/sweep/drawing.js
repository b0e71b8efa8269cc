// What both figures share: SVG elements, axes with their marks, numbers as text.
const data = JSON.parse(document.getElementById("data").textContent);
const COLOURS = 4; // of series, each with its own
const MARGIN = { left: 58, right: 14, top: 44, bottom: 46 };
const infinite = { "∞": Infinity, "−∞": -Infinity }; // JSON has none
const finite = (value) => typeof value === "number" && Number.isFinite(value);
const minus = (text) => text.replace("-", "−");

// Three or four digits of a number; whole numbers as they are.
function short(value) {
  if (value === null) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(value.toLocaleString("en"));
  const size = Math.abs(value);
  return minus(size >= 1e6 || size < 1e-3 ? String(Number(value.toPrecision(3)).toExponential()) : String(Number(value.toPrecision(4))));
}

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const text = (x, y, words, more = {}) => element("text", { x, y, ...more }, words);

// Round numbers from low to high: 1, 2, 5 times powers of ten.
function evenly(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough * 0.999);
  const marks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) {
    marks.push(Number((n * step).toPrecision(12)));
  }
  return marks;
}

function logarithmically(low, high, count) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const tens = [...Array(last - first + 1).keys()].map((n) => Number(`1e${first + n}`));
  const inside = (marks) => marks.filter((each) => each >= low * 0.999 && each <= high * 1.001);
  const every = inside(tens.flatMap((ten) => [1, 2, 5].map((n) => Number((n * ten).toPrecision(12)))));
  if (every.length <= count + 2) return every;
  const kept = inside(tens);
  return kept.filter((_, n) => n % Math.ceil(kept.length / count) === 0);
}

// A scale of numbers: at(value) is its pixel.
function scale(values, log, from, to, count, padding = 0.06) {
  const forth = log ? Math.log : (x) => x;
  const back = log ? Math.exp : (x) => x;
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, forth(value)), Math.max(high, forth(value))];
  if (!(low <= high)) [low, high] = [forth(1), forth(log ? 10 : 2)];
  const room = (high - low) * padding || Math.abs(low) * 0.1 || 1;
  [low, high] = [low - room, high + room];
  const at = (value) => from + ((forth(value) - low) / (high - low)) * (to - from);
  const marks = (log ? logarithmically : evenly)(back(low), back(high), count);
  return { at, marks };
}

// The places of an option along the bottom: of numbers their own, of categories one behind another,
// and null, which has no number, by itself at the end. Returns at(value) and room beside a place.
function along(axis, width) {
  const numbers = [...new Set(axis.values.filter((each) => each !== null))].sort((a, b) => a - b);
  const nulls = axis.values.includes(null);
  const right = width - MARGIN.right;
  const category = axis.kind === "category";
  const places = category ? [...numbers, ...(nulls ? [null] : [])] : numbers;
  if (category || !numbers.length) {
    const all = places.length ? places : [null];
    const band = (right - MARGIN.left) / all.length;
    const at = (value) => MARGIN.left + (all.indexOf(value) + 0.5) * band;
    const label = (value) => (value === null ? "null" : axis.labels[value]);
    return { at, band, marks: all.map((each) => [at(each), label(each)]) };
  }
  const end = right - (nulls ? 56 : 0);
  const padding = Math.max(0.06, 0.5 / numbers.length); // few values do not stand at the edges
  const { at, marks } = scale(numbers, axis.kind === "log", MARGIN.left, end, Math.max(2, width / 90), padding);
  const shown = (numbers.length <= 8 ? numbers : marks).map((each) => [at(each), short(each)]);
  let band = (end - MARGIN.left) / Math.max(2, numbers.length);
  for (let n = 1; n < numbers.length; n++) band = Math.min(band, at(numbers[n]) - at(numbers[n - 1]));
  if (nulls) shown.push([right - 20, "null"]);
  return { at: (value) => (value === null ? right - 20 : at(value)), band, marks: shown };
}

// The frame of a figure: rules and marks of both axes, and their names.
function framed(width, height, across, up, name, title) {
  const figure = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group" });
  const bottom = height - MARGIN.bottom;
  for (const [y, label] of up) {
    figure.append(element("line", { class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
    figure.append(text(MARGIN.left - 8, y + 4, label, { "text-anchor": "end" }));
  }
  const room = (width - MARGIN.left) / Math.max(1, across.length);
  let last = -Infinity;
  for (const [x, label] of across) {
    const most = Math.max(3, Math.floor(Math.max(room, 40) / 7));
    const cut = label.length > most ? `${label.slice(0, most - 1)}…` : label;
    if (x - cut.length * 3.4 < last) continue;
    last = x + cut.length * 3.4 + 6;
    figure.append(text(x, bottom + 18, cut, { "text-anchor": "middle" }));
  }
  figure.append(text((MARGIN.left + width - MARGIN.right) / 2, height - 8, name, { "text-anchor": "middle", class: "title" }));
  figure.append(text(0, 14, title, { class: "title" }));
  return figure;
}

// Values up the side, with a line of their own for those that are infinite.
function upright(values, height) {
  const bottom = height - MARGIN.bottom;
  const known = values.filter(finite);
  const [most, least] = [values.includes(Infinity), values.includes(-Infinity)];
  const log = known.length > 0 && known.every((each) => each > 0) && Math.max(...known) >= 100 * Math.min(...known);
  const [low, high] = [bottom - (least ? 26 : 0), MARGIN.top + (most ? 26 : 0)];
  const { at, marks } = scale(known, log, low, high, 5);
  const shown = known.length ? marks.map((each) => [at(each), short(each)]) : [];
  if (most) shown.push([MARGIN.top, "∞"]);
  if (least) shown.push([bottom, "−∞"]);
  return { log, shown, at: (value) => (value === Infinity ? MARGIN.top : value === -Infinity ? bottom : at(value)) };
}

const named = (name, log) => (log ? `${name} (logarithmic)` : name);

// Draws a figure anew whenever its width changes.
function redrawn(place, draw) {
  let drawn = 0;
  const again = () => draw((drawn = Math.round(place.clientWidth) || 600));
  const observer = new ResizeObserver(() => requestAnimationFrame(() => {
    if (Math.round(place.clientWidth) !== drawn) again();
  }));
  again();
  observer.observe(place);
  return again;
}

// A line of a table.
function line(cells, head = false) {
  const row = document.createElement("tr");
  cells.forEach((cell, n) => {
    const made = row.appendChild(document.createElement(head || n === 0 ? "th" : "td"));
    if (head || n === 0) made.scope = head ? "col" : "row";
    if (typeof cell !== "string") made.className = "n";
    made.textContent = typeof cell === "string" ? cell : short(cell);
  });
  return row;
}
