// One unit: what drives it, what it does in each class, what is known of it.
const hashOf = (layer, signal, unit) => `#${encodeURIComponent(layer)}/${signal}/${unit}`;
const unitLink = (layer, signal, unit) =>
  element("a", { href: hashOf(layer, signal, unit), className: "chip" }, String(unit));

// Open a unit, from a click or from the address; at a timestep, which is then marked.
function openUnit(layer, signal, unit, scroll = true, at = null) {
  const hash = hashOf(layer.name, signal, unit) + (at === null ? "" : `/${at}`);
  if (location.hash !== hash) history.pushState(null, "", hash);
  if (view.layer !== layer) setLayer(layer.name);
  view.unit = unit;
  view.at = at;
  drawUnit(layer, signal, unit);
  if (scroll) {
    byId("unit").scrollIntoView();
    byId("unit-title").focus({ preventScroll: true });
  }
  point(unit, at ?? maps[0]?.cell[1] ?? 0, 0, at !== null);
}

function fromAddress() {
  const parts = location.hash.slice(1).split("/");
  if (parts.length !== 3 && parts.length !== 4) return false;
  let name, signal, text, step;
  try {
    [name, signal, text, step] = parts.map(decodeURIComponent);
  } catch {
    return false; // a percent sign that encodes nothing
  }
  const layer = meta.layers.find((each) => each.name === name);
  if (!layer?.units[signal]?.includes(Number(text))) return false;
  if (step !== undefined && !/^\d{1,9}$/.test(step)) return false;
  openUnit(layer, signal, Number(text), true, step === undefined ? null : Number(step));
  return true;
}

function drawUnit(layer, signal, unit) {
  const of = signalOf(layer, signal);
  const place = placeOf(of, unit);
  byId("unit-title").textContent = `Unit ${unit} of ${layer.name}: ${signal} ${SIGNALS[signal] ?? ""}` +
    (view.at === null ? "" : `, timestep ${count(view.at)}`);
  fill(byId("unit-signal"), layer.signals.map((each) => [each, each]), signal);
  byId("unit-number").value = unit;
  byId("unit-figures").replaceChildren(...[
    meansFigure(of, place), histogramFigure(of, place), tracesFigure(layer, unit),
  ].filter(Boolean));
  byId("unit-drive").replaceChildren(...drive(layer, unit));
  byId("unit-facts").replaceChildren(...facts(layer, signal, unit));
  byId("unit-row").replaceChildren(...statistics(layer.name, signal, unit));
}

const absent = (why) => element("p", { className: "caption" }, why);

function meansFigure(signal, place) {
  if (!meta.curves.includes(signal.key)) return absent("Means over time are not on this page, for their size: tuning.parquet has them.");
  const { values: mean, shape: [, k, timesteps] } = array(`mean/${signal.key}`);
  const error = array(`error/${signal.key}`).values;
  const [low, high, most] = array(`reach/${signal.key}`).values.subarray(3 * place, 3 * place + 3);
  const labels = [...array(`labels/${signal.key}`).values];
  const value = (code) => (code === 65535 ? NaN : low + (code / 65534) * (high - low));
  const spread = (code) => (code === 65535 ? 0 : (code / 65534) * most);
  const title = labels[0] < 0 ? "Mean over sequences" : "Mean of each class";
  const lines = labels.map((_, c) => [...Array(timesteps).keys()]
    .map((t) => [t, value(mean[(place * k + c) * timesteps + t]), spread(error[(place * k + c) * timesteps + t])])
    .filter(([, m]) => !Number.isNaN(m)));
  const [bottom, top] = extent(lines.flat().flatMap(([, m, e]) => [m - e, m + e]));
  const { svg, x, y } = axes(bottom, top, 0, Math.max(1, timesteps - 1), "timestep", `${title} over time`, true);
  labels.forEach((label, c) => {
    const colour = labels[0] < 0 ? series(0) : series(label);
    const steps = lines[c];
    const band = [...steps.map(([t, m, e]) => [x(t), y(m + e)]),
      ...steps.reverse().map(([t, m, e]) => [x(t), y(m - e)])];
    steps.reverse();
    const name = labels[0] < 0 ? "all" : className(label);
    const line = drawn("path", { d: pathOf(steps.map(([t, m]) => [x(t), y(m)])), class: "line" }, drawn("title", {}, name));
    line.style.stroke = colour;
    line.style.strokeDasharray = dashes(labels[0] < 0 ? 0 : label);
    const area = drawn("path", { d: `${pathOf(band)}Z`, class: "band" });
    area.style.fill = colour;
    svg.append(area, line);
  });
  markTimestep(svg, x, timesteps);
  const legend = labels[0] < 0 ? null : legendOf(labels.map(className), labels.map(series));
  return figureOf(`${title} (${signal.name})`, svg, legend, "All test sequences; bands are ± 1 standard error.");
}

