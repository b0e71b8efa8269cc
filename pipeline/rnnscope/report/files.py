"""The figures of a run as files, for slides and papers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope import figures, store
from rnnscope.errors import UserError
from rnnscope.figures.drawing import Figure, settings
from rnnscope.figures.effect_grids import is_kind
from rnnscope.figures.sequences import draw_confusion, draw_lengths
from rnnscope.figures.tables import GATES, STATES, class_name
from rnnscope.report import outcome
from rnnscope.report.drawing import svg
from rnnscope.states.naming import folders
from rnnscope.states.signals import open_signal
from rnnscope.store import parquet
from rnnscope.store.tables import table_file

Drawing = tuple[str, Callable[[], Figure]]
"""The name of a figure's file, without its ending, and what draws it."""
DPI = 200
"""Of PNG files; 920 pixels across."""
CLASSES = 200
"""Most classes of a confusion matrix."""


def write(
    inputs: Mapping[str, Path], formats: Sequence[str], folder: Path
) -> tuple[list[str], dict[str, str]]:
    """Write every figure that the run has into ``folder``.

    Args:
        inputs: the finished stages' folders.
        formats: png, svg or both.
        folder: where to write.

    Returns:
        The names of the files, and of each figure left out why.
    """
    names: list[str] = []
    left_out: dict[str, str] = {}
    for name, draw in _every(inputs):
        try:
            figure = draw()
        except UserError as why:  # the run has nothing to draw there, such as no classes
            left_out[name] = str(why)
            continue
        for ending in formats:
            _save(figure, folder / f"{name}.{ending}")
            names.append(f"{name}.{ending}")
    return names, left_out


def _save(figure: Figure, path: Path) -> None:
    """Write a figure, the same bytes each time."""
    if path.suffix == ".svg":
        path.write_text(svg(figure, path.stem), encoding="utf-8")
        return
    with settings():
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _every(inputs: Mapping[str, Path]) -> Iterator[Drawing]:
    """The figures of the run, then those of each layer."""
    extract = store.read_manifest(inputs["extract"])
    classes = [str(name) for name in extract.get("classes", [])]
    if "train" in inputs:
        history = parquet.frame(table_file(inputs["train"], "history"))
        step = extract["slice"]["extract"].get("checkpoint")
        for quantity in ("loss", "accuracy"):
            curve = partial(figures.training_curve, history, quantity, step=step)
            yield f"training-{quantity}", curve
    found = outcome.read(inputs["extract"])
    yield "confusion", partial(_confusion, found.pairs, classes)
    yield "lengths", partial(draw_lengths, found.lengths)
    layers = {layer: signals for layer, signals in extract["layers"].items() if signals}
    ablated = _ablated(inputs)
    safe = folders([*layers, *ablated])
    for layer, signals in layers.items():
        backward = open_signal(inputs["extract"], layer, signals[0]).backward
        of_units = _of_units(inputs["units"], layer, signals, classes)
        of_states = _of_states(inputs, layer, partial(_paths, classes, backward))
        for name, draw in (*of_units, *of_states):
            yield f"{name}-{safe[layer]}", draw
        if "fixed_points" in inputs:
            points = partial(_points, inputs, layer, classes, backward)
            yield f"fixed-points-{safe[layer]}", points
    yield from _interventions(inputs)
    for layer in ablated:
        draw = _drawing(figures.ablation, inputs["ablation"], "ablation", layer)
        yield f"ablation-{safe[layer]}", draw


def _ablated(inputs: Mapping[str, Path]) -> list[str]:
    """The layers whose units were clamped; a layer that is called twice is one."""
    if "ablation" not in inputs:
        return []
    table = parquet.frame(table_file(inputs["ablation"], "ablation"), columns=["layer"])
    return list(table["layer"].astype(str).unique())


def _interventions(inputs: Mapping[str, Path]) -> Iterator[Drawing]:
    """The maps of effects, of each layer, state, method and kind of windows."""
    if "intervention" not in inputs:
        return
    folder = inputs["intervention"]
    table = parquet.frame(table_file(folder, "intervention"), columns=["layer", "state", "method"])
    keys = table.astype(str).drop_duplicates().itertuples(index=False)
    asked = store.read_manifest(folder)["slice"]["intervention"]["windows"]
    safe = folders(table["layer"].astype(str).unique().tolist())
    for layer, state, method in keys:
        rows = partial(_rows, folder, "intervention", layer, state=[state], method=[method])
        for kind in filter(is_kind, dict.fromkeys(asked)):
            name = f"intervention-{method}-{kind.replace(':', '-')}-{state}-{safe[layer]}"
            yield name, partial(_map, rows, layer, kind)


