"""What is read from the states for the page: extreme values, histograms, single sequences."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.report.explorer import histograms, peaks
from rnnscope.report.explorer.histograms import Bins
from rnnscope.report.explorer.peaks import Extremes
from rnnscope.states.parts import RowKeys, read_part
from rnnscope.states.signals import Signal


@dataclass(frozen=True)
class Wanted:
    """What is asked for of one signal."""

    signal: Signal
    """With at least one row."""
    extremes: bool = False
    """Whether the sequences that drive its units most and least."""
    bins: Bins | None = None
    """The ranges of its units, where values at the final step are counted."""
    sequences: NDArray[np.int32] | None = None
    """Numbers of the sequences [n], rising, whose values."""
    timesteps: int = 0
    """T of these; later ones are left out."""


@dataclass(frozen=True)
class Found:
    """What was asked for, None for what was not."""

    extremes: Extremes | None = None
    counts: NDArray[np.int32] | None = None
    """Sequences by unit, class and bin [U, K, B]."""
    states: NDArray[np.float32] | None = None
    """Of the sequences [n, U, T], NaN where there is no row."""


def read(wanted: Wanted) -> Found:
    """Read a signal part by part; parts of which nothing is asked for are not read."""
    signal, sequences, bins = wanted.signal, wanted.sequences, wanted.bins
    ends: Extremes | None = None
    counts: NDArray[np.int32] | None = None
    values: NDArray[np.float32] | None = None
    if sequences is not None:
        shape = (len(sequences), len(signal.units), wanted.timesteps)
        values = np.full(shape, np.nan, np.float32)
    for file, (first, last, _) in zip(signal.files, signal.spans, strict=True):
        here = sequences is not None and bool(((sequences >= first) & (sequences <= last)).any())
        if not (wanted.extremes or bins is not None or here):
            continue
        rows, part = read_part(file)
        if wanted.extremes:
            more = peaks.extremes(rows, part)
            ends = more if ends is None else ends.merge(more)
        if bins is not None:
            count = histograms.counts(rows, part, bins)
            counts = count if counts is None else counts + count
        if here and sequences is not None and values is not None:
            _put(values, sequences, rows, part)
    return Found(ends, counts, values)


def _put(
    values: NDArray[np.float32],
    sequences: NDArray[np.int32],
    rows: RowKeys,
    part: NDArray[np.float32],
) -> None:
    """Put the rows of a part [U, R] that are of the sequences [n] in their places [n, U, T]."""
    kept = np.isin(rows.sequence, sequences) & (rows.timestep < values.shape[2])
    place = np.searchsorted(sequences, rows.sequence[kept])
    values[place, :, rows.timestep[kept]] = part[:, kept].T
