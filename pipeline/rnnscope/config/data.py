"""Group data: which sequences."""

from dataclasses import dataclass

from rnnscope.config.options import NAME, NAMES, PATH, SEED, TIMESTEPS, option


@dataclass
class Data:
    """Options of every data set."""

    name: str = option(
        choices=(
            "digits",
            "mnist",
            "files",
            "anbn",
            "dyck",
            "flipflop",
            "ar1",
            "delay",
            "lagged",
            "text",
        )
    )
    """The kind of data, set by data=<kind>."""
    validation_fraction: float = option(low=0, below=1)
    """Fraction of the training sequences held out for validation, if the data has no such split."""
    split_seed: int = option(low=0, high=SEED)
    """Seed of random splits and of generated sequences, separate from the run's seed so that runs
    share test sequences. Of data=text nothing is drawn: there it must be 0."""


@dataclass
class Digits(Data):
    """scikit-learn's 1,797 digits, row by row: 8 timesteps of 8 features in [0, 1]."""

    test_fraction: float = option(above=0, below=1)
    """Fraction of all digits in the test set."""


@dataclass
class Mnist(Data):
    """MNIST row by row: 28 timesteps of 28 features in [0, 1]."""

    path: str | None = option(longest=PATH, file=True)
    """File in the format of Keras' mnist.npz; null lets Keras download it."""


@dataclass
class Files(Data):
    """Your own sequences: arrays, tables, or one long series.

    Arrays, in an .npz file, a .mat file of MATLAB, an HDF5 file (.h5, .hdf5) or a folder of .npy
    files: x_train and x_test [sequences, timesteps, features]; y_train and y_test [sequences],
    classes (whole numbers, names, one-hot vectors) or numeric targets (floats), or the same of each
    timestep [sequences, timesteps], where floats may also be several targets of each [sequences,
    timesteps, targets]; optionally x_val and y_val. Sequences of different lengths are padded on
    the right, with NaN, or with anything and lengths_train and lengths_test. Bytes are pixels and
    are scaled to [0, 1]. Whole numbers [sequences, timesteps] are tokens for a model with an
    embedding, and one feature for any other model. A model of several inputs takes an array for
    each, named x_<input>_train and x_<input>_test; a plain x_train goes to the input that is left.
    Inputs that differ in length have lengths_<input>_test each; lengths_test belongs to the
    input whose timesteps a recurrent layer reads, of several to x_test. Labels and annotations of
    timesteps are of the input whose timesteps the model's output has.

    A long table, in a text file (.csv, .tsv, .txt) or a .parquet file or a folder of .parquet
    files: one row per timestep, with columns sequence, timestep (a number, a date, or a clock,
    which without a date must rise within a sequence), split (train, val or test) and label (a
    class, also by name) or target (a number). Every other column is a feature.

    A wide table, in a text file or a .parquet file: one row per sequence, one column per timestep,
    and a label first or last, as in the UCR and UCI archives. Train and test may be two files. In
    text files, which may also end in .data or in nothing, the separator (comma, tab, semicolon,
    spaces), a decimal comma and whether there is a header are found out; lines with # above the
    table are passed over, except the last one if it names the columns.

    One long series, in a text file or a .parquet file: one row per timestep, cut into windows by
    data.window.

    Larger than memory: a folder of .npy files is memory-mapped; a long .parquet table in order of
    sequence and timestep is read batch by batch. Training draws sequences at random, for which .npy
    is faster.
    """

    path: str = option(longest=PATH, file=True)
    """The file; or a folder of .npy or .parquet files, or one with a text file *_TRAIN.* and one
    *_TEST.*."""
    labels: str | None = option(choices=("sequence", "timestep"))
    """Whether labels and targets belong to whole sequences or to each timestep. Null takes what the
    shape of y tells; in tables it is sequence."""
    annotations: list[str] | None = option(longest=NAME, most=NAMES)
    """Names of annotations: numbers known for each timestep that are not given to the model, such
    as depth or count. They are arrays depth_test [N, T], ..., or columns of the long table. Null
    means none."""
    groups: str | None = option(longest=NAME)
    """Which sequences share a source, such as a patient, a text or a recording day: the name of
    arrays patient_train, patient_test, ... [N] of whole numbers or text, or of a column that is the
    same on all rows of a sequence. It is not given to the model. Splits that are drawn, folds of
    decoders and intervals keep the sequences of a group together. Of one long series the windows
    that reach over two groups are left out. Null: each sequence is a source of its own, which
    overlapping or neighbouring windows of a series are not."""
    task: str | None = option(choices=("classification", "regression"))
    """Whether labels are classes or numbers to predict. Null: a table's column target holds
    numbers, also where they are whole; else names, whole numbers and one-hot vectors are classes,
    fractions are numbers, and whole numbers stored as floats are classes if there are at most 100
    different ones, each twice on average. The log says what was taken. A network that is trained
    here has an output for each class that occurs; the outputs of your own model are counted from
    0."""
    max_classes: int = option(low=2, high=1_000_000, no_key=True)
    """The most classes that data may have; more are refused, as y is then mostly a number to
    predict. Whole numbers are the numbers of their classes, counted from 0, if all are below 1,000,
    or below a hundred times as many as occur (at most 1,000,000); others, such as dates, negative
    or large numbers, are names, and each value is a class. For your own model they are the numbers
    of its outputs wherever all are below its number of outputs. It is no part of keys."""
    test_path: str | None = option(longest=PATH, file=True)
    """A second text or .parquet file, with the test split; data.path then holds the training
    split."""
    test_fraction: float | None = option(above=0, below=1)
    """Fraction of the sequences in the test split, where the data has no splits: drawn at random by
    data.split_seed, of windows the last ones in time; with data.groups this fraction of the groups.
    Sequences without names are then named, as id, by their row in the data, from 0. Null: all are
    test."""
    layout: str | None = option(choices=("wide", "long"))
    """Of a table: wide, one row per sequence, or long, one row per timestep. Null decides by the
    names of the columns."""
    label_column: str | None = option(longest=NAME)
    """The column of a table that holds the label or target: its name, or without names its number
    from 0; first or last; or none. Null: the column label or target, or in a wide table without
    such a name the first or last one if only that is not named as the others, or holds whole
    numbers in few values, or names. Names 0, 1, 2, … of all columns count as none."""
    missing: str = option(choices=("refuse", "interpolate", "zero_and_mask"))
    """What to do with missing values (NaN, empty) within a sequence: refuse them; put the linear
    interpolation over time in their place, at a sequence's ends the nearest value; or put 0, and
    add to the F features F more that are 1 where the value is known, else 0. Time is what the
    table tells: its timesteps, dates or clocks, in a wide table the numbers in the names of its
    columns. Arrays, and tables that tell none, are taken as evenly spaced. One long series is
    filled before it is cut into windows, within each split and group."""
    window: int | None = option(low=1, high=TIMESTEPS)
    """Timesteps of each window, in which a table that is one long series is cut: its rows are
    timesteps, in order of a column timestep, date, time, datetime or timestamp if there is one.
    Null: the table is no series."""
    stride: int | None = option(low=1, high=TIMESTEPS)
    """Timesteps from the start of one window to the next; null means data.window, so that windows
    do not overlap."""
    horizon: int | None = option(low=1, high=TIMESTEPS)
    """The target of a window is the value so many timesteps after its last one, in
    data.label_column, or in the only feature; this column stays a feature. Null: the label or
    target of a window is that of its last timestep, if there is such a column."""
