"""The tables of stage fixed_points: each column's value, meaning, and why it may be null."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.fixed_points import linear
from rnnscope.analysis.fixed_points.points import STATES, Points
from rnnscope.states import columns
from rnnscope.store.tables import LAYER, Column, Null, Table

Float = NDArray[np.float64]

KINDS = ("fixed", "slow")


def _layer(of: Points) -> NDArray[np.object_]:
    return np.full(of.size, of.layer, dtype=object)


def _input(of: Points) -> NDArray[np.object_]:
    return np.full(of.size, of.ended.input, dtype=object)


def _per_mode(values: Callable[[Points], Any]) -> Callable[[Points], Any]:
    """Of P points a value of each, once for each of its modes [P S]."""
    return lambda of: np.repeat(values(of), of.numbers)


def _point(of: Points) -> NDArray[np.int32]:
    return np.arange(of.size, dtype=np.int32)


INPUT = Column(
    "input",
    "constant input to the layer, the same at every timestep: `zeros`; `mean`, of what it reads "
    "in the first fixed_points.max_sequences test sequences; `class_<number>`, that of one class; "
    "`file_<row>` of fixed_points.inputs_path",
    _input,
)
POINT = Column(
    "point",
    "number of the point within its layer and input, from 0: fixed before slow points",
    _point,
)
COORDINATE = Column(
    "<state>_<unit>",
    "the point itself: `h_017` is the hidden state of unit 17 there",
    nulls=(Null("the layer has no such state or unit"),),
)
NO_COMPONENT = Null("stage population has no such component of the layer's state")
NO_CLASSES = Null("the data has no classes")

FIXED_POINTS = Table(
    "fixed_points",
    "layer, constant input and point",
    (
        Column("layer", LAYER.meaning, _layer, main=True),
        INPUT,
        POINT,
        Column(
            "kind",
            "`fixed` where q is at most fixed_points.tolerance: the state stays as it is; `slow` "
            "where q is at most fixed_points.slow_tolerance: the state moves, but slowly",
            lambda of: pd.Categorical.from_codes(
                np.where(of.ended.q <= of.tolerance, 0, 1), categories=KINDS
            ),
        ),
        Column(
            "q",
            "half the squared distance that the state moves in one timestep, ½‖F(s, x) − s‖², of "
            "the network in float64; a minimum of it unless the search was cut short",
            lambda of: of.ended.q,
            source="Sussillo & Barak 2013",
        ),
        Column(
            "index",
            "number of unstable modes: eigenvalues λ of the Jacobian dF/ds at the point with |λ| "
            "above 1, by more than 1e-9",
            lambda of: of.ended.modes.index,
        ),
        Column(
            "stability",
            "`stable` if no mode is unstable, `unstable` if all are, else `saddle`; of a slow "
            "point by the linear part of the dynamics alone",
            lambda of: of.stability,
        ),
        Column("spectral_radius", "the largest |λ|", lambda of: of.modulus.max(axis=1, initial=0)),
        Column(
            "time_constant",
            "timesteps, −1/ln|λ| of the slowest mode, whose |λ| is closest to 1 by ratio: it "
            "decays to 1/e in so many; negative where it is unstable, and grows e-fold in so many; "
            "+inf where |λ| is 1 within 1e-9",
            lambda of: of.of_slowest,
            source="Maheswaranathan et al. 2019",
        ),
        Column(
            "nearest_class",
            "class whose mean state is nearest to the point, over the first "
            "fixed_points.max_sequences sequences: where sequences have classes the mean at their "
            "final step, where timesteps have, that over all timesteps of the class",
            lambda of: of.nearest_class,
            (NO_CLASSES,),
            kind="class",
        ),
        Column(
            "nearest_class_distance",
            "Euclidean distance to that mean state, of `h` and `c` together where there is a `c`",
            lambda of: of.class_distance,
            (NO_CLASSES,),
        ),
        Column(
            "visited_distance",
            "Euclidean distance to the nearest state that the network visited in these sequences: "
            "points far from all of them say little about what the network does",
            lambda of: of.nearest.distance,
        ),
        Column(
            "visited_sequence",
            "sequence in which the network visited that state",
            lambda of: of.nearest.sequence,
        ),
        Column("visited_timestep", "and timestep", lambda of: of.nearest.timestep),
        Column(
            "starts",
            "number of starts from which the search converged to the point",
            lambda of: of.ended.starts,
        ),
        Column(
            "nearest_<annotation>",
            "value of the annotation at that visited state; of one that is called class or "
            "class_distance the column is `nearest_annotation_<annotation>`",
            nulls=(Null("the data has no value for it"),),
        ),
        COORDINATE,
        Column(
            "<state>_pc_<n>",
            "its coordinate along principal component n of that state, as in trajectories.parquet",
            nulls=(NO_COMPONENT,),
        ),
    ),
)

MODES = Table(
    "modes",
    "layer, constant input, point and mode",
    (
        Column("layer", LAYER.meaning, _per_mode(_layer)),
        Column("input", INPUT.meaning, _per_mode(_input)),
        Column("point", POINT.meaning, _per_mode(_point)),
        Column(
            "mode",
            "number of the mode, from 0, by decreasing |λ|",
            lambda of: np.tile(np.arange(of.numbers, dtype=np.int32), of.size),
        ),
        Column(
            "real",
            "real part of the eigenvalue λ of the Jacobian dF/ds at the point",
            lambda of: of.ended.modes.value.real.ravel(),
        ),
        Column("imag", "its imaginary part", lambda of: of.ended.modes.value.imag.ravel()),
        Column(
            "modulus",
            "|λ|, by which the mode is multiplied in a timestep; 1 where it is so within 1e-9",
            lambda of: of.modulus.ravel(),
        ),
        Column(
            "time_constant",
            "timesteps, −1/ln|λ|: in so many the mode decays to 1/e; negative where it is "
            "unstable, and grows e-fold in so many; +inf where |λ| is 1, 0 where it is 0",
            lambda of: linear.time_constants(of.modulus).ravel(),
            source="Maheswaranathan et al. 2019",
        ),
        Column(
            "frequency",
            "cycles per timestep, |arg λ|/2π: 0 where the mode does not oscillate, 0.5 where it "
            "changes its sign at every timestep",
            lambda of: linear.frequencies(of.ended.modes.value).ravel(),
        ),
        Column(
            "signal",
            "state, `h` or `c`, with the largest entry of the mode's right eigenvector",
            lambda of: pd.Categorical.from_codes(
                (of.ended.modes.largest // of.units).ravel(), categories=STATES
            ),
        ),
        Column(
            "unit",
            "unit of that state, from 0",
            lambda of: (of.ended.modes.largest % of.units).ravel().astype(np.int32),
        ),
        Column(
            "loading",
            "size of that entry, of an eigenvector of length 1",
            lambda of: of.ended.modes.loading.ravel(),
        ),
        Column(
            "<state>_pc_<n>",
            "the mode's direction along principal component n of that state: of the eigenvector of "
            "length 1, real where λ is; of a complex pair the first has its real, the second its "
            "imaginary part",
            nulls=(NO_COMPONENT,),
        ),
    ),
)

TABLES = (FIXED_POINTS, MODES)


def nearest(annotation: str) -> str:
    """The column of an annotation; two names are those of the classes' own columns."""
    own = annotation in ("class", "class_distance")
    return f"nearest_annotation_{annotation}" if own else f"nearest_{annotation}"


def points_frame(of: Points) -> pd.DataFrame:
    """The rows of fixed_points.parquet."""
    more: dict[str, Float] = {nearest(name): values for name, values in of.annotations.items()}
    parts = of.parts(of.ended.state)
    for state, values in parts.items():
        more |= dict(zip(columns(state, of.units), values.T, strict=True))
    for state, (loading, centre) in of.axes.items():
        found = loading @ (parts[state] - centre).T
        more |= {f"{state}_pc_{n}": line for n, line in enumerate(found, 1)}
    return _with(FIXED_POINTS.frame(of), more)


def modes_frame(of: Points) -> pd.DataFrame:
    """The rows of modes.parquet."""
    more = {
        f"{state}_pc_{n}": line.ravel()
        for state, along in of.ended.modes.along.items()
        for n, line in enumerate(np.moveaxis(along, 2, 0), 1)
    }
    return _with(MODES.frame(of), more)


def _with(frame: pd.DataFrame, more: dict[str, Float]) -> pd.DataFrame:
    """A frame with further columns, all added at once."""
    return pd.concat([frame, pd.DataFrame(more, index=frame.index)], axis=1)
