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
    features = features_of(list(frame), path)
    if frame.empty:
        raise UserError(f"data.path={path}: no rows in the table")
    refuse_gaps(frame, features, path)
    frame, classes = with_classes(with_splits(frame, path), path)
    return {
        str(part): _split(rows, features, path) for part, rows in frame.groupby("split", sort=True)
    }, classes


def features_of(columns: list[str], path: Path) -> list[str]:
    """The columns that are features."""
    for column in ("sequence", "timestep"):
        if column not in columns:
            raise UserError(f"data.path={path}: no column '{column}'; it has {columns}")
    features = [column for column in columns if column not in KEYS]
    if not features:
        raise UserError(f"data.path={path}: no feature columns beside {', '.join(KEYS)}")
    return features


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"data.path={path}: cannot be read as a table ({error})") from error


def refuse_gaps(frame: pd.DataFrame, features: list[str], path: Path, first: int = 0) -> None:
    """Raise where a value is missing, or a feature is no finite number in float32.

    Args:
        frame: some rows of the table.
        features: its columns that are features.
        path: of the table.
        first: number of its first row in the table.
    """
    for column in features:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise UserError(
                f"data.path={path}: column '{column}' is not numeric; features must be numbers"
            )
    columns = [*features, *(key for key in KEYS if key in frame)]
    _refuse(frame[columns].isna(), "has no value", path, first)
    with np.errstate(over="ignore"):
        infinite = np.isinf(frame[features].astype(np.float64).astype(np.float32))
    _refuse(infinite, "is infinite, or past float32,", path, first)


def _refuse(found: pd.DataFrame, problem: str, path: Path, first: int) -> None:
    """Raise with the place of the first True."""
    if found.any(axis=None):
        row = int(found.any(axis=1).to_numpy().argmax())
        column = found.columns[found.iloc[row].to_numpy().argmax()]
        raise UserError(f"data.path={path}: row {first + row} {problem} in column '{column}'")


def with_splits(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """With a column split; all is test where there was none."""
    if "split" not in frame:
        return frame.assign(split="test")
    if strange := sorted(set(frame["split"].astype(str)) - set(SPLITS)):
        raise UserError(f"data.path={path}: split '{strange[0]}'; must be one of {SPLITS}")
    return frame


def with_classes(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
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
    keys = {key: rows[key].to_numpy() for key in ("sequence", "timestep")}
    rows = rows.assign(**keys)
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
