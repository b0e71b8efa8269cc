"""Ends of sequences that are one number over and over, which may be padding that nothing tells."""

import logging
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, release

log = logging.getLogger(__name__)

MOST = 64
"""Different numbers at the ends, past which none of them is padding."""


def warn_of_padding(
    x: LazyArray, where: str, lengths: str, left_out: Callable[[float], bool] | None = None
) -> None:
    """Log where sequences end in runs of one number, of different lengths, as padding does.

    A number that is in all features of other timesteps too is none, nor is 0, in which pictures
    end; of a single feature one within the range of the others, of tokens one from 0 on.

    Args:
        x: inputs [N, T, F] or tokens [N, T], of which no lengths are known.
        where: what to call them.
        lengths: what to call their lengths.
        left_out: whether the model leaves out timesteps of a number.
    """
    if x.dtype.kind not in "fi" or x.ndim not in (2, 3) or x.shape[1] < 3:
        return
    found: dict[float, list[int]] = defaultdict(list)
    for block in blocks(x):
        flat, runs = _ends(x, block)
        for value in np.unique(flat[runs > 0, -1]):
            found[float(value)] += runs[(flat[:, -1] == value) & (runs > 0)].tolist()
        if len(found) > MOST:
            return
        release(x)
    for value, each in found.items():
        if left_out is not None and left_out(value):
            continue
        differ = len(set(each)) > 1 or len(each) < len(x)
        if len(each) > 1 and max(each) > 1 and differ and _only_at_ends(x, value):
            log.warning(
                f"{where}: {len(each):,} of {len(x):,} sequences end in {value:g} in all features, "
                f"up to {max(each):,} timesteps of it, which are read as data: if that is padding, "
                f"give {lengths}"
            )


def _ends(x: LazyArray, block: slice) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The number that is in all features of a timestep, else 0 [B, T]; and its run at the end [B].

    The run is 0 where the last timestep has none, and where the whole sequence is one number.
    """
    values = np.asarray(x[block])
    values = values.reshape(*values.shape[:2], -1)
    same = (values == values[:, :, :1]).all(axis=2)
    flat = np.where(same, values[:, :, 0], 0).astype(np.float64)
    runs = (flat == flat[:, -1:])[:, ::-1].argmin(axis=1)
    return flat, np.where(flat[:, -1] == 0, 0, runs)


def _only_at_ends(x: LazyArray, value: float) -> bool:
    """Whether a number is nowhere but at ends, and out of the range of a single feature."""
    single, low, high = x.ndim == 2 or x.shape[2] == 1, np.inf, -np.inf
    if x.ndim == 2 and value >= 0:
        return False
    for block in blocks(x):
        flat, runs = _ends(x, block)
        rest = np.arange(x.shape[1]) < (x.shape[1] - runs)[:, np.newaxis]
        rest[(flat[:, -1] != value) & (runs > 0)] = True
        rest[(flat == value).all(axis=1)] = False
        if (rest & (flat == value)).any():
            return False
        if single and rest.any():
            low, high = min(low, flat[rest].min()), max(high, flat[rest].max())
        release(x)
    return not (single and low <= value <= high)
