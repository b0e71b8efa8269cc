"""A linear probe of states, and its scores on held-out sequences beside those of a constant.

Rows are one per sequence and timestep. A probe is fitted at one timestep on all folds but one, and
scored on that one at every timestep.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from rnnscope.analysis.statistics import jackknife

Float = NDArray[np.float64]

TOLERANCE = 3e-4
"""Largest component of the gradient of the mean loss at which a logistic regression stops."""
ITERATIONS = 2000
"""Most iterations of a logistic regression."""
PENALTIES = np.logspace(-3, 6, 10)
"""Penalties that a ridge regression chooses from, on standardised values."""
INNER = 5
"""Most folds of whole sources within which a ridge regression chooses its penalty."""

# Fits that do not converge are counted instead. Filters belong to the whole process: one that is
# set once, and before any thread starts, is the only kind that threads cannot undo for each other.
warnings.filterwarnings("ignore", category=ConvergenceWarning, module=r"sklearn\.")


@dataclass(frozen=True)
class Problem:
    """What a probe predicts from R rows."""

    y: NDArray[Any]
    """[R]: classes as integers from 0, or targets as floats."""
    step: NDArray[np.intp]
    """[R]: which of the S timesteps, from 0."""
    fold: NDArray[np.intp]
    """[R]: which of the F folds, from 0; of a sequence the same at all timesteps."""
    source: NDArray[np.intp]
    """[R]: number of the sequence's source, which is in one fold."""
    penalty: float
    """Strength of the L2 penalty of a logistic regression, on standardised values."""

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
    """The scores of a probe by fold: [F, S], or [F, number of choices of units]."""

    score: Float
    """Accuracy, or R²."""
    balanced: Float
    """The mean over classes of the share of their sequences that is right; NaN of targets."""
    chance: Float
    """The score of the best constant on the same sequences: the commonest class, or the mean, of
    those that the probe was fitted to."""
    unconverged: int
    """How many fits stopped at ITERATIONS."""
    classes: NDArray[np.integer] | None = None
    """Those that the fits tell apart [K]; None of targets, and of a choice of units."""
    directions: Float | None = None
    """The weights and the patterns of the fits on all units, means over folds [2, K, D]; of targets
    [2, 1, D]."""


def held_out(x: NDArray[np.floating], problem: Problem, start: int, across: bool = True) -> Scores:
    """Scores [F, S] of a probe of x [R, D], fitted at one timestep and scored at all.

    Of fold f, the scores of the probe that was fitted on all other folds at timestep ``start``. The
    other timesteps tell whether the code is the same there (King & Dehaene 2014); without
    ``across`` they are NaN, as is R² of targets that are all the same.

    No fit starts from another fold's solution: as it stops at a tolerance, it would carry over
    something of the sequences that it is scored on.
    """
    folds, steps = problem.shape
    found, unconverged = np.full((3, folds, steps), np.nan), 0
    classes, directions = None, []
    for each in _splits(x, problem, start, across):
        fitted = _fitted(problem, each, each.inside)
        unconverged += _unconverged(fitted)
        found[:, each.fold] = _scores(
            problem, each, fitted.predict(each.outside), problem.step[each.test], steps
        )
        classes = getattr(fitted, "classes_", None)  # in all folds the same
        directions.append(_directions(fitted, each))
    return Scores(found[0], found[1], found[2], unconverged, classes, np.mean(directions, axis=0))


def by_count(
    x: NDArray[np.floating], problem: Problem, start: int, counts: NDArray[np.intp]
) -> Scores:
    """Scores [F, len(counts)] of probes that read the best few units alone, at ``start``.

    The best are those with the largest sum of |weight| over classes in the probe of all units,
    fitted on the same folds; a probe of these alone is then fitted (Dalvi et al. 2019). Redundant
    units share their weight, so that another choice may score better.
    """
    found, unconverged = np.full((3, problem.shape[0], len(counts)), np.nan), 0
    for each in _splits(x, problem, start, False):
        whole = _fitted(problem, each, each.inside)
        weights = np.atleast_2d(whole.coef_)
        best = np.argsort(-np.abs(weights).sum(axis=0), kind="stable")
        at = np.zeros(len(each.test), np.intp)
        for place, count in enumerate(counts):
            few = np.sort(best[:count])
            fitted = whole
            if count < len(best):
                fitted = _fitted(problem, each, each.inside[:, few])
            unconverged += _unconverged(fitted)
            predicted = fitted.predict(each.outside[:, few])
            found[:, each.fold, place] = _scores(problem, each, predicted, at, 1)[:, 0]
    return Scores(found[0], found[1], found[2], unconverged)


