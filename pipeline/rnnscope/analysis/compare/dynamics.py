"""Whether the states of two runs move alike: dynamical similarity analysis, by its own package.

The package is the extra ``dsa`` and needs PyTorch; it is imported only where it is asked for.
"""

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.compare import held
from rnnscope.analysis.statistics.choosing import spread
from rnnscope.config import Compare
from rnnscope.states import Signal, selection

Float = NDArray[np.float64]

PACKAGE = "DSA"
"""As which it is imported; on PyPI it is dsa-metric."""
SEQUENCES = 200
"""Most sequences."""
MEMORY = 256_000_000
"""Bytes of the states of one signal, for fewer of them."""
OFF = "compare.dsa is false"
MISSING = "the package is not installed: pip install 'rnnscope[dsa]'"
LAST = "states at one timestep have no dynamics"
SHORT = "too few sequences longer than compare.dsa_delays timesteps, or nothing varies"


@dataclass(frozen=True)
class Similar:
    """Of one pair of signals; NaN where there is none."""

    distance: float
    floor: float
    why: str = ""
    """Why there is none."""


def refused(options: Compare) -> str:
    """Why nothing can be computed; empty where it can."""
    if not options.dsa:
        return OFF
    if options.timesteps == "last":
        return LAST
    return "" if importlib.util.find_spec(PACKAGE) else MISSING


def similar(a: Signal, b: Signal, sequences: NDArray[np.intp], options: Compare) -> Similar:
    """Dynamical similarity (Ostrow et al. 2023) of two signals.

    Each run's states, less their mean, are projected onto their first dsa_rank principal
    components; a linear operator of rank dsa_rank is fitted to how dsa_delays consecutive timesteps
    of them, side by side, go on by one timestep (dynamic mode decomposition on delay embeddings).
    The distance is that of the eigenvalues of both operators, matched one to one, which no change
    of basis changes (Redman et al. 2023): the form of the similarity that needs no search. Its
    floor is the mean of the same distance between both halves of the sequences of a run.

    Args:
        a: of one run.
        b: of the other.
        sequences: their numbers [n], rising.
        options: of the stage; the package is installed.
    """
    every = [_sequences(each, sequences, options) for each in (a, b)]
    parts = [each[half::2] for each in every for half in (0, 1)]
    components = min(each[0].shape[1] if each else 0 for each in every)
    rank = min(options.dsa_rank, components * options.dsa_delays)
    fitted = [_operator(each, options.dsa_delays, rank) for each in (*every, *parts)]
    known = [each for each in fitted if each is not None]
    if len(known) < len(fitted):
        return Similar(np.nan, np.nan, SHORT)
    one, other, *halves = known
    floors = [_distance(*halves[:2]), _distance(*halves[2:])]
    return Similar(_distance(one, other), float(np.mean(floors)))


def _sequences(signal: Signal, sequences: NDArray[np.intp], options: Compare) -> list[Float]:
    """The states of each of some sequences in principal components [T, P], in the layer's time.

    Those that are too short, or have gaps, are left out.
    """
    steps = selection.steps_of(options.timesteps, signal.timesteps)
    most = max(2, MEMORY // (4 * len(signal.units) * max(len(steps), 1)))
    some = sequences[spread(len(sequences), min(SEQUENCES, most))]
    block = held.read(signal, some, steps)
    found = []
    for number, there in enumerate(block.there.T):
        rows = np.flatnonzero(there)
        if len(rows) > options.dsa_delays and np.ptp(rows) + 1 == len(rows):
            states = block.states[:, rows, number].T.astype(np.float64)
            found.append(states[::-1] if signal.backward else states)
    if not found:
        return []
    rows = np.concatenate(found)
    centre = rows.mean(axis=0)
    _, values, axes = np.linalg.svd(rows - centre, full_matrices=False)
    kept = (values > 1e-6 * max(values[0], 1e-30)).sum()
    axes = axes[: min(int(kept), options.dsa_rank)]
    return [(states - centre) @ axes.T for states in found]


def _operator(sequences: list[Float], delays: int, rank: int) -> NDArray[np.float32] | None:
    """The linear operator [r, r] by which delay embeddings go on; None for too little data."""
    from DSA import DMD

    rows = sum(len(each) - delays for each in sequences)
    if not rank or len(sequences) < 2 or rows < 2 * delays * sequences[0].shape[1]:
        return None
    fitted = DMD(sequences, n_delays=delays, rank=rank)
    fitted.fit()
    return np.asarray(fitted.A_v, np.float32)


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The root mean square distance of the eigenvalues of two operators, matched one to one.

    The package gives the mean square. The angle at the best rotation, by gradient descent, took
    it ten seconds a pair, and was 0.12 for a system and itself in another basis.
    """
    from DSA import SimilarityTransformDist

    square = SimilarityTransformDist(score_method="wasserstein").fit_score(one, other)
    return float(np.sqrt(max(float(square), 0)))
