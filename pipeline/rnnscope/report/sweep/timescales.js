// The distribution of units' timescales at each value of the first option that differs.
{
  const select = document.getElementById("timescale");
  const place = document.getElementById("timescale-plot");
  const axis = data.axes[0];

  function draw(width) {
    const { label, help, groups } = data.timescales[select.value];
    document.getElementById("timescale-help").textContent = `${label}: ${help}.`;
    const quartiles = groups.map((group) => group.quartiles.map((value) => infinite[value] ?? value));
    const every = [...groups.flatMap((group) => group.points), ...quartiles.flat().filter(finite)];
    if (groups.some((group) => group.infinite)) every.push(Infinity);
    const height = Math.round(Math.min(440, Math.max(300, width * 0.5)));
    const across = along(axis, width);
    const up = upright(every, height);
    const figure = framed(width, height, across.marks, up.shown,
      named(axis.name === "run" ? "runs" : axis.name, axis.kind === "log"), named(`${label}, timesteps`, up.log));
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", `${label} by ${axis.name}; the table below has its quartiles`);
    const half = Math.max(2, Math.min(38, across.band * 0.36));
    const content = figure.appendChild(element("g", { class: "colour-0" }));
    groups.forEach((group, n) => {
      const x = across.at(group.place);
      group.points.forEach((value, k) => {
        // Beside one another in a fixed, uneven order, so that equal ones can be told apart.
        const aside = (((k * 0.618034) % 1) * 2 - 1) * half;
        content.append(element("circle", { class: "unit", cx: x + aside, cy: up.at(value), r: 2.5 }));
      });
      const [low, median, high] = quartiles[n];
      if (low !== null) {
        content.append(element("rect", { class: "box", x: x - half, width: 2 * half,
          y: up.at(high), height: Math.max(0, up.at(low) - up.at(high)) }));
        content.append(element("line", { class: "mean", x1: x - half, x2: x + half, y1: up.at(median), y2: up.at(median) }));
      }
      if (group.infinite && half > 18) content.append(text(x, up.at(Infinity) - 4, `${short(group.infinite)} at ∞`, { "text-anchor": "middle" }));
      else if (group.infinite) content.append(element("circle", { cx: x, cy: up.at(Infinity), r: 2.5 }));
    });
    place.replaceChildren(figure);
    const hidden = groups.reduce((sum, group) => sum + group.units - group.none - group.infinite - group.points.length, 0);
    if (hidden) {
      const note = document.createElement("figcaption");
      note.className = "caption";
      note.textContent = `Of each value some units are drawn, evenly spaced in rank; ${short(hidden)} more count in quartiles and median.`;
      place.append(note);
    }
    document.querySelector("#quartiles tbody").replaceChildren(...groups.map((group, n) => line(
      [group.label, group.runs, group.units, ...quartiles[n], group.infinite, group.none])));
  }

  if (select) {
    select.append(...data.timescales.map((series, n) => new Option(series.label, n)));
    select.addEventListener("change", redrawn(place, draw));
  }
}