def accuracy(y: NDArray[Any], predicted: NDArray[Any], step: NDArray[np.intp], steps: int) -> Float:
    """The share of predictions that are right at each timestep [S]; NaN where there are none."""
    with np.errstate(invalid="ignore"):
        return np.bincount(step, y == predicted, steps) / np.bincount(step, minlength=steps)


def balanced_accuracy(
    y: NDArray[Any], predicted: NDArray[Any], step: NDArray[np.intp], steps: int
) -> Float:
    """The mean over classes that occur of the share of them that is right, at each timestep [S]."""
    k = int(y.max()) + 1
    cell = step * k + y
    right, count = (np.bincount(cell, weight, steps * k) for weight in (y == predicted, None))
    with np.errstate(invalid="ignore"):
        share = (right / count).reshape(steps, k)
        occurs = count.reshape(steps, k) > 0
        return np.where(occurs, share, 0).sum(axis=1) / occurs.sum(axis=1)


def r_squared(
    y: NDArray[Any], predicted: NDArray[Any], step: NDArray[np.intp], steps: int
) -> Float:
    """R² of targets at each timestep [S]; NaN where they are all the same, or there are none."""
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
    half = jackknife.quantile(folds) * error
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class _Split:
    """One fold, which is scored, and all others, which are fitted."""

    fold: int
    train: NDArray[np.intp]
    """Rows to fit."""
    test: NDArray[np.intp]
    """Rows to score."""
    inside: Any
    """x of the rows to fit, standardised."""
    outside: Any
    """x of the rows to score, on the same scale."""
    scale: Float
    """What x was divided by [D]."""


def _splits(
    x: NDArray[np.floating], problem: Problem, start: int, across: bool
) -> Iterator[_Split]:
    """Each fold.

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
        yield _Split(fold, train, test, inside, outside, scale.scale_)


def _fitted(problem: Problem, split: _Split, inside: NDArray[np.floating]) -> Any:
    """Logistic regression of classes, ridge regression of targets; both with an L2 penalty."""
    return estimator(problem, split.train).fit(inside, problem.y[split.train])


def estimator(problem: Problem, train: NDArray[np.intp]) -> Any:
    """What is fitted to some rows, before it is.

    Ridge regression chooses its penalty by leaving out one sequence after the other of those that
    it is fitted to, or of sequences that share a source whole sources.
    """
    if not problem.numeric:
        # Hessian-vector products need fewer passes than L-BFGS, most of all on shuffled labels.
        return LogisticRegression(
            C=1 / problem.penalty, solver="newton-cg", tol=TOLERANCE, max_iter=ITERATIONS
        )
    source = problem.source[train]
    count = len(np.unique(source))
    if count in (1, len(source)):
        return RidgeCV(PENALTIES, gcv_mode="svd")
    inner = GroupKFold(min(INNER, count)).split(source, groups=source)
    return RidgeCV(PENALTIES, cv=list(inner))


def _scores(
    problem: Problem,
    split: _Split,
    predicted: NDArray[Any],
    step: NDArray[np.intp],
    steps: int,
) -> Float:
    """score, balanced and chance [3, S] of what was predicted of the rows to score."""
    y, known = problem.y[split.test], problem.y[split.train]
    constant: Any = known.mean() if problem.numeric else np.bincount(known).argmax()
    kind: Callable[..., Float] = r_squared if problem.numeric else accuracy
    return np.stack(
        [
            kind(y, predicted, step, steps),
            np.full(steps, np.nan)
            if problem.numeric
            else balanced_accuracy(y, predicted, step, steps),
            kind(y, np.full(len(y), constant), step, steps),
        ]
    )


def _directions(fitted: Any, split: _Split) -> Float:
    """The weights of a fit per unit of x, and its patterns [2, K, D]; of targets [2, 1, D].

    The weights of classes are of their scores less the mean score: they add up to 0 over classes.
    Of two classes scikit-learn has one row, the difference between them. A pattern is how x changes
    with one such score, cov(x, score)/var(score) over the rows to fit (Haufe et al. 2014); 0 of a
    score that does not vary.
    """
    weights = np.atleast_2d(fitted.coef_).astype(np.float64)
    if hasattr(fitted, "classes_"):
        weights = np.concatenate([-weights, weights]) / 2 if len(weights) == 1 else weights
        weights -= weights.mean(axis=0)
    score = split.inside @ weights.T
    score -= score.mean(axis=0)
    squares = (score**2).sum(axis=0)[:, np.newaxis]
    products = score.T @ split.inside
    patterns = np.divide(products, squares, out=np.zeros_like(weights), where=squares > 0)
    return np.stack([weights / split.scale, patterns * split.scale])


def _unconverged(fitted: Any) -> bool:
    """Whether a fit stopped at its largest number of iterations; ridge regression has none."""
    count = getattr(fitted, "n_iter_", None)
    return count is not None and bool(np.max(count) >= ITERATIONS)
