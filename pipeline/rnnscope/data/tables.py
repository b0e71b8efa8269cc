"""Tables of any layout: read from text files or Parquet, and told apart by their columns."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.config import Files
from rnnscope.data.arrays import splits_from_arrays
from rnnscope.data.classes import Classes
from rnnscope.data.columns import warn_of_scales
from rnnscope.data.dataset import Split
from rnnscope.data.delimited import ENDINGS, Read, read_delimited
from rnnscope.data.footers import read_parquet
from rnnscope.data.groups import refuse_lost
from rnnscope.data.holding import hold_out
from rnnscope.data.label_column import is_run, without_counts
from rnnscope.data.order import refuse_other_order
from rnnscope.data.series import arrays_from_series
from rnnscope.data.table import splits_from_table, with_splits
from rnnscope.data.wide import arrays_from_wide
from rnnscope.data.written import settled
from rnnscope.errors import UserError, listed

log = logging.getLogger(__name__)

TOLD = {"sequence", "timestep"}
"""The columns that make a table a long one."""
CLEARLY_WIDE = 10
"""Columns from which on a table without a header is taken as a wide one."""
Splits = tuple[dict[str, Split], Classes]


def splits_from_tables(options: Files, *, ordered: bool = False) -> Splits:
    """The splits of one table or two, and their classes.

    Args:
        options: which tables.
        ordered: whether the order of sequences must be clear, as other files have them too.
    """
    read = _table(options)
    frame = read.frame
    refuse_lost(frame, options)
    layout = _layout(frame, read.named, options)
    if layout != "wide" and read.short is not None:
        raise UserError(
            f"data.path={options.path}: line {read.short} has fewer fields than others: write "
            "a separator for each field, also for an empty one"
        )
    match layout:
        case "long":
            frame = _with_label(frame, options)
            if ordered:
                refuse_other_order(frame, f"data.path={options.path}")
            splits, classes = splits_from_table(frame, options)
            warn_of_scales(splits, f"data.path={options.path}")
            return splits, classes
        case "wide":
            frame = with_splits(frame, Path(options.path))
            frames = {str(part): rows for part, rows in frame.groupby("split", sort=True)}
            arrays, ids, task = arrays_from_wide(frames, options)
        case _:
            arrays, ids, task = arrays_from_series(frame, options)
            options = replace(options, missing="refuse")  # done
    splits, classes = splits_from_arrays(arrays, replace(options, task=task), clear=True)
    warn_of_scales(splits, f"data.path={options.path}")
    return {part: replace(split, ids=ids.get(part)) for part, split in splits.items()}, classes


def pair_in(folder: Path) -> tuple[Path, Path] | None:
    """The text files *_TRAIN.* and *_TEST.* of a folder, where there is one of each."""
    found: dict[str, list[Path]] = {"train": [], "test": []}
    for path in sorted(folder.iterdir()):
        part = part_of(path)
        if (
            path.name[0] != "."
            and path.is_file()
            and path.suffix.lower() in ENDINGS
            and part in found
        ):
            found[part].append(path)
    train, test = found["train"], found["test"]
    if not train and not test:
        return None
    if len(train) != 1 or len(test) != 1 or train[0].suffix != test[0].suffix:
        raise UserError(
            f"data.path={folder}: the folder holds {listed(p.name for p in train + test)}; "
            "give one as data.path and one as data.test_path"
        )
    return train[0], test[0]


def part_of(path: Path) -> str | None:
    """Train or test, if a file's name ends in it: ECG200_TRAIN."""
    found = re.search(r"(?:^|[_.\- ])(train|test)$", path.stem, re.IGNORECASE)
    return found[1].lower() if found else None


def _table(options: Files) -> Read:
    """All rows, with a column split if they come from two files, and whether columns have names."""
    path = Path(options.path)
    if two := _two(options):
        read = _joined(two["train"], two["test"], options)
    else:
        beside = _beside(path)
        if beside is not None and options.test_fraction is None:
            raise UserError(
                f"data.path={path}: {beside.name} lies beside it: give data.test_path={beside} for "
                "train and test, or to part this file alone into both, data.test_fraction=0.3"
            )
        read = _read(path, options, f"data.path={path}")
    return replace(read, frame=settled(read.frame, read.texts))


def _names(options: Files) -> set[str]:
    """Columns whose values may be names."""
    return {"sequence", "split", "label", *filter(None, [options.label_column, options.groups])}


def _two(options: Files) -> dict[str, Path]:
    """The files of train and test, where there are two."""
    path = Path(options.path)
    pair = pair_in(path) if path.is_dir() else None
    if pair is not None and options.test_path is not None:
        raise UserError(
            f"data.test_path={options.test_path}: data.path={path} is a folder with the test split "
            f"{pair[1].name}: leave data.test_path out, or give data.path={pair[0]}"
        )
    if pair is None and options.test_path is not None:
        pair = path, Path(options.test_path)
    return {} if pair is None else {"train": pair[0], "test": pair[1]}


def _beside(path: Path) -> Path | None:
    """The test file beside a training file, in whichever case its name ends."""
    if part_of(path) != "train":
        return None
    stem = path.stem[: -len("train")]
    endings = dict.fromkeys((path.suffix, path.suffix.lower(), path.suffix.upper()))
    parts = ("TEST", "test", "Test") if path.stem[-1].isupper() else ("test", "Test", "TEST")
    tests = (path.with_name(f"{stem}{part}{ending}") for ending in endings for part in parts)
    return next((test for test in tests if test.is_file()), None)


