"""Sequences from long tables: one row per sequence and timestep, in Parquet or CSV."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.classes import MOST, Classes, numbered, refuse_many
from rnnscope.data.columns import refuse_index, warn_of_features
from rnnscope.data.dataset import Split
from rnnscope.data.decimals import in_column
from rnnscope.data.elapsed import elapsed, refuse_unclear_steps
from rnnscope.data.groups import groups_of_column, refuse_lost, refuse_two
from rnnscope.data.lines import ROW, place
from rnnscope.data.missing import REMEDY, filled
from rnnscope.data.names import refuse_ranks, refuse_unclear
from rnnscope.data.precision import warn_of_coarse_columns
from rnnscope.data.shared import refuse_same, refuse_shared
from rnnscope.data.timesteps import in_time, warn_of_gaps
from rnnscope.data.written import in_numbers, not_numeric
from rnnscope.errors import UserError, brief, listed

log = logging.getLogger(__name__)

KEYS = ("sequence", "timestep", "split", "label", "target")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Columns:
    """The columns of a long table by their roles."""

    path: Path
    """The table's file or folder."""
    features: tuple[str, ...]
    annotations: tuple[str, ...]
    keys: tuple[str, ...]
    """Those of KEYS that are there, and that of groups."""
    each: bool
    """Whether a label or target belongs to each timestep."""
    missing: str
    """What to do with missing values of features: option ``data.missing``."""
    groups: str | None = None
    """The column of groups, if there is one."""

    @property
    def label(self) -> str | None:
        """The column label or target, where there is one."""
        return next((name for name in ("label", "target") if name in self.keys), None)


def splits_from_table(frame: pd.DataFrame, options: Files) -> tuple[dict[str, Split], Classes]:
    """The splits of a long table, and its classes.

    Columns: ``sequence`` (a number or a name), ``timestep`` (its order within the sequence),
    ``split`` (train, val or test; all are test where the column is missing), ``label`` (a class: a
    whole number from 0 or a name) or ``target`` (a number) if there are any, the same on all rows
    of a sequence unless ``labels=timestep``; and annotations, by their names in the options. All
    other columns are features. Shorter sequences are padded with zeros on the right.
    """
    path = Path(options.path)
    columns = columns_of(list(frame), options)
    if frame.empty:
        raise UserError(f"data.path={path}: no rows in the table")
    numbers = [n for n in (*columns.features, *columns.annotations, "target") if n in frame]
    frame = in_numbers(frame, numbers)
    refuse_gaps(frame, columns)
    for name in ("sequence", "label", columns.groups):
        if name in frame:
            refuse_unclear(frame[name], f"data.path={path}")
    refuse_index(frame, columns.features, f"data.path={path}")
    refuse_other_task(columns, options.task)
    warn_of_coarse_columns(frame, numbers, f"data.path={path}")
    warn_of_features(frame, columns.features, columns.label, f"data.path={path}")
    frame, classes = with_classes(
        with_splits(frame, path), path, each=columns.each, most=options.max_classes
    )
    kinds = {n: np.int32 if is_whole(frame[n]) else np.float32 for n in columns.annotations}
    frame = frame.astype(kinds)
    where, written = f"data.path={path}: column 'timestep'", frame["timestep"]
    number = frame.groupby(["split", "sequence"], observed=True).ngroup()
    frame = frame.assign(timestep=in_time(written, number, where)).reset_index(drop=True)
    if columns.missing == "interpolate" and frame[list(columns.features)].isna().any(axis=None):
        refuse_unclear_steps(written, frame["timestep"].to_numpy(), number, where)
    warn_of_gaps(frame["timestep"].to_numpy(), number.to_numpy(), f"data.path={path}")
    splits = {
        str(part): _split(rows, columns, written)
        for part, rows in frame.groupby("split", sort=True)
    }
    ids = {part: each.ids for part, each in splits.items() if each.ids is not None}
    first = frame.groupby(["split", "sequence"], observed=True)["timestep"].min()
    begin = {part: first.loc[part].loc[ids[part]].to_numpy() for part in ids}
    refuse_shared(ids, f"data.path={path}", first=begin)
    refuse_same(splits, f"data.path={path}")
    return splits, classes


