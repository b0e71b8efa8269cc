"""Group data: which sequences."""

from dataclasses import dataclass

from rnnscope.config.options import option


@dataclass
class Data:
    """Options of every data set."""

    name: str = option()
    """The kind of data, set by data=<kind>."""
    validation_fraction: float = option(low=0, below=1)
    """Fraction of the training sequences held out for validation, if the data has no such split."""
    split_seed: int = option(low=0, high=2**32 - 1)
    """Seed of random splits, separate from the run's seed so that runs share test sequences."""


@dataclass
class Digits(Data):
    """scikit-learn's 1,797 digits, row by row: 8 timesteps of 8 features in [0, 1]."""

    test_fraction: float = option(above=0, below=1)
    """Fraction of all digits in the test set."""


@dataclass
class Mnist(Data):
    """MNIST row by row: 28 timesteps of 28 features in [0, 1]."""

    path: str | None = option(file=True)
    """File in the format of Keras' mnist.npz; null lets Keras download it."""


@dataclass
class Files(Data):
    """Your own sequences, as arrays or as a long table.

    Arrays, in an .npz file or a folder of .npy files: x_train and x_test [sequences, timesteps,
    features]; y_train and y_test [sequences], classes as whole numbers from 0 or numeric targets as
    floats; optionally x_val and y_val. Sequences of different lengths are padded on the right, with
    NaN, or with anything and lengths_train and lengths_test. Bytes are pixels and are scaled to
    [0, 1]. Whole numbers [sequences, timesteps] are tokens for a model with an embedding, and one
    feature for any other model. A model of several inputs takes an array for each, named
    x_<input>_train and x_<input>_test; a plain x_train goes to the input that is left. Inputs that
    differ in length have lengths_<input>_test each; lengths_test belongs to the input whose
    timesteps a recurrent layer reads, of several to x_test. Labels and annotations of timesteps are
    of the input whose timesteps the model's output has.

    A long table, in a .csv or .parquet file or a folder of .parquet files: one row per timestep,
    with columns sequence, timestep, split (train, val or test) and label (a class, also by name) or
    target (a number). Every other column is a feature.

    Larger than memory: a folder of .npy files is memory-mapped; a .parquet table in order of
    sequence and timestep is read batch by batch. Training draws sequences at random, for which .npy
    is faster.
    """

    path: str = option(file=True)
    """An .npz, .csv or .parquet file, or a folder of .npy or of .parquet files."""
    labels: str = option(choices=("sequence", "timestep"))
    """Whether labels and targets belong to whole sequences or to each timestep."""
    annotations: list[str] | None = option()
    """Names of annotations: numbers known for each timestep that are not given to the model, such
    as depth or count. They are arrays depth_test [N, T], ..., or columns of the table. Null means
    none."""