def _joined(train: Path, test: Path, options: Files) -> Read:
    at = f"data.path={options.path}"
    read = {
        part: _read(path, options, f"{at}, {path.name}" if part == "test" else at)
        for part, path in (("train", train), ("test", test))
    }
    both = read["train"].texts & read["test"].texts
    frames = {part: settled(each.frame, each.texts - both) for part, each in read.items()}
    for part, path in (("train", train), ("test", test)):
        if "split" in frames[part]:
            raise UserError(f"{at}: two files, and {path.name} has a column 'split': leave it out")
    columns = [list(frame) for frame in frames.values()]
    named = read["test"].named
    if named != read["train"].named or (
        named and sorted(map(str, columns[0])) != sorted(map(str, columns[1]))
    ):
        raise UserError(
            f"{at}: {train.name} has the columns {listed(columns[0])}; {test.name} has "
            f"{listed(columns[1])}"
        )
    if frames["train"].reset_index(drop=True).equals(frames["test"].reset_index(drop=True)):
        log.warning(
            f"{at}: {train.name} and {test.name} hold the same rows: train and test are the same "
            "sequences, so scores and decoders say nothing of new ones"
        )
    rows = [frame.assign(split=part) for part, frame in frames.items()]
    index = pd.MultiIndex.from_arrays(
        [
            np.repeat([train.name, test.name], list(map(len, rows))),
            np.concatenate([frame.index for frame in rows]),
        ],
        names=["file", rows[0].index.name],
    )
    frame = pd.concat(rows, ignore_index=True).set_axis(index)
    return Read(frame, named, read["train"].short or read["test"].short, both)


def _read(path: Path, options: Files, at: str) -> Read:
    if path.suffix.lower() == ".parquet" or path.is_dir():
        return Read(without_counts(read_parquet(path)), True)
    ends = options.window is None or options.label_column in ("first", "last")
    read = read_delimited(path, at, _names(options), ends=ends)
    if read.frame.empty:
        raise UserError(f"{at}: no rows in the table")
    frame = without_counts(read.frame)
    renamed = dict(zip(read.frame, frame, strict=True))
    return replace(read, frame=frame, texts=frozenset(renamed[name] for name in read.texts))


def _layout(frame: pd.DataFrame, named: bool, options: Files) -> str:
    """Wide, long or series."""
    at = f"data.path={options.path}"
    if options.window is not None:
        if options.layout is not None:
            raise UserError(
                f"data.window={options.window} cuts a table that is one series, which does not go "
                f"with data.layout={options.layout}: leave one of them out"
            )
        return "series"
    if lost := [n for n in ("stride", "horizon") if getattr(options, n) is not None]:
        raise UserError(f"data.{lost[0]}={getattr(options, lost[0])}: needs data.window")
    if options.layout is not None:
        return options.layout
    names = [str(name) for name in frame if name != "split"]
    if set(names) >= TOLD:
        return "long"
    if named and len(there := TOLD & set(names)) == 1 and "timestep" in there:
        raise UserError(f"{at}: no column 'sequence'; it has {listed(names)}{_choices()}")
    others = ("sequence", "label", "target", options.label_column, options.groups)
    steps = [name for name in names if name not in others]
    if named and any(is_run(each) for each in (steps, steps[1:], steps[:-1])):
        return "wide"
    if not named and len(names) > CLEARLY_WIDE:
        return "wide"
    missing = "timestep" if "sequence" in names else "sequence"
    if not named:
        raise UserError(f"{at}: {len(names)} columns without names{_choices()}")
    raise UserError(f"{at}: no column '{missing}'; it has {listed(names)}{_choices()}")


def _choices() -> str:
    return (
        ". A long table has columns sequence and timestep; if each row is a sequence, give "
        "data.layout=wide; if each row is a timestep of one series, data.window="
    )


def _with_label(frame: pd.DataFrame, options: Files) -> pd.DataFrame:
    """A long table whose label has the name that its kind asks for: label or target."""
    name = options.label_column
    if name is None or name in ("label", "target"):
        return frame
    if name == "none":
        return frame.drop(columns=[key for key in ("label", "target") if key in frame])
    if name not in frame or name in ("sequence", "timestep", "split"):
        raise UserError(
            f"data.label_column={name}: no such column in the long table; it has {listed(frame)}"
        )
    if clash := [key for key in ("label", "target") if key in frame]:
        raise UserError(
            f"data.label_column={name}: the table has a column '{clash[0]}' too: leave one out"
        )
    values: Any = frame[name]
    numbers = pd.api.types.is_float_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if options.task is None and numbers:
        numbers = bool((values.dropna() != np.rint(values.dropna())).any())
        if not numbers:
            raise UserError(
                f"data.label_column={name}: whole numbers stored as floats: give "
                "data.task=classification or data.task=regression"
            )
    regression = options.task == "regression" or (options.task is None and numbers)
    return frame.rename(columns={name: "target" if regression else "label"})


def hold_out_test(splits: dict[str, Split], options: Files) -> dict[str, Split]:
    """The splits; where all is test and a fraction is asked for, this fraction drawn at random.

    Sequences without names are then named by their places in the data, from 0.
    """
    if options.test_fraction is None or options.window is not None:
        return splits
    if list(splits) != ["test"]:
        raise UserError(
            f"data.test_fraction={options.test_fraction:g}: the data has splits of its own "
            f"({listed(splits)}): leave that option out"
        )
    fraction, seed = options.test_fraction, options.split_seed
    whole = splits["test"]
    if whole.ids is None:
        whole = replace(whole, ids=np.arange(len(whole)))
    train, test = hold_out(whole, fraction, seed, "data.test_fraction")
    return {"train": train, "test": test}
