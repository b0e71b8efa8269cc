"""The constant inputs of each layer: zeros, the mean of what the layer is given, or a file's rows.

What a layer is given is what reaches its loop in a forward pass of the model: of a layer above the
first what the layer below gives it, and behind an embedding the token's vector. Sums are taken
batch by batch over the timesteps that the layer reads.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models, trace
from rnnscope.analysis.fixed_points.by_class import Sums
from rnnscope.analysis.fixed_points.cell import features_of
from rnnscope.config import FixedPoints
from rnnscope.data import Batch, Dataset
from rnnscope.errors import UserError
from rnnscope.extract.rows import rows_of
from rnnscope.models.batches import batches
from rnnscope.trace import cells
from rnnscope.trace.loops import cells_of
from rnnscope.trace.places import Place

Float = NDArray[np.float64]
Constants = dict[str, Float]
"""Name of an input -> its numbers [F]."""

BATCH, STEPS = 1_000, 100_000
"""Most sequences of a forward pass, and most timesteps with padding."""
MEANS = ("mean", "classes")
"""The inputs that take one."""


def constants(
    model: keras.Model,
    dataset: Dataset,
    places: Mapping[str, Place],
    options: FixedPoints,
    count: int,
) -> tuple[dict[str, Constants], dict[str, str]]:
    """The constant inputs of each place, by its name; and of those that it lacks why.

    Args:
        model: any that ``trace.recording`` takes.
        dataset: its test split is what is passed.
        places: whose inputs; cells of Keras' own kinds.
        options: which inputs.
        count: how many sequences are passed.

    Raises:
        UserError: a file that is no array of inputs, or that fits no layer.
    """
    found: dict[str, Constants] = {name: {} for name in places}
    lacking: dict[str, list[str]] = {name: [] for name in places}
    if "zeros" in options.inputs:
        for name, place in places.items():
            found[name]["zeros"] = np.zeros(features_of(place.cell))
    if places and set(options.inputs) & set(MEANS):
        for name, sums in _sums(model, dataset, places, count).items():
            found[name] |= _means(sums, options.inputs)
            if not sums.count:
                lacking[name].append("mean and classes: what the layer is given is not known")
            elif "classes" in options.inputs and set(sums.count) == {None}:
                lacking[name].append("classes: its timesteps have no classes")
    if options.inputs_path is not None and places:
        rows = read(Path(options.inputs_path))
        features = {name: features_of(place.cell) for name, place in places.items()}
        fitting = [name for name, size in features.items() if size == rows.shape[1]]
        if not fitting:
            sizes = ", ".join(f"{name} {size}" for name, size in features.items())
            raise UserError(
                f"fixed_points.inputs_path={options.inputs_path}: has inputs of {rows.shape[1]} "
                f"numbers; the layers take: {sizes}"
            )
        for name in places:
            if name in fitting:
                found[name] |= {f"file_{number}": row for number, row in enumerate(rows)}
            else:
                lacking[name].append("inputs_path: its inputs are of another size")
    return found, {name: "; ".join(whys) for name, whys in lacking.items() if whys}


def _means(sums: Sums, inputs: Sequence[str]) -> Constants:
    """Those of the inputs that are means of what a layer is given, as far as it has them."""
    found: Constants = {}
    if "mean" in inputs and (mean := sums.mean()) is not None:
        found["mean"] = mean
    if "classes" in inputs:
        found |= {f"class_{each}": of for each, of in sums.of_classes().items()}
    return found


def read(path: Path) -> Float:
    """The inputs [M, F] in a .npy file.

    Raises:
        UserError: it is no such array, or has a number that is not finite.
    """
    at = f"fixed_points.inputs_path={path}"
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{at}: is no .npy file of numbers; np.save writes one") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise UserError(f"{at}: must be an array of numbers [inputs, features]")
    if not len(rows) or not np.isfinite(rows).all():
        raise UserError(f"{at}: {'has a number that is not finite' if len(rows) else 'has no row'}")
    return rows.astype(np.float64)


def _sums(
    model: keras.Model, dataset: Dataset, places: Mapping[str, Place], count: int
) -> dict[str, Sums]:
    """The sums of the inputs of each place, by class, over the first ``count`` sequences."""
    split = dataset.test
    rows = rows_of(model, split)
    classes = split.y is not None and not split.numeric

    def given(inputs: Any) -> dict[str, Any]:
        with trace.recording(model) as recorded:
            model(inputs, training=False)
        return {name: _given(place, recorded) for name, place in places.items()}

    passed = tf.function(given, autograph=False, input_signature=[models.signature(model)])
    sums = {name: Sums() for name in places}
    at_once = max(1, min(BATCH, STEPS // split.timesteps))
    for batch, size in batches(model, split, range(count), at_once):
        found = passed(tf.nest.map_structure(tf.constant, models.inputs(model, batch)))
        cut = batch.cut(slice(size))
        for name, pair in found.items():
            if pair:
                x, mask = pair
                own = None if mask is None else mask.numpy()[:size]
                values = x.numpy()[:size]
                valid, _ = rows.valid(name, values.shape[1], own, cut)
                told = classes and (not split.per_timestep or rows.labelled(name, split))
                label = _labels(cut, valid) if told else None
                sums[name].add(values[valid].astype(np.float64), label)
    return sums


def _given(place: Place, recorded: trace.Trace) -> Any:
    """What a cell is given [B, T, F], and its layer's mask; nothing where that is not known.

    The second cell of a stack is given the output of the first, which of Keras' own is its h.
    """
    call = recorded.calls.get(place.name)
    if call is None:
        return ()
    if not place.number:
        return call.sequences, call.mask
    below = cells_of(place.layer)[place.number - 1]
    if cells.stock_kind(below) is None:
        return ()
    h = recorded.layers[f"{place.name}.cell{place.number - 1}"].signals["h"]
    return tf.transpose(h, (1, 0, 2)), call.mask


def _labels(batch: Batch, valid: NDArray[np.bool_]) -> NDArray[np.integer]:
    """The classes of a layer's valid timesteps [r]."""
    y = batch.y
    assert y is not None
    return np.repeat(y, valid.sum(axis=1)) if y.ndim == 1 else y[valid]
