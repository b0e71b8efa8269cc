// The matrix of runs by runs of one measure and signal.
{
  const [measures, pairs] = ["measure", "pairs"].map((id) => document.getElementById(id));
  const found = data.similarity;

  const number = (value) => (value === null ? "–" : minus(value.toFixed(2)));

  function told([, , value, unrelated, low, high]) {
    const interval = low === null || high === null ? "no interval" : `95 % interval ${number(low)} to ${number(high)}`;
    return `${minus(String(value))}; ${interval}; unrelated networks ${number(unrelated)}`;
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
        cell.title = told(of);
        // The distance is 0 where runs are equal, and at most 2.
        const shade = name === "procrustes" ? 1 - of[2] / 2 : of[2];
        cell.style.setProperty("--shade", Math.max(0, Math.min(1, shade)));
      });
    });
    table.replaceChildren(top.parentElement, body);
    const unrelated = cells.map((cell) => cell[3]).filter(finite);
    document.getElementById("unrelated").textContent = unrelated.length
      ? `Unrelated networks of these sizes: ${number(Math.min(...unrelated))} to ${number(Math.max(...unrelated))}.` : "";
  }

  if (measures) {
    measures.append(...found.measures.map(({ name }, n) => new Option(name, n)));
    pairs.append(...found.pairs.map(({ label }, n) => new Option(label, n)));
    for (const select of [measures, pairs]) select.addEventListener("change", draw);
    if (found.pairs.length) draw();
  }
}
