"""A linear read-out of states: its folds, its control, its scores on sequences it never saw.

Rows are one per sequence and timestep. A read-out is fitted at one timestep on all folds but one,
and scored on that one at every timestep.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

Float = NDArray[np.float64]

TOLERANCE = 3e-4
"""Largest component of the gradient of the mean loss at which a logistic regression is done.

A third faster than scikit-learn's 1e-4; the mean over folds moves by a tenth of its interval."""
ITERATIONS = 2000
LEVEL = 0.95
"""Of the intervals."""


@dataclass(frozen=True)
class Problem:
    """What is to be read out of R rows."""

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
        """Whether y are targets."""
        return self.y.dtype.kind == "f"

    @property
    def shape(self) -> tuple[int, int]:
        """F and S."""
        return int(self.fold.max()) + 1, int(self.step.max()) + 1


def deal(
    lengths: NDArray[np.integer],
    labels: NDArray[np.integer] | None,
    folds: int,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """A fold for each sequence [N], from its length [N] and its class [N] where it has one.

    The sequences are dealt out like cards, class by class from the shortest to the longest. So of
    each class, and of those that reach any one timestep, the folds hold equally many, give or take
    one.
    """
    strata = np.zeros(len(lengths)) if labels is None else labels
    order = np.lexsort((random.random(len(lengths)), lengths, strata))
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % folds
    return fold


def readable(
    y: NDArray[Any], step: NDArray[np.intp], fold: NDArray[np.intp], folds: int
) -> NDArray[np.bool_]:
    """Which of R rows can take part [R].

    A class that a single fold holds is unknown to whoever is to be scored on it: at that timestep
    it is left out. A timestep needs two rows in every fold, and two different values of y.
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

    What can be learnt from it is what any labels can teach: the classes' shares, which stay as
    they are in every fold, and chance. It is the control task of Hewitt & Liang (2019), with
    labels that are random by sequence.
    """
    control = np.empty_like(y)
    order = np.lexsort((random.random(len(y)), fold, step))
    control[np.lexsort((fold, step))] = y[order]
    return control


def held_out(x: NDArray[np.floating], problem: Problem, start: int, across: bool = True) -> Float:
    """Scores [2, F, S] of y and of its control, read out of x [R, D] as learnt at one timestep.

    Of fold f, the score of a read-out that was fitted on all other folds at timestep ``start``:
    the share of sequences whose class is right, or R^2. The other timesteps tell whether the code
    is the same there (King & Dehaene 2014); without ``across`` they are NaN, as are R^2 of targets
    that do not differ.

    No fit starts from another fold's: one that stops at a tolerance would remember the sequences
    that it is scored on.
    """
    folds, steps = problem.shape
    scores = np.full((2, folds, steps), np.nan)
    for fold, train, test, inside, outside in _splits(x, problem, start, across):
        for each, y in zip(scores, (problem.y, problem.control), strict=True):
            predicted = estimator(problem).fit(inside, y[train]).predict(outside)
            each[fold] = score(y[test], predicted, problem.step[test], steps)
    return scores


def by_count(
    x: NDArray[np.floating], problem: Problem, start: int, counts: NDArray[np.intp]
) -> Float:
    """Scores [2, F, len(counts)] as ``held_out`` has at ``start``, from the best few units alone.

    The best are those with the largest sum of |weight| over classes in the read-out of all units,
    fitted on the same folds; with them alone it is fitted again (Dalvi et al. 2019). Units that
    carry the same share their weight: another choice may do better.
    """
    scores = np.full((2, problem.shape[0], len(counts)), np.nan)
    for fold, train, test, inside, outside in _splits(x, problem, start, False):
        for each, y in zip(scores, (problem.y, problem.control), strict=True):
            weights = np.atleast_2d(estimator(problem).fit(inside, y[train]).coef_)
            best = np.argsort(-np.abs(weights).sum(axis=0), kind="stable")
            for place, count in enumerate(counts):
                few = np.sort(best[:count])
                fitted = estimator(problem).fit(inside[:, few], y[train])
                predicted = fitted.predict(outside[:, few])
                each[fold, place] = score(y[test], predicted, np.zeros(len(test), np.intp), 1)[0]
    return scores


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
    what they were trained on, so that s/√F is too short; no unbiased estimate exists (Bengio &
    Grandvalet 2004). Not cut at 0 or 1.
    """
    folds = len(scores)
    mean = scores.mean(axis=0)
    error = scores.std(axis=0, ddof=1) * np.sqrt(1 / folds + 1 / (folds - 1))
    half = scipy.stats.t.ppf((1 + LEVEL) / 2, folds - 1) * error
    return mean, mean - half, mean + half


def _splits(
    x: NDArray[np.floating], problem: Problem, start: int, across: bool
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp], Any, Any]]:
    """Of each fold: its number, the rows to fit and to score, and x of both, standardised.

    The scale is that of the rows to fit. Classes take float32, as the states are stored, which is
    a third faster; targets may need more digits.
    """
    here = problem.step == start
    kind = np.float64 if problem.numeric else np.float32
    for fold in range(problem.shape[0]):
        train = np.flatnonzero(here & (problem.fold != fold))
        test = np.flatnonzero((here | across) & (problem.fold == fold))
        scale = StandardScaler().fit(x[train].astype(kind))
        inside, outside = (scale.transform(x[rows].astype(kind)) for rows in (train, test))
        yield fold, train, test, inside, outside
