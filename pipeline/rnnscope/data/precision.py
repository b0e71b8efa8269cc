"""Inputs that float32, in which networks compute, cannot tell apart, such as times since 1970."""

import itertools
import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, read, release

log = logging.getLogger(__name__)

FEWEST = 100
"""Steps of float32 within the range of a feature, below which its values are too coarse."""
NOISE = 1e-11
"""Share of the largest value that sums and differences in float64 may be apart by rounding."""
PIECES = 4
"""Runs of sequences, from the first, of which the range is measured."""
TRAINED = ", for the model's training too"


def warn_of_coarse(x: LazyArray, where: str, of: str = "feature", remedy: str = TRAINED) -> None:
    """Log where the steps of float32 are wide beside the range of a feature's values.

    Args:
        x: inputs [N, T, ...], or single values [N] or [N, T]; whole numbers [N, T] are tokens,
            which stay whole.
        where: what to call x.
        of: what its last axis has; "" where that is a single value.
        remedy: what to say besides.
    """
    if _exact(x.dtype) or (x.dtype.kind in "iu" and len(x.shape) == 2):
        return
    features = int(np.prod(x.shape[2:]))
    low, high = np.full(features, np.inf), np.full(features, -np.inf)
    for block in itertools.islice(blocks(x), PIECES):
        values = np.asarray(read(x, block), np.float64).reshape(-1, features)
        known = np.isfinite(values)
        low = np.minimum(low, np.min(values, 0, initial=np.inf, where=known))
        high = np.maximum(high, np.max(values, 0, initial=-np.inf, where=known))
        release(x)
    coarse = _coarse(low, high)
    if of == "unit":  # states that saturate at 1 are no offset
        coarse &= np.maximum(np.abs(low), np.abs(high)) > 1
    if coarse.any():
        worst = int(coarse.argmax())
        _warn(f"{where}: {of} {worst}" if of else where, low[worst], high[worst], remedy)


def warn_of_coarse_columns(frame: pd.DataFrame, names: list[Any], at: str) -> None:
    """The same of columns of a table."""
    for name in names:
        if not _exact(np.asarray(frame[name]).dtype):
            values = frame[name].to_numpy(np.float64)
            values = values[np.isfinite(values)]
            low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
            if _coarse(low, high):
                return _warn(f"{at}: column '{name}'", low, high, TRAINED)
    return None


def _exact(dtype: np.dtype[Any]) -> bool:
    """Whether float32 holds all values of a type, or it holds no numbers."""
    return dtype.kind not in "iuf" or np.can_cast(dtype, np.float32)


def _coarse(low: Any, high: Any) -> NDArray[np.bool_]:
    """Whether values from ``low`` to ``high`` are few in float32."""
    with np.errstate(invalid="ignore", over="ignore"):
        largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float32)
        steps = np.spacing(largest).astype(np.float64)
        whole = (low == np.rint(low)) & (high == np.rint(high))
        apart = whole | (high - low > NOISE * largest)
        found: NDArray[np.bool_] = apart & (low < high) & (steps * FEWEST > high - low)
    return found


def _warn(what: str, low: float, high: float, remedy: str) -> None:
    step = np.spacing(np.float32(max(abs(low), abs(high))))
    log.warning(
        f"{what} is from {low:.17g} to {high:.17g}, where float32 has steps of {step:g}: subtract "
        f"{low:.17g}{remedy}"
    )
