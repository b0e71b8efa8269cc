"""Which column of a wide table holds the label or target: by its name, its place or its values."""

import re
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.config import Files
from rnnscope.data.classes import FEW
from rnnscope.errors import UserError, listed

NUMBERED = re.compile(r"(.*?)[ _.-]?(\d+(?:\.\d+)?)")
"""A name that counts timesteps: a text, and a number behind it."""
FEWEST = 3
"""Fewest columns that tell how timesteps are named, and rows that tell how they are counted."""
NO_STEPS = ("sequence", "split")
"""Columns of a wide table that are neither timesteps nor the label."""


def is_run(names: list[Any]) -> bool:
    """Whether names of columns count timesteps: numbers, alone or behind one text (t0, t1, …)."""
    parts = [NUMBERED.fullmatch(str(name)) for name in names]
    return len(parts) > 1 and None not in parts and len({part[1] for part in parts if part}) == 1


def without_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """The table, its columns 0, 1, 2, … as if it had no names, where names only count them so.

    So pandas writes a table without names. The count covers the label's column too, so that it
    does not tell where the label is.
    """
    names = [name for name in frame if name not in NO_STEPS]
    texts = list(map(str, names))
    if len(texts) < FEWEST or not all(map(str.isdecimal, texts)) or texts[0] not in ("0", "1"):
        return frame
    if [int(text) for text in texts] != list(range(int(texts[0]), int(texts[0]) + len(texts))):
        return frame
    return frame.rename(columns=dict(zip(names, map(int, texts), strict=True)))


def label_of(frame: pd.DataFrame, options: Files, at: str) -> Any:
    """The column that holds the label or target; None if there is none.

    Args:
        frame: all rows, with a column split; columns without names are numbers.
        options: of the data.
        at: what to call the table in an error.

    Raises:
        UserError: no such column, or it is not clear which one it is.
    """
    wanted = options.label_column
    columns = [name for name in frame if name not in NO_STEPS]
    by_name = {str(name): name for name in columns}
    if wanted == "none":
        return None
    if wanted in by_name:
        return by_name[wanted]
    if wanted in ("first", "last"):
        return columns[0 if wanted == "first" else -1]
    if wanted is not None:
        raise UserError(
            f"data.label_column={wanted}: no such column; give first, last, none or one of "
            f"{listed(columns)}"
        )
    for name in ("label", "target"):
        if name in by_name:
            return name
    if all(isinstance(name, str) for name in columns):
        if is_run(columns[1:]) != is_run(columns[:-1]):
            found = columns[0] if is_run(columns[1:]) else columns[-1]
            if _all_differ(found, frame):
                raise UserError(
                    f"{at}: column '{found}' is another one in every row, as names of sequences "
                    f"are: name it sequence, or if it is the label give data.label_column={found}"
                )
            return found
        if is_run(columns):
            return None
    ends = {"first": columns[0], "last": columns[-1]}
    others = frame[columns[1:-1]]
    why_not = {place: _no_label(name, frame, others) for place, name in ends.items()}
    fit = [place for place, reason in why_not.items() if not reason]
    if len(fit) != 1:
        reasons = "; ".join(f"the {place} {reason}" for place, reason in why_not.items())
        which = "both may be" if fit else f"neither seems to be ({reasons})"
        raise UserError(
            f"{at}: is the label in the first column or the last? {which}: "
            "give data.label_column=first, last, none or its name"
        )
    return ends[fit[0]]


def _all_differ(name: Any, frame: pd.DataFrame) -> bool:
    """Whether names or whole numbers differ in all rows of each split, as those of rows do."""
    values = frame[name]
    if len(values) < FEWEST:
        return False
    if pd.api.types.is_float_dtype(values) and (values != np.rint(values)).any():
        return False
    return not frame.duplicated(["split", name]).any()


def _no_label(name: Any, frame: pd.DataFrame, others: pd.DataFrame) -> str:
    """Why a column is no label by itself; empty if it may be one.

    One holds names, or whole numbers in few values while other columns have fractions.
    """
    values = frame[name]
    if _all_differ(name, frame):
        return "is another one in every row"
    if not pd.api.types.is_numeric_dtype(values):
        return ""
    numbers = values.to_numpy(np.float64)
    if lacking := int(np.isnan(numbers).sum()):
        return f"has no value in {lacking} of {len(numbers)} rows"
    if (broken := numbers != np.rint(numbers)).any():
        return f"holds fractions, such as {numbers[broken][0]:g}"
    different = len(np.unique(numbers))
    if different == 1:
        return f"holds {numbers[0]:g} in all rows"
    if different > min(FEW, max(2, len(numbers) / 2)):
        return f"holds {different} different numbers in {len(numbers)} rows"
    inner = np.nan_to_num(others.select_dtypes("number").to_numpy(np.float64))
    if (inner == np.rint(inner)).all():
        return "holds whole numbers, as all others do"
    return ""
