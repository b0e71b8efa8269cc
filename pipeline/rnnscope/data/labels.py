"""Labels, numeric targets and annotations from arrays, with their checks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.classes import MOST, TEXT, Classes, decided, numbered, texts_of, values_of
from rnnscope.data.decimals import as_numbers
from rnnscope.data.forms import NUMBERS, plain, refuse_horizons, several_targets
from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, recoded, release
from rnnscope.data.names import FEWEST, refuse_unclear_names
from rnnscope.data.precision import warn_of_coarse
from rnnscope.errors import UserError
from rnnscope.states.steps import NUMBERED, OUTCOME

TAKEN = ("sequence", "timestep", "split", "label", "target", *OUTCOME)
"""Reserved names of columns, which no annotation may have."""
AT_ONCE = 2**17
"""Values that are compared at a time: the table of those seen stays small."""
HIGHEST = np.iinfo(np.int32).max


def refuse_names(annotations: list[str]) -> None:
    """Raise where an annotation has a reserved name, or the name of another annotation."""
    option = f"data.annotations=[{','.join(annotations)}]"
    for number, name in enumerate(annotations):
        if name in TAKEN or NUMBERED.fullmatch(name):
            raise UserError(f"{option}: '{name}' is a reserved name; choose another")
        if name in annotations[:number]:
            raise UserError(f"{option}: '{name}' is named twice")


@dataclass(frozen=True)
class Given:
    """The y of one split, as the user gave it."""

    y: LazyArray
    timesteps: int
    """T of its split."""
    lengths: NDArray[np.int32] | None
    """Valid timesteps [N]; None where all have T."""
    where: str
    """What to call y in an error."""


def labels_from(
    given: dict[str, Given],
    labels: str | None,
    task: str | None,
    most: int = MOST,
    *,
    clear: bool = False,
) -> tuple[dict[str, LazyArray], Classes]:
    """The labels or targets of the splits, and their classes, none if numeric.

    They are [N], or of timesteps [N, T]; D numeric targets of each timestep are [N, T, D].

    Args:
        given: the y of each split, in any of the forms that ``forms.plain`` takes.
        labels: option ``data.labels``.
        task: option ``data.task``.
        most: option ``data.max_classes``.
        clear: whether names are known to be clear, as those of tables are.

    Raises:
        UserError: a form or type that is none, or can be two; a value that is not finite; or names
            of which it is not clear which are the same.
    """
    known, found, k = {}, [], 0
    read = {part: _of_one_type(raw) for part, raw in given.items()}
    # What is one-hot in one split is no class where another has targets in its place.
    one_hot = task != "regression" and not any(
        several_targets(each.y, each.timesteps, each.lengths) for each in read.values()
    )
    for part, each in read.items():
        y, of_form = plain(
            each.y, each.timesteps, each.lengths, each.where, labels, classes=one_hot
        )
        k = max(k, of_form)
        known[part] = replace(each, y=y)
        _refuse_endless(known[part])
        _refuse_negative(known[part])
        _refuse_huge(known[part])
        found.append(values_of(_valid(y, each.lengths), each.where))
    where = ", ".join(each.where.rpartition(" ")[2] for each in given.values())
    if several := [each for each in known.values() if len(each.y.shape) == 3]:
        _refuse_several_classes(several[0], task)
        task = "regression"
    classes = decided(found, task, said=where, most=most)
    if classes is None:
        return {part: _targets(each, labels) for part, each in known.items()}, Classes()
    if not clear and not classes.occurring:
        _refuse_unclear(known, classes)
    if k and classes.occurring:
        classes = replace(numbered(np.array(classes.occurring), k), columns=k)
    return {part: _coded(each.y, classes) for part, each in known.items()}, classes


def _refuse_several_classes(given: Given, task: str | None) -> None:
    """Raise where numbers [N, T, D] are to be classes."""
    if task == "classification":
        raise UserError(
            f"{given.where} has shape {tuple(given.y.shape)}: {given.y.shape[2]} numbers for each "
            "timestep, which are not one-hot; data.task=classification takes one class for each"
        )


def _refuse_unclear(known: dict[str, Given], classes: Classes) -> None:
    """Raise where it is not clear which names of classes are the same, or are names at all."""

    def place_of(name: str) -> str:
        for each in known.values():
            for start, piece, valid in _pieces(each.y, each.lengths):
                there = np.argwhere(valid & (texts_of(piece) == name))
                if len(there):
                    first, *rest = there[0].tolist()
                    return _place(each, start + first, *rest)
        raise AssertionError(name)

    whole = [each for each in known.values() if len(each.y.shape) == 1 and len(each.y) >= FEWEST]
    at = next((each.where.rpartition(" ")[0] for each in known.values()), "")
    where = ", ".join(each.where.rpartition(" ")[2] for each in known.values())
    last = [_place(each, len(each.y) - 1) for each in whole]
    refuse_unclear_names(classes.names, f"{at} {where}", place_of, last)


def _place(given: Given, *index: int) -> str:
    """What to call one label: y_test[3]."""
    return f"{given.where.rpartition(' ')[2]}[{', '.join(map(str, index))}]"


def _of_one_type(given: Given) -> Given:
    """The same, of numbers or names.

    Raises:
        UserError: of another type.
    """
    if given.y.dtype == object:
        given = replace(given, y=as_numbers(given.y[:], given.where))
    if given.y.dtype.kind not in NUMBERS + TEXT:
        raise UserError(
            f"{given.where} has type {given.y.dtype}; it must hold whole numbers or names, which "
            "are classes, or floats, which are numeric targets"
        )
    return given


def _refuse_endless(given: Given) -> None:
    """Raise where a valid label or target is not finite in float32."""
    if given.y.dtype.kind == "f":
        for start, piece, valid in _pieces(given.y, given.lengths):
            says = "a target must be a finite number"
            if np.isnan(piece[valid]).any() and piece.ndim > 1:
                says += "; where that is padding, give the data's lengths"
            _refuse(piece, valid & ~_finite(piece), f"{given.where}[{{}}] is {{}}; {says}", start)


def _refuse_huge(given: Given) -> None:
    """Raise where a label is past the largest whole number that has a sign."""
    if given.y.dtype.kind == "u" and given.y.dtype.itemsize == 8:
        for start, piece, valid in _pieces(given.y, given.lengths):
            says = "a label must be below 2^63; text names classes of any kind"
            bad = valid & (piece > np.iinfo(np.int64).max)
            _refuse(piece, bad, f"{given.where}[{{}}] is {{}}; {says}", start)


def _refuse_negative(given: Given) -> None:
    """Raise where a label of a timestep is negative, which mostly stands for padding."""
    if len(given.y.shape) == 2 and given.y.dtype.kind == "i":
        for start, piece, valid in _pieces(given.y, given.lengths):
            says = "classes of timesteps count from 0; where that is padding, give the data's"
            _refuse(
                piece, valid & (piece < 0), f"{given.where}[{{}}] is {{}}; {says} lengths", start
            )


def _targets(given: Given, labels: str | None) -> LazyArray:
    """Numeric targets [N], [N, T] or [N, T, D]."""
    y = given.y
    if len(y.shape) == 2 and labels is None:
        refuse_horizons(y, given.where)
    warn_of_coarse(y, given.where, "", "")
    if y.dtype.kind == "f" and len(y.shape) > 1:
        return y
    made = recoded(y, lambda values: values, tuple(y.shape), np.float32)
    return made if len(y.shape) > 1 else made[:]


def _coded(y: LazyArray, classes: Classes) -> LazyArray:
    """The numbers of the classes; whole numbers of timesteps stay as they are, on disk if there."""
    if len(y.shape) == 2 and y.dtype.kind in "iub" and not classes.ranked:
        return y
    made = recoded(y, classes.numbers, tuple(y.shape), np.int32)
    return made if len(y.shape) == 2 else made[:]


def annotation_from(
    values: NDArray[Any], x: LazyArray, lengths: NDArray[np.int32] | None, where: str
) -> LazyArray:
    """An annotation [N, T], checked to hold numbers; NaN stands for an unknown value."""
    if values.shape != tuple(x.shape[:2]):
        raise UserError(f"{where} has shape {values.shape}; it must be {list(x.shape[:2])}, as x")
    if values.dtype.kind not in "fiub":
        raise UserError(f"{where} has type {values.dtype}; annotations must be numbers")
    for start, piece, valid in _pieces(values, lengths):
        says = "an annotation must fit in float32 or int32"
        _refuse(piece, valid & _unfit(piece), f"{where}[{{}}] is {{}}; {says}", start)
    if values.dtype.kind == "f":
        warn_of_coarse(values, where, "", "")
    return values


def _unfit(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an annotation is infinite, or not within int32."""
    if values.dtype.kind == "f":
        return ~(_finite(values) | np.isnan(values))
    return np.asarray((values < -HIGHEST - 1) | (values > HIGHEST))