// A line at the timestep at which the unit was opened.
function markTimestep(svg, x, timesteps) {
  if (view.at === null || view.at >= timesteps) return;
  svg.append(drawn("line", { x1: x(view.at), x2: x(view.at), y1: PAD.top, y2: HEIGHT - PAD.bottom, class: "opened" },
    drawn("title", {}, `timestep ${view.at}`)));
}

// Histograms at the final step: one class above the other, each to its own height.
function histogramFigure(signal, place) {
  if (!has(`counts/${signal.key}`)) return null;
  const { values, shape: [, k, bins] } = array(`counts/${signal.key}`);
  const [low, high] = array(`bins/${signal.key}`).values.subarray(2 * place, 2 * place + 2);
  if (!(high > low)) return absent(`${signal.name} of this unit is always ${number(low)}.`);
  const rows = [...Array(k).keys()].map((c) => ({ c, counts: [...values.subarray((place * k + c) * bins, (place * k + c + 1) * bins)] }))
    .map((row) => ({ ...row, total: row.counts.reduce((a, b) => a + b, 0) })).filter((row) => row.total);
  const { svg, x } = axes(0, 1, low, high, `${signal.name} at the final step`, "Histogram of each class at the final step");
  svg.querySelectorAll(".grid, .end").forEach((each) => each.remove());
  const step = (HEIGHT - PAD.top - PAD.bottom) / rows.length;
  const width = (high - low) / bins;
  const name = (c) => (k > 1 ? className(c) : "all");
  rows.forEach(({ c, counts, total }, line) => {
    const base = PAD.top + (line + 1) * step;
    const top = Math.max(...counts);
    const y = (n) => base - (n / top) * step * 0.92;
    const points = counts.flatMap((n, bin) => [[x(low + bin * width), y(n)], [x(low + (bin + 1) * width), y(n)]]);
    const area = drawn("path", { d: `${pathOf([[x(low), base], ...points, [x(high), base]])}Z`, class: "ridge" },
      drawn("title", {}, `${name(c)}: ${count(total)} sequences`));
    area.style.fill = series(k > 1 ? c : 0);
    const label = name(c);
    svg.append(area, drawn("text", { x: PAD.left - 6, y: base - 2, class: "tick end" }, label.length > 6 ? `${label.slice(0, 5)}…` : label));
  });
  const n = rows.reduce((sum, { total }) => sum + total, 0);
  return figureOf(k > 1 ? `Histogram of each class (${signal.name})` : `Histogram (${signal.name})`, svg, null,
    `${count(n)} test sequences, at the final step that η² looks at.`);
}

// All signals of the unit in the chosen sequences of this run; those of the second are dashed.
function tracesFigure(layer, unit) {
  const chosen = view.panes.filter((each) => each?.run === own);
  const lines = layer.signals.map((name) => signalOf(layer, name)).filter((each) => placeOf(each, unit) >= 0);
  const rows = chosen.flatMap((sequence, pane) => lines.map((signal, i) => ({ pane, i, values:
    [...signal.row(sequence.place, placeOf(signal, unit))].map((code) => signal.values[code]) })));
  const known = rows.flatMap((row) => row.values).filter((value) => !Number.isNaN(value));
  const [low, high] = extent([0, 1, ...known]);
  const { svg, x, y } = axes(low, high, 0, Math.max(1, lines[0].timesteps - 1), "timestep", "All signals of this unit", true);
  for (const { pane, i, values } of rows) {
    const points = values.map((value, t) => [x(t), y(value)]).filter((each) => !Number.isNaN(each[1]));
    const line = drawn("path", { d: pathOf(points), class: pane ? "line second" : "line" }, drawn("title", {}, lines[i].name));
    line.style.stroke = series(i);
    svg.append(line);
  }
  markTimestep(svg, x, lines[0].timesteps);
  const names = chosen.map((each) => each.number);
  return figureOf(`All its signals in sequence ${names.join(" and (dashed) ")}`, svg,
    legendOf(lines.map((each) => each.name), lines.map((_, i) => series(i))), "To the precision of this page.");
}

