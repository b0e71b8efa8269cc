"""A linear probe of states: its folds, its control, and its scores on held-out sequences.

Rows are one per sequence and timestep. A probe is fitted at one timestep on all folds but one, and
scored on that one at every timestep.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

Float = NDArray[np.float64]

TOLERANCE = 3e-4
"""Largest component of the gradient of the mean loss at which a logistic regression stops.

A third faster than scikit-learn's 1e-4; the mean over folds moves by a tenth of its interval."""
ITERATIONS = 2000
"""Most iterations of a logistic regression."""
LEVEL = 0.95
"""Confidence level of the intervals."""

# Fits that do not converge are counted instead. Filters belong to the whole process: one that is
# set once, and before any thread starts, is the only kind that threads cannot undo for each other.
warnings.filterwarnings("ignore", category=ConvergenceWarning, module=r"sklearn\.linear_model")


@dataclass(frozen=True)
class Problem:
    """What a probe predicts from R rows."""

    y: NDArray[Any]
    """[R]: classes as integers, or targets as floats."""
    control: NDArray[Any]
    """[R]: the same, shuffled, as ``shuffled`` does."""
    step: NDArray[np.intp]
    """[R]: which of the S timesteps, from 0."""
    fold: NDArray[np.intp]
    """[R]: which of the F folds, from 0; of a sequence the same at all timesteps."""
    penalty: float
    """Strength of the L2 penalty on standardised values."""

    @property
    def numeric(self) -> bool:
        """Whether y holds targets rather than classes."""
        return self.y.dtype.kind == "f"

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of folds and of timesteps, F and S."""
        return int(self.fold.max()) + 1, int(self.step.max()) + 1


@dataclass(frozen=True)
class Scores:
    """The scores of a probe, of y and of its control."""

    by_fold: Float
    """Accuracy or R², [2, F, S] or [2, F, number of choices of units]."""
    unconverged: int
    """How many fits stopped at ITERATIONS."""


def deal(
    lengths: NDArray[np.integer],
    labels: NDArray[np.integer] | None,
    folds: int,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """A fold for each sequence [N], from its length [N] and its class [N] where it has one.

    Sequences are dealt to the folds in turn, class by class, from the shortest to the longest. So
    the folds hold equally many sequences of each class, and of those that reach any one timestep,
    give or take one.
    """
    strata = np.zeros(len(lengths)) if labels is None else labels
    order = np.lexsort((random.random(len(lengths)), lengths, strata))
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % folds
    return fold


def readable(
    y: NDArray[Any], step: NDArray[np.intp], fold: NDArray[np.intp], folds: int
) -> NDArray[np.bool_]:
    """Which of R rows a probe can be fitted to and scored on [R].

    A class that occurs in a single fold is unknown to the probe that is scored on that fold: it is
    left out at that timestep. A timestep needs two rows in every fold, and two values of y.
    """
    rows = pd.DataFrame({"y": y, "step": step, "fold": fold})
    taken = rows["y"].notna()
    if y.dtype.kind != "f":
        taken = rows.groupby(["step", "y"])["fold"].transform("nunique") > 1
    left = rows[taken]
    counts = pd.crosstab(left["step"], left["fold"])
    enough = (counts >= 2).sum(axis=1) == folds
    values = left.groupby("step")["y"]
    differ = values.max() > values.min()
    return (taken & rows["step"].isin(counts.index[enough & differ])).to_numpy()


def shuffled(
    y: NDArray[Any],
    step: NDArray[np.intp],
    fold: NDArray[np.intp],
    random: np.random.Generator,
) -> NDArray[Any]:
    """The control's y [R]: shuffled across the sequences of each timestep and fold.

    A probe of it can learn no more than the classes' shares, which are the same in every fold. It
    follows the control task of Hewitt & Liang (2019), with labels that are random by sequence.
    """
    control = np.empty_like(y)
    order = np.lexsort((random.random(len(y)), fold, step))
    control[np.lexsort((fold, step))] = y[order]
    return control


def held_out(x: NDArray[np.floating], problem: Problem, start: int, across: bool = True) -> Scores:
    """Scores [2, F, S] of a probe of x [R, D], fitted at one timestep and scored at all.

    Of fold f, the score of the probe that was fitted on all other folds at timestep ``start``: the
    share of sequences whose class is right, or R^2. The other timesteps tell whether the code is
    the same there (King & Dehaene 2014); without ``across`` they are NaN, as is R^2 of targets that
    are all the same.

    No fit starts from another fold's solution: as it stops at a tolerance, it would carry over
    something of the sequences that it is scored on.
    """
    folds, steps = problem.shape
    scores, unconverged = np.full((2, folds, steps), np.nan), 0
    for fold, train, test, inside, outside in _splits(x, problem, start, across):
        for each, y in zip(scores, (problem.y, problem.control), strict=True):
            fitted = estimator(problem).fit(inside, y[train])
            unconverged += _unconverged(fitted)
            predicted = fitted.predict(outside)
            each[fold] = score(y[test], predicted, problem.step[test], steps)
    return Scores(scores, unconverged)


def by_count(
    x: NDArray[np.floating], problem: Problem, start: int, counts: NDArray[np.intp]
) -> Scores:
    """Scores [2, F, len(counts)] of probes that read the best few units alone, at ``start``.

    The best are those with the largest sum of |weight| over classes in the probe of all units,
    fitted on the same folds; a probe of these alone is then fitted (Dalvi et al. 2019). Redundant
    units share their weight, so that another choice may score better.
    """
    scores, unconverged = np.full((2, problem.shape[0], len(counts)), np.nan), 0
    for fold, train, test, inside, outside in _splits(x, problem, start, False):
        for each, y in zip(scores, (problem.y, problem.control), strict=True):
            whole = estimator(problem).fit(inside, y[train])
            unconverged += _unconverged(whole)
            weights = np.atleast_2d(whole.coef_)
            best = np.argsort(-np.abs(weights).sum(axis=0), kind="stable")
            for place, count in enumerate(counts):
                few = np.sort(best[:count])
                fitted = estimator(problem).fit(inside[:, few], y[train])
                unconverged += _unconverged(fitted)
                predicted = fitted.predict(outside[:, few])
                each[fold, place] = score(y[test], predicted, np.zeros(len(test), np.intp), 1)[0]
    return Scores(scores, unconverged)


def estimator(problem: Problem) -> Any:
    """Logistic regression for classes, ridge regression for targets; both with an L2 penalty."""
    if problem.numeric:
        return Ridge(alpha=problem.penalty)
    return LogisticRegression(C=1 / problem.penalty, tol=TOLERANCE, max_iter=ITERATIONS)


def score(y: NDArray[Any], predicted: NDArray[Any], step: NDArray[np.intp], steps: int) -> Float:
    """Accuracy of classes, or R^2 of targets, at each timestep [S]; NaN where there is none."""
    if y.dtype.kind != "f":
        with np.errstate(invalid="ignore"):
            return np.bincount(step, y == predicted, steps) / np.bincount(step, minlength=steps)
    scores = np.full(steps, np.nan)
    for each in np.unique(step):
        here = step == each
        if np.ptp(y[here]) > 0:
            scores[each] = r2_score(y[here], predicted[here])
    return scores


def interval(scores: Float) -> tuple[Float, Float, Float]:
    """The mean over folds of scores [F, ...], and the 95 % interval around it.

    mean ± t s √(1/F + 1/(F - 1)), with s the standard deviation over folds and t Student's at
    F - 1 degrees of freedom: the variance as corrected by Nadeau & Bengio (2003). The folds share
    training sequences, so that s/√F is too small; no unbiased estimate exists (Bengio & Grandvalet
    2004). Not clipped to 0 and 1.
    """
    folds = len(scores)
    mean = scores.mean(axis=0)
    error = scores.std(axis=0, ddof=1) * np.sqrt(1 / folds + 1 / (folds - 1))
    half = scipy.stats.t.ppf((1 + LEVEL) / 2, folds - 1) * error
    return mean, mean - half, mean + half


def _unconverged(fitted: Any) -> bool:
    """Whether a fit stopped at its largest number of iterations; ridge regression has none."""
    return fitted.n_iter_ is not None and bool(np.max(fitted.n_iter_) >= ITERATIONS)


def _splits(
    x: NDArray[np.floating], problem: Problem, start: int, across: bool
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp], Any, Any]]:
    """Of each fold: its number, the rows to fit and to score, and x of both, standardised.

    Mean and scale are those of the rows to fit. Classes are fitted in float32, as the states are
    stored, which is a third faster; targets may need more digits.
    """
    here = problem.step == start
    kind = np.float64 if problem.numeric else np.float32
    for fold in range(problem.shape[0]):
        train = np.flatnonzero(here & (problem.fold != fold))
        test = np.flatnonzero((here | across) & (problem.fold == fold))
        scale = StandardScaler().fit(x[train].astype(kind))
        inside, outside = (scale.transform(x[rows].astype(kind)) for rows in (train, test))
        yield fold, train, test, inside, outside
