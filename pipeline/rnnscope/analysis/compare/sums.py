"""The sums of one pair of representations over timesteps, and its measures with null and interval.

All is computed of the pair itself, without each group of sequences, and with the sequences of one
of the two permuted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.compare import similarity, timestep
from rnnscope.analysis.compare.similarity import Representation
from rnnscope.analysis.compare.timestep import Centred
from rnnscope.analysis.statistics import jackknife, spectrum

Float = NDArray[np.float64]

PERMUTATIONS = 10
POOLED = {
    "procrustes": similarity.procrustes,
    "svcca": similarity.svcca,
    "matched_correlation": similarity.matched_correlation,
}
"""The measures of all rows, each less the mean over sequences at its timestep."""
MEASURES = ("cka", *POOLED)


@dataclass(frozen=True)
class Measure:
    """One measure of a pair of representations; NaN where it does not exist."""

    value: float
    low: float
    """Of its 95 % interval, as the next; NaN below 40 sources of sequences."""
    high: float
    null: float
    """Its mean where the sequences of one of the two are permuted."""


class Sums:
    """Sums over timesteps; memory does not grow with these, nor with sequences."""

    def __init__(self, units: int, others: int):
        """Args: U and V, the units of X and of Y."""
        times = 1 + jackknife.GROUPS
        self.rows = 0
        self.xx = np.zeros((times, units, units))
        self.yy = np.zeros((times, others, others))
        self.xy = np.zeros((times, units, others))
        self.permuted = np.zeros((PERMUTATIONS, units, others))
        self.cka: list[Float] = []
        """Of each timestep that counts: of all sequences, then without each group [1 + G]."""
        self.cka_permuted: list[Float] = []
        """[PERMUTATIONS]"""

    def add(
        self,
        x: NDArray[np.floating],
        y: NDArray[np.floating],
        group: NDArray[np.intp],
        ranks: NDArray[np.intp],
    ) -> None:
        """Take in one timestep.

        Args:
            x: values of one representation [U, n], n >= 1.
            y: of the other, in the same sequences [V, n].
            group: of each sequence [n].
            ranks: the order of the sequences in each permutation [PERMUTATIONS, n].
        """
        order = np.argsort(group, kind="stable")
        a, b = (timestep.centred(values[:, order], group[order]) for values in (x, y))
        self.rows += len(order)
        xx, yy, xy = (
            _taken(total, *both)
            for total, both in ((self.xx, (a, a)), (self.yy, (b, b)), (self.xy, (a, b)))
        )
        permuted = np.array(
            [
                _paired(total, a, b, timestep.partners(rank[order]))
                for total, rank in zip(self.permuted, ranks, strict=True)
            ]
        )
        if len(order) >= timestep.FEWEST and min(a.effective, b.effective) >= timestep.VARYING:
            own = xx * yy
            sound = (xx > spectrum.NOTHING * xx[0]) & (yy > spectrum.NOTHING * yy[0])
            scale = np.sqrt(np.where(sound, own, np.nan))
            self.cka.append(xy / scale)
            self.cka_permuted.append(permuted / scale[0])

    def representations(self, variance: float) -> list[tuple[Representation, Representation]]:
        """Both, of all sequences and then without each group [1 + G].

        Args:
            variance: share of the variance that the principal components of svcca hold.
        """
        squares = np.diagonal(self.xx[0]), np.diagonal(self.yy[0])
        return [
            (
                similarity.representation(xx, variance, squares[0]),
                similarity.representation(yy, variance, squares[1]),
            )
            for xx, yy in zip(self.xx, self.yy, strict=True)
        ]

    def measures(
        self, both: list[tuple[Representation, Representation]], sources: int
    ) -> dict[str, Measure]:
        """Every measure.

        Args:
            both: as ``representations`` gives them.
            sources: how many independent sources of sequences there are.
        """
        found = {name: _nothing() for name in MEASURES}
        if not (both[0][0].power and both[0][1].power):
            return found
        if self.cka:
            values = _mean(np.array(self.cka))
            found["cka"] = _measure(values, float(np.mean(self.cka_permuted)), sources)
        for name, of in POOLED.items():
            values = np.array(
                [
                    of(a, b, xy) if a.power and b.power else np.nan
                    for (a, b), xy in zip(both, self.xy, strict=True)
                ]
            )
            null = np.mean([of(*both[0], xy) for xy in self.permuted])
            found[name] = _measure(values, float(null), sources)
        return found


def _taken(total: Float, x: Centred, y: Centred) -> Float:
    """Adds the products to a total [1 + G, U, V], in place; returns HSIC up to a factor [1 + G]."""
    squares = np.empty(len(total))
    for number, products in enumerate(timestep.products(x, y)):
        total[number] += products
        squares[number] = (products**2).sum()
    return timestep.hsic(squares, x.squares, y.squares, x.count)


def _paired(total: Float, x: Centred, y: Centred, partner: NDArray[np.intp]) -> Float:
    """The same of all sequences, each with the partner's values in Y, to a total [U, V]."""
    products = x.values @ y.values[:, partner].T
    total += products
    return timestep.hsic((products**2).sum(), x.squares[0], y.squares[0, partner], x.count[0])


def _mean(values: Float) -> Float:
    """Over those timesteps [T, 1 + G] at which there is a value without the group."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _measure(values: Float, null: float, sources: int) -> Measure:
    """From the values of all sequences and without each group [1 + G]."""
    low, high = jackknife.interval(values[0], values[1:], sources)
    return Measure(float(values[0]), float(low), float(high), null)


def _nothing() -> Measure:
    return Measure(np.nan, np.nan, np.nan, np.nan)
