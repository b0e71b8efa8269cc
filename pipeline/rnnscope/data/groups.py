"""Groups of sequences that share a source: a patient, a text, a recording day."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.classes import TEXT, texts_of
from rnnscope.data.dataset import Split
from rnnscope.data.labels import TAKEN
from rnnscope.data.lines import place
from rnnscope.data.names import FEWEST, refuse_unclear, refuse_unclear_names
from rnnscope.errors import UserError, listed

log = logging.getLogger(__name__)

WHOLE = 2**53
"""Up to this size floats hold every whole number."""


def refuse_name(options: Files) -> None:
    """Raise where data.groups names what is something else already."""
    name = options.groups
    if name is None:
        return
    at = f"data.groups={name}"
    if name in (*TAKEN, "x", "y", "lengths"):
        raise UserError(f"{at}: '{name}' is a reserved name; choose another")
    if name in (options.annotations or []):
        raise UserError(f"{at}: '{name}' is in data.annotations too: leave it out there")
    if name == options.label_column:
        raise UserError(f"{at}: '{name}' is data.label_column too")


def refuse_lost(columns: Iterable[Any], options: Files) -> None:
    """Raise where a table has no column of the name in data.groups."""
    if options.groups is not None and options.groups not in columns:
        raise UserError(f"data.groups={options.groups}: no such column; it has {listed(columns)}")


def refuse_two(sequence: Any, one: Any, other: Any, column: str, path: Path) -> None:
    """Raise because the group changes within a sequence."""
    raise UserError(
        f"data.path={path}: sequence {sequence} has two values in column "
        f"'{column}', {one} and {other}; data.groups must be the same on all its rows"
    )


def groups_of_column(values: "pd.Series[Any]", at: str) -> NDArray[Any]:
    """The groups in a column of a table [R], checked.

    Args:
        values: the column.
        at: what to call the table in an error.
    """
    where = f"{at}: column '{values.name}'"
    if values.isna().any():
        row = place(values.index, int(values.isna().to_numpy().argmax()))
        raise UserError(f"{where} has no value in {row}; each sequence needs a group")
    if pd.api.types.is_numeric_dtype(values):
        return groups_from(values.to_numpy(), len(values), where)
    return groups_from(values.astype(str).to_numpy().astype("U"), len(values), where)


def without_groups(
    frames: dict[str, pd.DataFrame], options: Files, at: str
) -> tuple[dict[str, pd.DataFrame], dict[str, NDArray[Any]]]:
    """The frames of each split without the column of groups, and this as arrays <groups>_<split>.

    Args:
        frames: rows of each split.
        options: of the data.
        at: what to call the table in an error.
    """
    name = options.groups
    if name is None:
        return frames, {}
    refuse_unclear(pd.concat([frame[name] for frame in frames.values()]), at)
    found = {f"{name}_{part}": groups_of_column(frame[name], at) for part, frame in frames.items()}
    return {part: frame.drop(columns=name) for part, frame in frames.items()}, found


def groups_of_split(
    arrays: dict[str, NDArray[Any]], count: int, part: str, options: Files
) -> NDArray[Any] | None:
    """The groups in the array <groups>_<split> [N]; None where the option names none.

    Args:
        arrays: of all splits.
        count: N.
        part: the split.
        options: of the data.
    """
    if options.groups is None:
        return None
    name = f"{options.groups}_{part}"
    if name not in arrays:
        raise UserError(f"data.groups={options.groups}: no array '{name}' in {options.path}")
    return groups_from(arrays[name], count, f"data.path={options.path}: {name}")


def groups_from(values: NDArray[Any], count: int, where: str) -> NDArray[Any]:
    """The group of each sequence [N], whole numbers or text, checked.

    Args:
        values: numbers or text [N], also [N, 1] or [1, N], as MATLAB has vectors.
        count: N.
        where: what to call them in an error.
    """
    if values.shape in ((count, 1), (1, count)):
        values = values.ravel()
    if values.shape != (count,):
        raise UserError(f"{where} has shape {values.shape}; it must be [{count}], as x")
    if values.dtype.kind in TEXT:
        try:
            return _named(texts_of(values), where)
        except UnicodeDecodeError as error:
            raise UserError(f"{where} holds bytes that are no text in UTF-8") from error
    if values.dtype.kind not in "fiub":
        raise UserError(f"{where} has type {values.dtype}; groups must be whole numbers or text")
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            strange = ~((values == np.rint(values)) & (np.abs(values) <= WHOLE))
        if strange.any():
            first = int(strange.argmax())
            raise UserError(
                f"{where}[{first}] is {values[first]}; groups must be whole numbers or text"
            )
    return values.astype(np.int64)


def _named(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Texts, none of which may be empty."""
    empty = np.flatnonzero(values == "")
    if len(empty):
        raise UserError(f"{where}[{empty[0]}] is empty; each sequence needs a group")
    return values


def refuse_unclear_groups(groups: dict[str, NDArray[Any] | None], options: Files) -> None:
    """Raise where it is not clear which groups of arrays are the same, or are names at all.

    Args:
        groups: of each split [N].
        options: of the data.
    """
    named = {
        f"{options.groups}_{part}": each
        for part, each in groups.items()
        if each is not None and each.dtype.kind == "U"
    }
    if not named:
        return

    def place_of(text: str) -> str:
        where, each = next((where, each) for where, each in named.items() if (each == text).any())
        return f"{where}[{int((each == text).argmax())}]"

    last = [f"{where}[{len(each) - 1}]" for where, each in named.items() if len(each) >= FEWEST]
    texts = np.unique(np.concatenate([*named.values()]))
    where = f"data.path={options.path}: {', '.join(named)}"
    refuse_unclear_names(texts.tolist(), where, place_of, last)


def warn_of_shared(splits: dict[str, Split], options: Files) -> None:
    """Log in one line how many groups the splits share, whose sequences are then not independent.

    Args:
        splits: as the data gives them.
        options: of the data.
    """
    known = {
        part: np.unique(split.groups) for part, split in splits.items() if split.groups is not None
    }
    said = []
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        if one in known and other in known:
            shared = np.intersect1d(known[one], known[other])
            if len(shared):
                said.append(f"{len(shared)} of {len(known[other])} in {other} are in {one} too")
    if said:
        log.warning(
            f"data.groups={options.groups}: {', '.join(said)}: what a model knows of a group from "
            "training makes its scores too high"
        )
