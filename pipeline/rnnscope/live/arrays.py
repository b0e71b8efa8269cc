"""One array in any of the forms that it has in Python: NumPy, tensors, ragged tensors, lists."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief, listed


@dataclass(frozen=True)
class Array:
    """An array [N, ...], zero beyond the length of each sequence where these differ."""

    numbers: NDArray[Any]
    lengths: NDArray[np.int64] | None = None
    """Of each sequence [N], where the form tells them."""


def plain(given: Any, where: str) -> Array:
    """An array in NumPy.

    Args:
        given: an array, a tensor of any framework, a series, a ragged tensor, or a list.
        where: what to call it in an error.

    Raises:
        UserError: it is none of these, or has no values yet.
    """
    if isinstance(given, tf.RaggedTensor):
        return _of_ragged(given, where)
    if isinstance(given, tf.SparseTensor):
        raise UserError(f"{where} is a SparseTensor: give tf.sparse.to_dense of it")
    if tf.is_tensor(given):
        if not hasattr(given, "numpy"):
            raise UserError(
                f"{where} is a symbolic tensor, which has no values yet: record outside of "
                "tf.function; within one, rnnscope.recording(model) records a pass"
            )
        return Array(given.numpy())
    _refuse_masked(given, where)
    refuse_shuffled(given, where)
    if hasattr(given, "detach"):
        return Array(_of_torch(given, where))
    _refuse_dims(given, where)
    if isinstance(given, pd.Series):
        return Array(given.to_numpy())
    if isinstance(given, np.ndarray) and given.dtype != object:
        return Array(given)
    if isinstance(given, list | tuple | np.ndarray):
        return _of_list(given, where)
    if isinstance(given, pd.DataFrame):
        _refuse_columns(given, where)
        return Array(given.to_numpy())
    if hasattr(given, "__array__"):
        return Array(np.asarray(given))
    raise UserError(
        f"{where} is a {type(given).__name__}; must be an array, a tensor, a list of arrays, a "
        "tf.data.Dataset, a pandas table, or a dict of arrays by input"
    )


def copied(given: Any) -> Any:
    """The same, which does not change when the arrays and tables in it do."""
    if isinstance(given, np.memmap) and not given.flags.writeable:
        return given  # a file, which may be larger than memory
    if isinstance(given, np.ndarray) and given.dtype == object:
        return copied(list(given))
    if isinstance(given, np.ndarray | pd.DataFrame | pd.Series):
        return given.copy()
    if hasattr(given, "clone"):  # of PyTorch
        return given.clone()
    if isinstance(given, tf.Variable):
        return tf.identity(given)
    if isinstance(given, dict):
        return {name: copied(each) for name, each in given.items()}
    if isinstance(given, list):
        return [copied(each) for each in given]
    return tuple(map(copied, given)) if type(given) is tuple else given


TIME = {"timestep", "timesteps", "time", "step", "steps", "t"}
"""What people call the axis of timesteps."""


def _refuse_dims(given: Any, where: str) -> None:
    """Raise for named axes, those of xarray, of which another than the second is that of time."""
    dims = getattr(given, "dims", None)
    if not isinstance(dims, tuple) or len(dims) < 2:
        return
    at = [place for place, name in enumerate(dims) if str(name).lower() in TIME]
    if at and 1 not in at:
        others = [name for place, name in enumerate(dims) if place not in at]
        order = [*others[:1], *(dims[place] for place in at), *others[1:]]
        raise UserError(
            f"{where} has the dims {', '.join(map(str, dims))}; must be [sequence, timestep, ...]: "
            f"give {where}.transpose({', '.join(repr(str(name)) for name in order)})"
        )


def _of_torch(given: Any, where: str) -> NDArray[Any]:
    """The values of a tensor of PyTorch, whatever gradients are asked of it."""
    try:
        values: NDArray[Any] = given.detach().cpu().resolve_conj().resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        said = brief(" ".join(str(error).split()), 120)
        raise UserError(
            f"{where} is a tensor of PyTorch that is no plain array ({said}): give a dense tensor "
            "of numbers, or NumPy's array of it"
        ) from None
    return values


def _of_ragged(given: tf.RaggedTensor, where: str) -> Array:
    """Sequences that end where their rows do."""
    if given.ragged_rank != 1:
        raise UserError(
            f"{where} is ragged in {given.ragged_rank} axes; must be in one, the timesteps: "
            "[N, None, F]"
        )
    if not hasattr(given.flat_values, "numpy"):
        raise UserError(f"{where} is a symbolic tensor, which has no values yet")
    lengths = given.row_lengths().numpy()
    _refuse_empty(lengths, where)
    return Array(given.to_tensor().numpy(), lengths)


def _of_list(given: Any, where: str) -> Array:
    """A list of numbers or names, or of sequences, which may differ in length."""
    for number, each in enumerate(given):  # np.ma.masked is one of these arrays too
        _refuse_masked(each, f"{where}[{number}]")
        refuse_shuffled(each, f"{where}[{number}]", "timesteps")
    _refuse_other_columns(given, where)
    parts = [
        _of_torch(each, f"{where}[{number}]") if hasattr(each, "detach") else np.asarray(each)
        for number, each in enumerate(given)
    ]
    shapes = [each.shape for each in parts]
    if len(set(shapes)) <= 1:
        return Array(np.stack(parts) if parts else np.empty(0))
    odd = next((n for n, each in enumerate(shapes) if each[1:] != shapes[0][1:] or not each), None)
    if odd is not None:
        raise UserError(
            f"{where}[{odd}] has shape {shapes[odd]}, {where}[0] has {shapes[0]}: sequences may "
            "differ in their timesteps alone, the first axis"
        )
    lengths = np.array([len(each) for each in parts])
    _refuse_empty(lengths, where)
    values = np.zeros((len(parts), lengths.max(), *shapes[0][1:]), np.result_type(*parts))
    for row, each in zip(values, parts, strict=True):
        row[: len(each)] = each
    return Array(values, lengths)


def _refuse_masked(given: Any, where: str) -> None:
    if isinstance(given, np.ma.MaskedArray):
        raise UserError(
            f"{where} is a masked array: give the values, .filled(0), and padding by lengths"
        )


def refuse_shuffled(given: Any, where: str, rows: str = "sequences") -> None:
    """Raise for an index that counts the rows, in another order: which of the two is the order?

    Args:
        given: anything; only a table or a series of pandas has an index.
        where: what to call it in an error.
        rows: what its rows are.
    """
    if not isinstance(given, pd.Series | pd.DataFrame):
        return
    index = given.index
    if index.is_monotonic_increasing or not index.is_unique:
        return
    if index.dtype.kind in "mM" and rows == "timesteps":
        raise UserError(
            f"{where}: its index of times does not rise: give {where}.to_numpy() if the values are "
            f"in the order of the timesteps, else {where}.sort_index()"
        )
    if index.dtype.kind in "iu" and index.min() == 0 and index.max() == len(index) - 1:
        raise UserError(
            f"{where}: its index is 0 to {len(index) - 1} in another order: give "
            f"{where}.to_numpy() if the values are in the order of the {rows}, else "
            f"{where}.sort_index()"
        )


def _refuse_columns(given: pd.DataFrame, where: str) -> None:
    """Raise for columns, one for each timestep, that number or date them in another order."""
    names = [str(name) for name in given.columns]
    ends = [re.fullmatch(r"(\D*)(\d+)", name) for name in names]
    numbers = [int(end[2]) for end in ends if end]
    counted = len({end[1] for end in ends if end}) == 1 and len(numbers) == len(names)
    first = min(numbers, default=0)
    counted = counted and sorted(numbers) == list(range(first, first + len(numbers)))
    dated = given.columns.dtype.kind in "mM"
    if (counted and numbers != sorted(numbers)) or (
        dated and not given.columns.is_monotonic_increasing
    ):
        raise UserError(
            f"{where}: its columns are {listed(names)}, not in order of time: give "
            f"{where}.to_numpy() if the values are in the order of the timesteps, else their "
            "columns in order"
        )


def _refuse_other_columns(given: Any, where: str) -> None:
    """Raise for a list of tables in which a column stands at different places."""
    tables = {n: each for n, each in enumerate(given) if isinstance(each, pd.DataFrame)}
    if not tables:
        return
    first, model = next(iter(tables.items()))
    known = {name: place for place, name in enumerate(model.columns)}
    for number, each in tables.items():
        moved = [n for place, n in enumerate(each.columns) if known.get(n, place) != place]
        if moved:
            raise UserError(
                f"{where}[{number}] has column {brief(repr(moved[0]))} at another place than "
                f"{where}[{first}]: give all with their columns in one order, that of the model's "
                f"features, such as [table[names] for table in {where}]"
            )


def _refuse_empty(lengths: NDArray[Any], where: str) -> None:
    if len(lengths) and not lengths.all():
        raise UserError(f"{where}[{int(lengths.argmin())}] has no timesteps: leave it out")


def refuse_order(given: Any, where: str, table: str | None = None) -> None:
    """Raise for categories that are not numbered as names are: all that occur, sorted.

    Args:
        given: labels in any form.
        where: what to call them in an error.
        table: whose columns are the categories, in words.

    Raises:
        UserError: with what to give in their place.
    """
    if not isinstance(getattr(given, "dtype", None), pd.CategoricalDtype):
        return
    categories = list(given.dtype.categories)
    if given.dtype.categories.dtype.kind in "iu":  # which are the numbers of outputs themselves
        return
    occurring = set(given) & set(categories)
    if categories != sorted(occurring, key=lambda name: (str(type(name)), str(name))):
        own = f"{where}.cat.codes" if isinstance(given, pd.Series) else f"{where}.codes"
        codes = own if table is None else f"np.asarray({table}).argmax(axis=1)"
        names = f"np.asarray({where}, str)"
        if table is not None:
            names = f"{table}.idxmax(axis=1).astype(str)"
        raise UserError(
            f"{where} is categorical, in the order {listed(map(repr, categories))}, and names are "
            f"numbered from 0 as they occur, sorted: give {codes} if the model's outputs are in "
            f"the order of the categories, else {names}"
        )
