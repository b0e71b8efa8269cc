"""Sequences and labels as people have them in Python, in the form that the other rooms take."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data import Dataset, Split
from rnnscope.data.arrays import splits_from_arrays
from rnnscope.data.classes import Classes, taken
from rnnscope.data.inputs import Name
from rnnscope.data.label_column import without_counts
from rnnscope.data.labels import refuse_names
from rnnscope.data.order import other_order
from rnnscope.data.table import splits_from_table
from rnnscope.errors import UserError, listed
from rnnscope.live import streams
from rnnscope.live.arrays import Array, plain
from rnnscope.live.labels import named
from rnnscope.live.options import chosen
from rnnscope.live.order import refuse_order
from rnnscope.live.wording import PATH, outside
from rnnscope.models.feeding import sequence_shapes, types
from rnnscope.models.outputs import count, numbered
from rnnscope.models.times import roles

VALUES = "data/files.yaml"


@dataclass
class Gathered:
    """Arrays by the model's inputs, with their lengths, labels and annotations."""

    inputs: dict[Name, NDArray[Any]] = field(default_factory=dict)
    """That of None is the plain x."""
    lengths: dict[Name, NDArray[Any]] = field(default_factory=dict)
    """Of those whose form tells them."""
    labels: Any = None


def dataset_of(
    model: keras.Model, x: Any, *, lengths: Any, labels: Any, annotations: Any
) -> Dataset:
    """Sequences with lengths, labels and annotations, as a data set whose test split they are.

    Args:
        model: that is to be fed.
        x: in any of the forms that ``rnnscope.record`` takes, as the rest.
        lengths: of all inputs that share them, or by input.
        labels: of sequences or timesteps.
        annotations: by name; of a table the names of its columns.

    Raises:
        UserError: a form that is none of these, or what does not fit together.
    """
    if isinstance(x, pd.DataFrame):
        return _of_table(model, x, lengths, labels, annotations)
    gathered = _gathered(model, x)
    if labels is not None:
        if gathered.labels is not None:
            raise UserError(
                "labels: x is a dataset of pairs (x, y), whose y are its labels: leave labels out, "
                "or give x.map(lambda x, y: x), in an order that does not change"
            )
        gathered.labels = labels
    if not isinstance(annotations, Mapping | None):
        raise UserError(
            f"annotations is a {type(annotations).__name__}; must be {{name: array [N, T]}}, or of "
            "a pandas table a list of the names of its columns"
        )
    noted = {
        str(name): plain(each, f"annotations['{name}']")
        for name, each in (annotations or {}).items()
    }
    own = _own_lengths(lengths, gathered.lengths)
    arrays: dict[str, NDArray[Any]] = {}
    for kind, found in (("x", gathered.inputs), ("lengths", own)):
        arrays |= {f"{kind}_test" if n is None else f"{kind}_{n}_test": a for n, a in found.items()}
    of_steps = None
    if gathered.labels is not None:
        steps = {each.shape[1] for each in gathered.inputs.values() if each.ndim > 1}
        known = named(gathered.labels, steps)
        arrays["y_test"], of_steps = _labels(known)
        _refuse_other_ends(plain(known, "labels"), own, "labels")
    for name, each in noted.items():
        _refuse_other_ends(each, own, f"annotations['{name}']")
        arrays[f"{name}_test"] = each.numbers
    refuse_names(list(noted))
    options = _options(annotations=list(noted) or None, labels=of_steps)
    splits, classes = splits_from_arrays(arrays, options, roles(model))
    return _dataset(model, splits["test"], classes)


def _options(**given: Any) -> Files:
    """The options of data=files."""
    return chosen(Files, VALUES, {"path": PATH, **given})


def _dataset(model: keras.Model, split: Split, classes: Classes) -> Dataset:
    known = classes.names, classes.occurring, classes.columns
    dataset = Dataset(split, None, None, *known)
    k = count(model, dataset) or 0
    if classes.columns in (0, k) and (line := taken(classes, k)):
        warnings.warn(line, stacklevel=outside())
    return numbered(model, dataset)


def _gathered(model: keras.Model, x: Any) -> Gathered:
    """The arrays of x by the model's inputs."""
    if isinstance(x, tf.data.Dataset):
        x, labels = streams.collected(x, {n: len(s) + 1 for n, s in sequence_shapes(model).items()})
        return replace(_gathered(model, x), labels=labels)
    found = Gathered()
    for name, each in _by_input(model, x).items():
        where = "x" if name is None else f"x['{name}']"
        array = plain(each, where)
        found.inputs[name] = _unscaled(array.numbers, model, name)
        if array.lengths is not None:
            found.lengths[name] = array.lengths
    return found


