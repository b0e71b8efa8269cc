"""Labels, numeric targets and annotations from arrays, with their checks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, release
from rnnscope.errors import UserError
from rnnscope.states.steps import OUTCOME

TAKEN = ("sequence", "timestep", "split", "label", "target", *OUTCOME)
"""Reserved names of columns, which no annotation may have."""
HIGHEST = np.iinfo(np.int32).max


def refuse_names(annotations: list[str]) -> None:
    """Raise where an annotation has a reserved name, or the name of another annotation."""
    option = f"data.annotations=[{','.join(annotations)}]"
    for number, name in enumerate(annotations):
        if name in TAKEN:
            raise UserError(f"{option}: '{name}' is a reserved name; choose another")
        if name in annotations[:number]:
            raise UserError(f"{option}: '{name}' is named twice")


def labels_from(
    values: NDArray[Any], x: LazyArray, lengths: NDArray[np.int32] | None, where: str, *, each: bool
) -> tuple[LazyArray, int | None]:
    """Labels or targets, and the largest class; None where they are numeric targets.

    Args:
        values: of the sequences [N], or of each timestep [N, T]; whole numbers are classes from 0,
            floats are numeric targets.
        x: inputs [N, T, ...].
        lengths: valid timesteps [N]; None where all have T.
        where: what to call the values in an error.
        each: whether they must belong to each timestep.

    Raises:
        UserError: a wrong shape or type, or a valid value that is not a class or not finite.
    """
    _refuse_shape(values, x, where, each=each)
    if values.dtype.kind == "f":
        for start, piece, valid in _pieces(values, lengths):
            says = "a target must be a finite number"
            _refuse(piece, valid & ~_finite(piece), f"{where}[{{}}] is {{}}; {says}", start)
        return values if each else np.array(values, np.float32), None
    if values.dtype.kind not in "iub":
        raise UserError(
            f"{where} has type {values.dtype}; it must hold whole numbers, which are classes, "
            "or floats, which are numeric targets"
        )
    largest = 0
    hint = "; where that is padding, give the data's lengths" if each else ""
    for start, piece, valid in _pieces(values, lengths):
        bad = valid & ((piece < 0) | (piece > HIGHEST))
        _refuse(piece, bad, f"{where}[{{}}] is {{}}; classes count from 0, below 2^31{hint}", start)
        largest = max(largest, int(piece[valid].max()))
    return values if each else np.array(values, np.int32), largest


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
    return values


def _unfit(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an annotation is infinite, or not within int32."""
    if values.dtype.kind == "f":
        return ~(_finite(values) | np.isnan(values))
    return np.asarray((values < -HIGHEST - 1) | (values > HIGHEST))


def _refuse_shape(values: NDArray[Any], x: LazyArray, where: str, *, each: bool) -> None:
    of_sequences, of_timesteps = tuple(x.shape[:1]), tuple(x.shape[:2])
    if values.shape == (of_timesteps if each else of_sequences):
        return
    found = f"{where} has shape {values.shape}; "
    if values.shape == of_timesteps:
        raise UserError(f"{found}labels of single timesteps need data.labels=timestep")
    if not each:
        raise UserError(f"{found}it must be {list(of_sequences)}, as x")
    hint = "; labels of sequences need data.labels=sequence" if values.ndim == 1 else ""
    raise UserError(f"{found}data.labels=timestep takes {list(of_timesteps)}, as x{hint}")


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
        if lengths is not None and values.ndim == 2:
            valid = np.arange(values.shape[1]) < lengths[block, np.newaxis]
        yield block.start, piece, valid
        release(values)


def _finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are finite in float32."""
    with np.errstate(over="ignore"):
        return np.isfinite(values.astype(np.float32, copy=False))
