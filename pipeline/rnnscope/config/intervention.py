"""The options of stage intervention."""

from dataclasses import dataclass

from rnnscope.config.options import NAME, NAMES, PATH, SEED, SEQUENCES, UNITS, option

STATES = ("h", "c", "i", "f", "o", "g", "z", "r")
METHODS = ("zero", "mean", "freeze", "add", "patch")
WINDOWS = r"each|onward|sliding:[1-9][0-9]{0,8}|(0|[1-9][0-9]{0,8}):[1-9][0-9]{0,8}"
"""Windows of timesteps, such as each, sliding:3 or 12:15."""

CLUSTERS = "clusters"
"""In the place of a set of units: those of redundant units that stage population finds."""


@dataclass
class Intervention:
    """Stage intervention: the change in loss and output with a state changed for some timesteps."""

    layers: list[str] | None = option(longest=NAME, most=NAMES)
    """Which recurrent layers, by name; null means all."""
    states: list[str] = option(choices=STATES, most=len(STATES))
    """What is changed, of those that the layer has: h; c of LSTM; gates i, f, o and candidate g of
    LSTM; gates z, r and candidate g of GRU."""
    units: list[int] | None = option(low=0, high=UNITS - 1, fewest=0, most=UNITS)
    """Which units, one at a time, from 0; null means all, [] none."""
    groups: list[str] | None = option(
        pattern=rf"{CLUSTERS}|[0-9]{{1,6}}(\+[0-9]{{1,6}})*",
        words="clusters, or units such as 3+4+17",
        most=NAMES,
    )
    """Sets of units that are changed together: each a text such as 3+4+17, or clusters, all
    clusters of redundant units of that layer and state in correlation.parquet of stage population,
    which runs before then. Null means none."""
    decoded: list[str] | None = option(longest=NAME, most=NAMES)
    """Directions of linear decoders (decoder_weights.parquet of stage decoding, which runs before
    then): label, each class; label:3, class 3 against the others; target, or an annotation by its
    name. Of each there are two: along its weights, which it reads the state by, and along its
    pattern, by which states differ. In each window it is the decoder fitted at the timestep nearest
    to the window's middle. Null means none."""
    directions_path: str | None = option(longest=PATH, file=True)
    """A .npy file of directions in the space of units, [directions, units], for the layers that
    have so many units; along each the state is changed and at right angles to it left alone. Their
    length does not matter. Null means none."""
    methods: list[str] = option(choices=METHODS, most=len(METHODS))
    """zero: set to 0; mean: to its mean at that timestep over the test sequences; freeze: to its
    value just before the window; add: a number of standard deviations is added at every timestep of
    the window; patch: to its value in another sequence, the donor, at the same timestep."""
    windows: list[str] = option(
        pattern=WINDOWS, words="each, onward, sliding:3 or a window such as 12:15", most=NAMES
    )
    """For which timesteps, counted from 0 in input time: each, every timestep alone; onward, from
    every timestep to the end; sliding:3, every 3 consecutive ones; 12:15, timesteps 12 to 14."""
    add: float = option(low=-1_000, high=1_000)
    """What add adds, in standard deviations of the unit, or along the direction, over all rows."""
    exact: bool = option()
    """Whether the model is run with each change. Otherwise there is the first-order estimate alone,
    from one backward pass for all units and timesteps."""
    integrate: int = option(low=0, high=10_000)
    """Points of the path from the mean state to the state on which integrated gradients are taken,
    a backward pass each for every timestep; 0 leaves them out."""
    seed: int = option(low=0, high=SEED)
    """Seed of the drawn donors."""
    max_sequences: int | None = option(low=2, high=SEQUENCES)
    """Only this many test sequences, the first ones; null means all."""
    batch_size: int = option(low=1, high=10**6)
    """Sequences per batch, whose states at all timesteps are in memory."""
    rows: int = option(low=1, high=10**7)
    """Most sequences times targets in one pass: of a batch smaller than this several targets are
    changed at once, each in a copy of it."""
    hours: float | None = option(above=0, high=10_000, no_key=True)
    """Longest time that the passes may take: the first of them are timed, and if all would take
    longer, the stage ends at once and says so. Null sets no limit. It is no part of keys."""
