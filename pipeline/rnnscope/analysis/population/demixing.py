"""Demixed principal components: axes of time and of class, each with as little of the other."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from rnnscope.analysis.population.components import Axes
from rnnscope.analysis.statistics.choosing import first_of_largest, spread
from rnnscope.analysis.statistics.spectrum import NOTHING
from rnnscope.states import Signal

Float = NDArray[np.float64]

TIMESTEPS = 200
"""Most timesteps; of more, so many evenly spread."""
CLASSES = 100
"""Most classes."""
ROWS = 16_384
"""Rows whose products are summed at a time."""
RIDGE = 1e-6
"""What is added along every unit, as a share of the mean over units, so that there is a solution
where units are redundant."""
MARGINALS = ("time", "class")
"""What changes over time in all classes alike; and all that differs between classes."""


@dataclass(frozen=True)
class Cells:
    """Sums over the rows of each of K classes at each of G timesteps, of values less a centre."""

    count: NDArray[np.int64]
    """[K, G]"""
    total: Float
    """[K, G, U]"""
    square: Float
    """Products over all rows [U, U]."""


@dataclass(frozen=True)
class Demixed:
    """The components of both marginalisations, time first: C of them."""

    marginal: list[str]
    """The marginalisation of each [C]."""
    number: NDArray[np.int32]
    """Its place in it, from 1 [C]."""
    decoder: Float
    """[C, U]"""
    encoder: Float
    """[C, U], each of length 1."""
    explained: Float
    """Share of the variance of the class means that the component explains [C]."""
    pure: Float
    """Share of the variance along the decoder that is of its own marginalisation [C]."""
    share: Float
    """Share of the variance of the class means that is of the marginalisation [C]."""
    noise: Float
    """What this share would be on average if means differed by chance; of time at most [C]."""
    classes: int
    timesteps: int
    sequences: int
    """Fewest sequences of a class at a timestep."""
    why: str
    """Why there are none; empty where there are."""
    read: bool
    """Whether the signal was read for it."""


def cells(signal: Signal, timesteps: NDArray[np.int32], k: int, centre: Float) -> Cells:
    """The sums of a signal's rows, read part by part.

    Args:
        signal: its rows have classes.
        timesteps: which [G], rising.
        k: number of classes.
        centre: close to the mean, so that no digits are lost [U].
    """
    groups, units = len(timesteps), len(centre)
    found = Cells(
        np.zeros((k, groups), np.int64), np.zeros((k, groups, units)), np.zeros((units, units))
    )
    for rows, values in signal.read():
        assert rows.label is not None
        every = np.flatnonzero(np.isin(rows.timestep, timesteps))
        for here in np.array_split(every, -(-len(every) // ROWS)) if len(every) else ():
            label, step = rows.label[here], np.searchsorted(timesteps, rows.timestep[here])
            order = np.lexsort((step, label))
            label, step = label[order], step[order]
            x = values[:, here[order]] - centre[:, np.newaxis]
            first = np.flatnonzero(np.diff(label.astype(np.int64) * groups + step, prepend=-1))
            place = label[first], step[first]
            found.count[place] += np.diff(np.append(first, len(here)))
            found.total[place] += np.add.reduceat(x, first, axis=1).T
            found.square[:] += x @ x.T
    return found


def none(units: int, why: str, *, read: bool) -> Demixed:
    """No components of U units."""
    axes, values = np.zeros((0, units)), np.zeros(0)
    numbers = np.zeros(0, np.int32)
    return Demixed([], numbers, axes, axes, values, values, values, values, 0, 0, 0, why, read)


def demix(sums: Cells, components: int) -> Demixed:
    """The demixed components of class means.

    Classes of fewer than two sequences are left out, and so are timesteps that fewer than two
    sequences of any other class reach. Classes count alike, however many sequences they have.

    Args:
        sums: as ``cells`` gives them.
        components: how many of each marginalisation.
    """
    several = (sums.count > 1).any(axis=1)
    steps = (sums.count[several] > 1).all(axis=0)
    count = sums.count[several][:, steps]
    if len(count) < 2 or count.shape[1] < 2:
        return none(
            len(sums.square),
            "fewer than two classes with two sequences, or than two timesteps that they reach",
            read=True,
        )
    mean = sums.total[several][:, steps] / count[..., np.newaxis]
    noise = _noise(sums)
    x = mean - mean.mean(axis=(0, 1))
    every = x.reshape(-1, x.shape[2]).T
    power = (every**2).sum()
    if power <= 1e-18 * (sums.square.trace() + power):
        return none(len(sums.square), "the class means do not vary", read=True)
    time = np.broadcast_to(x.mean(axis=0), x.shape)
    parts = {"time": time, "class": x - time}
    found = [
        _of_marginal(every, part.reshape(every.shape[::-1]).T, noise, components)
        for part in parts.values()
    ]
    sizes = [len(each[0]) for each in found]
    error = noise.trace() * (1 / count).sum() / power
    share = [(part**2).sum() / power for part in parts.values()]
    # Of time this leaves out what the mean over timesteps takes away, much where noise lasts.
    by_chance = [error / len(count), error * (1 - 1 / len(count))]
    decoder, encoder, explained, pure = (np.concatenate(each) for each in zip(*found, strict=True))
    return Demixed(
        np.repeat(MARGINALS, sizes).tolist(),
        np.concatenate([np.arange(1, size + 1, dtype=np.int32) for size in sizes]),
        decoder,
        encoder,
        explained,
        pure,
        np.repeat(share, sizes),
        np.repeat(by_chance, sizes),
        len(count),
        count.shape[1],
        int(count.min()),
        "",
        read=True,
    )


def _noise(sums: Cells) -> Float:
    """The covariance of units within classes at a timestep, pooled over all [U, U]."""
    there = sums.count > 0
    mean = sums.total[there] / np.sqrt(sums.count[there])[:, np.newaxis]
    freedom = max(int(sums.count.sum()) - int(there.sum()), 1)
    return (sums.square - mean.T @ mean) / freedom


def _of_marginal(
    x: Float, part: Float, noise: Float, components: int
) -> tuple[Float, Float, Float, Float]:
    """Decoders and encoders [C, U], explained and pure [C], of one marginalisation.

    Kobak et al. (2016): F and D of rank q with the least |part - F D x|^2 over single sequences,
    which are the M class means x [U, M] with the noise covariance around each. The regression
    A = part x^T (x x^T + M noise)^-1 is projected onto the q axes F along which A x varies most:
    D = F^T A.
    """
    scatter = x @ x.T + x.shape[1] * noise
    scatter[np.diag_indices_from(scatter)] += RIDGE * scatter.trace() / len(scatter)
    cross = x @ part.T
    regression = scipy.linalg.solve(scatter, cross, assume_a="pos").T
    values, vectors = np.linalg.eigh(regression @ cross)
    varies = (part**2).sum() > NOTHING * (x**2).sum()
    rank = int((values > 1e-10 * values[-1]).sum()) if varies else 0
    encoder = vectors.T[::-1][: min(components, rank)]
    decoder = encoder @ regression
    largest = first_of_largest(np.abs(decoder))
    sign = np.sign(decoder[np.arange(len(decoder)), largest])[:, np.newaxis]
    decoder, encoder = decoder * sign, encoder * sign
    along, own = decoder @ x, ((decoder @ part) ** 2).sum(axis=1)
    squares = (along**2).sum(axis=1)
    explained = 2 * (along * (encoder @ x)).sum(axis=1) - squares
    return decoder, encoder, explained / (x**2).sum(), own / squares


def demixed(
    signal: Signal, timesteps: NDArray[np.int32], k: int, axes: Axes, components: int
) -> Demixed:
    """The demixed components of a signal.

    Args:
        signal: read part by part.
        timesteps: those that were chosen [G], rising.
        k: number of classes of sequences; 0 where they have none.
        axes: its principal axes.
        components: how many of each marginalisation.
    """
    if not signal.labelled or not k:
        return none(len(axes.centre), "sequences have no classes", read=False)
    if np.isnan(axes.loading).all():
        return none(len(axes.centre), "nothing varies", read=False)
    if k > CLASSES:
        return none(len(axes.centre), f"more than {CLASSES} classes", read=False)
    few = timesteps[spread(len(timesteps), TIMESTEPS)]
    return demix(cells(signal, few, k, axes.centre), components)