def columns_of(names: list[str], options: Files) -> Columns:
    """The roles of the columns of these names."""
    at = f"data.path={options.path}: "
    for name in ("sequence", "timestep"):
        if name not in names:
            raise UserError(f"{at}no column '{name}'; it has {listed(names)}")
    annotations = tuple(options.annotations or ())
    for name in annotations:
        if name not in names:
            raise UserError(
                f"data.annotations=[{','.join(annotations)}]: no column '{name}'; "
                f"it has {listed(names)}"
            )
    if "label" in names and "target" in names:
        raise UserError(
            f"{at}columns 'label' and 'target': only one of them is allowed; "
            "further values of single timesteps can be annotations, named in data.annotations"
        )
    known = (*KEYS, *filter(None, [options.groups]))
    refuse_lost(names, options)
    features = tuple(name for name in names if name not in known + annotations)
    if not features:
        raise UserError(f"{at}no feature columns beside {', '.join(known + annotations)}")
    keys = tuple(key for key in known if key in names)
    log.info(f"{'':<10} features: {listed(features)}; no features: {listed(keys + annotations)}")
    each = options.labels == "timestep"
    missing, groups = options.missing, options.groups
    return Columns(Path(options.path), features, annotations, keys, each, missing, groups)


def refuse_gaps(frame: pd.DataFrame, columns: Columns, first: int = 0) -> None:
    """Raise where a value is missing, or a number is not finite in float32.

    Only annotations may be missing.

    Args:
        frame: some rows of the table.
        columns: what its columns are.
        first: number of its first row in the table.
    """
    targets = ["target"] if "target" in columns.keys else []
    numbers = [*columns.features, *targets, *columns.annotations]
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise UserError(
                f"data.path={columns.path}: {not_numeric(frame[name])}; features, targets and "
                "annotations must be numbers"
            )
    must = [*columns.features, *columns.keys] if columns.missing == "refuse" else columns.keys
    _refuse(frame[list(must)].isna(), "has no value", columns, first)
    with np.errstate(over="ignore"):
        infinite = np.isinf(frame[numbers].astype(np.float64).astype(np.float32))
    _refuse(infinite, "is infinite, or past float32,", columns, first)
    whole = [name for name in columns.annotations if is_whole(frame[name])]
    past = (frame[whole] < -(2**31)) | (frame[whole] >= 2**31)
    _refuse(past, "is past int32", columns, first)


def is_whole(values: "pd.Series[Any]") -> bool:
    """Whether an annotation is kept as whole numbers: it has no fractions and no missing value."""
    return not pd.api.types.is_float_dtype(values) and not values.isna().any()


def _refuse(found: pd.DataFrame, problem: str, columns: Columns, first: int) -> None:
    """Raise with the place of the first True."""
    if not found.any(axis=None):
        return
    row = int(found.any(axis=1).to_numpy().argmax())
    column = found.columns[found.iloc[row].to_numpy().argmax()]
    hint = ""
    if problem == "has no value" and column in columns.features:
        values = int(found[list(columns.features)].to_numpy().sum())
        hint = f", the first of {values} missing values: {REMEDY}"
    where = place(found.index, row) if not first else f"{ROW} {first + row}"
    raise UserError(
        f"data.path={columns.path}: {where} {problem} in column '{brief(column)}'{hint}"
    )


