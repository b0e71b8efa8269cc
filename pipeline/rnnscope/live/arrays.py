"""One array in any of the forms that it has in Python: NumPy, tensors, ragged tensors, lists."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief
from rnnscope.live.order import (
    refuse_columns,
    refuse_dims,
    refuse_other_columns,
    refuse_shuffled,
)


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
    refuse_dims(given, where)
    if isinstance(given, pd.Series):
        return Array(given.to_numpy())
    if isinstance(given, np.ndarray) and given.dtype != object:
        return Array(given)
    if isinstance(given, list | tuple | np.ndarray):
        return _of_list(given, where)
    if isinstance(given, pd.DataFrame):
        refuse_columns(given, where)
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
    refuse_other_columns(given, where)
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


def _refuse_empty(lengths: NDArray[Any], where: str) -> None:
    if len(lengths) and not lengths.all():
        raise UserError(f"{where}[{int(lengths.argmin())}] has no timesteps: leave it out")
