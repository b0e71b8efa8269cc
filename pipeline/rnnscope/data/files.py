"""The user's own sequences: arrays, tables or one long series, each in its kinds of files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.arrays import splits_from_arrays
from rnnscope.data.dataset import Dataset, Split
from rnnscope.data.delimited import ENDINGS
from rnnscope.data.groups import refuse_name, warn_of_shared
from rnnscope.data.hdf5 import read_hdf5
from rnnscope.data.holding import hold_out
from rnnscope.data.inputs import Roles
from rnnscope.data.labels import refuse_names
from rnnscope.data.matlab import read_mat
from rnnscope.data.npy import map_npy, read_npz
from rnnscope.data.overlap import refuse_overlap
from rnnscope.data.parquet import names_in, splits_from_parquet
from rnnscope.data.recorded import Recorded, with_inputs
from rnnscope.data.regular import below, refuse_unusable
from rnnscope.data.scales import refuse_other_scales
from rnnscope.data.summary import announce
from rnnscope.data.tables import TOLD, hold_out_test, pair_in, splits_from_tables
from rnnscope.errors import UserError, brief, listed

ARRAYS: dict[str, Callable[[Path], dict[str, NDArray[Any]]]] = {
    ".npz": read_npz,
    ".npy": map_npy,
    ".mat": read_mat,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
OF_TABLES = ("test_path", "layout", "label_column", "window", "stride", "horizon")
"""Options that arrays have no use for."""


def load_files(
    config: Files, roles: Roles | None = None, recorded: Recorded | None = None
) -> Dataset:
    """The data set in a file; if it has no validation split, one is drawn from training."""
    path = Path(config.path)
    refuse_names(config.annotations or [])
    refuse_name(config)
    kind = _kind(path)
    refuse_unusable(path, "data.path")
    if config.test_path is not None:
        refuse_unusable(Path(config.test_path), "data.test_path")
    if kind in ARRAYS:
        for name in OF_TABLES:
            if (value := getattr(config, name)) is not None:
                raise UserError(f"data.{name}={value}: for tables; {path} holds arrays")
        arrays = ARRAYS[kind](path)
        if recorded is not None:
            arrays = with_inputs(arrays, recorded, config)
        splits, classes = splits_from_arrays(arrays, config, roles)
    elif kind == ".parquet" and _long(config):
        splits, classes = splits_from_parquet(config, ordered=recorded is not None)
    else:
        splits, classes = splits_from_tables(config, ordered=recorded is not None)
    warn_of_shared(splits, config)
    splits = hold_out_test(splits, config)
    if "test" not in splits:
        raise UserError(f"data.path={path}: no test sequences (x_test, or split=test)")
    for name, split in splits.items():
        _refuse_other_inputs(split, splits["test"], name, path)
    _refuse_other_labels(splits, path)
    refuse_other_scales(splits, f"data.path={path}")
    refuse_overlap(splits, f"data.path={path}")
    train, val = splits.get("train"), splits.get("val")
    if train is not None and val is None and config.validation_fraction:
        train, val = hold_out(train, config.validation_fraction, config.split_seed)
    known = classes.names, classes.occurring, classes.columns
    dataset = Dataset(splits["test"], train, val, *known)
    announce(dataset, config)
    return dataset


def _kind(path: Path) -> str:
    """The ending of a file, or of what lies in a folder."""
    if not path.is_dir():
        kind = path.suffix.lower()
        if kind not in (*ARRAYS, *ENDINGS, ".parquet") or kind == ".npy":
            raise UserError(
                f"data.path={path}: '{kind}' is none of .npz, .parquet, .csv, .tsv, .txt, .data, "
                ".mat, .h5, .hdf5, or a folder of .npy or of .parquet files"
            )
        return kind
    refuse_unusable(path, "data.path")
    files = below(path)
    held = [e for e in (".npy", ".parquet") if any(file.suffix.lower() == e for file in files)]
    if not held and pair_in(path) is not None:
        return ENDINGS[0]
    if len(held) != 1:
        there = listed(brief(file.relative_to(path), 20) for file in files) or "no files"
        raise UserError(
            f"data.path={path}: the folder holds {there}; it must hold .npy files or .parquet "
            "files, not both, or one text file *_TRAIN.* and one *_TEST.*"
        )
    return held[0]


def _long(config: Files) -> bool:
    """Whether a table in Parquet is a long one, which may be larger than memory."""
    path = Path(config.path)
    if config.test_path or config.window or config.layout == "wide" or config.label_column:
        return False
    return config.layout == "long" or path.is_dir() or names_in(path) >= TOLD


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