def _map(rows: Callable[[], pd.DataFrame], layer: str, windows: str) -> Figure:
    return figures.intervention(rows(), layer=layer, windows=windows)


def _of_units(
    folder: Path, layer: str, signals: Sequence[str], classes: list[str]
) -> Iterator[Drawing]:
    """The figures of one layer from the tables of stage units."""
    of = partial(_drawing, folder=folder, layer=layer)
    states = [name for name in STATES if name in signals] or list(signals)[:1]
    yield "means", of(figures.mean_heat_map, name="tuning", signal=states[-1:])
    yield "class-means", partial(_best, folder, layer, states[-1], classes)
    yield "gates", of(figures.gate_means, name="tuning", signal=list(GATES))
    yield "saturation", of(figures.gate_saturation, name="units")
    yield "forget-timescales", of(figures.forget_timescales, name="units")
    yield "timescales", of(figures.timescales, name="units")
    yield "eta2", of(figures.eta2_over_time, name="timesteps", signal=states)


def _of_states(
    inputs: Mapping[str, Path], layer: str, paths: Callable[..., Figure]
) -> Iterator[Drawing]:
    """The figures of one layer from the tables of stages population and decoding."""
    of = partial(_drawing, folder=inputs["population"], layer=layer)
    yield "dimension", of(figures.dimension, name="population")
    yield "paths", of(paths, name="trajectories")
    yield "correlation", of(figures.unit_correlations, name="correlation")
    of = partial(_drawing, folder=inputs["decoding"], layer=layer)
    yield "decoding", of(figures.decoding, name="decoding")
    yield "generalisation", of(figures.generalisation, name="decoding")
    yield "memory", of(figures.memory, name="memory")


def _drawing(
    function: Callable[..., Figure], folder: Path, name: str, layer: str, **only: Sequence[Any]
) -> Callable[[], Figure]:
    """What reads the rows of one layer of a table, and of columns those with certain values."""

    def draw() -> Figure:
        return function(_rows(folder, name, layer, **only), layer=layer)

    return draw


def _rows(folder: Path, name: str, layer: str, **only: Sequence[Any]) -> pd.DataFrame:
    filters: list[tuple[str, str, Any]] = [("layer", "==", layer)]
    filters += [(column, "in", list(values)) for column, values in only.items()]
    return parquet.frame(table_file(folder, name), filters=filters)


def _paths(classes: list[str], backward: bool, trajectories: pd.DataFrame, *, layer: str) -> Figure:
    return figures.class_paths(trajectories, layer=layer, classes=classes, backward=backward)


def _points(inputs: Mapping[str, Path], layer: str, classes: list[str], backward: bool) -> Figure:
    """The points of a layer under the first of its constant inputs."""
    points, modes = (
        _rows(inputs["fixed_points"], name, layer) for name in ("fixed_points", "modes")
    )
    paths = _rows(inputs["population"], "trajectories", layer)
    first = str(points["input"].iloc[0]) if len(points) else None
    return figures.fixed_points(
        points, modes, paths, layer=layer, input=first, classes=classes, backward=backward
    )


def _best(folder: Path, layer: str, signal: str, classes: list[str]) -> Figure:
    """The class means of the unit of the layer's state with the largest eta2."""
    units = _rows(folder, "units", layer, signal=[signal]).dropna(subset="eta2")
    if not len(units):
        raise UserError("units has no eta2 here: the manifest of stage units says why")
    unit = int(units["unit"].iloc[np.argmax(units["eta2"])])
    tuning = _rows(folder, "tuning", layer, signal=[signal], unit=[unit])
    return figures.class_means(tuning, unit, signal, layer=layer, classes=classes)


def _confusion(pairs: "pd.Series[Any] | None", classes: list[str]) -> Figure:
    """The confusion matrix from counts."""
    if pairs is None:
        raise UserError("sequences has no column label, prediction")
    k = max(len(classes), 1 + max(int(pairs.index.get_level_values(at).max()) for at in (0, 1)))
    if k > CLASSES:
        raise UserError(f"{k:,} classes; of up to {CLASSES} the matrix is drawn")
    return draw_confusion(outcome.confusion(pairs, k), [class_name(n, classes) for n in range(k)])
