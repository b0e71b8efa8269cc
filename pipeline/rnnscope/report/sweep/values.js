// A value of each run against an option: runs as points, means over repeats as lines or bars.
{
  const place = document.getElementById("metric-plot");
  const FEW = 20; // more runs than that with a value each of their own are no line
  const [metrics, options] = ["metric", "option"].map((id) => document.getElementById(id));
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;

  const groups = new Map();
  data.metrics.forEach((metric, n) => {
    if (!groups.has(metric.group)) {
      const group = metrics.appendChild(document.createElement("optgroup"));
      group.label = metric.group;
      groups.set(metric.group, group);
    }
    metric.values = metric.values.map((value) => infinite[value] ?? value);
    if (metric.name.endsWith("bytes")) { // shown in MB
      metric.label = metric.label.replace("_bytes", ", MB");
      metric.help = metric.help.replace("in bytes", "here in MB");
      metric.values = metric.values.map((value) => value && value / 1e6);
    }
    groups.get(metric.group).append(new Option(metric.label, n));
  });
  options.append(...data.axes.map((axis, n) => new Option(axis.name === "run" ? "each run" : axis.name, n)));

  const shown = (axis, run) => {
    const value = axis.values[run];
    if (value === null) return "null";
    return axis.kind === "category" ? axis.labels[value] : String(Number(value.toPrecision(6)));
  };

  // The options that tell runs at the same place apart, but for repeats. Those that have one value
  // wherever this option has one tell nothing apart.
  function others(axis) {
    if (axis.name === "run") return [];
    return data.axes.filter((other) => {
      if (other === axis || other.name === "run" || other.name === data.repeats) return false;
      const found = new Map();
      return axis.values.some((value, run) => {
        if (!found.has(value)) found.set(value, other.values[run]);
        return found.get(value) !== other.values[run];
      });
    });
  }

  // Runs by the values of these options. Where there are more of them than colours, by those of the
  // first option that has few, over all values of the others.
  function series(axis, runs) {
    const apart = others(axis);
    const few = apart.filter((other) => new Set(runs.map((run) => other.values[run])).size <= COLOURS);
    for (const by of [apart, few.slice(0, 1)]) {
      const rest = apart.filter((other) => !by.includes(other)).map((other) => `any ${other.name}`);
      const made = new Map();
      for (const run of runs) {
        const name = [...by.map((other) => `${other.name}=${shown(other, run)}`), ...rest].join(", ");
        if (!made.has(name)) made.set(name, []);
        made.get(name).push(run);
      }
      if (made.size <= COLOURS) return [...made];
    }
    return [];
  }

  // At each place of the option the mean over its runs.
  function means(axis, values, runs) {
    const found = new Map();
    for (const run of runs) {
      const at = axis.values[run];
      found.set(at, [...(found.get(at) ?? []), values[run]]);
    }
    const order = (x) => (x === null ? Infinity : x);
    return [...found].sort((a, b) => order(a[0]) - order(b[0])).map(([at, of]) => ({
      at, of, mean: of.reduce((a, b) => a + b) / of.length,
    }));
  }

  function tabulate(axis, found) {
    const table = document.getElementById("means");
    const head = [axis.name, ...(found.length > 1 ? ["Runs with"] : []), "Runs", "Mean", "Smallest", "Largest"];
    table.tHead.replaceChildren(line(head, true));
    [...table.tHead.rows[0].cells].slice(-4).forEach((cell) => { cell.className = "n"; });
    table.tBodies[0].replaceChildren(...found.flatMap(([label, of]) => of.map(({ at, of: all, mean }) => line([
      at === null ? "null" : axis.kind === "category" ? axis.labels[at] : String(at),
      ...(found.length > 1 ? [label] : []),
      all.length, mean, Math.min(...all), Math.max(...all),
    ]))));
  }

  function point(run, x, y, axis, metric) {
    const { name, href } = data.runs[run];
    const words = [name, `${metric.label} ${short(metric.values[run])}`,
      ...data.axes.filter((each) => each.name !== "run").map((each) => `${each.name} ${shown(each, run)}`)];
    const made = element(href ? "a" : "g", { class: "point", tabindex: -1, "aria-label": words.join(", ") },
      element("circle", { cx: x, cy: y, r: 5 }));
    if (href) made.setAttribute("href", href);
    else made.setAttribute("role", "img");
    const show = () => {
      tip.textContent = [...words, href ? "" : "no page; see the table below"].join("\n").trim();
      tip.hidden = false;
      const left = Math.min(x + 12, place.clientWidth - tip.offsetWidth);
      tip.style.left = `${Math.max(0, left)}px`;
      tip.style.top = `${y + 12}px`;
    };
    const hide = () => { tip.hidden = true; };
    for (const event of ["pointerenter", "focus"]) made.addEventListener(event, show);
    for (const event of ["pointerleave", "blur"]) made.addEventListener(event, hide);
    return made;
  }

  // One point can be reached by the Tab key; the arrow keys go on from there, from left to right.
  function walked(points) {
    points.forEach((each, n) => {
      each.setAttribute("tabindex", n ? -1 : 0);
      each.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (event.key === "Escape") tip.hidden = true;
        const next = points[n + step];
        if (!step) return;
        event.preventDefault();
        if (!next) return;
        each.setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      });
    });
  }

  // How far each run stands beside its place, so that points do not cover each other.
  function besides(axis, runs, band, height) {
    const covered = new Map();
    for (const run of runs) {
      const spot = `${axis.values[run]} ${Math.round(height(run) / 8)}`;
      covered.set(spot, [...(covered.get(spot) ?? []), run]);
    }
    return new Map([...covered.values()].flatMap((same) => same.map((run, n) =>
      [run, (n - (same.length - 1) / 2) * Math.min(9, (band * 0.8) / same.length)])));
  }

  function draw(width) {
    const [metric, axis] = [data.metrics[metrics.value], data.axes[options.value]];
    tip.hidden = true;
    document.getElementById("metric-help").textContent = `${metric.label}: ${metric.help}.`;
    const runs = data.runs.map((_, run) => run).filter((run) => metric.values[run] !== null);
    const height = Math.round(Math.min(420, Math.max(280, width * 0.5)));
    const across = along(axis, width);
    const up = upright(runs.map((run) => metric.values[run]), height);
    const name = axis.name === "run" ? "runs" : axis.name;
    const figure = framed(width, height, across.marks, up.shown, named(name, axis.kind === "log"),
      named(metric.label, up.log));
    figure.setAttribute("aria-label", `${metric.label} against ${name}, ${runs.length} runs`);
    const parted = series(axis, runs);
    const found = parted.map(([label, of]) => [label, means(axis, metric.values, of)]);
    const drawn = [];
    const aside = besides(axis, runs, across.band, (run) => up.at(metric.values[run]));
    parted.forEach(([, of], colour) => {
      const group = figure.appendChild(element("g", { class: `colour-${colour}` }));
      const spots = found[colour][1].map(({ at, mean }) => ({ at, x: across.at(at), mean }));
      if (axis.kind === "category") {
        const half = Math.min(across.band * 0.3, 30);
        if (axis.name !== "run") spots.filter(({ mean }) => finite(mean)).forEach(({ x, mean }) => group.append(
          element("line", { class: "mean", x1: x - half, x2: x + half, y1: up.at(mean), y2: up.at(mean) })));
      } else if (spots.length <= FEW || spots.length < of.length) {
        // A mean that is infinite, or stands at null, interrupts the line.
        let path = "";
        spots.forEach(({ at, x, mean }) => {
          const there = at !== null && finite(mean);
          if (there) path += `${path && !path.endsWith(" ") ? "L" : " M"}${x},${up.at(mean)}`;
          else path += " ";
        });
        group.append(element("path", { class: "mean", d: path.trim() || "M0,0" }));
      }
      for (const run of of) {
        const x = across.at(axis.values[run]) + aside.get(run);
        const made = point(run, x, up.at(metric.values[run]), axis, metric);
        group.append(made);
        drawn.push([x, metric.values[run], made]);
      }
    });
    walked(drawn.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , made]) => made));
    place.replaceChildren(...legend(found), figure, tip);
    const left = data.runs.length - runs.length;
    if (left) {
      const note = document.createElement("figcaption");
      note.className = "caption";
      note.textContent = `${left} of ${data.runs.length} runs have no such value.`;
      place.append(note);
    }
    tabulate(axis, found);
  }

  function legend(found) {
    if (found.length < 2 && !(found[0] && found[0][0])) return [];
    const list = document.createElement("ul");
    list.className = "legend";
    found.forEach(([label], colour) => {
      const entry = list.appendChild(document.createElement("li"));
      entry.className = `colour-${colour}`;
      entry.append(document.createElement("i"), label);
    });
    return [list];
  }

  if (data.metrics.length) {
    const again = redrawn(place, draw);
    for (const select of [metrics, options]) select.addEventListener("change", again);
  }
}
