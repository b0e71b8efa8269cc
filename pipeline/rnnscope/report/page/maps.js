// A heat map of one signal of one sequence: units by timesteps, to be read, brushed and clicked.
class HeatMap {
  // told: { read(unit, t, aloud), enter(unit), brush(start, stop) }, places among the signal's units.
  constructor(signal, place, order, told) {
    Object.assign(this, { signal, place, order, told, cell: [0, 0], from: null });
    this.canvas = element("canvas", {
      tabIndex: 0, role: "img",
      "aria-label": `${SIGNALS[signal.name] ?? signal.name}, ${signal.units} units by ` +
        `${signal.timesteps} timesteps. Arrow keys read values, Shift and arrow keys select ` +
        "timesteps, Enter opens the unit.",
    });
    this.line = element("span", { className: "cursor" });
    this.row = element("span", { className: "unit-row" });
    this.range = element("span", { className: "range", hidden: true });
    this.plot = element("div", { className: "plot" }, this.canvas, this.range, this.line, this.row);
    this.plot.style.height = `${Math.min(300, Math.max(110, 2.2 * signal.units))}px`;
    this.figure = element("figure", { className: "map" },
      element("figcaption", {}, element("b", {}, signal.name), ` ${SIGNALS[signal.name] ?? ""}`,
        this.#scale()), this.plot);
    this.#listen();
    this.paint();
  }

  #scale() {
    const { limit, edges, name } = this.signal;
    const positive = edges[0] === 0;
    const bounded = Math.abs(edges[0]) <= 1 && Math.abs(edges.at(-1)) <= 1 && limit >= 0.999;
    const text = number(limit, limit < 10 ? 2 : 0);
    const bar = element("span", { className: "bar" });
    const stops = Array.from({ length: 11 }, (_, i) => {
      const value = positive ? (i / 10) * limit : (i / 5 - 1) * limit;
      return `rgb(${colourOf(value, limit, positive).join(" ")})`;
    });
    bar.style.background = `linear-gradient(90deg, ${stops.join(",")})`;
    const low = positive ? "0" : `${bounded ? "" : "≤ "}−${text}`;
    return element("span", { className: "scale", title: `colours of ${name}` }, low, bar,
      `${bounded || positive ? "" : "≥ "}${text}`);
  }

  paint() {
    const { signal, place, order, canvas } = this;
    canvas.width = signal.timesteps;
    canvas.height = signal.units;
    const context = canvas.getContext("2d");
    const image = context.createImageData(signal.timesteps, signal.units);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = palette(signal);
    order.forEach((unit, line) => {
      const codes = signal.row(place, unit);
      for (let t = 0; t < codes.length; t++) pixels[line * codes.length + t] = colours[codes[t]];
    });
    context.putImageData(image, 0, 0);
  }

  // Mark a unit and a timestep; also called for the other maps of the same sequence.
  point(unit, t) {
    const line = this.order.indexOf(unit);
    this.cell = [line, t];
    this.line.style.transform = `translateX(${((t + 0.5) / this.signal.timesteps) * this.plot.clientWidth}px)`;
    this.row.style.transform = `translateY(${((line + 0.5) / this.signal.units) * this.plot.clientHeight}px)`;
  }

  select(start, stop) {
    this.range.hidden = start === null;
    if (start === null) return;
    this.range.style.left = `${(100 * start) / this.signal.timesteps}%`;
    this.range.style.width = `${(100 * (stop - start)) / this.signal.timesteps}%`;
  }

  #cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (x, size) => Math.min(size - 1, Math.max(0, Math.floor(x * size)));
    return [
      inside((event.clientY - box.top) / box.height, this.signal.units),
      inside((event.clientX - box.left) / box.width, this.signal.timesteps),
    ];
  }

  #listen() {
    const { canvas, told } = this;
    const span = (t) => [Math.min(this.from, t), Math.max(this.from, t) + 1];
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      [, this.from] = this.#cellAt(event);
      this.down = [event.clientX, event.clientY];
      this.moved = false;
    });
    canvas.addEventListener("pointermove", (event) => {
      const [line, t] = this.#cellAt(event);
      told.read(this.order[line], t, false);
      if (this.down === undefined || this.down === null) return;
      this.moved ||= Math.abs(event.clientX - this.down[0]) > 4;
      if (this.moved) told.brush(...span(t), false);
    });
    canvas.addEventListener("pointerup", (event) => {
      const [line, t] = this.#cellAt(event);
      if (this.down && this.moved) told.brush(...span(t), true);
      else if (this.down) told.enter(this.order[line]);
      this.down = null;
    });
    canvas.addEventListener("pointercancel", () => { this.down = null; });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const { units, timesteps } = this.signal;
    if (event.key === "Enter") this.told.enter(this.order[this.cell[0]]);
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [down, right] = steps[event.key];
    if (event.shiftKey && this.anchor === undefined) this.anchor = this.cell[1];
    if (!event.shiftKey) this.anchor = undefined;
    const line = Math.min(units - 1, Math.max(0, this.cell[0] + down));
    const t = Math.min(timesteps - 1, Math.max(0, this.cell[1] + right));
    this.told.read(this.order[line], t, true);
    if (event.shiftKey) {
      this.told.brush(Math.min(this.anchor, t), Math.max(this.anchor, t) + 1, true);
    }
  }
}
