"""Group data: tasks whose solution is known, in generated sequences; and the characters of a text.

Generated sequences follow from data.split_seed, the split and their number alone: raising
data.sequences or data.test_sequences adds sequences behind those of each split, and changes none.
"""

from dataclasses import dataclass

from rnnscope.config.data import Data
from rnnscope.config.options import PATH, SEQUENCES, option

DRAWING = 2
"""Of generated sequences; raised whenever the same options give others. It is part of keys."""
LONGEST = 1_000_000
"""Most timesteps of a generated sequence."""
MOST = 1_000
"""Most features of a generated sequence."""


@dataclass
class Generated(Data):
    """Options of every task whose sequences are generated."""

    sequences: int = option(low=2, high=SEQUENCES)
    """Training and validation sequences together, of which data.validation_fraction are for
    validation. Each of the two splits has a random stream of its own: with more sequences the first
    ones of either stay as they are."""
    test_sequences: int = option(low=1, high=SEQUENCES)
    """Test sequences."""


@dataclass
class Anbn(Generated):
    """The next symbol of ^aⁿbⁿ$, where n is drawn evenly: to count.

    The network reads ^ (start), a and b, and predicts a, b or $ (end) at each timestep. From the
    first b on all that follows is certain to one who has counted. Annotations: count, the number of
    a minus that of b up to this timestep; phase, 0 at the start, 1 in a and 2 in b; position, the
    number of symbols before this one. There is one sequence for each n, so that test sequences up
    to data.max_n are among those of training, and longer ones are not.
    """

    max_n: int = option(low=1, high=LONGEST // 2)
    """Largest n of training and validation; the smallest is 1."""
    test_max_n: int = option(low=1, high=LONGEST // 2)
    """Largest n of the test split; above data.max_n it is counted further than in training."""


@dataclass
class Dyck(Generated):
    """The next symbol of a word of well-formed brackets: counters, or with several types a stack.

    The network reads ^ (start) and the brackets, and predicts the next bracket or $ (end). A word's
    length is drawn evenly from the even numbers up to data.length, and the word evenly from all
    words of that length that are no deeper than data.max_depth. Annotations: depth, the number of
    open brackets after this timestep; position, the number of symbols before this one; with several
    types also top_round, top_square, top_curly and top_angle, 1 where the innermost open bracket is
    of that type, else 0.
    """

    types: int = option(low=1, high=4)
    """Types of brackets: the first so many of (), [], {} and <>."""
    max_depth: int = option(low=1, high=1_000)
    """Most brackets that are open at once."""
    length: int = option(low=2, high=10_000)
    """Most brackets of a word."""


@dataclass
class FlipFlop(Generated):
    """Flip-flops: each bit's last pulse is to be held until its next one (Sussillo & Barak 2013).

    Each bit has a feature, in which pulses of 1 and −1 come at random, the first one at timestep 0,
    and which is 0 else. The targets of a timestep are the last pulses of all bits. Annotation:
    memory, the number of what is held, from 0 to 2^bits − 1: 2^k is part of it where bit k is 1.
    """

    bits: int = option(low=1, high=16)
    """Bits that are held."""
    length: int = option(low=1, high=LONGEST)
    """Timesteps of a sequence."""
    pulse_probability: float = option(low=0, high=1)
    """Probability that a bit has a pulse at a timestep."""


@dataclass
class Ar1(Generated):
    """Autoregressive sequences x_t = φ x_(t−1) + ε_t, whose timescale is −1/ln φ: to predict.

    Each φ has a feature, independent of the others, normal with variance 1 from the first timestep
    on. The targets of a timestep are the next values of all features, of which φ² of the variance
    can be predicted. Annotations: value, or value_0, value_1, ... of several features: the values
    at this timestep.
    """

    phi: list[float] = option(above=-1, below=1, most=MOST, repeats=True)
    """φ of each feature: the correlation of one timestep with the next."""
    length: int = option(low=1, high=LONGEST)
    """Timesteps of a sequence."""


@dataclass
class Delay(Generated):
    """Working memory: a value is shown at a random timestep, and asked for at a later one.

    There are two features: the stimulus, which is 0 but for one timestep, where it is the value,
    drawn evenly from −1 to 1; and the cue, which is 1 at the timestep that ends the sequence and 0
    before. The target of the sequence is the value. Annotations: shown, 1 from the timestep of the
    value on, before it 0; since, the timesteps since then; and value; both unknown before.
    """

    length: int = option(low=2, high=LONGEST)
    """Timesteps of the longest sequences."""
    shortest_delay: int = option(low=1, high=LONGEST)
    """Fewest timesteps from the value to the cue. The timestep of the value is drawn evenly from 0
    to data.length − data.shortest_delay − 1, and then that of the cue evenly from the first that is
    so far behind it to data.length − 1: it may come at any time, so that the value has to be held
    ready."""


@dataclass
class Lagged(Generated):
    """White noise, whose value some timesteps ago is to be given: for the memory of past inputs.

    The targets of a timestep are the values of all features data.lag timesteps before, and 0 in the
    first timesteps, which have none. Annotations: value, or value_0, value_1, ... of several
    features: the values at this timestep.
    """

    features: int = option(low=1, high=MOST)
    """Features, independent of each other."""
    length: int = option(low=1, high=LONGEST)
    """Timesteps of a sequence."""
    lag: int = option(low=0, high=LONGEST)
    """How many timesteps ago."""
    distribution: str = option(choices=("uniform", "normal"))
    """Of the noise: uniform from −1 to 1, or normal with variance 1."""


@dataclass
class Text(Data):
    r"""The next character of a text, in windows of it (Karpathy, Johnson & Fei-Fei 2015).

    The vocabulary is the characters of the file, of which each is a feature that is 1 where it is
    read. The text is split in time: training, validation (the last data.validation_fraction of
    what is not test), test; no window reaches from one into another, and each starts from nothing.
    Nothing is drawn, so that data.split_seed must be 0. Line ends of Windows are read as \n.

    Annotations of a character: uppercase, lowercase, digit, space (or tab), newline, punctuation
    (and symbols): 1 or 0; line_position, how many characters of its line are before
    it; word_position, how many of its word (letters and digits), unknown outside words; in_quotes
    and in_parentheses, 1 between double quotation marks, ("…", “…”, «…») or round brackets,
    from the opening one on until the closing one, which has 0. An empty line ends both, as what is
    not closed would else hold to the end of the text.
    """

    path: str = option(longest=PATH, file=True)
    """A text file in UTF-8."""
    window: int = option(low=1, high=LONGEST)
    """Timesteps of a sequence: characters that are read, each with the next as its class."""
    stride: int | None = option(low=1, high=LONGEST)
    """Characters from the start of one window to the next; null means data.window, so that windows
    do not overlap. Overlapping ones are not independent."""
    test_fraction: float = option(above=0, below=1)
    """Fraction of the text that is the test split, its end."""
