"""Wide tables: one row per sequence and one column per timestep, as UCR and UCI keep them."""

import logging
import re
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.classes import FEW
from rnnscope.errors import UserError, listed

log = logging.getLogger(__name__)

NUMBERED = re.compile(r"(.*?)[ _.-]?(\d+(?:\.\d+)?)")
"""A name that counts timesteps: a text, and a number behind it."""
FEWEST = 3
"""Fewest columns that tell how timesteps are named, and rows that tell how they are counted."""

Arrays = dict[str, NDArray[Any]]


def is_run(names: list[Any]) -> bool:
    """Whether names of columns count timesteps: numbers, alone or behind one text (t0, t1, …)."""
    parts = [NUMBERED.fullmatch(str(name)) for name in names]
    return len(parts) > 1 and None not in parts and len({part[1] for part in parts if part}) == 1


def arrays_from_wide(
    frames: dict[str, pd.DataFrame], options: Files
) -> tuple[Arrays, Arrays, str | None]:
    """Arrays under the names of ``splits_from_arrays``, the sequences' names by split, the task.

    Args:
        frames: rows of each split.
        options: of the data; ``label_column`` is found out where it is null.

    Raises:
        UserError: a label that is not clear, a timestep that is no number, or columns out of order.
    """
    at = f"data.path={options.path}"
    whole = pd.concat(frames.values(), ignore_index=True)
    label = label_of(whole, options, at)
    steps = [name for name in whole if name not in ("sequence", "split") and name != label]
    if not steps:
        raise UserError(f"{at}: no columns of timesteps beside {listed(whole)}")
    _refuse_others(steps, at)
    _refuse_text(whole[steps], at)
    _refuse_disorder(steps, at)
    _refuse_numbers_of_rows(whole, steps, at)
    arrays, ids = {}, {}
    ints = all(pd.api.types.is_integer_dtype(kind) for kind in whole[steps].dtypes)
    for part, frame in frames.items():
        with np.errstate(over="ignore"):
            x = frame[steps].to_numpy(np.int64 if ints else np.float32)
        ended = np.flatnonzero(~np.isnan(x).all(axis=0))
        if len(ended):  # separators at the ends of lines make columns without a value
            arrays[f"x_{part}"] = x[:, : ended[-1] + 1]
        else:
            arrays[f"x_{part}"] = x
        if label is not None:
            y = frame[label]
            if y.isna().any():
                raise UserError(f"{at}: row {int(y.isna().to_numpy().argmax())} has no label")
            numeric = pd.api.types.is_numeric_dtype(y)
            arrays[f"y_{part}"] = y.to_numpy() if numeric else y.astype(str).to_numpy().astype("U")
        if "sequence" in frame:
            ids[part] = frame["sequence"].to_numpy()
    log.info(
        f"{'':<10} {len(whole):,} sequences of "
        f"{max(each.shape[1] for name, each in arrays.items() if name[0] == 'x'):,} timesteps, one "
        f"a row; {'no label' if label is None else f'label: {_called(label, whole)}'}"
    )
    task = options.task or ("regression" if label == "target" else None)
    return arrays, ids, task


def label_of(frame: pd.DataFrame, options: Files, at: str) -> Any:
    """The column that holds the label or target; None if there is none."""
    wanted = options.label_column
    columns = [name for name in frame if name not in ("sequence", "split")]
    by_name = {str(name): name for name in columns if isinstance(name, str)}
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
            return columns[0] if is_run(columns[1:]) else columns[-1]
        if is_run(columns):
            return None
    ends = {"first": columns[0], "last": columns[-1]}
    others = frame[columns[1:-1]]
    fit = [place for place, name in ends.items() if _like_a_label(frame[name], others)]
    if len(fit) != 1:
        which = "both may be" if fit else "neither seems to be"
        raise UserError(
            f"{at}: is the label in the first column or the last? {which}: "
            "give data.label_column=first, last, none or its name"
        )
    return ends[fit[0]]


def _like_a_label(values: "pd.Series[Any]", others: pd.DataFrame) -> bool:
    """Whether a column holds names, or whole numbers in few values while others have fractions."""
    if not pd.api.types.is_numeric_dtype(values):
        return True
    numbers = values.to_numpy(np.float64)
    if np.isnan(numbers).any() or (numbers != np.rint(numbers)).any():
        return False
    different = len(np.unique(numbers))
    if not 1 < different <= min(FEW, max(2, len(numbers) / 2)):
        return False
    inner = others.select_dtypes("number").to_numpy(np.float64)
    return bool((np.nan_to_num(inner) != np.rint(np.nan_to_num(inner))).any())


def _called(label: Any, frame: pd.DataFrame) -> str:
    if isinstance(label, str):
        return f"column '{label}'"
    return "the first column" if label == frame.columns[0] else "the last column"


def _refuse_others(steps: list[Any], at: str) -> None:
    """Raise where some names count timesteps, and others do not: id, t0, t1, …."""
    if not all(isinstance(name, str) for name in steps) or is_run(steps):
        return
    stems = [found[1] if (found := NUMBERED.fullmatch(name)) else None for name in steps]
    (stem, count), *_ = Counter(stems).most_common()
    if stem is not None and count >= FEWEST:
        others = [name for name, each in zip(steps, stems, strict=True) if each != stem]
        raise UserError(
            f"{at}: {listed(others)} among the timesteps {' to '.join(_ends(steps, stems, stem))}: "
            "name the column sequence if it holds the sequences' names, give data.label_column= "
            "if it is the label, else leave it out"
        )


def _ends(steps: list[Any], stems: list[str | None], stem: str) -> list[Any]:
    """The first and the last of the columns that count timesteps."""
    run = [name for name, each in zip(steps, stems, strict=True) if each == stem]
    return [run[0], run[-1]]


def _refuse_numbers_of_rows(whole: pd.DataFrame, steps: list[Any], at: str) -> None:
    """Raise where the first or last of columns without names counts the rows."""
    for place in (steps[0], steps[-1]):
        values = whole[place]
        if isinstance(place, str) or len(values) < FEWEST:
            continue
        if pd.api.types.is_integer_dtype(values) and (values.diff().dropna() == 1).all():
            where = "first" if place == steps[0] else "last"
            raise UserError(
                f"{at}: the {where} column beside the label counts the rows, so it is no timestep: "
                "remove it, or give the columns names, and this one the name sequence"
            )


def _refuse_text(steps: pd.DataFrame, at: str) -> None:
    for name in steps:
        if not pd.api.types.is_numeric_dtype(steps[name]):
            text = steps[name].dropna().astype(str)
            value = text[pd.to_numeric(text, errors="coerce").isna()].iloc[0]
            raise UserError(
                f"{at}: column {name} holds '{value}', but it would be a timestep, which is a "
                "number; a label has its column in data.label_column, a name of sequences in one "
                "named sequence"
            )


def _refuse_disorder(steps: list[Any], at: str) -> None:
    """Raise where names count timesteps, but not upwards: t0, t1, t10, t2."""
    if not all(isinstance(name, str) for name in steps) or not is_run(steps):
        return
    numbers = [float(re.findall(r"\d+(?:\.\d+)?$", name)[0]) for name in steps]
    falls = np.flatnonzero(np.diff(numbers) <= 0)
    if len(falls):
        one, other = steps[falls[0]], steps[falls[0] + 1]
        raise UserError(
            f"{at}: column '{other}' comes after '{one}': put the columns into the order of time"
        )
