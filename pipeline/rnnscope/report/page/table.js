// The unit table: sorted, filtered, and drawn in chunks on scrolling, so that it opens at once
// with any number of rows.
const CHUNK = 100; // rows drawn at a time
const table = read("data");
const infinite = { "∞": Infinity, "−∞": -Infinity }; // JSON has none
for (const column of table.columns) {
  if (column.kind !== "text") column.values = column.values.map((x) => infinite[x] ?? x);
}
const columns = Object.fromEntries(table.columns.map((column) => [column.name, column]));
const rowOfUnit = new Map([...Array(table.rows).keys()].map((row) =>
  [["layer", "signal", "unit"].map((name) => columns[name].values[row]).join("/"), row]));

// The values of one unit's row by column; null for a unit that was not measured.
function unitRow(layer, signal, unit) {
  const row = rowOfUnit.get([layer, signal, unit].join("/"));
  if (row === undefined) return null;
  return Object.fromEntries(table.columns.map((column) => [column.name, column.values[row]]));
}

const SHOW = {
  text: String,
  truth: (x) => (x ? "yes" : "no"),
  class: className,
  count: (n) => (Number.isInteger(n) ? minus(count(n)) : String(n)),
  number: (x) => number(x, 3),
  large: (x) => number(x, 1),
  p: probability,
};
const shownAs = (column, value) => (value === null ? "–" : SHOW[column.kind](value));

const rising = new Set(["p", "text", "unit"]); // sorted in ascending order on the first click
const sorting = { by: table.sorted, rising: false };
const bounds = []; // { name, above, value }
const hidden = new Set(table.columns.filter((column) => !column.main).map((column) => column.name));
let order = [];
let drawnRows = 0;

function arrange() {
  const chosen = ["layer", "signal"].map((name) => [name, byId(`by-${name}`).value]).filter(([, value]) => value);
  const values = columns[sorting.by].values;
  order = [...Array(table.rows).keys()].filter((row) =>
    chosen.every(([name, value]) => columns[name].values[row] === value) &&
    bounds.every(({ name, above, value }) => {
      const x = columns[name].values[row];
      return x !== null && (above ? x >= value : x <= value);
    }));
  order.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (x === null || y === null) return (x === null) - (y === null); // nulls come last
    return (x < y ? -1 : x > y ? 1 : 0) * (sorting.rising ? 1 : -1);
  });
  for (const head of document.querySelectorAll("table.units th")) {
    if (head.dataset.name === sorting.by) head.setAttribute("aria-sort", sorting.rising ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
  document.querySelector("table.units tbody").replaceChildren();
  drawnRows = 0;
  byId("rows").scrollTop = 0;
  drawRows();
}

function drawRows() {
  const lines = order.slice(drawnRows, drawnRows + CHUNK).map((row) => {
    const [layer, signal, unit] = ["layer", "signal", "unit"].map((name) => columns[name].values[row]);
    const line = element("tr", { onclick: () => { location.hash = hashOf(layer, signal, unit); } });
    line.append(...table.columns.map((column) => cellOf(column, row, hashOf(layer, signal, unit))));
    return line;
  });
  document.querySelector("table.units tbody").append(...lines);
  drawnRows = Math.min(drawnRows + CHUNK, order.length);
  const rest = drawnRows < order.length ? `; ${count(drawnRows)} drawn, scroll for more` : "";
  byId("status").textContent = `${count(order.length)} of ${count(table.rows)} rows${rest}`;
}

function cellOf(column, row, hash) {
  const value = column.values[row];
  const cell = element("td", { className: `${column.name} ${column.kind}`, hidden: hidden.has(column.name) });
  const text = shownAs(column, value);
  cell.append(column.name === "unit" ? element("a", { href: hash }, text) : text);
  if (value === null) return cell;
  if (column.signs) cell.append(column.signs[row] < 0 ? " ↓" : column.signs[row] > 0 ? " ↑" : "");
  const ends = column.interval ? ["low", "high"].map((end) => columns[`${column.name}_${end}`].values[row]) : [null];
  if (!ends.includes(null)) cell.append(element("span", {}, ends.map((end) => shownAs(column, end)).join(" to ")));
  return cell;
}

function drawBounds() {
  byId("bounds").replaceChildren(...bounds.map((bound) => element("button", {
    type: "button", className: "chip", title: "remove this filter",
    onclick: () => { bounds.splice(bounds.indexOf(bound), 1); drawBounds(); arrange(); },
  }, `${bound.name} ${bound.above ? "≥" : "≤"} ${minus(String(bound.value))} ×`)));
}

// A spreadsheet runs a text that begins like a formula; an apostrophe in front keeps it text.
function csvOf(value, kind) {
  if (value === null) return "";
  const text = kind === "class" ? className(value) : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && (kind === "text" || kind === "class") ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv() {
  const lines = [table.columns.map((column) => csvOf(column.name, "text")), ...order.map((row) =>
    table.columns.map((column) => csvOf(column.values[row], column.kind)))];
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

function download(text, name) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function startTable() {
  for (const head of document.querySelectorAll("table.units th")) {
    head.querySelector("button").addEventListener("click", () => {
      const column = columns[head.dataset.name];
      sorting.rising = sorting.by === column.name ? !sorting.rising : rising.has(column.kind) || rising.has(column.name);
      sorting.by = column.name;
      arrange();
    });
    head.hidden = hidden.has(head.dataset.name);
  }
  for (const name of ["layer", "signal"]) {
    const names = [...new Set(columns[name].values)];
    if (name === "signal") names.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
    const select = byId(`by-${name}`);
    select.append(...names.map((each) => new Option(each, each)));
    select.parentElement.hidden = names.length < 2;
    select.addEventListener("change", arrange);
  }
  const numeric = table.columns.filter((column) => !["text", "truth", "class"].includes(column.kind));
  fill(byId("bound-name"), numeric.map((column) => [column.name, column.name]), table.sorted);
  byId("bound").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = byId("bound-value").valueAsNumber;
    if (Number.isNaN(value)) return;
    bounds.push({ name: byId("bound-name").value, above: byId("bound-side").value === "above", value });
    drawBounds();
    arrange();
  });
  byId("every").addEventListener("change", (event) => {
    for (const column of table.columns) if (!column.main) showColumn(column.name, event.target.checked);
  });
  byId("choose-columns").append(...table.columns.map((column) => element("label", { title: column.help },
    element("input", { type: "checkbox", value: column.name, checked: !hidden.has(column.name),
      onchange: (event) => showColumn(column.name, event.target.checked) }), ` ${column.name}`)));
  byId("download").addEventListener("click", () => download(csv(), "units.csv"));
  const scroll = byId("rows");
  scroll.addEventListener("scroll", () => {
    const left = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
    if (left < 600 && drawnRows < order.length) drawRows();
  });
  arrange();
}

function showColumn(name, on) {
  hidden[on ? "delete" : "add"](name);
  byId("choose-columns").querySelector(`[value="${name}"]`).checked = on;
  document.querySelector(`table.units th[data-name="${name}"]`).hidden = !on;
  for (const cell of document.querySelectorAll(`table.units td.${name}`)) cell.hidden = !on;
}
