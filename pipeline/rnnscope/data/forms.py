"""The forms in which y comes: of sequences or timesteps, one-hot, as a column, as horizons."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, recoded, release
from rnnscope.errors import UserError

NUMBERS = "biuf"


def plain(
    y: LazyArray,
    timesteps: int,
    lengths: NDArray[np.int32] | None,
    where: str,
    labels: str | None,
    *,
    classes: bool = True,
) -> tuple[LazyArray, int]:
    """A y of any form as one value for each sequence [N] or timestep [N, T], and its form's K.

    Floats may be D values for each timestep [N, T, D].

    Args:
        y: [N] or [N, T]; [N, 1] or [N, T, 1], whose last axis is dropped; or one-hot, [N, K] or
            [N, T, K], which becomes the number of the 1; or floats [N, T, D], which stay. Its
            padding may hold any value.
        timesteps: T.
        lengths: valid timesteps [N]; None where all have T.
        where: what to call y in an error.
        labels: option ``data.labels``; null takes the form that the shape tells.
        classes: whether one-hot vectors are classes; else they are numbers as any others.

    Returns:
        y, and the number of classes K if it was one-hot, else 0.

    Raises:
        UserError: a shape that is none of these, or that can mean two of them, or not what
            ``labels`` says.
    """
    of_timesteps = (len(y), timesteps)
    y = _without_column(y, keep=of_timesteps if labels == "timestep" else ())
    shape, found = tuple(y.shape), f"{where} has shape {tuple(y.shape)}"
    if len(shape) == 1:
        if labels == "timestep":
            raise UserError(
                f"{found}; data.labels=timestep takes {list(of_timesteps)}, as x; "
                "labels of sequences need data.labels=sequence"
            )
        return y, 0
    if shape == of_timesteps:
        return _of_timesteps(y, where, labels, classes=classes)
    each = len(shape) == 3 and shape[:2] == of_timesteps
    if classes and (len(shape) == 2 or each) and _one_hot(y, lengths if each else None):
        if labels is not None and each != (labels == "timestep"):
            raise UserError(
                f"{found}, one-hot classes of {'timesteps' if each else 'sequences'}, which does "
                f"not go with data.labels={labels}: leave that option out"
            )
        return _places(y), shape[-1]
    if each and y.dtype.kind == "f" and labels != "sequence":
        return y, 0
    if each and y.dtype.kind in "iub":
        raise UserError(
            f"{found}: {shape[2]} whole numbers for each timestep, which are not one-hot; written "
            "as floats they are numeric targets, of which a timestep may have several"
        )
    if labels == "timestep":
        raise UserError(f"{found}; data.labels=timestep takes {list(of_timesteps)}, as x")
    raise UserError(f"{found}: {_several(y)}")


def refuse_horizons(y: LazyArray, where: str) -> None:
    """Raise because numbers [N, T] may belong to timesteps, or be several of each sequence."""
    raise UserError(
        f"{where} has shape {tuple(y.shape)}: if each timestep has a target of its own, give "
        f"data.labels=timestep; if not, these are {_several(y)}"
    )


def several_targets(y: LazyArray, timesteps: int, lengths: NDArray[np.int32] | None) -> bool:
    """Whether a y is floats [N, T, D] that are not one-hot: numbers for each timestep."""
    y = _without_column(y)
    if len(y.shape) != 3 or y.shape[:2] != (len(y), timesteps) or y.dtype.kind != "f":
        return False
    return not _one_hot(y, lengths)


def _of_timesteps(
    y: LazyArray, where: str, labels: str | None, *, classes: bool
) -> tuple[LazyArray, int]:
    """A y [N, T], which may be labels of timesteps, one-hot classes or horizons."""
    found = f"{where} has shape {tuple(y.shape)}"
    if labels == "timestep":
        return y, 0
    if classes and _one_hot(y, None):
        if labels == "sequence":
            return _places(y), y.shape[1]
        raise UserError(
            f"{found}, as many as x has timesteps, with a single 1 in each row: if these are "
            "one-hot classes of sequences, give data.labels=sequence; if they are labels of "
            "timesteps, data.labels=timestep"
        )
    if labels is None and not _fractions(y):
        return y, 0
    if labels is None:
        refuse_horizons(y, where)
    raise UserError(
        f"{found}, labels of single timesteps by their shape, which need data.labels=timestep, not "
        f"data.labels=sequence; if they are not, these are {_several(y)}"
    )


def _several(y: LazyArray) -> str:
    """What to do with several values for each sequence."""
    count = int(np.prod(y.shape[1:]))
    what = "numbers" if y.dtype.kind in NUMBERS else "names"
    return (
        f"{count} {what} for each sequence, which are not one-hot. A single one can be trained on "
        "and scored: keep one column, such as y[:, 0]. For a model of several outputs, train it in "
        f"Keras and record it with model=file from a copy of the data without y"
    )


def _without_column(y: LazyArray, keep: tuple[int, ...] = ()) -> LazyArray:
    """Without last axes of size 1, except where y has the shape to keep."""
    while len(y.shape) > 1 and y.shape[-1] == 1 and tuple(y.shape) != keep:
        y = recoded(y, lambda values: values[..., 0], tuple(y.shape[:-1]), y.dtype)
    return y


def _places(y: LazyArray) -> LazyArray:
    """Of one-hot vectors the place of the 1."""
    return recoded(y, lambda values: values.argmax(axis=-1), tuple(y.shape[:-1]), np.int32)


def _one_hot(y: LazyArray, lengths: NDArray[np.int32] | None) -> bool:
    """Whether all valid vectors along the last axis hold a single 1 and else 0."""
    if y.dtype.kind not in NUMBERS or y.shape[-1] < 2:
        return False
    for block in blocks(y):
        values = y[block]
        right = ((values == 0) | (values == 1)).all(axis=-1) & ((values == 1).sum(axis=-1) == 1)
        release(y)
        if lengths is not None:
            right |= np.arange(y.shape[1]) >= lengths[block, np.newaxis]
        if not right.all():
            return False
    return True


def _fractions(y: LazyArray) -> bool:
    """Whether a y of floats holds a finite number that is not whole."""
    if y.dtype.kind != "f":
        return False
    for block in blocks(y):
        values = y[block]
        release(y)
        if ((values != np.rint(values)) & np.isfinite(values)).any():
            return True
    return False