def _by_input(model: keras.Model, x: Any) -> dict[Name, Any]:
    """What x has for each of the model's inputs; that of None is for the one that is left."""
    shapes = sequence_shapes(model)
    names = list(shapes)
    if isinstance(x, Mapping):
        return {str(name): each for name, each in x.items()}
    if not isinstance(x, list | tuple):
        return {None: x}
    if len(names) == 1:
        (shape,) = shapes.values()
        single = len(x) == 1 and np.ndim(x[0]) == len(shape) + 1
        return {None: x[0] if single else list(x)}
    if isinstance(getattr(model, "_inputs_struct", None), dict):
        raise UserError(
            f"x is a {type(x).__name__}; model '{model.name}' has named inputs: give a dict of "
            f"{listed(names)}"
        )
    if len(x) != len(names):
        raise UserError(
            f"x has {len(x)} arrays; model '{model.name}' has {len(names)} inputs, {listed(names)}"
        )
    return dict(zip(names, x, strict=True))


def _unscaled(values: NDArray[Any], model: keras.Model, name: Name) -> NDArray[Any]:
    """Bytes that the model takes as numbers, in a type that is not taken for pixels.

    Files hold pixels as bytes, which are scaled to [0, 1]. A model that is given bytes is not.
    """
    kinds = types(model)
    kind = kinds.get(name) if name in kinds else next(iter(kinds.values()))
    if values.dtype == np.uint8 and np.dtype(kind).kind == "f":
        return values.astype(np.uint16)
    return values


def _own_lengths(given: Any, told: dict[Name, NDArray[Any]]) -> dict[Name, NDArray[Any]]:
    """Lengths by input: those that are given, and those that the form of x tells."""
    if given is None:
        return told
    if told:
        name = next(iter(told))
        raise UserError(
            f"lengths: {'x' if name is None else f'x[{name!r}]'} has lengths of its own, as a "
            "ragged tensor or a list of sequences: leave lengths out"
        )
    if isinstance(given, Mapping):
        return {
            str(name): plain(each, f"lengths['{name}']").numbers for name, each in given.items()
        }
    return {None: plain(given, "lengths").numbers}


def _labels(given: Any) -> tuple[NDArray[Any], str | None]:
    """Labels as an array, and "timestep" if their form says that they are of timesteps."""
    refuse_order(given, "labels")
    values = plain(given, "labels").numbers
    if values.dtype == object:
        values = np.asarray(values, str) if all(isinstance(v, str) for v in values.flat) else values
    if values.ndim == 3 and values.shape[-1] == 1:
        return values[..., 0], "timestep"
    return values, None


def _refuse_other_ends(found: Array, own: dict[Name, NDArray[Any]], where: str) -> None:
    """Raise where labels or annotations of timesteps do not end where the sequences do."""
    if found.lengths is None:
        return
    ends = [lengths for lengths in own.values() if len(lengths) == len(found.lengths)]
    if not any(np.array_equal(found.lengths, lengths) for lengths in ends):
        raise UserError(
            f"{where} differ in length, and not as the sequences of x do: give one value per "
            "timestep of each sequence"
        )


def _of_table(
    model: keras.Model, frame: pd.DataFrame, lengths: Any, labels: Any, annotations: Any
) -> Dataset:
    """The sequences of a long table, of which the columns tell lengths and labels."""
    for name, value in (("lengths", lengths), ("labels", labels)):
        if value is not None:
            column = "rows of each sequence" if name == "lengths" else "column label or target"
            raise UserError(f"{name}: x is a table, whose {column} tell them: leave {name} out")
    named = [annotations] if isinstance(annotations, str) else list(annotations or [])
    if isinstance(annotations, Mapping):
        raise UserError("annotations: x is a table: give the names of its columns, as a list")
    refuse_names(named)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise UserError(f"x: two columns of the table are named {twice!r}; rename one")
    if {"sequence", "timestep"} <= set(frame.index.names):
        frame = frame.reset_index()
    if "split" in frame and set(frame["split"]) - {"test"}:
        raise UserError(
            "x: the table has a column split: choose, x.query(\"split == 'test'\"), or record all "
            "of it, x.drop(columns='split')"
        )
    for name in {"label", "target"} & set(frame):
        refuse_order(frame[name], f"x[{name!r}]")
    options = _options(annotations=named or None)
    splits, classes = splits_from_table(without_counts(frame), options)
    names = frame["sequence"]
    counted = pd.api.types.is_integer_dtype(names) and names.max() == names.nunique() - 1
    if other_order(frame) and not counted:  # else a name is the number of its states
        warnings.warn(
            "x: the table has its sequences in another order than that of their names, which is "
            "that of the states: states.sequences['id'] has the names",
            stacklevel=outside(),
        )
    return _dataset(model, splits["test"], classes)
