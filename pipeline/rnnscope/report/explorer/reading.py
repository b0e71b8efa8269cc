"""What is read from the states for the page: a pass over all rows, and the chosen sequences."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.report.explorer import histograms, peaks
from rnnscope.report.explorer.histograms import Bins
from rnnscope.report.explorer.peaks import Extremes
from rnnscope.states.parts import read_part
from rnnscope.states.signals import Signal


@dataclass(frozen=True)
class Pass:
    """What one pass over a signal's rows gives."""

    extremes: Extremes | None
    """None where it was not asked for."""
    counts: NDArray[np.int32] | None
    """Sequences by unit, class and bin [U, K, B]; None where units have no bins."""


def over_all(signal: Signal, bins: Bins | None, *, extremes: bool) -> Pass:
    """Read a signal part by part.

    Args:
        signal: with at least one row.
        bins: the ranges of its units, where values are counted.
        extremes: whether the sequences that drive units most and least are asked for.
    """
    ends: Extremes | None = None
    counts: NDArray[np.int32] | None = None
    if bins is not None or extremes:
        for rows, values in signal.read():
            if extremes:
                more = peaks.extremes(rows, values)
                ends = more if ends is None else ends.merge(more)
            if bins is not None:
                here = histograms.counts(rows, values, bins)
                counts = here if counts is None else counts + here
    return Pass(ends, counts)


def of_sequences(
    signal: Signal, sequences: NDArray[np.int32], timesteps: int
) -> NDArray[np.float32]:
    """A signal of some sequences [n, U, T], NaN where there is no row.

    Args:
        signal: its parts without any of the sequences are not read.
        sequences: their numbers [n], rising.
        timesteps: T; later ones are left out.
    """
    values = np.full((len(sequences), len(signal.units), timesteps), np.nan, np.float32)
    for file, (first, last, _) in zip(signal.files, signal.spans, strict=True):
        start, stop = np.searchsorted(sequences, (first, last + 1))
        if start == stop:
            continue
        rows, part = read_part(file)
        kept = np.isin(rows.sequence, sequences) & (rows.timestep < timesteps)
        place = np.searchsorted(sequences, rows.sequence[kept])
        values[place, :, rows.timestep[kept]] = part[:, kept].T
    return values
