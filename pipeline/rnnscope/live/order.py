"""The order of axes, rows and columns of arrays and tables, as far as their names tell it."""

import re
from typing import Any

import pandas as pd

from rnnscope.data.dims import TIME
from rnnscope.errors import UserError, brief, listed

UNNAMED = re.compile(r"dim_\d+")
"""What xarray calls an axis that was given no name."""


def refuse_dims(given: Any, where: str) -> None:
    """Raise for named axes, those of xarray, of which another than the second is that of time."""
    dims = getattr(given, "dims", None)
    if not isinstance(dims, tuple) or len(dims) < 2:
        return
    names = [str(name) for name in dims]
    at = [place for place, name in enumerate(names) if TIME.fullmatch(name)]
    if not at and not all(map(UNNAMED.fullmatch, names)):
        raise UserError(
            f"{where} has the dims {', '.join(names)}, none of which is called as time: give "
            f"{where}.values if they are [sequence, timestep, ...], else name that of time, "
            f"such as {where}.rename({{{names[0]!r}: 'timestep'}})"
        )
    if at and 1 not in at:
        others = [name for place, name in enumerate(names) if place not in at]
        order = [*others[:1], *(names[place] for place in at), *others[1:]]
        raise UserError(
            f"{where} has the dims {', '.join(names)}; must be [sequence, timestep, ...]: "
            f"give {where}.transpose({', '.join(map(repr, order))})"
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
    if rows == "timesteps" and index.dtype.kind in "mMiuf":
        raise UserError(
            f"{where}: its index, {_begins(index)}, does not rise: give {where}.to_numpy() if the "
            f"values are in the order of the timesteps, else {where}.sort_index()"
        )
    if index.dtype.kind in "iu" and index.min() == 0 and index.max() == len(index) - 1:
        raise UserError(
            f"{where}: its index is 0 to {len(index) - 1} in another order: give "
            f"{where}.to_numpy() if the values are in the order of the {rows}, else "
            f"{where}.sort_index()"
        )


def _begins(index: "pd.Index[Any]") -> str:
    """The first few of an index."""
    return listed(str(each) for each in index[:3])


def refuse_columns(given: pd.DataFrame, where: str) -> None:
    """Raise for columns, one for each timestep, that number or date them in another order."""
    if given.columns.nlevels > 1:
        raise UserError(
            f"{where}: its columns have {given.columns.nlevels} levels: give {where}.to_numpy() if "
            "they are in the order of the timesteps"
        )
    names = [str(name) for name in given.columns]
    ends = [re.fullmatch(r"(\D*)(\d+)", name) for name in names]
    numbers = pd.to_numeric(pd.Series(names), errors="coerce")
    if len({end[1] for end in ends if end}) == 1 and all(ends):
        numbers = pd.Series([int(end[2]) for end in ends if end])
        whole = range(int(numbers.min()), int(numbers.min()) + len(numbers))
        if sorted(numbers) != list(whole) and not names[0].isdecimal():
            return  # such as electrodes, and no timesteps
    if given.columns.dtype.kind in "mM":
        numbers = pd.Series(given.columns)
    if numbers.notna().all() and not numbers.is_monotonic_increasing:
        raise UserError(
            f"{where}: its columns are {listed(names)}, not in order of time: give "
            f"{where}.to_numpy() if the values are in the order of the timesteps, else their "
            "columns in order"
        )


def refuse_other_columns(given: Any, where: str) -> None:
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
