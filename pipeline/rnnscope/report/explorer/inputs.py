"""What the network was given: the inputs of some sequences, read again from the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope import data
from rnnscope.config import Config
from rnnscope.data import Absent, Split
from rnnscope.report.explorer.scales import NONE

PICTURE = 8
"""From so many features on, an input is a picture, timesteps by features; below it, lines."""
BYTES = 1_500_000
"""Most bytes of inputs on a page."""
AT_ONCE = 500
"""Sequences of one-hot vectors that are read at a time."""


@dataclass(frozen=True)
class Shown:
    """Inputs of n sequences, in a byte a value."""

    kind: str
    """picture, lines or tokens."""
    sequences: NDArray[np.int32]
    """Their numbers [n], rising."""
    cells: NDArray[Any]
    """[n, T, F] as uint8, 255 where there is none; tokens [n, T] as int32, -1 where there is none.
    """
    low: list[float]
    """What 0 stands for: of each feature, or of all [1]."""
    high: list[float]
    """What 254 stands for."""
    timesteps: int
    """T of the data; ``cells`` may have fewer."""
    symbols: tuple[str, ...] = ()
    """The text of each token, where the data tells it."""


@dataclass(frozen=True)
class Hidden:
    """Why there are none."""

    why: str


def read(
    config: Config,
    extract: Mapping[str, Any],
    recorded: Path,
    wanted: list[NDArray[np.int32]],
    timesteps: int,
) -> Shown | Hidden:
    """The inputs of the sequences wanted, as far as they fit.

    Args:
        config: the run's config, whose data was recorded.
        extract: the manifest of stage extract.
        recorded: its output.
        wanted: numbers of sequences, the groups that matter most first; the first rising.
        timesteps: later ones are left out.
    """
    dataset = data.again(config.data, extract, recorded)
    if isinstance(dataset, Absent):
        return Hidden(dataset.why)
    split, symbols = dataset.test, dataset.symbols
    if len(split.x.shape) > 3:
        shape = ", ".join(map(str, split.x.shape[1:]))
        return Hidden(f"each is an array [{shape}]; only sequences of features or tokens are")
    steps = min(timesteps, split.timesteps)
    count = BYTES // (steps * (1 if symbols else max(split.features, 1)))
    every = np.array(list(dict.fromkeys(np.concatenate(wanted).tolist())), np.int32)
    if count < len(wanted[0]):
        return Hidden(f"{split.features:,} features of {steps:,} timesteps are too many for a page")
    chosen = np.sort(every[:count])
    if symbols:
        tokens = _tokens(split, chosen, steps)
        return Shown("tokens", chosen, tokens, [], [], split.timesteps, symbols)
    return _shown(split, chosen, steps)


def _tokens(split: Split, chosen: NDArray[np.int32], timesteps: int) -> NDArray[np.int32]:
    """Which symbol each timestep has [n, T], from one-hot vectors; -1 where there is none."""
    found = np.full((len(chosen), timesteps), -1, np.int32)
    for start in range(0, len(chosen), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        batch = split.take(chosen[rows])
        known = np.where(batch.valid, batch.x.argmax(axis=2), -1)
        found[rows] = known[:, :timesteps]
    return found


def _shown(split: Split, chosen: NDArray[np.int32], timesteps: int) -> Shown:
    batch = split.take(chosen)
    x, valid = batch.x[:, :timesteps], batch.valid[:, :timesteps]
    if x.ndim == 2 and x.dtype.kind in "iu":
        tokens = np.where(valid, x, -1).astype(np.int32)
        return Shown("tokens", chosen, tokens, [], [], split.timesteps)
    x = x.reshape(*x.shape[:2], -1).astype(np.float64)
    x[~valid] = np.nan
    kind = "picture" if x.shape[2] >= PICTURE else "lines"
    axes = (0, 1, 2) if kind == "picture" else (0, 1)
    with np.errstate(all="ignore"):
        low, high = np.nanmin(x, axis=axes), np.nanmax(x, axis=axes)
        codes = np.rint((x - low) / np.where(high > low, high - low, 1) * (NONE - 1))
    codes = np.where(np.isfinite(codes), codes, NONE).astype(np.uint8)
    bounds = np.atleast_1d(low).tolist(), np.atleast_1d(high).tolist()
    return Shown(kind, chosen, codes, *bounds, split.timesteps)
