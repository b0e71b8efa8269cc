// Gates: how often each unit's gate is closed (left-saturated) or open (right-saturated), and how
// long its forget gate keeps what it holds. Each point opens its unit.
function startGates() {
  for (const layer of meta.layers) {
    const box = byId("gate-figures");
    const saturated = layer.signals.filter((name) => "ifozr".includes(name)).flatMap((name, kind) =>
      layer.units[name].map((unit) => ({ name, kind, unit, row: unitRow(layer.name, name, unit) })))
      .filter(({ row }) => row && row.left_saturated !== null && row.left_saturated !== undefined);
    if (!saturated.length) continue;
    const figures = [saturationFigure(layer, saturated), forgetFigure(layer)].filter(Boolean);
    const head = meta.layers.length > 1 ? [element("h3", {}, element("code", {}, layer.name))] : [];
    box.append(...head, element("div", { className: "pair" }, ...figures));
  }
  if (!byId("gate-figures").childElementCount) byId("gates").hidden = true;
}

function pointTo(hash, title, mark) {
  mark.append(drawn("title", {}, title));
  return drawn("a", { href: hash, "aria-label": title, tabindex: -1 }, mark); // the table has them all
}

function saturationFigure(layer, points) {
  const { svg, x, y } = axes(0, 1, 0, 1, "share of timesteps right-saturated (open)",
    "Left- against right-saturation of each gate");
  svg.setAttribute("role", "group");
  svg.append(drawn("line", { x1: x(0), y1: y(1), x2: x(1), y2: y(0), class: "grid" }));
  for (const { name, kind, unit, row } of points) {
    const dot = drawn("circle", { cx: x(row.right_saturated), cy: y(row.left_saturated), r: 3.4, class: "dot" });
    dot.style.fill = series(kind);
    svg.append(pointTo(hashOf(layer.name, name, unit),
      `${name} of unit ${unit}: open ${number(row.right_saturated, 2)}, closed ${number(row.left_saturated, 2)}`, dot));
  }
  const names = [...new Set(points.map((each) => each.name))];
  return figureOf("Share of timesteps left-saturated (closed)", svg,
    legendOf(names.map((name) => `${name} ${SIGNALS[name]}`), names.map((_, i) => series(i))),
    "One point per unit and gate, as Karpathy, Johnson & Fei-Fei (2015) drew them; the cuts are in the unit table's help.");
}

function forgetFigure(layer) {
  if (!layer.units.f) return null;
  const rows = layer.units.f.map((unit) => ({ unit, tau: unitRow(layer.name, "f", unit)?.forget_timescale }))
    .filter(({ tau }) => typeof tau === "number");
  const finite = rows.filter(({ tau }) => Number.isFinite(tau) && tau > 0).sort((a, b) => b.tau - a.tau);
  if (!finite.length) return null;
  const logs = finite.map(({ tau }) => Math.log10(tau));
  const [low, high] = [Math.floor(Math.min(...logs)), Math.max(Math.ceil(Math.max(...logs)), Math.floor(Math.min(...logs)) + 1)];
  const { svg, x } = axes(0, 1, 1, Math.max(2, finite.length), "units, longest first", "Forget timescales, sorted", true);
  svg.setAttribute("role", "group");
  svg.querySelectorAll(".grid, .end").forEach((each) => each.remove());
  const y = (value) => HEIGHT - PAD.bottom - ((value - low) / (high - low)) * (HEIGHT - PAD.top - PAD.bottom);
  for (let power = low; power <= high; power++) {
    svg.append(drawn("line", { x1: PAD.left, x2: WIDTH - PAD.right, y1: y(power), y2: y(power), class: "grid" }),
      drawn("text", { x: PAD.left - 6, y: y(power) + 4, class: "tick end" }, String(Number((10 ** power).toPrecision(6)))));
  }
  finite.forEach(({ unit, tau }, rank) => {
    const dot = drawn("circle", { cx: x(rank + 1), cy: y(Math.log10(tau)), r: 3, class: "dot" });
    dot.style.fill = series(0);
    svg.append(pointTo(hashOf(layer.name, "f", unit), `unit ${unit}: ${number(tau, 1)} timesteps`, dot));
  });
  const never = rows.filter(({ tau }) => tau === Infinity).length;
  return figureOf("Forget timescale −1 / ln⟨f⟩, timesteps", svg, null,
    `After so many timesteps a cell state has fallen to 1/e if f were always its mean.${never ? ` ${count(never)} units never forget.` : ""}`);
}
