// Which units matter when: maps of what changing a unit at a timestep does, below the scores of
// decoders and with their axis of time.
const effectMaps = (meta.effects?.maps ?? []).map((map) => {
  const parts = ["value", "low", "high", "sure", "starts", "sequences"];
  const arrays = Object.fromEntries(parts.map((part) => [part, array(`effects/${map.number}/${part}`).values]));
  return { ...map, ...arrays, columns: arrays.value.length / map.units.length };
});
const widthOf = (windows) => windows === "each" ? 1 : Number(windows.split(":")[1]);
const windowsName = (windows) => windows === "onward" ? "each timestep and all after it"
  : widthOf(windows) === 1 ? "each timestep alone" : `${widthOf(windows)} timesteps in a row`;
// The window that starts at a timestep.
const windowAt = (windows, t) => windows === "onward" ? `from timestep ${count(t)} to the end`
  : widthOf(windows) === 1 ? `at timestep ${count(t)}`
  : `at timesteps ${count(t)} to ${count(t + widthOf(windows) - 1)}`;
const sequencesSaid = (least, most = least) => least < most ? `${count(least)} to ${count(most)} sequences`
  : most === 1 ? "1 sequence" : `${count(most)} sequences`;

class EffectMap extends Grid {
  constructor(map, order, told) {
    const { state, units, columns } = map;
    const label = `Changes of the ${SIGNALS[state] ?? state}, ${units.length} units by ${columns} timesteps`;
    super({ units: units.length, timesteps: columns }, order, told, label,
      Math.min(320, Math.max(110, 4 * units.length)));
    this.map = map;
    this.figure = element("figure", { className: "map" }, element("figcaption", {}, element("b", {}, state),
      ` ${SIGNALS[state] ?? ""}: ${map.quantity}`, colourBar(map.limit, false, map.beyond, map.quantity)),
    element("div", { className: "timed" }, this.plot, timeAxis(map.timesteps)));
    this.across = (columns * map.run) / map.timesteps;
    this.canvas.style.width = `${100 * this.across}%`;
    this.paint();
  }

  paint() {
    const { value, sure, limit, columns } = this.map;
    this.fill((unit) => (t) => {
      const at = unit * columns + t;
      return pixelOf(colourOfEffect(value[at], limit, sure[at] === 1, meta.effects.pale));
    });
  }
}

// What a change did, in words.
function effectSaid(map, at) {
  const { value, low, high, sure, sequences, quantity } = map;
  if (Number.isNaN(value[at])) return "not measured";
  const ends = Number.isNaN(low[at]) ? "" : ` (${number(low[at], 4)} to ${number(high[at], 4)})`;
  return `${quantity} = ${number(value[at], 4)}${ends}${sure[at] ? "" : ", not told from 0"}; ${sequencesSaid(sequences[at])}`;
}

// What changing a unit at a timestep did, a sentence for each method and kind of windows.
function effectsAt(layer, state, unit, t) {
  return effectMaps.filter((map) => map.layer === layer && map.state === state).flatMap((map) => {
    const place = map.units.indexOf(unit);
    if (place < 0) return [];
    const at = place * map.columns + Math.floor(t / map.run);
    if (map.starts[at] !== t || Number.isNaN(map.value[at])) return [];
    return [`${state} ${map.done} ${windowAt(map.windows, t)}: ${effectSaid(map, at)}.`];
  });
}

// Open a unit at a timestep; of a state that is not on this page, by another that is.
function openEffect(map, unit, t, said) {
  const layer = own.layer(map.layer);
  const signal = [map.state, ...(layer?.states ?? [])].find((name) => layer?.units[name]?.includes(unit));
  if (signal !== undefined) openUnit(layer, signal, unit, true, t);
  else said.textContent = `The states of unit ${unit} of ${map.layer} are not on this page.`;
}

// A choice of one of several; hidden where there is one alone.
function choice(text, name, options, chosen, change) {
  const select = element("select", { name, onchange: () => change(select.value) });
  fill(select, options, chosen);
  return element("label", { hidden: options.length < 2 }, text, " ", select);
}

function effectsOf(box, maps) {
  const kinds = (name) => [...new Set(maps.map((map) => map[name]))];
  const called = Object.fromEntries(maps.map((map) => [map.method, map.called]));
  const methods = kinds("method");
  const chosen = { method: methods.includes("patch") ? "patch" : methods[0], windows: kinds("windows")[0], order: "peak" };
  const stack = element("div", { className: "stack" });
  const said = element("p", { className: "effect-said" });
  const caption = element("p", { className: "caption" });
  const draw = () => {
    const here = maps.filter((map) => map.method === chosen.method && map.windows === chosen.windows);
    stack.replaceChildren(...here.map((map) => effectMapOf(map, chosen.order, said).figure));
    said.textContent = "Move over a map to read values, click to open the unit at that timestep.";
    caption.textContent = here.length ? captionOf(here, chosen.order) : "This was not measured.";
  };
  const by = (name) => (value) => { chosen[name] = value; draw(); };
  const form = element("form", { className: "controls", autocomplete: "off", onsubmit: (event) => event.preventDefault() },
    choice("Units", "method", methods.map((name) => [name, called[name]]), chosen.method, by("method")),
    choice("at", "windows", kinds("windows").map((name) => [name, windowsName(name)]), chosen.windows, by("windows")),
    choice("sorted by", "order", [["peak", "time of largest effect"], ["number", "unit number"]], "peak", by("order")));
  box.append(form, said, stack, caption);
  draw();
  dark.addEventListener("change", draw);
}

function effectMapOf(map, order, said) {
  const places = [...map.units.keys()];
  if (order === "number") places.sort((a, b) => map.units[a] - map.units[b]);
  const grid = new EffectMap(map, places, {
    read: (place, column, aloud) => {
      const at = place * map.columns + column;
      said.setAttribute("aria-live", aloud ? "polite" : "off");
      said.textContent = `timestep ${count(map.starts[at])}, unit ${map.units[place]}, ${map.state}: ${effectSaid(map, at)}`;
      grid.point(place, column);
    },
    enter: (place, column) => openEffect(map, map.units[place], map.starts[place * map.columns + column], said),
  });
  return grid;
}

function captionOf(maps, order) {
  const { caption, run, of } = maps[0];
  const shown = maps[0].units.length;
  const [least, most] = extent(maps.flatMap((map) => map.of_sequences));
  const units = shown < of ? `The ${count(shown)} of ${count(of)} units with the largest effects` : `${count(of)} unit${of > 1 ? "s" : ""}`;
  const sorted = order === "peak" && shown > 1 ? ", those whose effect comes first at the top" +
    (maps[0].tested ? ", those without one that can be told from 0 at the bottom" : "") : "";
  const runs = run > 1 ? ` Of every ${run} timesteps that with the largest effect is drawn.` : "";
  return `${caption} ${units}${sorted}; ${sequencesSaid(least, most)}.${runs}`;
}

function startEffects() {
  for (const box of document.querySelectorAll(".effects")) {
    effectsOf(box, effectMaps.filter((map) => map.layer === box.dataset.layer));
  }
}
