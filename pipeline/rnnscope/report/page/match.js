// Match: units that are on together in one window, and where they are on together elsewhere. The
// same search as the function rnnscope.match, over the sequences on this page: a threshold is an
// edge of the signal's codes, so that a code tells exactly whether its value is at or above it.
const MATCHES = 24;

// The code of the first value at or above an edge.
function codeAt(signal, threshold) {
  return signal.edges.findIndex((edge) => edge >= Math.fround(threshold));
}

// Whether each unit is on throughout a window that starts at each timestep: counts of units.
function match(signal, place, start, stop, threshold) {
  const least = codeAt(signal, threshold);
  const length = stop - start;
  const on = (code) => code >= least && code !== NONE;
  const selected = [];
  for (let unit = 0; unit < signal.units; unit++) {
    if (signal.row(place, unit).subarray(start, stop).every(on)) selected.push(unit);
  }
  if (!selected.length) return { units: [], places: [] };
  const chosen = new Set(selected);
  const places = [];
  const windows = signal.timesteps - length + 1;
  for (let other = 0; other < signal.count; other++) {
    const through = new Int32Array(windows); // units on throughout each window
    const shared = new Int32Array(windows); // of which are selected
    for (let unit = 0; unit < signal.units; unit++) {
      const codes = signal.row(other, unit);
      const mine = chosen.has(unit);
      for (let t = 0, run = 0; t < signal.timesteps; t++) {
        run = on(codes[t]) ? run + 1 : 0;
        if (run >= length) {
          through[t - length + 1]++;
          if (mine) shared[t - length + 1]++;
        }
      }
    }
    let best = null;
    for (let t = 0; t < windows; t++) {
      if (other === place && t < stop && t + length > start) continue;
      const score = shared[t] / (selected.length + through[t] - shared[t]);
      if (shared[t] && (best === null || score > best.score)) {
        best = { sequence: shown[other], start: t, stop: t + length, score, shared: shared[t] };
      }
    }
    if (best) places.push(best);
  }
  places.sort((a, b) => b.score - a.score || b.shared - a.shared || a.sequence.number - b.sequence.number);
  return { units: selected, places };
}

function setThreshold() {
  const signal = signalOf(view.layer, byId("match-signal").value);
  const slider = byId("match-threshold");
  slider.max = signal.edges.length - 2;
  const start = signal.edges[0] === 0 ? 0.5 : 0.5 * signal.limit;
  slider.value = Math.max(0, codeAt(signal, start));
  sayThreshold();
}

function sayThreshold() {
  const signal = signalOf(view.layer, byId("match-signal").value);
  const edge = signal.edges[Number(byId("match-threshold").value)];
  const text = number(edge, Math.abs(edge) < 10 ? 3 : 1);
  byId("match-value").textContent = text;
  byId("match-value").dataset.exact = edge;
  byId("match-threshold").setAttribute("aria-valuetext", text);
}

function findMatches() {
  const [start, stop] = [Number(byId("match-start").value), Number(byId("match-stop").value) + 1];
  const signal = signalOf(view.layer, byId("match-signal").value);
  const sequence = view.panes[0];
  const said = byId("match-said");
  byId("match-units").replaceChildren();
  byId("matches").replaceChildren();
  if (!(start >= 0 && start < stop && stop <= signal.timesteps)) {
    said.textContent = `Timesteps must be from 0 to ${signal.timesteps - 1}, the first not after the last.`;
    return;
  }
  if (signal.row(sequence.place, 0).subarray(start, stop).includes(NONE)) {
    said.textContent = `Sequence ${sequence.number} has no rows at some of these timesteps.`;
    return;
  }
  const threshold = signal.edges[Number(byId("match-threshold").value)];
  const { units, places } = match(signal, sequence.place, start, stop, threshold);
  if (!units.length) {
    said.textContent = "No unit is at or above the threshold throughout: take a lower one, or fewer timesteps.";
    return;
  }
  said.textContent = `${count(units.length)} of ${count(signal.units)} units are on in ${signal.name}; some of them are on ` +
    `together elsewhere in ${count(places.length)} of ${count(shown.length)} sequences on this page.`;
  byId("match-units").replaceChildren(...units.map((unit) => unitLink(signal.layer.name, signal.name, signal.numbers[unit])));
  byId("matches").replaceChildren(...places.slice(0, MATCHES).map((found) => card(
    found.sequence, [found.start, found.stop],
    `score ${number(found.score, 2)}, ${found.shared} of ${units.length} units`,
    `timesteps ${found.start} to ${found.stop - 1}`)));
}

// What was found is of the sequence and the layer that were looked at then.
function forgetMatches() {
  byId("match-said").textContent = "Drag over timesteps in a heat map above, or give them here.";
  byId("match-units").replaceChildren();
  byId("matches").replaceChildren();
}

// A sequence in a list of results; a click shows it beside the other one.
function card(sequence, marked, ...lines) {
  const text = sequence?.label === undefined || sequence.label === null ? "" : `class ${className(sequence.label)}`;
  return element("button", {
    type: "button", className: "card", disabled: !sequence.shown,
    title: sequence.shown ? named(sequence) : `${named(sequence)}; its states are not on this page`,
    onclick: () => { show(sequence, 1); byId("panes").scrollIntoView({ block: "nearest" }); },
  }, thumbnail(sequence, marked), element("span", {}, `#${sequence.number} ${text}`),
  ...lines.map((line) => element("small", {}, line)));
}

// Where the first sequence's units are largest in sum there is something to see.
function exampleWindow() {
  const signal = signalOf(view.layer, view.by);
  const place = view.panes[0].place;
  const sizes = [...Array(signal.timesteps).keys()].map((t) => {
    let sum = 0;
    for (let unit = 0; unit < signal.units; unit++) sum += Math.abs(signal.at(place, unit, t)) || 0;
    return sum;
  });
  const best = sizes.indexOf(extent(sizes)[1]);
  const there = (t) => t >= 0 && t < signal.timesteps && signal.row(place, 0)[t] !== NONE;
  if (there(best - 1)) return [best - 1, best + 1];
  return [best, there(best + 1) ? best + 2 : best + 1];
}

// At most what the highest of the first sequence's units reaches throughout a window.
function exampleThreshold(start, stop) {
  const signal = signalOf(view.layer, view.by);
  const lowest = (unit) => Math.min(...signal.row(view.panes[0].place, unit).subarray(start, stop));
  const slider = byId("match-threshold");
  slider.value = Math.min(slider.value, Math.max(...Array.from({ length: signal.units }, (_, unit) => lowest(unit))));
  sayThreshold();
}

function startMatch() {
  byId("match-signal").addEventListener("change", () => { setThreshold(); findMatches(); });
  byId("match-threshold").addEventListener("input", sayThreshold);
  byId("match-threshold").addEventListener("change", findMatches);
  byId("match-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [start, stop] = [Number(byId("match-start").value), Number(byId("match-stop").value) + 1];
    if (start < stop) select(start, stop);
    findMatches();
  });
  const [start, stop] = exampleWindow();
  exampleThreshold(start, stop);
  select(start, stop, true);
}
