// The unit table: sorted, filtered, and drawn in chunks on scrolling, so that it opens at once
// with any number of rows.
"use strict";
(() => {
  const CHUNK = 100; // rows drawn at a time
  const { columns, classes, rows, sorted } = JSON.parse(document.getElementById("data").textContent);
  const infinite = { "∞": Infinity, "−∞": -Infinity }; // JSON has none
  for (const column of columns) {
    if (column.kind !== "text") column.values = column.values.map((x) => infinite[x] ?? x);
  }
  const values = Object.fromEntries(columns.map((column) => [column.name, column.values]));
  const table = document.querySelector("table.units");
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const scroll = document.getElementById("rows");
  const status = document.getElementById("status");
  const filters = ["layer", "signal"].map((name) => [name, document.getElementById(`by-${name}`)]);
  const descends = new Set(["p", "text", "unit"]); // sorted in ascending order on the first click
  let by = columns.findIndex((column) => column.name === sorted);
  let rising = false;
  let order = [];
  let drawn = 0;

  for (const column of columns) {
    if (["text", "truth", "class", "count"].includes(column.kind)) continue;
    column.values = column.values.map((x) => (typeof x === "string" ? Number(x) : x));
  }
  const minus = (text) => text.replace("-", "−");
  const number = (x, digits) => {
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    const small = x !== 0 && Math.abs(x) < 0.5 * 10 ** -digits;
    return minus(small || Math.abs(x) >= 1e5 ? x.toExponential(1) : x.toFixed(digits));
  };
  const show = {
    text: String,
    truth: (x) => (x ? "yes" : "no"),
    class: (k) => classes[k] ?? String(k),
    count: (n) => (Number.isInteger(n) ? minus(n.toLocaleString("en")) : String(n)),
    number: (x) => number(x, 3),
    large: (x) => number(x, 1),
    p: (x) => (x < 1e-300 ? "< 1e−300" : x < 0.001 ? minus(x.toExponential(1)) : x.toFixed(3)),
  };

  function arrange() {
    const chosen = filters.filter(([, select]) => select.value !== "");
    const column = columns[by].values;
    order = [...Array(rows).keys()].filter((row) =>
      chosen.every(([name, select]) => values[name][row] === select.value));
    order.sort((a, b) => {
      const [x, y] = [column[a], column[b]];
      if (x === null || y === null) return (x === null) - (y === null); // nulls come last
      return (x < y ? -1 : x > y ? 1 : 0) * (rising ? 1 : -1);
    });
    heads.forEach((head, place) => {
      if (place === by) head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren();
    drawn = 0;
    scroll.scrollTop = 0;
    draw();
  }

  function draw() {
    const some = document.createDocumentFragment();
    for (const row of order.slice(drawn, drawn + CHUNK)) {
      const line = document.createElement("tr");
      for (const column of columns) {
        const cell = line.insertCell();
        const value = column.values[row];
        cell.className = `${column.name} ${column.kind}${column.main ? "" : " extra"}`;
        cell.textContent = value === null ? "–" : show[column.kind](value);
        if (value === null) continue;
        if (column.signs) cell.append(column.signs[row] < 0 ? " ↓" : column.signs[row] > 0 ? " ↑" : "");
        const ends = column.interval ? ["low", "high"].map((end) => values[`${column.name}_${end}`][row]) : [null];
        if (ends.includes(null)) continue;
        const interval = cell.appendChild(document.createElement("span"));
        interval.textContent = `${ends.map((end) => show[column.kind](end)).join(" to ")}`;
      }
      some.append(line);
    }
    body.append(some);
    drawn = Math.min(drawn + CHUNK, order.length);
    const count = (n) => n.toLocaleString("en");
    const rest = drawn < order.length ? `; ${count(drawn)} drawn, scroll for more` : "";
    status.textContent = `${count(order.length)} of ${count(rows)} rows${rest}`;
  }

  heads.forEach((head, place) => {
    head.querySelector("button").addEventListener("click", () => {
      const { name, kind } = columns[place];
      rising = place === by ? !rising : descends.has(kind) || descends.has(name);
      by = place;
      arrange();
    });
  });
  for (const [name, select] of filters) {
    const names = [...new Set(values[name])];
    if (name === "signal") names.sort((a, b) => "hcifozrg".indexOf(a) - "hcifozrg".indexOf(b));
    select.append(...names.map((each) => new Option(each, each)));
    select.parentElement.hidden = names.length < 2;
    select.addEventListener("change", arrange);
  }
  document.getElementById("every").addEventListener("change", (event) =>
    table.classList.toggle("every", event.target.checked));
  scroll.addEventListener("scroll", () => {
    const left = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
    if (left < 600 && drawn < order.length) draw();
  });
  arrange();
})();
