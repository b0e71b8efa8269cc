// The states of one sequence, or of two side by side, beside what the network was given.
const view = {
  layer: meta.layers[0],
  panes: [shown[0], null], // the sequences on the left and on the right
  signals: new Set(meta.layers[0].states),
  sort: "similar",
  by: meta.layers[0].states.at(-1), // the signal whose statistic sorts the rows
  range: null, // timesteps selected, in the left pane
  unit: null, // number of the unit that was opened, or read last
  at: null, // the timestep at which it was opened, if at one
};
let maps = []; // of both panes

const placeOf = (signal, unit) => signal.numbers.indexOf(unit);

// Places of a signal's units from top to bottom.
function orderOf(signal) {
  const numbers = [...signal.numbers.keys()];
  const by = signalOf(view.layer, view.by);
  if (by.units !== signal.units || view.sort === "number") return numbers;
  if (view.sort === "similar") {
    return has(`order/${by.key}`) ? [...array(`order/${by.key}`).values] : numbers;
  }
  const keys = numbers.map((unit) => view.sort === "peak"
    ? peakOf(by, view.panes[0].place, unit)
    : unitRow(view.layer.name, by.name, by.numbers[unit])?.[view.sort] ?? null);
  const rising = view.sort === "peak" ? 1 : -1; // statistics largest first
  return numbers.sort((a, b) => {
    if (keys[a] === null || keys[b] === null) return (keys[a] === null) - (keys[b] === null);
    return rising * (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) || a - b;
  });
}

function peakOf(signal, place, unit) {
  const values = [...signal.row(place, unit)].map((code) => Math.abs(signal.values[code]));
  return values.reduce((best, x, t) => (x > values[best] || Number.isNaN(values[best]) ? t : best), 0);
}

const named = (sequence) => {
  const { run, label, prediction, target, length, number: n, id } = sequence;
  const facts = [`sequence ${n}${id === undefined || id === null ? "" : ` (${id})`}`];
  const known = (value) => value !== undefined && value !== null;
  if (known(label)) facts.push(`class ${run.className(label)}`);
  if (known(label) && known(prediction) && prediction !== label) facts.push(`taken for ${run.className(prediction)}`);
  if (known(target)) facts.push(`target ${number(target)}`, `output ${number(prediction ?? null)}`);
  facts.push(`${count(length)} ${length === 1 ? "timestep" : "timesteps"}`);
  if (run !== own) facts.unshift(run.meta.slug);
  return facts.join(", ");
};

function show(sequence, pane = 0) {
  if (pane === 0 && sequence !== view.panes[0]) {
    select(null);
    forgetMatches();
  }
  view.panes[pane] = sequence;
  drawPanes();
  markChosen();
}

function drawPanes() {
  maps = [];
  byId("panes").replaceChildren(...view.panes.map((sequence, pane) => sequence && paneOf(sequence, pane))
    .filter(Boolean));
  byId("panes").classList.toggle("two", view.panes[1] !== null);
  if (view.range) select(...view.range);
  if (view.unit !== null) point(view.unit, maps[0]?.cell[1] ?? 0, 0, false);
}

// The layer of a sequence's run: that which is looked at, or in another run one with its name.
const layerIn = (run) => run.layer(view.layer.name) ?? run.meta.layers[0];

function paneOf(sequence, pane) {
  const { run } = sequence;
  const layer = layerIn(run);
  const here = layer.signals.filter((name) => view.signals.has(name)).map((name) => {
    const signal = run.signal(layer, name);
    const order = run === own ? orderOf(signal) : [...signal.numbers.keys()];
    const map = new HeatMap(signal, sequence.place, order, {
      read: (unit, t, aloud) => {
        byId("readout").setAttribute("aria-live", aloud ? "polite" : "off");
        point(signal.numbers[unit], t, pane);
      },
      enter: (unit) => run === own && openUnit(view.layer, signal.name, signal.numbers[unit]),
      brush: (start, stop, done) => pane === 0 && select(start, stop, done),
    });
    map.pane = pane;
    return map;
  });
  maps.push(...here);
  const shut = pane === 1
    ? element("button", { type: "button", className: "shut", onclick: () => {
      byId("other").value = ""; // so that the same file can be chosen again
      byId("other-said").textContent = "";
      show(null, 1);
    } }, "close")
    : null;
  const side = element("div", { className: "given" });
  const box = element("div", { className: `pane ${run.meta.input.kind}` },
    element("h3", {}, named(sequence), shut), side,
    element("div", { className: "stack" }, ...here.map((map) => map.figure),
      here.length ? timeAxis(here[0].signal.timesteps) : null));
  fillInput(side, sequence, pane);
  return box;
}

