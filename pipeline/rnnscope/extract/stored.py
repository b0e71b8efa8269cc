"""The type in which states are stored, and the room that they take."""

import logging
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

EXACT_IN_FLOAT16 = 2048
"""The largest whole number up to which float16 holds all of them."""

log = logging.getLogger(__name__)


def narrowed(values: NDArray[np.float32], dtype: str, what: str) -> NDArray[np.floating]:
    """Values in the type that ``extract.dtype`` asks for.

    Args:
        values: as they were recorded.
        dtype: float32 or float16.
        what: what to call them in an error.

    Raises:
        UserError: one is past what float16 holds.
    """
    if dtype == "float32":
        return values
    largest = float(np.abs(values).max(initial=0))
    if largest > EXACT_IN_FLOAT16:
        raise UserError(
            f"extract.dtype=float16: {what} reaches {largest:,.0f}, past {EXACT_IN_FLOAT16:,}; "
            "must be float32"
        )
    return values.astype(np.float16)


def announce(rows: int, columns: int, dtype: str, folder: Path) -> None:
    """Log how much will be written.

    Raises:
        UserError: the disk cannot hold it.
    """
    size = rows * columns * np.dtype(dtype).itemsize
    log.info(f"{'':<10} {rows:,} rows of {columns:,} columns, at most {size / 1e6:,.0f} MB")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"the states would take up to {size / 1e6:,.1f} MB, the disk of root has "
            f"{free / 1e6:,.1f} MB free: choose less with extract.signals, extract.units, "
            "extract.timesteps or extract.max_sequences, or give another root"
        )
