"""The arrays of the page, put into its blob."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope.figures.population import alike, matrix
from rnnscope.figures.tables import STATES
from rnnscope.report.explorer import correlated, curves, scales
from rnnscope.report.explorer.blob import Blob
from rnnscope.report.explorer.histograms import Bins
from rnnscope.report.explorer.peaks import Extremes
from rnnscope.report.explorer.plan import CLASSES, name_of
from rnnscope.states.signals import Signal
from rnnscope.store import parquet

CURVES = 300_000
"""Most means over time on the page."""


def add_states(blob: Blob, signal: Signal, values: NDArray[np.float32]) -> None:
    """The codes of the chosen sequences, each as its difference to that of the timestep before.

    The differences compress to two thirds of the codes.

    Args:
        blob: what they are added to.
        signal: theirs.
        values: [n, U, T].
    """
    name = name_of(signal)
    there = np.abs(values[np.isfinite(values)])
    spread = float(np.median(there)) if len(there) else 1.0
    low, high = (float(reach(values)) if len(there) else 0.0 for reach in (np.nanmin, np.nanmax))
    edges = scales.edges_of(signal.name, low, high, spread or 1.0)
    codes = scales.codes_of(values, edges)
    blob.add(f"codes/{name}", np.diff(codes, axis=2, prepend=np.uint8(0)))
    blob.add(f"edges/{name}", edges)


def add_extremes(blob: Blob, signal: Signal, ends: Extremes) -> None:
    """The sequences that drive each unit most and least, with timestep and value."""
    for end, peaks in (("most", ends.most), ("least", ends.least)):
        blob.add(f"{end}/{name_of(signal)}", np.stack([peaks.sequence, peaks.timestep]))
        blob.add(f"{end}_value/{name_of(signal)}", peaks.value)


def add_counts(blob: Blob, signal: Signal, counts: NDArray[np.int32], bins: Bins) -> None:
    """The histograms at the final step [U, K, B], and the range of each unit."""
    blob.add(f"counts/{name_of(signal)}", counts)
    ranges = np.stack([bins.low, bins.high], axis=1)
    blob.add(f"bins/{name_of(signal)}", ranges.astype(np.float32))


def add_curves(
    blob: Blob, units: Path, signals: Sequence[Signal], timesteps: int, k: int
) -> list[str]:
    """The class means of as many signals as fit, states first; returns their names."""
    drawn, left = [], CURVES
    for signal in sorted(signals, key=lambda each: each.name not in STATES):
        steps = min(signal.timesteps, timesteps)
        left -= len(signal.units) * steps * k
        if left < 0:
            break
        found = curves.class_means(units, signal.layer, signal.name, steps, CLASSES)
        if found is None:
            continue
        name = name_of(signal)
        blob.add(f"mean/{name}", found.mean)
        blob.add(f"error/{name}", found.error)
        blob.add(f"reach/{name}", np.stack([found.low, found.high, found.most], axis=1))
        blob.add(f"labels/{name}", np.array(found.classes, np.int32))
        drawn.append(name)
    return drawn


def add_correlated(blob: Blob, population: Path, signals: Sequence[Signal]) -> None:
    """Of each signal with correlations: the closest units of each, and an order of all."""
    pairs = parquet.frame(
        population / "correlation.parquet", ["layer", "signal", "unit", "other", "correlation"]
    )
    keys = pairs["layer"].astype(str), pairs["signal"].astype(str)
    for signal in signals:
        rows = pairs[(keys[0] == signal.layer) & (keys[1] == signal.name)]
        if not len(rows):
            continue
        name, found = name_of(signal), matrix(rows)
        places, r = correlated.closest(found)
        blob.add(f"closest/{name}", places)
        blob.add(f"closest_r/{name}", r)
        blob.add(f"order/{name}", alike(found).astype(np.int32))