// Timesteps below the heat maps of a sequence.
function timeAxis(timesteps) {
  const labels = ticks(0, timesteps - 1, 8).filter(Number.isInteger).map((t) => {
    const label = element("span", {}, count(t));
    label.style.left = `${(100 * (t + 0.5)) / timesteps}%`;
    return label;
  });
  return element("div", { className: "times-axis", "aria-hidden": "true" }, ...labels, element("em", {}, "timestep"));
}

function fillInput(side, sequence, pane) {
  const tokens = tokensOf(sequence);
  if (tokens) {
    side.append(element("p", { className: "tokens", id: `tokens-${pane}` },
      ...tokens.map((token, t) => element("span", { onpointerenter: () => readToken(pane, t) },
        wordOf(sequence, token), spaceOf(sequence)))),
    element("p", { className: "caption", id: `tokens-said-${pane}` }));
  } else if (inputOf(sequence)) {
    const canvas = element("canvas", { id: `input-${pane}`, className: sequence.run.meta.input.kind,
      role: "img", "aria-label": `input of sequence ${sequence.number}` });
    side.append(canvas);
    requestAnimationFrame(() => drawInput(canvas, sequence, pane === 0 ? view.range : null));
  }
}

const readToken = (pane, t) => {
  const unit = view.unit ?? signalOf(view.layer, view.by).numbers[0];
  point(unit, t, pane);
};

// Mark a unit at a timestep in all maps of a pane, and say the values there.
function point(unit, t, pane = 0, say = true) {
  if (view.panes[pane].run === own) view.unit = unit;
  const here = maps.filter((map) => map.pane === pane);
  for (const map of here) {
    const place = placeOf(map.signal, unit);
    if (place >= 0) map.point(place, Math.min(t, map.signal.timesteps - 1));
  }
  const sequence = view.panes[pane];
  const layer = layerIn(sequence.run);
  const values = layer.signals.map((name) => {
    const signal = sequence.run.signal(layer, name);
    const place = placeOf(signal, unit);
    if (place < 0 || t >= signal.timesteps) return `${name} –`;
    return `${name} ${number(signal.at(sequence.place, place, t), 2)}`;
  });
  if (say) byId("readout").textContent = `timestep ${t}, unit ${unit}: ${values.join(", ")}`;
  colourTokens(pane, unit, t);
  const canvas = byId(`input-${pane}`);
  if (canvas && say) drawInput(canvas, sequence, pane === 0 && view.range ? view.range : [t, t + 1]);
}

// Each token in the colour of a unit's value after it, as Karpathy, Johnson & Fei-Fei (2015) did;
// the colours end at the unit's own largest value here.
function colourTokens(pane, unit, t) {
  const tokens = byId(`tokens-${pane}`);
  if (!tokens) return;
  const { run, place: row } = view.panes[pane];
  const layer = layerIn(run);
  const signal = run.signal(layer, layer.signals.includes(view.by) ? view.by : layer.signals[0]);
  const place = placeOf(signal, unit);
  if (place < 0) return;
  const values = [...signal.row(row, place)].map((code) => signal.values[code]);
  const most = Math.max(...values.map(Math.abs).filter((value) => !Number.isNaN(value)), 1e-30);
  const positive = signal.edges[0] === 0;
  byId(`tokens-said-${pane}`).textContent = `Coloured by ${signal.name} of unit ${unit}, from ${positive ? "0" : `−${number(most, 2)}`} to ${number(most, 2)}.`;
  [...tokens.children].forEach((token, step) => {
    const colour = colourOf(values[step] ?? NaN, most, positive);
    token.style.background = `rgb(${colour.join(" ")})`;
    token.style.color = inkOn(colour);
    token.classList.toggle("here", step === t);
  });
}

// Select timesteps start to before stop of the left sequence; null for none.
function select(start, stop, done = false) {
  view.range = start === null ? null : [start, stop];
  for (const map of maps) if (map.pane === 0) map.select(start, stop);
  const canvas = byId("input-0");
  if (canvas) drawInput(canvas, view.panes[0], view.range);
  if (view.range) {
    byId("match-start").value = start;
    byId("match-stop").value = stop - 1;
  }
  if (done) findMatches();
}

