"""Windows of one series, and their labels or targets."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.decimals import in_column
from rnnscope.data.lines import place
from rnnscope.data.names import refuse_ranks, refuse_unclear
from rnnscope.errors import UserError, brief

log = logging.getLogger(__name__)


def warn_of_overlap(stride: int | None, window: int) -> None:
    """Warn where windows share timesteps."""
    if (stride or window) < window:
        log.warning(
            f"data.stride={stride} is less than data.window={window}: windows overlap, but "
            "statistics take sequences as independent, so that intervals are too narrow and "
            f"p-values too small; data.stride={window} avoids that"
        )


def windows_of(values: NDArray[Any], first: NDArray[np.int64], window: int) -> NDArray[Any]:
    """[N, W, F] of the series [R, F]; a view, if the windows are evenly spaced."""
    every = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    steps = np.unique(np.diff(first))
    if len(steps) > 1:  # some are left out
        return every[first].transpose(0, 2, 1)
    step = int(steps[0]) if len(steps) else 1
    return every[int(first[0]) : int(first[-1]) + 1 : step].transpose(0, 2, 1)


def labels_of(
    column: "pd.Series[Any]", first: NDArray[np.int64], options: Files, at: str
) -> NDArray[Any]:
    """The target [N] after each window; or its last label [N], or all its labels [N, W]."""
    window = options.window or 0
    column = in_column(column, f"{at}: column '{brief(column.name)}'")
    refuse_ranks(column, at)
    refuse_unclear(column, at)
    each = options.labels == "timestep"
    if options.horizon and each:
        raise UserError(
            "data.labels=timestep does not go with data.horizon: it is one target per window"
        )
    rows = first[:, np.newaxis] + np.arange(window) if each else first + window - 1
    rows += options.horizon or 0
    known = column.notna().to_numpy()
    if not known[rows].all():
        lacking = rows[~known[rows]]
        raise UserError(
            f"{at}: {lacking.size} labels or targets of windows are missing in column "
            f"'{column.name}', the first in {place(column.index, int(lacking[0]))}: fill that "
            "column before"
        )
    there = column[known]
    numeric = pd.api.types.is_numeric_dtype(column)
    found = there.to_numpy() if numeric else there.astype(str).to_numpy().astype("U")
    values = np.zeros(len(column), found.dtype)
    values[known] = found
    return values[rows]
