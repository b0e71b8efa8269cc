"""One group of options for each stage."""

from dataclasses import dataclass

from rnnscope.config.options import (
    NAME,
    NAMES,
    PATH,
    SEED,
    SEQUENCES,
    SIGNAL_NAMES,
    SIGNALS,
    SLICE,
    SLICE_WORDS,
    UNITS,
    option,
)

STEPS = 10**9
"""More optimizer steps than a training takes."""
BATCH = 10**6
"""More sequences than a pass takes."""


@dataclass
class Train:
    """Stage train: Adam on the cross-entropy of classes, or on the squared error of numbers."""

    steps: int = option(low=0, high=STEPS)
    """Optimizer steps, one batch each; 0 leaves the network untrained."""
    batch_size: int = option(low=1, high=BATCH)
    """Sequences per step."""
    learning_rate: float = option(above=0, high=1_000)
    """Adam's learning rate."""
    validate_every: int = option(low=1, high=STEPS)
    """Steps between validations, each of which is a row of the history."""
    patience: int | None = option(low=1, high=STEPS)
    """Stop after this many validations without a lower validation loss; null never stops early."""
    restore_best: bool = option()
    """Keep the weights with the lowest validation loss instead of the last."""
    checkpoints: list[int] | None = option(
        low=0, high=STEPS, most=NAMES, rising=True, no_key_if_null=True
    )
    """Steps after which the model is kept as well, for extract.checkpoint; 0 is the untrained
    network, null keeps none. Each is as training for so many steps would leave it, whatever
    restore_best takes in the end. Those that early stopping does not reach are left out, with a
    line."""


@dataclass
class Extract:
    """Stage extract: every signal of every recurrent layer over the test split."""

    batch_size: int = option(low=1, high=BATCH)
    """Sequences per forward pass."""
    part_rows: int = option(low=1, high=10**9)
    """Timesteps per part, with padding: what is computed, resumed and held in memory at once."""
    tolerance: float = option(above=0, high=1_000)
    """Largest residual of the proof that is accepted: a single timestep's, relative to
    max(1, |value|). Rounding of float32 leaves less than 5e-6. Where a proof fails, the line names
    layer, sequence, timestep and unit, with both values; a larger tolerance accepts them."""
    compression: str = option(choices=("lz4", "zstd", "snappy", "none"))
    """Parquet codec; lz4 is fastest, zstd about a tenth smaller."""
    dtype: str = option(choices=("float32", "float16"))
    """Type of the stored values; float16 is refused where a value exceeds 2,048."""
    layers: list[str] | None = option(longest=NAME, most=NAMES)
    """Which recurrent layers to write, by name; null means all."""
    signals: list[str] | None = option(pattern=SIGNALS, words=SIGNAL_NAMES, most=108)
    """Which of a layer's signals: h, c, i, f, o, g, z, r, s0, ...; null means all."""
    units: list[int] | None = option(low=0, high=UNITS - 1, most=UNITS)
    """Which units, from 0; null means all."""
    timesteps: str = option(pattern=f"all|last|{SLICE}", words=f"all, last, or {SLICE_WORDS}")
    """Which timesteps: all, last (each sequence's final step), or a slice such as 0:10 or ::2. The
    final step is the last timestep that a layer reads: of a backward layer the first."""
    max_sequences: int | None = option(low=1, high=SEQUENCES)
    """Only this many test sequences, the first ones; null means all."""
    checkpoint: int | None = option(low=0, high=STEPS, no_key_if_null=True)
    """The model after this many steps of training, one of train.checkpoints; null takes the final
    one. All later stages are of that model, ablation too. A sweep, such as -m
    extract.checkpoint=0,10,100 "train.checkpoints=[0,10,100]", trains once for all of them."""


@dataclass
class Analysis:
    """Options of every analysis of recorded states."""

    layers: list[str] | None = option(longest=NAME, most=NAMES)
    """Which of the recorded layers, by name; null means all."""
    signals: list[str] | None = option(pattern=SIGNALS, words=SIGNAL_NAMES, most=108)
    """Which of the recorded signals: h, c, i, f, o, g, z, r, s0, ...; null means all."""


