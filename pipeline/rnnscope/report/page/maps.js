// A heat map of one signal of one sequence: units by timesteps, to be read, brushed and clicked.
class HeatMap extends Grid {
  // told: { read(unit, t, aloud), enter(unit), brush(start, stop) }, places among the signal's units.
  constructor(signal, place, order, told) {
    const label = `${SIGNALS[signal.name] ?? signal.name}, ${signal.units} units by ${signal.timesteps} timesteps`;
    super(signal, order, told, label, Math.min(300, Math.max(110, 2.2 * signal.units)));
    Object.assign(this, { signal, place });
    this.figure = element("figure", { className: "map" },
      element("figcaption", {}, element("b", {}, signal.name), ` ${SIGNALS[signal.name] ?? ""}`,
        this.#scale()), this.plot);
    this.paint();
  }

  #scale() {
    const { limit, edges, name } = this.signal;
    const positive = edges[0] === 0;
    const bounded = Math.abs(edges[0]) <= 1 && Math.abs(edges.at(-1)) <= 1 && limit >= 0.999;
    return colourBar(limit, positive, !bounded, `colours of ${name}`);
  }

  paint() {
    const { signal, place } = this;
    const colours = palette(signal);
    this.fill((unit) => {
      const codes = signal.row(place, unit);
      return (t) => colours[codes[t]];
    });
  }

  select(start, stop) {
    this.range.hidden = start === null;
    if (start === null) return;
    this.range.style.left = `${(100 * start) / this.timesteps}%`;
    this.range.style.width = `${(100 * (stop - start)) / this.timesteps}%`;
  }
}

// The colours of a map between the ends of its scale; values may lie beyond.
function colourBar(limit, positive, beyond, title) {
  const text = number(limit, limit < 0.1 ? 3 : limit < 10 ? 2 : 0);
  const bar = element("span", { className: "bar" });
  const stops = Array.from({ length: 11 }, (_, i) => {
    const value = positive ? (i / 10) * limit : (i / 5 - 1) * limit;
    return `rgb(${colourOf(value, limit, positive).join(" ")})`;
  });
  bar.style.background = `linear-gradient(90deg, ${stops.join(",")})`;
  const low = positive ? "0" : `${beyond ? "≤ " : ""}−${text}`;
  return element("span", { className: "scale", title }, low, bar, `${beyond && !positive ? "≥ " : ""}${text}`);
}
