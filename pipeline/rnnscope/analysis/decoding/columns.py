"""The columns of both decoding tables: their values, types, meanings, sources and nulls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

Float = NDArray[np.float64]


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
    estimates: Mapping[str, tuple[Float, Float, Float]]
    """score, control and selectivity -> the mean over folds and both ends of its interval [R]."""


def _part(name: str, place: int) -> Callable[[Scored], Float]:
    """What takes a mean, or an end of its interval, from what a probe scored."""
    return lambda of: of.estimates[name][place]


def _estimate(name: str, meaning: str) -> tuple[Column, ...]:
    """The columns of a mean over folds and of its interval."""
    null = Null(
        "the targets of a fold are all the same at the test timestep",
        lambda frame: (frame["task"] == "regression").to_numpy(),
    )
    interval = "95 % interval over folds, by Student's t with corrected variance, of the"
    return tuple(
        Column(
            f"{name}{end}",
            text,
            _part(name, place),
            nulls=(null,),
            source="Nadeau & Bengio 2003" if end else "",
            dtype="float64",
            main=not end,
        )
        for place, (end, text) in enumerate(
            (
                ("", meaning),
                ("_low", f"lower end of the {interval} {name}"),
                ("_high", f"upper end of the {interval} {name}"),
            )
        )
    )


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
    "L2 penalty on standardised values",
    lambda of: of.task,
    dtype="category",
)
_SEQUENCES = Column(
    "sequences",
    "number of sequences that are scored, over all folds",
    lambda of: of.sequences,
    dtype="int32",
)
_ESTIMATES = (
    *_estimate(
        "score",
        "accuracy, or R² of a regression, of a linear probe on sequences that it was not fitted "
        "to, mean over folds",
    ),
    *_estimate(
        "control",
        "score of the same probe where labels or targets are shuffled across the sequences of "
        "each timestep and fold",
    ),
    *_estimate("selectivity", "score minus control, mean over folds"),
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
            "timestep, from 0, at which the probe is fitted; −1 for each sequence's last",
            lambda of: of.fitted_at,
            dtype="int32",
        ),
        Column(
            "test_timestep",
            "timestep, from 0, at which it is scored: another one than the first tells whether "
            "the code is the same there; −1 for each sequence's last",
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
            "timestep of the fit and of the test: each sequence's last; −1 where these differ",
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

TABLES = (DECODING, DECODING_UNITS)
