// The table of runs: sorted by a click on a head, and saved as CSV.
{
  const table = document.querySelector("table.listed");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells].slice(0, -1);
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const columns = [data.runs.map((run) => run.name), ...data.columns.map((column) => column.values)]
    .map((values) => values.map((value) => infinite[value] ?? value));
  let by = 0;
  let rising = true;

  function sort() {
    const values = columns[by];
    const order = rows.map((_, row) => row).sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null); // nulls come last
      const way = typeof x === "string" ? compare(x, y) : x - y;
      return (rising ? way : -way) || a - b;
    });
    body.replaceChildren(...order.map((row) => rows[row]));
    heads.forEach((head, place) => {
      if (place === by) head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  }

  heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
    rising = place === by ? !rising : true;
    by = place;
    sort();
  }));
  heads[0].setAttribute("aria-sort", "ascending");

  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([data.csv], { type: "text/csv;charset=utf-8" }));
    link.download = "runs.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