def with_splits(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with a column split; without one, all rows are test."""
    if "split" not in frame:
        return frame.assign(split="test")
    if strange := sorted(set(frame["split"].astype(str)) - set(SPLITS)):
        raise UserError(f"data.path={path}: split '{strange[0]}'; must be one of {SPLITS}")
    return frame


def with_classes(
    frame: pd.DataFrame, path: Path, *, each: bool = False, most: int = MOST
) -> tuple[pd.DataFrame, Classes]:
    """Labels as the numbers of their classes, and the classes.

    Args:
        frame: rows with a column label, if there is one.
        path: of the table.
        each: whether the labels are those of timesteps.
        most: option ``data.max_classes``.
    """
    if "label" not in frame:
        return frame, Classes()
    labels = in_column(frame["label"], f"data.path={path}: column 'label'")
    refuse_ranks(labels, f"data.path={path}")
    if pd.api.types.is_bool_dtype(labels) or not pd.api.types.is_numeric_dtype(labels):
        codes, names = pd.factorize(labels.astype(str), sort=True)
        refuse_many(len(names), f"data.path={path}: column 'label'", most)
        return frame.assign(label=codes), Classes(tuple(names))
    values = labels.to_numpy()
    if values.dtype.kind == "u" and values.max() > np.iinfo(np.int64).max:
        raise UserError(f"data.path={path}: label {values.max()} is past int64: write names")
    if (values != np.rint(values.astype(np.float64))).any():
        raise UserError(
            f"data.path={path}: labels must be whole numbers or names, not fractions; "
            "numbers to be predicted go in a column 'target'"
        )
    values = values.astype(np.int64)
    if each and values.min() < 0:  # mostly it stands for padding or for no class
        raise UserError(
            f"data.path={path}: label {values.min()}; classes of timesteps count from 0"
        )
    distinct = np.unique(values)
    refuse_many(len(distinct), f"data.path={path}: column 'label'", most)
    classes = numbered(distinct)
    refuse_many(len(classes.names), f"data.path={path}: column 'label'", most, "classes from 0 on")
    return frame.assign(label=classes.numbers(values)), classes


def refuse_other_task(columns: Columns, task: str | None) -> None:
    """Raise where the name of the label's column says something else than the task."""
    wanted = {"classification": "label", "regression": "target"}.get(task or "", columns.label)
    if columns.label is not None and columns.label != wanted:
        raise UserError(
            f"data.path={columns.path}: a column '{columns.label}' holds "
            f"{'classes' if columns.label == 'label' else 'numeric targets'}, which does not go "
            f"with data.task={task}: name the column '{wanted}'"
        )


def refuse_several(sequence: Any, columns: Columns) -> None:
    """Raise because the label or target changes within a sequence."""
    raise UserError(
        f"data.path={columns.path}: sequence {sequence} has more than one {columns.label}; "
        f"{columns.label}s of single timesteps need data.labels=timestep"
    )


def _split(rows: pd.DataFrame, columns: Columns, written: "pd.Series[Any]") -> Split:
    """The split of some rows; ``written`` has the timesteps as the table writes them."""
    # A categorical column sorts by its own order, which may differ from that of the values.
    rows = rows.assign(sequence=rows["sequence"].to_numpy())
    rows = rows.sort_values(["sequence", "timestep"], kind="stable")
    twice = rows.duplicated(["sequence", "timestep"])
    if twice.any():
        place_of = int(rows.index[twice][0])
        name = brief(rows.loc[place_of, "sequence"])
        raise UserError(
            f"data.path={columns.path}: sequence {name} has timestep "
            f"{brief(written.iloc[place_of])} twice in one split ({place(written.index, place_of)})"
        )
    ids, starts, lengths = np.unique(
        rows["sequence"].to_numpy(), return_index=True, return_counts=True
    )
    valid = np.arange(lengths.max()) < lengths[:, np.newaxis]

    def padded(values: NDArray[Any]) -> NDArray[Any]:
        """Rows [R, ...] as [N, T, ...]."""
        dense = np.zeros((*valid.shape, *values.shape[1:]), values.dtype)
        dense[valid] = values
        return dense

    y = None
    if columns.label is not None:
        y = rows[columns.label].to_numpy(np.int32 if columns.label == "label" else np.float32)
        if not columns.each:
            changes = (np.diff(y) != 0) & (np.diff(np.repeat(np.arange(len(ids)), lengths)) == 0)
            if changes.any():
                refuse_several(rows["sequence"].iloc[int(changes.argmax())], columns)
    groups = None
    if columns.groups is not None:
        values = rows[columns.groups]
        codes, sequence = pd.factorize(values)[0], np.repeat(np.arange(len(ids)), lengths)
        changes = np.flatnonzero((np.diff(codes) != 0) & (np.diff(sequence) == 0))
        if len(changes):
            one, other = values.iloc[changes[0]], values.iloc[changes[0] + 1]
            refuse_two(rows["sequence"].iloc[changes[0]], one, other, columns.groups, columns.path)
        groups = groups_of_column(values.iloc[starts], f"data.path={columns.path}")
    x = padded(rows[list(columns.features)].to_numpy(np.float32))
    if columns.missing != "refuse":
        times = padded(elapsed(rows["timestep"].to_numpy()))
        x = np.nan_to_num(filled(x, lengths, columns.missing, f"data.path={columns.path}", times))
    return Split(
        x,
        y if y is None else padded(y) if columns.each else y[starts],
        None if valid.all() else lengths.astype(np.int32),
        ids,
        steps={name: padded(rows[name].to_numpy()) for name in columns.annotations},
        groups=groups,
    )
