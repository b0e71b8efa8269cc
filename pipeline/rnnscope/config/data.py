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
    """Your own sequences."""

    path: str = option(file=True)
    """Arrays: an .npz file or a folder of .npy files with x_train, y_train, x_test, y_test and
    optionally x_val, y_val, lengths_train, ..., and x_<input>_train, ... for a model of several
    inputs. Or a long table: a .csv or .parquet file or a folder of .parquet files, with columns
    sequence, timestep, split, label (a class) or target (a number); other columns are features."""
    labels: str = option(choices=("sequence", "timestep"))
    """Whether labels and targets belong to whole sequences or to each timestep."""
    annotations: list[str] | None = option()
    """Names of annotations: numbers known for each timestep that are not given to the model, such
    as depth or count. They are arrays depth_test [N, T], ..., or columns of the table. Null means
    none."""
