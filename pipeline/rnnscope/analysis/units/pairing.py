"""The p-value of a correlation with annotations, against those of other sequences.

A state and an annotation that both drift correlate in any two sequences, and so do slow ones by
chance. The null distribution is therefore that of whole sequences: the states of each are paired
with the annotations of another, at the timesteps that both have.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units import sampling

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Places = NDArray[np.intp]

SEQUENCES = 2_000
"""Most sequences."""
ROWS = 2_000_000
"""Most rows of a unit, about: of long sequences fewer are taken."""
PAIRINGS = 1_000
"""How often states are paired with the annotations of other sequences."""
SPECTRA = 2**20
"""Values of spectra held at a time, about."""
ROUNDING = 1e-9
"""Correlations that differ by less are taken as equal."""


@dataclass(frozen=True)
class Sample:
    """The rows of some sequences."""

    rows: states.RowKeys
    """Keys of the R rows."""
    values: NDArray[np.float32]
    """[U, R]"""
    annotations: Float
    """NaN where not known [A, R]."""


def size(sequences: int, rows: int) -> int:
    """How many of N sequences with so many rows in all are taken."""
    return max(1, min(sequences, SEQUENCES, ROWS * sequences // max(rows, 1)))


def sample(
    rows: states.RowKeys, values: NDArray[np.float32], annotations: Float, limit: int
) -> Sample:
    """The rows of the sequences that are drawn, given the largest hash of one."""
    chosen = sampling.hashes(rows.sequence) <= limit
    label = None if rows.label is None else rows.label[chosen]
    keys = states.RowKeys(rows.sequence[chosen], rows.timestep[chosen], label)
    return Sample(keys, values[:, chosen], annotations[:, chosen])


def p_values(parts: Sequence[Sample], seed: int) -> Float:
    """How often other sequences' annotations correlate with states as much [U].

    The share of pairings whose largest |r| over annotations is as large, the data counted as one of
    them. NaN where nothing varies, and for fewer than two sequences.

    Args:
        parts: the sample, in parts.
        seed: of the pairings.
    """
    table = _Table.of(parts)
    units = len(table.values)
    if table.sequences < 2 or not len(table.annotations):
        return np.full(units, np.nan)
    random = np.random.default_rng(seed)
    own, exceeding, done = np.zeros(units), np.zeros(units), 0
    while done < PAIRINGS:
        # Shifted by any number but 0, the sequences in any order meet others alone.
        order = random.permutation(table.sequences)
        shifts = 1 + random.permutation(table.sequences - 1)[: PAIRINGS - done]
        for few in _portions(units, SPECTRA // (len(table.annotations) * table.sequences)):
            r = _largest(table, few, order)
            own[few] = r[:, 0]
            exceeding[few] += (r[:, shifts] >= r[:, :1] - ROUNDING).sum(axis=1)
        done += len(shifts)
    return np.where(own > 0, (1 + exceeding) / (1 + PAIRINGS), np.nan)


@dataclass(frozen=True)
class _Table:
    """The rows of all parts in rising order of timesteps."""

    sequences: int
    """S"""
    sequence: NDArray[np.intp]
    """Of each row, in 0 … S - 1 [R]."""
    starts: NDArray[np.intp]
    """Where the rows of each timestep that occurs begin, and where the last one's end [T + 1]."""
    values: NDArray[np.float32]
    """[U, R]"""
    mean: Float
    """Of each unit [U]."""
    spread: Float
    """Standard deviation of each unit [U]; 1 for a constant one."""
    annotations: Float
    """About their means, in standard deviations; NaN where not known [A, R]."""

    @classmethod
    def of(cls, parts: Sequence[Sample]) -> "_Table":
        timestep = np.concatenate([part.rows.timestep for part in parts])
        order = np.argsort(timestep, kind="stable")
        numbers, sequence = np.unique(
            np.concatenate([part.rows.sequence for part in parts]), return_inverse=True
        )
        starts = np.append(np.unique(timestep[order], return_index=True)[1], len(order))
        annotations = np.concatenate([part.annotations for part in parts], axis=1)[:, order]
        values = np.concatenate([part.values for part in parts], axis=1)[:, order]
        for line in annotations:
            known = ~np.isnan(line)
            mean, spread = _spread(line[known])
            line[known] = (line[known] - mean) / spread
        mean, spread = np.transpose([_spread(line) for line in values])
        return cls(len(numbers), sequence[order], starts, values, mean, spread, annotations)


def _largest(table: _Table, few: slice, order: NDArray[np.intp]) -> Float:
    """The largest |r| over annotations of some units, where sequences in an order are shifted.

    All shifts at once by the correlation theorem, from the spectra over sequences of each timestep.

    Returns:
        By the number of places shifted [U, S]; 0 where nothing varies.
    """
    values, kinds, sequences = table.values[few], len(table.annotations), table.sequences
    place, frequencies = np.argsort(order)[table.sequence], sequences // 2 + 1
    # sum x a, sum x and sum x^2; sum a, sum a^2 and how many; where both are known.
    of_unit = np.zeros((3, len(values), kinds, frequencies), complex)
    of_kind = np.zeros((3, kinds, frequencies), complex)
    for some in _portions(len(table.starts) - 1, SPECTRA // (kinds * sequences)):
        first, last = table.starts[some.start], table.starts[some.stop]
        sizes = np.diff(table.starts[some.start : some.stop + 1])
        step, column = np.repeat(np.arange(len(sizes)), sizes), place[first:last]
        spectra = functools.partial(_spectra, (step, column), (len(sizes), sequences))
        a = table.annotations[:, first:last]
        known = ~np.isnan(a)
        a = np.where(known, a, 0)
        right = spectra(np.stack([a, a * a, known]))
        of_kind += np.einsum("tf,patf->paf", spectra(np.ones(last - first)).conj(), right)
        for unit, line in enumerate(values[:, first:last]):
            x = (line - table.mean[few][unit]) / table.spread[few][unit]
            left, squares = spectra(np.stack([x, x * x])).conj()
            of_unit[:2, unit] += np.einsum("tf,patf->paf", left, right[::2])
            of_unit[2, unit] += np.einsum("tf,atf->af", squares, right[2])
    xa, x, xx = scipy.fft.irfft(of_unit, sequences)
    a, aa, n = scipy.fft.irfft(of_kind, sequences)
    n = n.round()
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = (xx - x * x / n).clip(0) * (aa - a * a / n).clip(0)
        r = np.abs(xa - x * a / n) / np.sqrt(squares)
    largest: Float = np.where(squares > (ROUNDING * n) ** 2, r, 0).max(axis=1)
    return largest


def _spectra(place: tuple[Places, Places], shape: tuple[int, int], lines: Float) -> Complex:
    """Spectra over sequences [..., T, F] of rows [..., R] at places of an array [T, S]."""
    dense = np.zeros((*lines.shape[:-1], *shape))
    dense[..., *place] = lines
    found: Complex = scipy.fft.rfft(dense)
    return found


def _spread(line: NDArray[np.floating]) -> tuple[float, float]:
    """Mean and standard deviation of values, the latter 1 where they do not vary."""
    if not len(line) or line.min() == line.max():
        return (float(line[0]) if len(line) else 0.0), 1.0
    return float(line.mean(dtype=np.float64)), float(line.std(dtype=np.float64))


def _portions(count: int, most: int) -> Iterator[slice]:
    """So many things, some at a time."""
    size = max(1, most)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
