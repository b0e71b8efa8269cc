"""What every contender works on: the same weights, the same data, the same reference."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import reference

Array = NDArray[np.float32]
Batches = dict[str, list[Array]]
"""Signal -> the batches that make up its N sequences, each [B, T, U] with any strides."""
InMemory = Callable[[Array], Batches]
"""Sequences [N, T, F] -> what the contender has in memory afterwards."""
ToParquet = Callable[[Array, Path], None]
"""Sequences [N, T, F] and an empty folder -> Parquet files in it."""

Statistics = Callable[[Path, Path], None]
"""The folder of recorded states, and an empty folder -> statistics of them."""

UNITS = 128
FEATURES = 28
TIMESTEPS = 28
CLASSES = 10
BATCH = 512
CHECKED = 8
"""Sequences that are compared with the reference before anything is timed."""
TOLERANCE = 1e-4
MNIST = os.environ.get("RNNSCOPE_MNIST")
"""The whole MNIST, for its test set; random data otherwise. No time depends on the values."""
WEIGHTS = "weights.npz"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def cuts(sequences: int, size: int = BATCH) -> list[slice]:
    """The batches of N sequences."""
    return [slice(start, start + size) for start in range(0, sequences, size)]


def save(folder: Path, sizes: list[tuple[int, int]]) -> None:
    """Write the weights, and for each (N, T) one array of sequences [N, T, F]."""
    rng = np.random.default_rng(0)
    scale = 1 / np.sqrt(UNITS)
    shapes = {
        "kernel": (FEATURES, 4 * UNITS),
        "recurrent_kernel": (UNITS, 4 * UNITS),
        "bias": (4 * UNITS,),
        "readout": (UNITS, CLASSES),
    }
    drawn = {name: rng.uniform(-scale, scale, shape) for name, shape in shapes.items()}
    np.savez(folder / WEIGHTS, **{name: each.astype(np.float32) for name, each in drawn.items()})  # type: ignore[arg-type]
    for sequences, timesteps in sizes:
        path = folder / name_of(sequences, timesteps)
        shape = (sequences, timesteps, FEATURES)
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        digits = _digits()
        for cut in cuts(sequences, max(1, 280_000 // timesteps)):
            if timesteps == TIMESTEPS and digits is not None:
                out[cut] = digits[: len(out[cut])]
            else:
                out[cut] = rng.random(out[cut].shape, np.float32)
        out.flush()


def name_of(sequences: int, timesteps: int) -> str:
    """The file of N sequences of T timesteps."""
    return f"x-{sequences}-{timesteps}.npy"


def weights(folder: Path) -> list[Array]:
    """Kernel [F, 4 U], recurrent kernel [U, 4 U], bias [4 U] (columns i, f, g, o), read-out."""
    with np.load(folder / WEIGHTS) as kept:
        return [kept[name] for name in ("kernel", "recurrent_kernel", "bias", "readout")]


def check(batches: dict[str, Any], x: Array, folder: Path) -> float:
    """Largest difference of the first sequences' signals to float64; raises past the tolerance."""
    expected = reference.lstm(x[:CHECKED], weights(folder)[:3])
    worst = 0.0
    for signal, arrays in batches.items():
        found = np.concatenate(arrays).astype(np.float64)[:CHECKED]
        worst = max(worst, float(np.abs(found - expected[signal]).max()))
    if not worst <= TOLERANCE:
        raise ArithmeticError(f"differs from the float64 reference by {worst:.3g}")
    return worst


def check_files(written: Path, signals: str, x: Array, folder: Path) -> float:
    """The same of what was written, whichever way the columns are spread over files."""
    import pandas as pd
    import pyarrow.parquet as pq

    timesteps = x.shape[1]
    found: dict[str, list[Any]] = {}
    for path in sorted(written.rglob("*.parquet")):
        names = pq.read_schema(path).names
        for signal in signals:
            columns = [name for name in names if name.startswith(f"{signal}_")]
            if columns and signal not in found:
                frame = pd.read_parquet(path, columns=columns).iloc[: CHECKED * timesteps]
                found[signal] = [frame.to_numpy().reshape(-1, timesteps, UNITS)]
    if missing := set(signals) - set(found):
        raise ArithmeticError(f"did not write {sorted(missing)}")
    return check(found, x, folder)


def _digits() -> Array | None:
    if MNIST is None:
        return None
    with np.load(MNIST, allow_pickle=False) as mnist:
        digits: Array = mnist["x_test"].astype(np.float32) / 255
    return digits
