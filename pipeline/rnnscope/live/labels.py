"""Labels in pandas: their index, and the columns of one-hot tables, which are names of classes."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.errors import UserError, brief
from rnnscope.live.order import refuse_order, refuse_shuffled


def named(given: Any, timesteps: Collection[int], where: str = "labels") -> Any:
    """Labels; of one-hot tables, one or one per sequence, the name of the column of each row's 1.

    Columns 0, 1, ... are the numbers of the model's outputs, as those of an array are.

    Args:
        given: labels in any form.
        timesteps: T of the model's inputs, of which a table [N, T] may be labels of timesteps.
        where: what to call them in an error.

    Raises:
        UserError: two columns of one name, an order of categories that is not that of names, or a
            table that may as well hold labels of timesteps.
    """
    if isinstance(given, list | tuple) and given:
        if not all(isinstance(each, pd.DataFrame) and _one_hot(each) for each in given):
            return given
        return [_names(each, f"{where}[{number}]") for number, each in enumerate(given)]
    if not isinstance(given, pd.DataFrame) or not _one_hot(given):
        return given
    if given.shape[1] in timesteps:
        raise UserError(
            f"{where} has shape {given.shape}, as many columns as x has timesteps, with a single 1 "
            f"in each row: if these are one-hot classes of sequences, give {where}.idxmax(axis=1); "
            f"if they are labels of timesteps, {where}.to_numpy()[..., None]"
        )
    refuse_shuffled(given, where)
    return _names(given, where)


def _one_hot(frame: pd.DataFrame) -> bool:
    """Whether each row of a table holds a single 1 and else 0."""
    if frame.shape[1] < 2 or not len(frame):
        return False
    if not all(map(pd.api.types.is_numeric_dtype, frame.dtypes)):
        return False
    values = _values(frame)
    return bool((((values == 0) | (values == 1)).all(axis=1) & (values.sum(axis=1) == 1)).all())


def _values(frame: pd.DataFrame) -> Any:
    return frame.to_numpy(np.float64, na_value=np.nan)


def _names(frame: pd.DataFrame, where: str) -> Any:
    """The name of the column of each row's 1, or the table's array where columns are counted."""
    columns: Any = frame.columns
    if list(columns) == list(range(len(columns))):
        return _values(frame)
    if not columns.is_unique:
        twice = brief(columns[columns.duplicated()][0])
        raise UserError(f"{where}: two columns of the table are named {twice!r}; rename one")
    places = _values(frame).argmax(axis=1)
    found = pd.Series(columns[places])
    refuse_order(found, f"{where}.columns", where)
    if isinstance(columns, pd.CategoricalIndex):
        found = found.astype(columns.categories.dtype)
    if pd.api.types.is_float_dtype(found) and (found == np.rint(found)).all():
        return found.to_numpy(np.int64)
    whole = pd.api.types.is_integer_dtype(found) or pd.api.types.is_bool_dtype(found)
    return found.to_numpy() if whole else found.astype(str).to_numpy("U")


def in_order(given: Any, ids: "pd.Series[Any] | None", where: str = "labels") -> Any:
    """Labels in the order of the sequences, where their index has the names of all of these.

    Args:
        given: labels in any form.
        ids: the names of the sequences [N], in order; None where they have none.
        where: what to call the labels in an error.

    Raises:
        UserError: an index of the same names in another order, as numbers and not as text or the
            other way round.
    """
    if not isinstance(given, pd.Series | pd.DataFrame) or ids is None or len(given) != len(ids):
        return given
    own, known = list(given.index), ids.tolist()
    counted = sorted(own, key=str) == sorted(range(len(own)), key=str)
    if own == known or counted or not given.index.is_unique:
        return given
    if set(own) == set(known):
        return given.loc[known].reset_index(drop=True)
    if set(map(str, own)) == set(map(str, known)) and list(map(str, own)) != list(map(str, known)):
        raise UserError(
            f"{where}: the index has the names of the sequences, in another type and order: give "
            f"{where}.to_numpy() if the values are in the order of the states, else an index of "
            "the type of states.sequences['id']"
        )
    return given