@dataclass
class Units(Analysis):
    """Stage units: statistics of each unit of each signal."""

    gate_cuts: list[float] = option(low=0, high=1, length=2, rising=True)
    """Gates i, f, o, z, r: left-saturated below the first, right-saturated above the second."""
    tanh_cuts: list[float] = option(low=-1, high=1, length=2, rising=True)
    """Cuts of signals h and g, likewise."""
    dead_variance: float = option(low=0, high=1_000_000)
    """A unit whose variance is below this is dead."""
    lags: int = option(low=1, high=100_000)
    """Largest lag of the autocorrelation, in timesteps."""
    permutations: int = option(low=0, high=1_000_000)
    """Shuffles of the labels for the null distribution of mutual information; 0 leaves it out."""
    seed: int = option(low=0, high=SEED)
    """Seed of these shuffles, and of the pairings of states with other sequences' annotations;
    separate from the run's seed so that all runs are shuffled alike."""
    memory_mb: int = option(low=1, high=10**6)
    """Memory in MB for the values of one block of units; each worker holds one block. Beyond it,
    quantiles are right to about 0.02 % of the rows: values are counted between those of 4,095 rows
    drawn at random. Beyond about 8,000 sequences per MB, auc and mi_p use the ranks of values among
    those of 4,095 randomly drawn sequences, with an error of auc of about 0.0001."""


@dataclass
class Population(Analysis):
    """Stage population: the geometry of the states of all units of a signal."""

    timesteps: str = option(pattern=f"all|{SLICE}", words=f"all, or {SLICE_WORDS}")
    """Which timesteps, from 0: all, or a slice such as 0:100 or ::10."""
    components: int = option(low=1, high=1_000)
    """Principal components to keep; each class's mean trajectory is projected onto them."""
    redundant: float = option(above=0, high=1)
    """Units whose mean |r| is at least this, each timestep's mean taken away, are redundant and
    form a cluster."""


@dataclass
class Decoding(Analysis):
    """Stage decoding: linear decoders fitted to the states at single timesteps.

    Of signals, null means the states alone: h and c, or what other cells have instead.
    """

    together: bool = option()
    """Whether to decode from all signals together as well, such as h+c."""
    timesteps: str = option(pattern=f"all|last|{SLICE}", words=f"all, last, or {SLICE_WORDS}")
    """Which timesteps, from 0: all, last (each sequence's final step, of a backward layer its
    first), or a slice such as 0:100 or ::10. Tables memory and memory_capacity do not depend on
    it: they use timesteps past the largest lag, whatever it is."""
    max_timesteps: int = option(low=1, high=10_000)
    """At most this many of them, evenly spaced, including the first and the last."""
    generalise: bool = option()
    """Whether each decoder is also scored at every other timestep."""
    folds: int = option(low=2, high=1_000)
    """Folds of the cross-validation; all timesteps of a sequence are in the same fold, and with
    data.groups all sequences of a group."""
    max_sequences: int | None = option(low=1, high=SEQUENCES)
    """Only this many test sequences, drawn at random; null means all."""
    penalty: float = option(low=1e-9, high=1e9)
    """Strength of the L2 penalty of logistic regressions, on standardised values; ridge regressions
    choose theirs."""
    seed: int = option(low=0, high=SEED)
    """Seed of the drawn sequences, the folds and the shuffled labels."""
    memory_lags: int | None = option(low=1, high=10_000, no_key_if_null=True)
    """How many timesteps back inputs of the network are read out of the states, but at most half as
    many as sequences have; of each sequence max_timesteps timesteps past them are used. Null leaves
    it out."""


@dataclass
class Ablation:
    """Stage ablation: the change in loss and output with one unit clamped."""

    layers: list[str] | None = option(longest=NAME, most=NAMES)
    """Which recurrent layers, by name; null means all."""
    units: list[int] | None = option(low=0, high=UNITS - 1, most=UNITS)
    """Which units, from 0; null means all."""
    methods: list[str] = option(choices=("h_zero", "h_mean", "c_zero", "c_mean"), most=4)
    """What is clamped: the unit's h or c, at 0 or at its mean over the sequences."""
    max_sequences: int | None = option(low=2, high=SEQUENCES)
    """Only this many test sequences, the first ones; null means all."""
    batch_size: int = option(low=1, high=BATCH)
    """Sequences per forward pass."""
    hours: float | None = option(above=0, high=10_000, no_key=True)
    """Longest time that the passes may take: the first of them are timed, and if all would take
    longer, the stage ends at once and says so. Null sets no limit. It is no part of keys."""


