// A picture of units by timesteps in cells, to be read, clicked, and brushed: a heat map or a map.
class Grid {
  // shape: { units, timesteps } cells; order: places of the units from top to bottom; told: what it
  // calls, read(unit, t, aloud), enter(unit, t) and, if timesteps can be selected, brush(start,
  // stop, done), with places among the units and the timesteps; label: what it is, for screen
  // readers; height: in pixels.
  constructor({ units, timesteps }, order, told, label, height) {
    // The picture may be wider than the plot, by what the last of runs of timesteps lacks.
    Object.assign(this, { units, timesteps, order, told, across: 1, cell: [0, 0], from: null });
    const keys = told.brush
      ? "Arrow keys read values, Shift and arrow keys select timesteps, Enter opens the unit."
      : "Arrow keys read values, Enter opens the unit at that timestep.";
    this.canvas = element("canvas", { tabIndex: 0, role: "img", "aria-label": `${label}. ${keys}` });
    this.line = element("span", { className: "cursor", hidden: true });
    this.row = element("span", { className: "unit-row", hidden: true });
    this.range = element("span", { className: "range", hidden: true });
    this.plot = element("div", { className: "plot" }, this.canvas, this.range, this.line, this.row);
    this.plot.style.height = `${height}px`;
    this.#listen();
  }

  // Paint all cells: rowOf(unit) is a function of the timestep, to the pixel of 32 bits.
  fill(rowOf) {
    const { canvas, units, timesteps } = this;
    canvas.width = timesteps;
    canvas.height = units;
    const context = canvas.getContext("2d");
    const image = context.createImageData(timesteps, units);
    const pixels = new Uint32Array(image.data.buffer);
    this.order.forEach((unit, line) => {
      const pixelAt = rowOf(unit);
      for (let t = 0; t < timesteps; t++) pixels[line * timesteps + t] = pixelAt(t);
    });
    context.putImageData(image, 0, 0);
  }

  // Mark a unit and a timestep; also called for other maps of the same sequence.
  point(unit, t) {
    const line = this.order.indexOf(unit);
    this.cell = [line, t];
    this.line.hidden = this.row.hidden = false;
    this.line.style.left = `${(100 * this.across * (t + 0.5)) / this.timesteps}%`;
    this.row.style.top = `${(100 * (line + 0.5)) / this.units}%`;
  }

  #cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (x, size) => Math.min(size - 1, Math.max(0, Math.floor(x * size)));
    return [
      inside((event.clientY - box.top) / box.height, this.units),
      inside((event.clientX - box.left) / box.width, this.timesteps),
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
      if (this.moved) told.brush?.(...span(t), false);
    });
    canvas.addEventListener("pointerup", (event) => {
      const [line, t] = this.#cellAt(event);
      if (this.down && this.moved) told.brush?.(...span(t), true);
      else if (this.down) told.enter(this.order[line], t);
      this.down = null;
    });
    canvas.addEventListener("pointercancel", () => { this.down = null; });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const { units, timesteps } = this;
    if (event.key === "Enter") this.told.enter(this.order[this.cell[0]], this.cell[1]);
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [down, right] = steps[event.key];
    if (event.shiftKey && this.anchor === undefined) this.anchor = this.cell[1];
    if (!event.shiftKey) this.anchor = undefined;
    const line = Math.min(units - 1, Math.max(0, this.cell[0] + down));
    const t = Math.min(timesteps - 1, Math.max(0, this.cell[1] + right));
    this.told.read(this.order[line], t, true);
    if (event.shiftKey) {
      this.told.brush?.(Math.min(this.anchor, t), Math.max(this.anchor, t) + 1, true);
    }
  }
}
