// The matrix of runs by runs of one measure and signal.
{
  const [measures, pairs] = ["measure", "pairs"].map((id) => document.getElementById(id));
  const found = data.similarity;

  const said = document.getElementById("unrelated");
  let ofAll = "";

  const number = (value) => (value === null ? "–" : minus(value.toFixed(2).replace("-0.00", "0.00")));

  function told([a, b, value, unrelated, low, high]) {
    const [one, other] = [a, b].map((run) => data.runs[found.runs[run]].name);
    const interval = low === null || high === null ? "no interval" : `95 % interval ${number(low)} to ${number(high)}`;
    return `${one} and ${other}: ${minus(value.toFixed(4))}; ${interval}; unrelated networks ${number(unrelated)}`;
  }

  // One cell can be reached by the Tab key; the arrow keys go on from there.
  function walked(table) {
    const cells = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1));
    cells.forEach((row, r) => row.forEach((cell, c) => {
      cell.tabIndex = r || c !== 1 ? -1 : 0;
      cell.addEventListener("keydown", (event) => {
        const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
        const next = step && cells[r + step[0]]?.[c + step[1]];
        if (!step) return;
        event.preventDefault();
        if (!next) return;
        cell.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
      for (const event of ["focus", "pointerenter"]) cell.addEventListener(event, () => {
        said.textContent = cell.dataset.told ?? ofAll;
      });
    }));
    table.onpointerleave = () => { said.textContent = ofAll; };
  }

  function head(name) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.appendChild(document.createElement("span")).textContent = name;
    return cell;
  }

  function draw() {
    const { name, help } = found.measures[measures.value];
    const names = found.runs.map((run) => data.runs[run].name);
    const cells = found.pairs[pairs.value].cells[name];
    const by = new Map(cells.map((cell) => [`${cell[0]},${cell[1]}`, cell]));
    document.getElementById("measure-help").textContent = `${name}: ${help}.`;
    const table = document.getElementById("matrix");
    const top = document.createElement("thead").appendChild(document.createElement("tr"));
    top.append(document.createElement("td"), ...names.map(head));
    const body = document.createElement("tbody");
    names.forEach((each, row) => {
      const made = body.appendChild(document.createElement("tr"));
      const first = made.appendChild(document.createElement("th"));
      first.scope = "row";
      first.textContent = each;
      names.forEach((_, column) => {
        const cell = made.insertCell();
        const of = by.get(`${Math.min(row, column)},${Math.max(row, column)}`);
        if (row === column) cell.className = "same";
        if (!of || of[2] === null) {
          cell.textContent = row === column ? "·" : "–";
          return;
        }
        cell.textContent = number(of[2]);
        cell.dataset.told = told(of);
        // The distance is 0 where runs are equal, and at most 2.
        const shade = name === "procrustes" ? 1 - of[2] / 2 : of[2];
        cell.style.setProperty("--shade", Math.max(0, Math.min(1, shade)));
      });
    });
    table.replaceChildren(top.parentElement, body);
    walked(table);
    const unrelated = cells.map((cell) => cell[3]).filter(finite);
    ofAll = unrelated.length
      ? `Unrelated networks of these sizes: ${number(Math.min(...unrelated))} to ${number(Math.max(...unrelated))}.` : "";
    said.textContent = ofAll;
  }

  if (measures) {
    measures.append(...found.measures.map(({ name }, n) => new Option(name, n)));
    pairs.append(...found.pairs.map(({ label }, n) => new Option(label, n)));
    for (const select of [measures, pairs]) select.addEventListener("change", draw);
    if (found.pairs.length) draw();
  }
}
