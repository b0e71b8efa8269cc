"""The columns of the tables of memory: how well earlier inputs are read out of the states."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.decoding import probe
from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

Float = NDArray[np.float64]

FEATURES = 64
"""Most features of an input that are measured; of more, so many evenly spread."""


@dataclass(frozen=True)
class Memory:
    """How well E features of the input, 0 to K steps before, are read out of one signal."""

    layer: str
    signal: str
    features: NDArray[np.integer]
    """Their numbers [E]."""
    sequences: int
    rows: int
    units: int
    r2: Float
    """In parts of folds, by lag and feature [F, K + 1, E]; NaN where the input does not vary."""
    shuffled: Float
    """The same of the inputs of other sequences."""
    from_input: Float
    """The same of own inputs, read out of the input of the same step alone."""

    @property
    def lags(self) -> int:
        """K."""
        return self.r2.shape[1] - 1

    @property
    def null(self) -> NDArray[np.bool_]:
        """Which lags and features have no R² [(K + 1) E], by feature and lag."""
        return np.isnan(_flat(self.r2.mean(axis=0)))


def _flat(values: Float) -> Float:
    """Values [K + 1, E] in the order of the table's rows."""
    return values.T.ravel()


def _ends(of: Float, which: int) -> Float:
    """The mean over folds of values [F, ...], or the lower or upper end of its interval."""
    return probe.interval(of)[which]


_CONSTANT = "the input does not vary"
_NO_R2 = Null(_CONSTANT, lambda of: of.null)
_NO_SUM = Null(_CONSTANT, lambda of: np.isnan(_sums(of.r2).mean(axis=0)))


def _sums(r2: Float) -> Float:
    """The sum over lags from 1 on [F, E]."""
    return r2[:, 1:].sum(axis=1)


def _of_lags(
    name: str, meaning: str, of: Callable[[Memory], Float], *, main: bool = False
) -> Column:
    return Column(
        name, meaning, lambda m: _flat(of(m)), nulls=(_NO_R2,), dtype="float64", main=main
    )


def _of_sums(
    name: str, meaning: str, of: Callable[[Memory], Float], *, main: bool = False
) -> Column:
    return Column(name, meaning, of, nulls=(_NO_SUM,), dtype="float64", main=main)


def _bounds(
    name: str, of: str, column: Callable[..., Column], values: Callable[[Memory], Float]
) -> tuple[Column, ...]:
    """The columns of the interval of a mean over folds."""
    return tuple(
        replace(
            column(
                f"{name}_{end}",
                f"{which} end of the 95 % interval over folds, by Student's t with corrected "
                f"variance, of {of}",
                lambda m, place=place: _ends(values(m), place),
            ),
            source="Nadeau & Bengio 2003",
        )
        for place, (end, which) in enumerate((("low", "lower"), ("high", "upper")), 1)
    )


def _keys(repeats: Callable[[Memory], int]) -> tuple[Column, ...]:
    return (
        replace(LAYER, value=lambda m: m.layer, dtype="category"),
        replace(
            SIGNAL,
            meaning=SIGNAL.meaning + "; several joined by + are read side by side",
            value=lambda m: m.signal,
            dtype="category",
        ),
        Column(
            "feature",
            "feature of the network's input, from 0: of a one-hot input it stands for a symbol; of "
            "inputs of further axes, such as frames, it is the place in one timestep's values in a "
            f"row; of more than {FEATURES} features there are so many, evenly spread",
            lambda m: np.repeat(m.features, repeats(m)),
            dtype="int32",
        ),
    )


_SEQUENCES = Column(
    "sequences", "number of sequences with rows", lambda m: m.sequences, dtype="int32"
)
_UNITS = Column(
    "units",
    "number of units that are read: over all inputs that are independent of one another, and "
    "white, capacities cannot add up to more",
    lambda m: m.units,
    source="Jaeger 2001",
    dtype="int32",
)

MEMORY = Table(
    "memory",
    "layer, signal, feature of the input and lag",
    (
        *_keys(lambda m: m.lags + 1),
        Column(
            "lag",
            "how many steps before the state the input came in, in the layer's own time: of a "
            "layer that reads backwards, so many timesteps after it; 0 is the input of the same "
            "timestep",
            lambda m: np.tile(np.arange(m.lags + 1), len(m.features)),
            dtype="int32",
        ),
        _SEQUENCES,
        Column(
            "rows",
            "number of their timesteps that are used, at most decoding.max_timesteps of each: the "
            "same for all lags, and so past the largest of them; decoding.timesteps has no effect "
            "on this table and memory_capacity",
            lambda m: m.rows,
            dtype="int32",
        ),
        _of_lags(
            "r2",
            "R² of ridge regression of the input on the states, on sequences that it was not "
            "fitted to, of all folds together; each timestep's mean over the sequences that are "
            "fitted is taken from both, and is what R² = 0 predicts",
            lambda m: _ends(m.r2, 0),
            main=True,
        ),
        *_bounds("r2", "r2", _of_lags, lambda m: m.r2),
        _of_lags(
            "shuffled",
            "the same of the input of another sequence at that time: what chance gives, for "
            "comparison; it is not subtracted",
            lambda m: _ends(m.shuffled, 0),
            main=True,
        ),
        _of_lags(
            "from_input",
            "R² of the same by the input of the same timestep as the state in place of the state: "
            "what needs no memory, where an input resembles those before it",
            lambda m: _ends(m.from_input, 0),
            main=True,
        ),
    ),
)
"""How well single features of the input at single lags are read out."""

CAPACITY = Table(
    "memory_capacity",
    "layer, signal and feature of the input",
    (
        *_keys(lambda _: 1),
        Column("lags", "largest lag of the sums", lambda m: m.lags, dtype="int32"),
        _SEQUENCES,
        _UNITS,
        replace(
            _of_sums(
                "capacity",
                "memory capacity: sum of r2 of table memory over lags 1 to lags, for white noise "
                "as input; read it beside the next two",
                lambda m: _ends(_sums(m.r2), 0),
                main=True,
            ),
            source="Jaeger 2001",
        ),
        *_bounds("capacity", "the capacity", _of_sums, lambda m: _sums(m.r2)),
        _of_sums(
            "shuffled",
            "the same sum of shuffled: 0 on average, whatever the number of units and lags; it is "
            "not subtracted",
            lambda m: _ends(_sums(m.shuffled), 0),
            main=True,
        ),
        _of_sums(
            "from_input",
            "the same sum of from_input: what inputs tell of those before them, without memory",
            lambda m: _ends(_sums(m.from_input), 0),
            main=True,
        ),
    ),
)
"""The sums over lags."""

MEMORY_TABLES = (MEMORY, CAPACITY)
