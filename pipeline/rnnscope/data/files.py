"""The user's own sequences: .npz, .parquet or .csv, or a folder of .npy or .parquet files."""

from pathlib import Path

from rnnscope.config import Files
from rnnscope.data.arrays import map_npy, read_npz, splits_from_arrays
from rnnscope.data.dataset import Dataset, Split, hold_out
from rnnscope.data.labels import refuse_names
from rnnscope.data.parquet import splits_from_parquet
from rnnscope.data.table import splits_from_table
from rnnscope.errors import UserError


def load_files(config: Files) -> Dataset:
    """The data set in a file; if it has no validation split, one is drawn from training."""
    path = Path(config.path)
    refuse_names(config.annotations or [])
    match _kind(path):
        case ".npz":
            splits, classes = splits_from_arrays(read_npz(path), config)
        case ".npy":
            splits, classes = splits_from_arrays(map_npy(path), config)
        case ".parquet":
            splits, classes = splits_from_parquet(config)
        case ".csv":
            splits, classes = splits_from_table(config)
        case other:
            raise UserError(
                f"data.path={path}: '{other}' is none of .npz, .parquet, .csv, "
                "or a folder of .npy or .parquet files"
            )
    if "test" not in splits:
        raise UserError(f"data.path={path}: no test sequences (x_test, or split=test)")
    for name, split in splits.items():
        _refuse_other_inputs(split, splits["test"], name, path)
    _refuse_other_labels(splits, path)
    train, val = splits.get("train"), splits.get("val")
    if train is not None and val is None and config.validation_fraction:
        train, val = hold_out(train, config.validation_fraction, config.split_seed)
    return Dataset(splits["test"], train, val, classes)


def _kind(path: Path) -> str:
    """The ending of a file, or of what lies in a folder."""
    if not path.is_dir():
        return path.suffix
    held = [ending for ending in (".npy", ".parquet") if any(path.rglob(f"*{ending}"))]
    if len(held) != 1:
        what = "both" if held else "neither"
        raise UserError(
            f"data.path={path}: the folder holds {what} .npy and .parquet files; one kind is needed"
        )
    return held[0]


def _refuse_other_inputs(split: Split, test: Split, name: str, path: Path) -> None:
    """Raise where a split's inputs are not those of the test split."""
    if split.x.shape[2:] != test.x.shape[2:]:
        sizes = [tuple(each.x.shape[2:]) for each in (split, test)]
        raise UserError(
            f"data.path={path}: {name} has {split.features} features, test has {test.features}"
            if len(sizes[0]) == len(sizes[1]) == 1
            else f"data.path={path}: a timestep of {name} has shape {sizes[0]}, of test {sizes[1]}"
        )
    if (split.name, set(split.others)) != (test.name, set(test.others)):
        inputs = [sorted(filter(None, [each.name, *each.others])) for each in (split, test)]
        raise UserError(
            f"data.path={path}: {name} has the further inputs {inputs[0]}, test has {inputs[1]}"
        )


def _refuse_other_labels(splits: dict[str, Split], path: Path) -> None:
    """Raise where one split has classes and another has numeric targets."""
    kinds = {name: split.labels for name, split in splits.items() if split.labels}
    if len(set(kinds.values())) > 1:
        said = ", ".join(f"{name} has a {kind}" for name, kind in kinds.items())
        raise UserError(
            f"data.path={path}: {said}; whole numbers are classes, floats are numeric targets"
        )
