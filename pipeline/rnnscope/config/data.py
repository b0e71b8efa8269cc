"""Group data: which sequences."""

from dataclasses import dataclass

from rnnscope.config.options import option


@dataclass
class Data:
    """What every data set has."""

    name: str = option()
    validation_fraction: float = option(low=0, below=1)
    """Share of the training sequences held out for validation where the data brings none."""
    split_seed: int = option(low=0, high=2**32 - 1)
    """Seed of that split; apart from the run's seed, so that runs share their test sequences."""


@dataclass
class Digits(Data):
    """scikit-learn's 1,797 digits, row by row: 8 timesteps of 8 features in [0, 1]."""

    test_fraction: float = option(above=0, below=1)
    """Share of all digits that is the test set."""


@dataclass
class Mnist(Data):
    """MNIST row by row: 28 timesteps of 28 features in [0, 1]."""

    path: str | None = option(file=True)
    """The data in Keras' mnist.npz form; null lets Keras download it."""


@dataclass
class Files(Data):
    """Sequences of the user's own."""

    path: str = option(file=True)
    """.npz, or a folder of .npy, with x_train, y_train, x_test, y_test and optionally x_val, y_val,
    lengths_train, ..., and x_<input>_train, ... for a model of several inputs; or .parquet, or a
    folder of them, or .csv with columns sequence, timestep, split, label (a class) or target (a
    number); the rest are features."""
    labels: str = option(choices=("sequence", "timestep"))
    """What a label or target belongs to: a whole sequence, or each timestep of it."""
    annotations: list[str] | None = option()
    """Names of numbers known of each timestep that the model is not told, such as depth or count:
    arrays depth_test [N, T], ..., or columns of the table. Null means none."""
