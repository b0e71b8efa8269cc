"""The user's own sequences, from .npz, .parquet or .csv."""

from pathlib import Path

from pipeline.config import Files
from pipeline.data.arrays import splits_from_npz
from pipeline.data.dataset import Dataset, Split, hold_out
from pipeline.data.table import splits_from_table
from pipeline.errors import UserError


def load_files(config: Files) -> Dataset:
    """The data set in a file; a validation split is drawn from training where it brings none."""
    path = Path(config.path)
    classes: tuple[str, ...]
    match path.suffix:
        case ".npz":
            splits = splits_from_npz(path)
            classes = _numbered(splits)
        case ".parquet" | ".csv":
            splits, classes = splits_from_table(path)
        case other:
            raise UserError(f"data.path={path}: '{other}' is none of .npz, .parquet, .csv")
    if "test" not in splits:
        raise UserError(f"data.path={path}: no test sequences (x_test, or split=test)")
    for name, split in splits.items():
        if split.features != splits["test"].features:
            raise UserError(
                f"data.path={path}: {name} has {split.features} features, "
                f"test has {splits['test'].features}"
            )
    train, val = splits.get("train"), splits.get("val")
    if train is not None and val is None and config.validation_fraction:
        train, val = hold_out(train, config.validation_fraction, config.split_seed)
    return Dataset(splits["test"], train, val, classes)


def _numbered(splits: dict[str, Split]) -> tuple[str, ...]:
    """Names for the classes 0 to the largest label."""
    labels = [split.y.max() for split in splits.values() if split.y is not None]
    return tuple(str(label) for label in range(int(max(labels)) + 1)) if labels else ()
