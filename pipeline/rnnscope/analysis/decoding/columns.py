"""The columns of both decoding tables: their values, types, meanings, sources and nulls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

Float = NDArray[np.float64]

SHUFFLES = 20
"""How often labels are shuffled at the final step."""


@dataclass(frozen=True)
class Scored:
    """What one probe scored: R rows of a table."""

    layer: str
    signal: str
    target: str
    task: str
    fitted_at: int
    """The timestep that the probe was fitted at."""
    scored_at: NDArray[np.integer] | int
    """The timestep that it was scored at [R], or that all rows share."""
    sequences: NDArray[np.integer] | int
    """How many have a row there [R], or at all of them."""
    features: NDArray[np.integer] | int
    """How many values of each sequence it read [R], or in all rows."""
    estimates: Mapping[str, Float]
    """Each mean over folds and end of an interval, by its column [R]."""
    shuffled: Float | None = None
    """Scores of rows at the timestep of the fit with shuffled labels [SHUFFLES]; None where that is
    not the final step."""


_SAME = Null(
    "the targets of a fold are all the same at the test timestep",
    lambda frame: (frame["task"] == "regression").to_numpy(),
)
_NUMBERS = Null(
    "numbers have no classes to be balanced",
    lambda frame: (frame["task"] == "regression").to_numpy(),
)
_NOT_FINAL = Null("not at the final step", lambda frame: frame["score"].notna().to_numpy())


def _estimated(name: str) -> Callable[[Scored], Float]:
    """What takes a mean, or an end of its interval, from what a probe scored."""
    return lambda of: of.estimates[name]


def _mean(name: str, meaning: str, *nulls: Null, main: bool = False) -> Column:
    """The column of a mean over folds."""
    nulls = nulls or (_SAME,)
    return Column(name, meaning, _estimated(name), nulls=nulls, dtype="float64", main=main)


def _interval(name: str, of: str) -> tuple[Column, ...]:
    """The columns of the interval of a mean over folds."""
    return tuple(
        replace(
            _mean(
                f"{name}_{end}",
                f"{which} end of the 95 % interval over folds, by Student's t with corrected "
                f"variance, of {of}",
            ),
            source="Nadeau & Bengio 2003",
        )
        for end, which in (("low", "lower"), ("high", "upper"))
    )


def _at_final_step(
    name: str, meaning: str, value: Callable[[Float, Float], Float | float]
) -> Column:
    """A column of rows at the final step alone, from shuffled scores [SHUFFLES] and scores [R]."""

    def filled(of: Scored) -> Float:
        score = of.estimates["score"]
        if of.shuffled is None:
            return np.full(len(score), np.nan)
        final = np.equal(of.scored_at, of.fitted_at) & ~np.isnan(score)
        return np.where(final, value(of.shuffled, score), np.nan)

    return Column(name, meaning, filled, nulls=(_NOT_FINAL, _SAME), dtype="float64")


def _p_value(shuffled: Float, score: Float) -> Float:
    """The share of the shuffled scores and the score itself that reach the score [R]."""
    reach = (shuffled >= score[:, np.newaxis]).sum(axis=1)
    return np.asarray((1 + reach) / (1 + len(shuffled)))


_LAYER = replace(LAYER, value=lambda of: of.layer, dtype="category")
_SIGNAL = replace(
    SIGNAL,
    meaning=SIGNAL.meaning + "; several joined by + are read side by side",
    value=lambda of: of.signal,
    dtype="category",
)
_TARGET = Column(
    "target",
    "what the probe predicts: `label`, `target`, or an annotation by its name",
    lambda of: of.target,
    dtype="category",
)
_TASK = Column(
    "task",
    "`classification` by logistic regression, or `regression` by ridge regression, both with an "
    "L2 penalty on standardised values; that of ridge regression is chosen, from 10⁻³ to 10⁶, on "
    "the sequences that it is fitted to",
    lambda of: of.task,
    dtype="category",
)
_SEQUENCES = Column(
    "sequences",
    "number of sequences that are scored, over all folds; those of one group are in one fold",
    lambda of: of.sequences,
    dtype="int32",
)
_ESTIMATES = (
    _mean(
        "score",
        "accuracy, or R² of a regression, of a linear probe on sequences that it was not fitted "
        "to, mean over folds; read it beside `chance`",
        main=True,
    ),
    *_interval("score", "the score"),
    _mean(
        "balanced_score",
        "mean over classes of the share of their sequences that is right, mean over folds: a class "
        "of many sequences counts no more than another",
        _NUMBERS,
    ),
    _mean(
        "chance",
        "score of the best constant prediction on the same sequences: the commonest class, or the "
        "mean, of those that the probe was fitted to; mean over folds",
        main=True,
    ),
    _mean(
        "above_chance",
        "score minus chance, mean over folds; the largest of many timesteps and signals is above 0 "
        "by luck",
        main=True,
    ),
    *_interval("above_chance", "score minus chance"),
)
_SHUFFLED = (
    _at_final_step(
        "shuffled",
        f"at the final step: mean score of the same probe over {SHUFFLES} shuffles of the labels "
        "or targets within folds; where all sequences of a group have the same, groups exchange "
        "theirs. This is no control task (Hewitt & Liang 2019): it tells what chance gives, not "
        "whether the probe is too powerful",
        lambda shuffled, _: shuffled.mean(),
    ),
    _at_final_step(
        "shuffled_low",
        "2.5 % quantile of these scores",
        lambda shuffled, _: np.quantile(shuffled, 0.025),
    ),
    _at_final_step(
        "shuffled_high",
        "97.5 % quantile of these scores",
        lambda shuffled, _: np.quantile(shuffled, 0.975),
    ),
    _at_final_step(
        "p_value",
        "(1 + number of these scores that reach the score) / "
        f"{1 + SHUFFLES}: at least {1 / (1 + SHUFFLES):.3f}, and not adjusted for the number of "
        "signals and targets",
        _p_value,
    ),
)

DECODING = Table(
    "decoding",
    "layer, signal, target, timestep of the fit and timestep of the test",
    (
        _LAYER,
        _SIGNAL,
        _TARGET,
        Column(
            "train_timestep",
            "timestep, from 0, at which the probe is fitted; −1 for each sequence's final step, of "
            "those chosen, which has a row of its own where sequences end at different timesteps",
            lambda of: of.fitted_at,
            dtype="int32",
        ),
        Column(
            "test_timestep",
            "timestep, from 0, at which it is scored: another one than the first tells whether "
            "the code is the same there; −1 for each sequence's final step",
            lambda of: of.scored_at,
            source="King & Dehaene 2014",
            dtype="int32",
        ),
        _TASK,
        _SEQUENCES,
        Column(
            "features",
            "number of units that the probe reads",
            lambda of: of.features,
            dtype="int32",
        ),
        *_ESTIMATES,
        *_SHUFFLED,
    ),
)

DECODING_UNITS = Table(
    "decoding_units",
    "layer, signal, target and number of units",
    (
        _LAYER,
        _SIGNAL,
        _TARGET,
        Column(
            "timestep",
            "timestep of the fit and of the test: each sequence's final step; −1 where these "
            "differ",
            lambda of: of.fitted_at,
            dtype="int32",
        ),
        Column(
            "units",
            "number of units that the probe reads: those of largest |weight| in the probe of all "
            "units on the same folds",
            lambda of: of.features,
            source="Dalvi et al. 2019",
            dtype="int32",
        ),
        _TASK,
        _SEQUENCES,
        *_ESTIMATES,
    ),
)
