"""Wide tables: one row per sequence and one column per timestep, as UCR and UCI keep them."""

import logging
import re
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.decimals import in_column
from rnnscope.data.groups import without_groups
from rnnscope.data.label_column import FEWEST, NO_STEPS, NUMBERED, is_run, label_of
from rnnscope.data.lines import place
from rnnscope.data.missing import filled
from rnnscope.data.names import refuse_ranks, refuse_unclear
from rnnscope.data.shared import refuse_shared
from rnnscope.data.written import in_numbers
from rnnscope.errors import UserError, brief, listed

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


def arrays_from_wide(
    frames: dict[str, pd.DataFrame], options: Files
) -> tuple[Arrays, Arrays, str | None]:
    """Arrays under the names of ``splits_from_arrays``, the sequences' names by split, the task.

    Args:
        frames: rows of each split, with a column split; their index tells their places.
        options: of the data; ``label_column`` is found out where it is null.

    Raises:
        UserError: a label that is not clear, a timestep that is no number, or columns out of order.
    """
    at = f"data.path={options.path}"
    frames, arrays = without_groups(frames, options, at)
    whole = pd.concat(frames.values(), ignore_index=True)
    label = label_of(whole, options, at)
    steps = [name for name in whole if name not in NO_STEPS and name != label]
    if not steps:
        raise UserError(f"{at}: no columns of timesteps beside {listed(whole)}")
    _refuse_others(steps, at)
    frames = {part: in_numbers(frame, steps) for part, frame in frames.items()}
    for frame in frames.values():
        _refuse_text(frame, steps, at)
    _refuse_disorder(steps, at)
    _refuse_numbers_of_rows(whole, steps, at)
    for name in ("sequence", label if task_of(label, options) != "regression" else None):
        if name is not None and name in whole:
            refuse_unclear(pd.concat([frame[name] for frame in frames.values()]), at)
    ids = {}
    kinds = [kind for each in (whole, *frames.values()) for kind in each[steps].dtypes]
    ints = all(map(pd.api.types.is_integer_dtype, kinds))
    for part, frame in frames.items():
        with np.errstate(over="ignore"):
            x = frame[steps].to_numpy(np.int64 if ints else np.float32)
        if options.missing == "interpolate":
            x = filled(x, None, "interpolate", f"{at}: x_{part}", _times(steps, label, len(x)))
        ended = np.flatnonzero(~np.isnan(x).all(axis=0))
        if len(ended):  # separators at the ends of lines make columns without a value
            arrays[f"x_{part}"] = x[:, : ended[-1] + 1]
        else:
            arrays[f"x_{part}"] = x
        if label is not None:
            y = in_column(frame[label], f"{at}: column '{brief(label)}'")
            refuse_ranks(y, at)
            if y.isna().any():
                row = place(frame.index, int(y.isna().to_numpy().argmax()))
                raise UserError(f"{at}: {row} has no label")
            numeric = pd.api.types.is_numeric_dtype(y)
            arrays[f"y_{part}"] = y.to_numpy() if numeric else y.astype(str).to_numpy().astype("U")
        if "sequence" in frame:
            ids[part] = frame["sequence"].to_numpy()
    refuse_shared(ids, at)
    log.info(f"{'':<10} each row is a sequence; {_said(label, whole)}")
    return arrays, ids, task_of(label, options)


def task_of(label: Any, options: Files) -> str | None:
    """The option, or what the name of the label's column says of it."""
    return options.task or ("regression" if label == "target" else None)


def _said(label: Any, frame: pd.DataFrame) -> str:
    """Which column is the label, or what to give where none is one."""
    if label is None:
        return "no label: if a column holds it, data.label_column= first, last or its name says so"
    if label == "target":
        return "numeric target: column 'target'"
    if isinstance(label, str):
        return f"label: column '{label}'"
    columns = [name for name in frame if name not in NO_STEPS]
    ends = {columns[0]: "the first column", columns[-1]: "the last column"}
    return f"label: {ends.get(label, f'column {label}')}"


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
    for step in (steps[0], steps[-1]):
        values = whole[step]
        if isinstance(step, str) or len(values) < FEWEST:
            continue
        steps_up = values.groupby(whole["split"]).diff().dropna()
        if pd.api.types.is_integer_dtype(values) and (steps_up == 1).all():
            where = "first" if step == steps[0] else "last"
            raise UserError(
                f"{at}: the {where} column beside the label counts the rows, so it is no timestep: "
                "remove it, or give the columns names, and this one the name sequence"
            )


def _refuse_text(frame: pd.DataFrame, steps: list[Any], at: str) -> None:
    """Raise with the place of the first text among the timesteps of a split."""
    for name in steps:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            text = frame[name].reset_index(drop=True).dropna().astype(str)
            wrong = text[pd.to_numeric(text, errors="coerce").isna()]
            if wrong.empty:
                continue  # the text is in another split
            raise UserError(
                f"{at}: {place(frame.index, int(wrong.index[0]))} holds "
                f"'{brief(wrong.iloc[0])}' in column {brief(name)}, but it would be a timestep, "
                "which is a number; a label has its column in data.label_column, a name of "
                "sequences in one named sequence"
            )


def _times(steps: list[Any], label: Any, count: int) -> NDArray[np.float64] | None:
    """The numbers that columns of timesteps are named by, for each row [N, T]; None if not by any.

    Where the label is numbered among them, they number columns.
    """
    if not all(isinstance(name, str) for name in steps) or not is_run(steps):
        return None
    return None if is_run([*steps, label]) else np.tile(_numbers_in(steps), (count, 1))


def _numbers_in(steps: list[str]) -> list[float]:
    """The numbers at the ends of names."""
    return [float(re.findall(r"\d+(?:\.\d+)?$", name)[0]) for name in steps]


def _refuse_disorder(steps: list[Any], at: str) -> None:
    """Raise where names count timesteps, but not upwards: t0, t1, t10, t2."""
    if not all(isinstance(name, str) for name in steps) or not is_run(steps):
        return
    falls = np.flatnonzero(np.diff(_numbers_in(steps)) <= 0)
    if len(falls):
        one, other = steps[falls[0]], steps[falls[0] + 1]
        raise UserError(
            f"{at}: column '{other}' comes after '{one}': put the columns into the order of time"
        )