def _refuse(values: NDArray[Any], bad: NDArray[np.bool_], says: str, start: int) -> None:
    """Raise with the place of the first bad value, and the value itself."""
    if bad.any():
        first, *rest = np.argwhere(bad)[0]
        raise UserError(
            says.format(", ".join(map(str, [start + first, *rest])), values[first, *rest])
        )


def _pieces(
    values: NDArray[Any], lengths: NDArray[np.int32] | None
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.bool_]]]:
    """Runs of sequences: the first one's number, their values, and which of those are valid."""
    for block in blocks(values):
        piece = values[block]
        valid = np.ones(piece.shape, bool)
        if lengths is not None and len(values.shape) > 1:
            there = np.arange(values.shape[1]) < lengths[block, np.newaxis]
            valid &= there.reshape(*there.shape, *(1 for _ in values.shape[2:]))
        yield block.start, piece, valid
        release(values)


def _valid(y: LazyArray, lengths: NDArray[np.int32] | None) -> Iterator[NDArray[Any]]:
    """The valid values [V] of a y [N], [N, T] or [N, T, D], about ``AT_ONCE`` at a time."""
    size = max(1, AT_ONCE // int(np.prod(y.shape[1:])))
    for _, piece, valid in _pieces(y, lengths):
        for start in range(0, len(piece), size):
            rows = slice(start, start + size)
            yield piece[rows][valid[rows]]


def _finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are finite in float32."""
    with np.errstate(over="ignore"):
        return np.isfinite(values.astype(np.float32, copy=False))
