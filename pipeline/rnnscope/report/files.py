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
from rnnscope.figures.sequences import draw_confusion, draw_lengths
from rnnscope.figures.tables import class_name, states_of
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
    safe = folders([*layers, *_ablated(inputs)])
    for layer, signals in layers.items():
        backward = open_signal(inputs["extract"], layer, signals[0]).backward
        for name, draw in _of_units(inputs["units"], layer, classes):
            yield f"{name}-{safe[layer]}", draw
        for name, draw in _of_states(inputs, layer, classes, backward):
            yield f"{name}-{safe[layer]}", draw
    for layer in _ablated(inputs):
        table = parquet.frame(table_file(inputs["ablation"], "ablation"))
        yield f"ablation-{safe[layer]}", partial(figures.ablation, table, layer=layer)


def _ablated(inputs: Mapping[str, Path]) -> list[str]:
    """The layers whose units were clamped; a layer that is called twice is one."""
    if "ablation" not in inputs:
        return []
    table = parquet.frame(table_file(inputs["ablation"], "ablation"), columns=["layer"])
    return list(table["layer"].astype(str).unique())


def _of_units(folder: Path, layer: str, classes: list[str]) -> Iterator[Drawing]:
    """The figures of one layer from the tables of stage units."""
    only = [("layer", "==", layer)]
    units, tuning, timesteps = (
        parquet.frame(table_file(folder, name), filters=only)
        for name in ("units", "tuning", "timesteps")
    )
    yield "means", partial(figures.mean_heat_map, tuning)
    yield "class-means", partial(_best, units, tuning, classes)
    yield "gates", partial(figures.gate_means, tuning)
    yield "saturation", partial(figures.gate_saturation, units)
    yield "forget-timescales", partial(figures.forget_timescales, units)
    yield "timescales", partial(figures.timescales, units)
    yield "eta2", partial(figures.eta2_over_time, timesteps)


def _of_states(
    inputs: Mapping[str, Path], layer: str, classes: list[str], backward: bool
) -> Iterator[Drawing]:
    """The figures of one layer from the tables of stages population and decoding."""
    population, trajectories, correlation = (
        parquet.frame(table_file(inputs["population"], name))
        for name in ("population", "trajectories", "correlation")
    )
    decoding = parquet.frame(table_file(inputs["decoding"], "decoding"))
    paths = partial(figures.class_paths, classes=classes, backward=backward)
    yield "dimension", partial(figures.dimension, population, layer=layer)
    yield "paths", partial(paths, trajectories, layer=layer)
    yield "correlation", partial(figures.unit_correlations, correlation, layer=layer)
    yield "decoding", partial(figures.decoding, decoding, layer=layer)
    yield "generalisation", partial(figures.generalisation, decoding, layer=layer)


def _best(units: pd.DataFrame, tuning: pd.DataFrame, classes: list[str]) -> Figure:
    """The class means of the unit of the layer's state with the largest eta2."""
    signal = (states_of(units) or [""])[-1]
    known = units[units["signal"] == signal].dropna(subset="eta2")
    if not len(known):
        raise UserError("units has no eta2 here: the manifest of stage units says why")
    unit = int(known["unit"].iloc[np.argmax(known["eta2"])])
    return figures.class_means(tuning, unit, signal, classes=classes)


def _confusion(pairs: "pd.Series[Any] | None", classes: list[str]) -> Figure:
    """The confusion matrix from counts."""
    if pairs is None:
        raise UserError("sequences has no column label, prediction")
    k = max(len(classes), 1 + max(int(pairs.index.get_level_values(at).max()) for at in (0, 1)))
    if k > CLASSES:
        raise UserError(f"{k:,} classes; of up to {CLASSES} the matrix is drawn")
    return draw_confusion(outcome.confusion(pairs, k), [class_name(n, classes) for n in range(k)])
