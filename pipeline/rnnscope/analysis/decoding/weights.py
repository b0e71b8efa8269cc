"""The weights of the decoders, and their patterns: directions in the space of states.

A decoder reads the state along its weights. They say little of where the states lie that it tells
apart: a weight may be there to cancel what two units share and the target has no part in. How the
states change with what is decoded is the pattern (Haufe et al. 2014).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Those of the decoders of one target from one signal, fitted at one timestep."""

    layer: str
    signal: str
    target: str
    timestep: int
    """Of the fit; -1 for each sequence's final step."""
    classes: NDArray[np.integer] | None
    """Those that it tells apart [K]; None of numbers."""
    units: Sequence[int]
    """Numbers of the units that it reads [D]."""
    weights: Float
    """Per unit of the state [K, D]; of numbers [1, D]."""
    patterns: Float
    """The change of the state with the score, likewise."""

    def labels(self) -> Any:
        """The class of each weight [K D]; NA of numbers."""
        if self.classes is None:
            return pd.array([pd.NA] * self.weights.size, dtype="Int32")
        return pd.array(np.repeat(self.classes, len(self.units)), dtype="Int32")


def _text(name: str) -> Callable[[Sequence[Weights]], Any]:
    """A text of each row, as categories in the order in which they occur."""

    def values(of: Sequence[Weights]) -> Any:
        each = [getattr(one, name) for one in of]
        there = list(dict.fromkeys(each))
        places = np.array([there.index(one) for one in each], np.intp)
        return pd.Categorical.from_codes(np.repeat(places, _sizes(of)), there)

    return values


def _numbers(value: Callable[[Weights], Any]) -> Callable[[Sequence[Weights]], Any]:
    """A whole number of each row."""

    def values(of: Sequence[Weights]) -> Any:
        each = [np.broadcast_to(value(one), one.weights.shape).ravel() for one in of]
        return np.concatenate([np.zeros(0, np.int32), *each]).astype(np.int32)

    return values


def _sizes(of: Sequence[Weights]) -> NDArray[np.intp]:
    return np.array([one.weights.size for one in of], np.intp)


def _labels(of: Sequence[Weights]) -> Any:
    return pd.concat([pd.Series([], dtype="Int32"), *(pd.Series(one.labels()) for one in of)]).array


def _values(name: str) -> Callable[[Sequence[Weights]], Any]:
    """The weight or the pattern of each row."""

    def values(of: Sequence[Weights]) -> Any:
        every = [np.zeros(0), *(getattr(one, name).ravel() for one in of)]
        return np.concatenate(every).astype(np.float32)

    return values


DECODER_WEIGHTS = Table(
    "decoder_weights",
    "layer, signal, target, timestep, class and unit",
    (
        replace(LAYER, value=_text("layer")),
        replace(SIGNAL, value=_text("signal")),
        Column(
            "target",
            "what the probe predicts: `label`, `target`, or an annotation by its name",
            _text("target"),
        ),
        Column(
            "timestep",
            "timestep, from 0, at which the probe is fitted; −1 for each sequence's final step",
            _numbers(lambda of: of.timestep),
        ),
        Column(
            "label",
            "class that the weight is for",
            _labels,
            (Null("the target is a number"),),
            kind="class",
        ),
        Column("unit", "number of the unit, from 0", _numbers(lambda of: of.units)),
        Column(
            "weight",
            "by how much the probe's score of the class, in nats and less the mean score of all "
            "classes, or what it predicts of a number, changes with the state of the unit: per "
            "unit of the state, not of standardised values; mean over the probes of all folds. "
            "Probes of several signals side by side have none here. A weight may be there to "
            "cancel what disturbs: read it beside `pattern`",
            _values("weights"),
            main=True,
        ),
        Column(
            "pattern",
            "by how much the state of the unit changes with that score, or with what is predicted: "
            "the covariance of both by the variance of the score, over the sequences that the "
            "probe is fitted to; mean over folds. Along it the states lie that are told apart",
            _values("patterns"),
            source="Haufe et al. 2014",
            main=True,
        ),
    ),
)
