// Numbers and elements.
const SIGNALS = {
  h: "hidden state", c: "cell state", i: "input gate", f: "forget gate", o: "output gate",
  z: "update gate", r: "reset gate", g: "candidate",
};
const ORDER = "hcifozrg";
const minus = (text) => text.replace("-", "−");
// The least and the largest of any number of values; a call takes only so many arguments.
const extent = (values) => values.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
const count = (n) => n.toLocaleString("en");

function number(x, digits = 3) {
  if (x === null || Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const small = x !== 0 && Math.abs(x) < 0.5 * 10 ** -digits;
  return minus(small || Math.abs(x) >= 1e5 ? x.toExponential(1) : x.toFixed(digits));
}

// Below 1e-12 a p-value says nothing more: no assumption behind it holds so far out.
const probability = (p) =>
  p === null ? "–" : p < 1e-12 ? "< 1e−12" : p < 0.001 ? minus(p.toExponential(1)) : p.toFixed(3);

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key in made && key !== "list" && key !== "role") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((each) => each !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const byId = (id) => document.getElementById(id);
function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (chosen !== undefined) select.value = chosen;
}
