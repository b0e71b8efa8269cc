// Everything starts here, when the arrays are there.
startTable();
startStates();
startMatch();
startUnit();
startGates();
startPaths();
startEffects();
if (!fromAddress()) {
  // The first of the table that is among the states, as they are what one looks at first.
  const first = order.find((row) => columns.layer.values[row] === view.layer.name && columns.signal.values[row] === view.by);
  const unit = first === undefined ? view.layer.units[view.by][0] : columns.unit.values[first];
  drawUnit(view.layer, view.by, unit);
  point(unit, maps[0]?.cell[1] ?? 0, 0, false);
}
dark.addEventListener("change", () => { drawList(); drawPanes(); });
document.documentElement.dataset.ready = "true";
