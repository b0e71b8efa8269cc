"""The table of demixed components: its values, meanings and sources."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.analysis.population.demixing import CLASSES, MARGINALS, TIMESTEPS, Demixed
from rnnscope.store.tables import LAYER, SIGNAL, Column, Table

KOBAK = "Kobak et al. 2016"


def _of_component(value: Callable[[Demixed], Any]) -> Callable[[Any], Any]:
    """Values of components [C], one for each unit."""
    return lambda of: np.repeat(value(of.demixed), len(of.units))


DEMIXED = Table(
    "demixed",
    "layer, signal, marginalisation, demixed component and unit",
    (
        LAYER,
        SIGNAL,
        Column(
            "marginalisation",
            "`time`: the mean over classes at each timestep, which is the same whatever came in; "
            "`class`: what is left of the class means, differences between classes at any timestep "
            "(class and class × time); both are of means over the sequences of a class, of which "
            "each class counts alike",
            lambda of: pd.Categorical(
                np.repeat(of.demixed.marginal, len(of.units)), categories=MARGINALS
            ),
            source=KOBAK,
        ),
        Column(
            "component",
            "number of the component within its marginalisation, from 1",
            _of_component(lambda of: of.number),
        ),
        Column("unit", "unit, from 0", lambda of: np.tile(of.units, len(of.demixed.number))),
        Column(
            "decoder",
            "the unit's weight in reading the component out of the states: regularised by the "
            "covariance of units within classes at a timestep",
            lambda of: of.demixed.decoder.ravel(),
            source=KOBAK,
        ),
        Column(
            "encoder",
            "the unit's weight in the axis along which the component is put back; it has length 1",
            lambda of: of.demixed.encoder.ravel(),
            source=KOBAK,
        ),
        Column(
            "explained",
            "share of the variance of the class means, over classes and timesteps, that is "
            "explained by the component put back along its encoder",
            _of_component(lambda of: of.explained),
            source=KOBAK,
        ),
        Column(
            "own_share",
            "share of the variance of the class means along the decoder that is of the component's "
            "own marginalisation: 1 where it is free of the other",
            _of_component(lambda of: of.pure),
            source=KOBAK,
        ),
        Column(
            "marginal_share",
            "share of the variance of the class means that is of the marginalisation",
            _of_component(lambda of: of.share),
        ),
        Column(
            "marginal_noise",
            "what marginal_share would be on average if class means differed by the choice of "
            "sequences alone; near marginal_share, the components are noise. Of `class` it holds "
            "however long the deviations of a sequence last. Of `time` it is an upper bound, which "
            "is reached (but for 1 / timesteps of it) where they are independent from timestep to "
            "timestep; where they last, class means change less over time",
            _of_component(lambda of: of.noise),
        ),
        Column(
            "classes",
            "number of classes, those with two sequences or more; tables of more than "
            f"{CLASSES} classes have no rows",
            lambda of: np.full(len(of.demixed.number) * len(of.units), of.demixed.classes),
        ),
        Column(
            "timesteps",
            f"number of timesteps, up to {TIMESTEPS} of those chosen, that at least two sequences "
            "of every class reach",
            lambda of: np.full(len(of.demixed.number) * len(of.units), of.demixed.timesteps),
        ),
        Column(
            "sequences",
            "fewest sequences of a class at one of these timesteps",
            lambda of: np.full(len(of.demixed.number) * len(of.units), of.demixed.sequences),
        ),
    ),
)