// The sequences in which each state of the unit is largest and smallest.
function drive(layer, unit) {
  return layer.states.filter((name) => has(`most/${layer.name}/${name}`)).flatMap((name) => {
    const signal = signalOf(layer, name);
    const place = placeOf(signal, unit);
    if (place < 0) return [];
    return [["most", "largest"], ["least", "smallest"]].map(([end, text]) => {
      const { values, shape: [, units, kept] } = array(`${end}/${signal.key}`);
      const reached = array(`${end}_value/${signal.key}`).values;
      const cards = [...Array(kept).keys()].map((rank) => {
        const at = place * kept + rank;
        const [n, t] = [values[at], values[units * kept + at]];
        const sequence = byNumber.get(n) ?? { run: own, number: n, length: NaN };
        return card(sequence, [t, t + 1], number(reached[at]), `timestep ${t}`);
      });
      return element("div", {}, element("h4", {}, `${name} is ${text} in`), element("div", { className: "cards" }, ...cards));
    });
  });
}

function facts(layer, signal, unit) {
  const said = [];
  const row = unitRow(layer.name, signal, unit);
  if (has(`closest/${layer.name}/${signal}`)) {
    const of = signalOf(layer, signal);
    const place = placeOf(of, unit);
    const { values, shape: [, kept] } = array(`closest/${of.key}`);
    const r = array(`closest_r/${of.key}`).values;
    const links = [...Array(kept).keys()].map((rank) => place * kept + rank).filter((at) => !Number.isNaN(r[at]));
    said.push(element("p", {}, "Most correlated units: ", ...links.flatMap((at) => [
      unitLink(layer.name, signal, of.numbers[values[at]]), ` r = ${number(r[at], 2)}   `])));
  }
  if (view.at !== null) said.push(...effectsAt(layer.name, signal, unit, view.at).map((text) => element("p", {}, text)));
  for (const each of meta.ablation.filter((one) => one.layer === layer.name && one.unit === unit)) {
    said.push(element("p", {}, each.text));
  }
  if (row) said.push(...misleading(row).map((text) => element("p", { className: "caption" }, text)));
  return said;
}

// What a number does not tell, where it would mislead.
function misleading(row) {
  const said = [];
  if (row.eta2 !== undefined && row.eta2 !== null) {
    said.push(`η² (${number(row.eta2)}) and selectivity (${number(row.selectivity)}) look at the final step alone` +
      (row.eta2_peak ? `; at timestep ${row.eta2_peak_timestep} η² is ${number(row.eta2_peak)}.` : "."));
  }
  if (row.p_value !== undefined && row.p_value !== null && row.p_value < 1e-12) {
    said.push("With this many sequences nearly every unit differs between classes: p tells how sure that is, η² how large.");
  }
  if (row.timescale_fit === "censored" || row.timescale_fit === "persists") {
    said.push("Its timescale is longer than what these sequences can tell.");
  }
  return said;
}

function statistics(layer, signal, unit) {
  const row = unitRow(layer, signal, unit);
  if (!row) return [element("p", {}, "Stage units did not measure this signal.")];
  return table.columns.filter((each) => !["layer", "signal", "unit"].includes(each.name))
    .map((each) => element("div", {}, element("dt", { title: each.help }, each.name),
      element("dd", {}, shownAs(each, row[each.name]))));
}

function startUnit() {
  const go = () => {
    const layer = view.layer;
    const [signal, unit] = [byId("unit-signal").value, Number(byId("unit-number").value)];
    const there = layer.units[signal].includes(unit);
    byId("unit-number").setCustomValidity(there ? "" : `${signal} of this unit is not here`);
    if (there) openUnit(layer, signal, unit, false, view.at);
    else byId("unit-number").reportValidity();
  };
  byId("unit-signal").addEventListener("change", go);
  byId("unit-number").addEventListener("change", go);
  addEventListener("hashchange", () => fromAddress());
}