function drawSignals() {
  const boxes = view.layer.signals.map((name) => element("label", {},
    element("input", { type: "checkbox", value: name, checked: view.signals.has(name),
      onchange: (event) => {
        view.signals[event.target.checked ? "add" : "delete"](name);
        drawPanes();
      } }), ` ${name}`));
  byId("signals").replaceChildren(element("legend", {}, "Signals"), ...boxes);
}

function startStates() {
  // Enter in a field chooses, and sends no form.
  for (const form of document.querySelectorAll("form.controls")) {
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  fill(byId("layer"), meta.layers.map((layer) => [layer.name, layer.name]));
  byId("layer").parentElement.hidden = meta.layers.length < 2;
  byId("layer").addEventListener("change", () => {
    setLayer(byId("layer").value);
    drawUnit(view.layer, view.by, view.layer.units[view.by][0]);
  });
  const labels = [...new Set(shown.map((each) => each.label))].filter((each) => each !== undefined && each !== null);
  labels.sort((a, b) => a - b);
  fill(byId("of-class"), [["", "all"], ...labels.map((label) => [label, className(label)])]);
  byId("of-class").parentElement.hidden = labels.length < 2;
  byId("of-outcome").parentElement.hidden = !shown.some((each) => each.correct === false);
  const orders = [["number", "number"]];
  if (shown.some((each) => each.loss)) orders.push(["loss", "largest loss"]);
  if (new Set(shown.map((each) => each.length)).size > 1) {
    orders.push(["length", "longest first"], ["short", "shortest first"]);
  }
  fill(byId("list-order"), orders);
  byId("list-order").parentElement.hidden = orders.length < 2;
  for (const id of ["of-class", "of-outcome", "list-order"]) byId(id).addEventListener("change", drawList);
  byId("sequence").addEventListener("change", () => {
    const found = byNumber.get(Number(byId("sequence").value));
    if (found?.shown) show(found);
    const missing = `sequence ${byId("sequence").value} is not on this page`;
    byId("listed").textContent = found?.shown ? listedText() : missing;
  });
  byId("list").addEventListener("keydown", walkList);
  byId("other").addEventListener("change", openOther);
  byId("sort").addEventListener("change", () => { view.sort = byId("sort").value; drawPanes(); });
  byId("sort-by").addEventListener("change", () => { view.by = byId("sort-by").value; setSorts(); drawPanes(); });
  setLayer(meta.layers[0].name);
  drawList();
}

// The page of another run, chosen from disk: the same sequence of it is shown on the right.
async function openOther() {
  const said = byId("other-said");
  const [file] = byId("other").files;
  if (!file) return;
  const run = await runOf(await file.text()).catch(() => null);
  if (run === null) {
    said.textContent = `${file.name} is no page of rnnscope, or one of an earlier version`;
    return;
  }
  const wanted = view.panes[0].number;
  const found = run.byNumber.get(wanted);
  show(found?.shown ? found : run.shown[0], 1);
  const same = JSON.stringify(run.meta.data) === JSON.stringify(meta.data);
  const data = same ? "" : "That run is of other data. ";
  said.textContent = data + (found?.shown ? "" : `Sequence ${wanted} is not on that page: its first is shown.`);
}

function setLayer(name) {
  view.layer = meta.layers.find((layer) => layer.name === name);
  byId("layer").value = name;
  view.signals = new Set(view.layer.states);
  view.by = view.layer.states.at(-1);
  view.sort = has(`order/${name}/${view.by}`) ? "similar" : "peak";
  view.unit = null;
  fill(byId("sort-by"), view.layer.signals.map((each) => [each, each]), view.by);
  fill(byId("match-signal"), view.layer.signals.map((each) => [each, each]), view.by);
  setSorts();
  setThreshold();
  drawSignals();
  drawPanes();
  if (view.range) findMatches();
  else forgetMatches();
}

// What rows can be sorted by: the statistics that this signal has.
function setSorts() {
  const key = `${view.layer.name}/${view.by}`;
  const orders = [["number", "unit number"], ["peak", "time of peak"]];
  if (has(`order/${key}`)) orders.push(["similar", "similarity (clusters)"]);
  const first = signalOf(view.layer, view.by).numbers[0];
  const row = unitRow(view.layer.name, view.by, first);
  if (row) {
    const numeric = table.columns.filter((each) => ["number", "large"].includes(each.kind) && each.main !== undefined);
    orders.push(...numeric.filter((each) => !/_(low|high)$/.test(each.name)).map((each) => [each.name, each.name]));
  }
  if (!orders.some(([value]) => value === view.sort)) view.sort = "number";
  fill(byId("sort"), orders, view.sort);
}
