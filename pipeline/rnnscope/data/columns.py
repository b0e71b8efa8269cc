"""Columns that are no features although they are numbers: the index of a table, or its label."""

import logging
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data.dataset import Split
from rnnscope.errors import UserError, brief, listed

log = logging.getLogger(__name__)

INDEX = re.compile(r"Unnamed: \d+(?:[._]\d+)*|__index_level_\d+__|level_\d+")
"""Names that pandas gives to the index of a table."""
FEWEST = 3
"""Rows from which on whole numbers in the order of rows are a count of them."""
SHUFFLED = 10
"""Rows from which on a run of whole numbers, each there once, counts rows in another order."""
SCALE = 50
"""Largest value of a split over that of another, from which on they seem to be scaled unalike."""
SAMPLE = 1_000
"""Rows that are compared before all are."""


def refuse_index(frame: pd.DataFrame, features: Iterable[Any], at: str) -> None:
    """Raise where a feature counts or numbers the rows of the table, as an index does.

    Args:
        frame: all rows; of two files its index names them.
        features: names of columns.
        at: what to call the table in an error.
    """
    features = list(features)
    refuse_index_names(features, at)
    if len(frame) < FEWEST:
        return
    files = frame.index.get_level_values(0) if frame.index.nlevels > 1 else None
    for name in features:
        values = frame[name]
        if not pd.api.types.is_integer_dtype(values) or values.isna().any():
            continue
        numbers = values.to_numpy(np.float64)
        parts = [numbers] if files is None else [numbers[files == each] for each in files.unique()]
        if _numbers_rows(numbers) or all(map(_numbers_rows, parts)):
            if len(features) > 1:
                raise is_index(name, at)
            log.warning(f"{at}: the only feature, '{brief(name)}', numbers the rows")


def refuse_index_names(features: Iterable[Any], at: str) -> None:
    """Raise where a feature has the name of an index."""
    for name in features:
        if INDEX.fullmatch(str(name)):
            raise is_index(name, at)


def is_index(name: Any, at: str) -> UserError:
    """The error of a feature that is the index of the table."""
    return UserError(
        f"{at}: column '{brief(name)}' numbers the rows, as an index does, so it is no feature: "
        "leave it out (write the table with index=False), or name it in data.annotations"
    )


def _numbers_rows(values: NDArray[np.float64]) -> bool:
    """Whether values [R] count 0, 1, 2, … or 1, 2, 3, …, or are a run of numbers in any order."""
    count = len(values)
    if count < FEWEST:
        return False
    if values[0] in (0, 1) and values[-1] == values[0] + count - 1:
        return bool((values == values[0] + np.arange(count)).all())
    least = values.min()
    if count < SHUFFLED or values.max() - least != count - 1 or least != np.rint(least):
        return False
    return bool((np.sort(values) == least + np.arange(count)).all())


def warn_of_features(frame: pd.DataFrame, features: Iterable[Any], label: Any, at: str) -> None:
    """Log which features are the same in all rows, and which tell the label.

    Args:
        frame: all rows.
        features: names of columns of numbers.
        label: the column of labels or targets; None where there is none.
        at: what to call the table in an error.
    """
    features = list(features)
    if len(frame) < FEWEST:
        return
    first = frame.iloc[:SAMPLE]
    constant = [name for name in features if _constant(first[name]) and _constant(frame[name])]
    if constant:
        log.warning(f"{at}: the same value in all rows: {listed(constant)}")
    if label is None or _constant(frame[label]):
        return
    features = [name for name in features if name not in constant]
    same = [name for name in features if _tells(first[name], first[label])]
    same = [name for name in same if _tells(frame[name], frame[label])]
    if same:
        log.warning(
            f"{at}: {listed(same)} tells the {label} of each row: leave such columns out, unless "
            "the model shall read its answer there"
        )


def warn_of_scales(splits: dict[str, Split], at: str) -> None:
    """Log where the values of one split are far larger than those of another.

    Args:
        splits: in memory; others are passed over.
        at: what to call the data in an error.
    """
    sizes = {
        part: float(np.nanmax(np.abs(split.x), initial=0))
        for part, split in splits.items()
        if isinstance(split.x, np.ndarray) and split.x.dtype.kind == "f"
    }
    if len(sizes) < 2 or min(sizes.values()) == 0:
        return
    large, small = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    if sizes[large] >= SCALE * sizes[small]:
        log.warning(
            f"{at}: values of {large} go up to {sizes[large]:g}, those of {small} to "
            f"{sizes[small]:g}: are they scaled alike?"
        )


def _constant(values: "pd.Series[Any]") -> bool:
    return bool((values.to_numpy() == values.iloc[0]).all())


def _tells(values: "pd.Series[Any]", label: "pd.Series[Any]") -> bool:
    """Whether a feature is the target, or has a value of its own for each class of several rows."""
    if label.name == "target":
        return bool((values.to_numpy() == label.to_numpy()).all())
    codes, classes = pd.factorize(label)
    return 2 * len(classes) <= len(label) and bool((pd.factorize(values)[0] == codes).all())
