"""Windows over one long series, split in time."""

import itertools
import logging
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.columns import refuse_index, warn_of_features
from rnnscope.data.elapsed import elapsed, refuse_unclear_steps
from rnnscope.data.groups import groups_of_column
from rnnscope.data.lines import place
from rnnscope.data.missing import filled
from rnnscope.data.names import refuse_unclear
from rnnscope.data.timesteps import in_time, is_clock
from rnnscope.data.windows import labels_of, warn_of_overlap, windows_of
from rnnscope.data.written import in_numbers, not_numeric
from rnnscope.errors import UserError, brief, listed

TIMES = ("timestep", "date", "time", "datetime", "timestamp")
"""Names of a column of time, whatever else than letters they hold: Date_Time."""
FRACTIONS = {"val": "validation_fraction", "train": "test_fraction", "test": "test_fraction"}
"""The option that sets the size of a part."""

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Roles:
    """The columns of a series."""

    features: list[str]
    times: list[str]
    """The column of time; or those of the date and of the clock; or none."""
    label: str | None
    """What windows are labelled with, or whose later value is their target."""


def arrays_from_series(frame: pd.DataFrame, options: Files) -> tuple[Arrays, Arrays, str | None]:
    """Windows as arrays under the names of ``splits_from_arrays``, their names by split, the task.

    The series is split in time: first the training part, then validation, then test; where rows
    have groups, between two of them. No window, and no target of one, reaches into another part or
    group. A window's name is the time, or the row, of its first timestep.

    Args:
        frame: one row per timestep.
        options: ``window``, ``stride``, ``horizon``, ``test_fraction`` and
            ``validation_fraction``, the latter of what is left for training.

    Raises:
        UserError: no order of time, no target, a part too short for a window, missing values.
    """
    at = f"data.path={options.path}"
    roles = _roles(frame, options, at)
    frame = in_numbers(frame.set_axis([str(name) for name in frame], axis=1), roles.features)
    refuse_index(frame, roles.features, at)
    warn_of_features(frame, roles.features, None, at)
    gaps = options.missing == "interpolate" and frame[roles.features].isna().any(axis=None)
    frame, times, keys = _in_order(frame, roles, at, spaced=bool(gaps))
    groups, changes = _groups(frame, options, at)
    _announce(len(frame), roles, options)
    parts = _parts(len(frame), options, changes)
    values = _features(frame, roles, _runs(parts, changes), keys, options, at)
    arrays: Arrays = {}
    ids: Arrays = {}
    across = 0
    assert options.window is not None
    for part, (start, stop) in parts.items():
        reach = options.window + (options.horizon or 0)
        first = np.arange(start, stop - reach + 1, options.stride or options.window)
        if changes is not None:
            inside = np.searchsorted(changes, first, "right") == np.searchsorted(
                changes, first + reach - 1, "right"
            )
            across += int((~inside).sum())
            first = first[inside]
        if not len(first):
            raise UserError(
                f"{at}: the {part} part has {stop - start} of {len(frame)} timesteps, too few for "
                f"a window of {options.window}"
                + (f" and a horizon of {options.horizon}" if options.horizon else "")
                + (f" within one {options.groups}" if changes is not None else "")
                + f": give a smaller data.window or another data.{FRACTIONS[part]}"
                + (", 0 leaves it out" if part == "val" else "")
            )
        arrays[f"x_{part}"] = windows_of(values, first, options.window)
        if groups is not None:
            arrays[f"{options.groups}_{part}"] = groups[first]
        if roles.label is not None:
            arrays[f"y_{part}"] = labels_of(frame[roles.label], first, options, at)
        ids[part] = times[first]
    if across:
        log.info(f"{'':<10} {across:,} windows would reach over two {options.groups}: left out")
    task = options.task
    if roles.label is not None and pd.api.types.is_numeric_dtype(frame[roles.label]):
        ahead = options.horizon is not None and roles.label != "label"
        task = task or ("regression" if ahead or roles.label == "target" else None)
    return arrays, ids, task


def _roles(frame: pd.DataFrame, options: Files, at: str) -> Roles:
    names = [str(name) for name in frame]
    if "sequence" in names or "split" in names:
        raise UserError(
            f"{at}: data.window cuts one series, split in time; it has a column "
            f"'{'sequence' if 'sequence' in names else 'split'}': leave data.window out, or the "
            "column"
        )
    kinds = {name: re.sub("[^a-z]", "", name.lower()) for name in names}
    times = sorted((name for name in names if kinds[name] in TIMES), key=kinds.__getitem__)
    if len(times) > 1 and not (
        [kinds[name] for name in times] == ["date", "time"]
        and frame[times[1]].astype(str).map(is_clock).all()
    ):
        raise UserError(f"{at}: columns {listed(times)} may be the time: leave out all but one")
    label = options.label_column
    left = [name for name in names if name not in (*times, options.groups)]
    if label in ("first", "last"):
        label = left[0 if label == "first" else -1]
    elif label is None:
        label = next((name for name in ("label", "target") if name in names), None)
        if label is None and options.horizon and len(left) == 1:
            label = left[0]
        if label is None and options.horizon:
            raise UserError(
                f"data.horizon={options.horizon}: which column is to be predicted? Give "
                f"data.label_column=, one of {listed(left)}"
            )
    elif label == "none":
        label = None
    elif label not in left:
        raise UserError(f"data.label_column={label}: no such column; there is {listed(left)}")
    stays = bool(options.horizon) and label not in ("label", "target")
    features = [name for name in left if name != label or stays]
    if not features:
        raise UserError(
            f"{at}: no feature columns beside {listed([*times, *filter(None, [label])])}"
        )
    return Roles(features, times, label)