@dataclass
class FixedPoints:
    """Stage fixed_points: states that a cell keeps under a constant input, and dynamics nearby."""

    layers: list[str] | None = option(longest=NAME, most=NAMES)
    """Which recurrent layers, by name; null means all whose cell is Keras' own."""
    inputs: list[str] = option(choices=("zeros", "mean", "classes"), most=3)
    """Constant inputs under which points are searched: zeros; the mean of what the layer is given
    at all timesteps, of a layer above the first by the one below; that of each class."""
    inputs_path: str | None = option(longest=PATH, file=True)
    """A .npy file of further constant inputs, [inputs, features]; for the layers that take so many
    features. Null means none."""
    starts: int = option(low=1, high=1_000_000)
    """States from which the search begins, drawn at random from those that the network visited."""
    settle: int = option(low=0, high=1_000_000)
    """Each start is used twice: as it is, and as it is after so many timesteps under the constant
    input, where it is near an attractor. 0 leaves out the second."""
    noise: float = option(low=0, high=1_000)
    """Normal noise that is added to them, in standard deviations of each unit's states: with it
    points are found that the network avoids."""
    seed: int = option(low=0, high=SEED)
    """Seed of the drawn states and of the noise."""
    max_sequences: int | None = option(low=1, high=SEQUENCES)
    """Only this many test sequences, the first ones, count as visited and for mean inputs; null
    means all."""
    iterations: int = option(low=1, high=1_000_000)
    """Most steps of the search from each start; nearly all take fewer."""
    tolerance: float = option(above=0, high=1)
    """A point is fixed if q, half the squared distance that the state moves in a timestep, is at
    most this. The search is in float64, and reaches 1e-28."""
    slow_tolerance: float = option(above=0, high=1)
    """Other points are slow if q is at most this; what moves faster is counted and left out."""
    distinct: float = option(above=0, high=1_000)
    """States further apart than this, by their Euclidean distance, are two points."""
    max_points: int = option(low=1, high=1_000_000)
    """At most this many points per layer and input, fixed ones and those of the most starts first;
    a line says how many are left out."""
    max_state: int | None = option(low=1, high=UNITS)
    """Layers whose state, h and c together, has more numbers than this are left out, as the work
    grows with their third power; null sets no limit."""


@dataclass
class Report:
    """Stage report: the run's results on one page, and its figures as files."""

    format: list[str] = option(choices=("html", "png", "svg"), most=3)
    """What is written: html, the page; png and svg, each figure as a file of its own, for slides
    and papers, 4.6 inches wide on white."""
    vocabulary: str | None = option(longest=PATH, file=True)
    """For data of tokens, a file with the text of each: a text file with a line for each token from
    0 on, or a JSON list. Null shows their numbers, and the symbols of data=anbn,
    dyck and text."""


@dataclass
class Collect:
    """Stage collect: the tables of all finished runs below the root, concatenated."""

    runs: str | list[str] | None = option(longest=NAME, most=NAMES)
    """Only runs whose name, with or without the digits of its key, matches: a pattern such as
    digits-lstm*, or a list of them; null means all."""


@dataclass
class Compare(Analysis):
    """Stage compare: the similarity of two runs' states over the same test sequences.

    Of signals, null means the states alone: h and c, or what other cells have instead.
    """

    timesteps: str = option(pattern=f"all|last|{SLICE}", words=f"all, last, or {SLICE_WORDS}")
    """Which timesteps, from 0: all, last (each sequence's final step, of a backward layer its
    first), or a slice such as 0:100 or ::10."""
    variance: float = option(above=0, high=1)
    """Fraction of each run's variance across sequences that the principal directions kept for svcca
    explain."""
    dsa: bool = option()
    """Whether to compare how states move as well (dynamical similarity), which takes seconds per
    row, and the extra dsa."""
    dsa_delays: int = option(low=1, high=1_000)
    """Consecutive timesteps that are taken together as one state of it."""
    dsa_rank: int = option(low=1, high=1_000)
    """Rank of the linear operators that are compared, and most principal components of the states
    that they are fitted to."""
    runs: str | list[str] | None = option(longest=NAME, most=NAMES)
    """Only runs whose name, with or without the digits of its key, matches: a pattern such as
    digits-lstm*, or a list of them; null means all."""
