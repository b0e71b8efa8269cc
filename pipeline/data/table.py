"""Sequences from long tables: one row per sequence and timestep, in Parquet or CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.data.dataset import Split
from pipeline.errors import UserError

KEYS = ("sequence", "timestep", "split", "label")
SPLITS = ("train", "val", "test")


def splits_from_table(path: Path) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits of a long table, and the names of its classes.

    Columns: ``sequence`` (a number or a name), ``timestep`` (its order within the sequence),
    ``split`` (train, val or test; all are test where the column is missing), ``label`` (a whole
    number from 0 or a name, the same on all rows of a sequence; may be missing). Every other
    column is a feature. Sequences may differ in length and are padded with zeros on the right.
    """
    frame = _read(path)
    for column in ("sequence", "timestep"):
        if column not in frame:
            raise UserError(f"data.path={path}: no column '{column}'; it has {list(frame)}")
    if frame.empty:
        raise UserError(f"data.path={path}: no rows in the table")
    features = [column for column in frame if column not in KEYS]
    if not features:
        raise UserError(f"data.path={path}: no feature columns beside {', '.join(KEYS)}")
    _refuse_gaps(frame, features, path)
    if "split" not in frame:
        frame = frame.assign(split="test")
    if strange := sorted(set(frame["split"].astype(str)) - set(SPLITS)):
        raise UserError(f"data.path={path}: split '{strange[0]}'; must be one of {SPLITS}")
    frame, classes = _with_classes(frame, path)
    return {
        str(part): _split(rows, features, path) for part, rows in frame.groupby("split", sort=True)
    }, classes


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"data.path={path}: cannot be read as a table ({error})") from error


def _refuse_gaps(frame: pd.DataFrame, features: list[str], path: Path) -> None:
    for column in features:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise UserError(
                f"data.path={path}: column '{column}' is not numeric; features must be numbers"
            )
    columns = [*features, *(key for key in KEYS if key in frame)]
    for problem, found in (
        ("has no value", frame[columns].isna()),
        ("is infinite", np.isinf(frame[features].astype(np.float64))),
    ):
        if found.any(axis=None):
            row = int(found.any(axis=1).to_numpy().argmax())
            column = found.columns[found.iloc[row].to_numpy().argmax()]
            raise UserError(f"data.path={path}: row {row} {problem} in column '{column}'")


def _with_classes(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Labels as whole numbers from 0, and the classes' names."""
    if "label" not in frame:
        return frame, ()
    labels = frame["label"]
    if pd.api.types.is_integer_dtype(labels):
        if labels.min() < 0:
            raise UserError(f"data.path={path}: label {labels.min()}; classes count from 0")
        return frame, tuple(str(label) for label in range(int(labels.max()) + 1))
    if pd.api.types.is_float_dtype(labels):
        raise UserError(f"data.path={path}: labels must be whole numbers or names, not fractions")
    codes, names = pd.factorize(labels.astype(str), sort=True)
    return frame.assign(label=codes), tuple(names)


def _split(rows: pd.DataFrame, features: list[str], path: Path) -> Split:
    # A category sorts by its own order, which need not be that of the values.
    rows = rows.assign(sequence=rows["sequence"].to_numpy())
    rows = rows.sort_values(["sequence", "timestep"], kind="stable")
    twice = rows.duplicated(["sequence", "timestep"])
    if twice.any():
        sequence, timestep = rows.loc[twice, ["sequence", "timestep"]].iloc[0]
        raise UserError(
            f"data.path={path}: sequence {sequence} has timestep {timestep} twice in one split"
        )
    ids, starts, lengths = np.unique(
        rows["sequence"].to_numpy(), return_index=True, return_counts=True
    )
    x = np.zeros((len(ids), lengths.max(), len(features)), np.float32)
    x[np.arange(x.shape[1]) < lengths[:, np.newaxis]] = rows[features].to_numpy(np.float32)
    y = None
    if "label" in rows:
        y = rows["label"].to_numpy(np.int32)
        changes = (np.diff(y) != 0) & (np.diff(np.repeat(np.arange(len(ids)), lengths)) == 0)
        if changes.any():
            sequence = rows["sequence"].iloc[int(changes.argmax())]
            raise UserError(f"data.path={path}: sequence {sequence} has more than one label")
        y = y[starts]
    same = bool((lengths == lengths[0]).all())
    return Split(x, y, None if same else lengths.astype(np.int32), ids)