def _announce(count: int, roles: Roles, options: Files) -> None:
    """Log what each column is taken for, and warn where windows share timesteps."""
    order = f" in order of {' and '.join(roles.times)}" if roles.times else ""
    what = "target" if options.horizon else "label"
    log.info(
        f"{'':<10} one series of {count:,} timesteps{order}; features: {listed(roles.features)}; "
        + (f"no {what}" if roles.label is None else f"{what}: {roles.label}")
    )
    assert options.window is not None
    warn_of_overlap(options.stride, options.window)


def _in_order(
    frame: pd.DataFrame, roles: Roles, at: str, *, spaced: bool
) -> tuple[pd.DataFrame, NDArray[Any], NDArray[Any]]:
    """The rows in order of time, how the table writes their times, or their numbers, and keys.

    Args:
        frame: all rows.
        roles: of its columns.
        at: what to call the table in an error.
        spaced: whether it must be clear how far they are apart.
    """
    if not roles.times:
        return frame, np.arange(len(frame)), np.arange(len(frame))
    name = " and ".join(roles.times)
    if (lacking := frame[roles.times].isna().any(axis=1)).any():
        row = place(frame.index, int(lacking.to_numpy().argmax()))
        raise UserError(f"{at}: {row} has no value in column '{name}'")
    one = pd.Series(np.zeros(len(frame), np.int8))
    time = frame[roles.times[0]].reset_index(drop=True)
    for clock in roles.times[1:]:
        time = time.astype(str) + " " + frame[clock].astype(str).reset_index(drop=True)
    keys = in_time(time, one, f"{at}: column '{brief(name)}'")
    if spaced:
        refuse_unclear_steps(time, keys, one, f"{at}: column '{brief(name)}'")
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    written = time.astype(str).to_numpy()[order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        raise UserError(f"{at}: {name} {written[twice[0]]} is there twice")
    if keys.dtype.kind in "iufmM" and len(keys) > 2:
        steps = np.diff(keys).astype(np.float64)
        holes = np.flatnonzero(steps > 1.5 * np.median(steps))
        if len(holes):
            log.warning(
                f"{at}: {len(holes)} steps of {name} are longer than usual, the first after "
                f"{written[holes[0]]}; windows reach across them as if they were not there"
            )
    return frame.iloc[order], written, keys


def _features(
    frame: pd.DataFrame,
    roles: Roles,
    runs: list[tuple[int, int]],
    keys: NDArray[Any],
    options: Files,
    at: str,
) -> NDArray[np.float32]:
    """The features [R, F] at times [R], their missing values filled within each run of rows."""
    for name in roles.features:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise UserError(
                f"{at}: {not_numeric(frame[name])}, so no feature: leave it out"
                + (", or if it tells the time, name it timestep" if not roles.times else "")
            )
    with np.errstate(over="ignore"):
        values = frame[roles.features].to_numpy(np.float32)
    nan = np.isnan(values)
    if nan.any() and options.missing == "refuse":
        row, column = np.argwhere(nan)[0]
        raise UserError(
            f"{at}: {nan.sum()} missing values in {nan.any(axis=1).sum()} of {len(nan)} rows, the "
            f"first in {place(frame.index, row)}, column '{brief(roles.features[column])}': "
            "data.missing=interpolate puts the linear interpolation in their place, "
            "data.missing=zero_and_mask 0 and features that say which values are known"
        )
    if options.missing == "refuse":
        return values
    times = elapsed(keys)
    done = [
        filled(
            values[np.newaxis, start:stop],
            np.array([stop - start]),
            options.missing,
            f"{at}, rows {start} to {stop - 1} in order of time",
            times[np.newaxis, start:stop],
        )[0]
        for start, stop in runs
    ]
    return np.concatenate(done)


def _runs(
    parts: dict[str, tuple[int, int]], changes: NDArray[np.intp] | None
) -> list[tuple[int, int]]:
    """First row and the one after the last of each run of rows of one part and one group."""
    inner = () if changes is None else changes.tolist()
    runs: list[tuple[int, int]] = []
    for start, stop in parts.values():
        cuts = [start, *(row for row in inner if start < row < stop), stop]
        runs += itertools.pairwise(cuts)
    return runs


def _groups(
    frame: pd.DataFrame, options: Files, at: str
) -> tuple[NDArray[Any] | None, NDArray[np.intp] | None]:
    """The group of each row [R], and the rows from which on it is another; None without groups."""
    if options.groups is None:
        return None, None
    refuse_unclear(frame[options.groups], at)
    groups = groups_of_column(frame[options.groups], at)
    return groups, 1 + np.flatnonzero(groups[1:] != groups[:-1])


def _parts(
    count: int, options: Files, changes: NDArray[np.intp] | None
) -> dict[str, tuple[int, int]]:
    """First row and the one after the last of each part; groups change in between, if there are."""

    def cut(row: int, end: int) -> int:
        if changes is None or row == end:
            return row
        places = np.array([0, *changes[changes < end], end])
        return int(places[np.abs(places - row).argmin()])

    if options.test_fraction is None:
        return {"test": (0, count)}
    test = cut(count - round(count * options.test_fraction), count)
    val = cut(test - round(test * options.validation_fraction), test)
    parts = {"train": (0, val), "val": (val, test), "test": (test, count)}
    return {part: rows for part, rows in parts.items() if part != "val" or val < test}
