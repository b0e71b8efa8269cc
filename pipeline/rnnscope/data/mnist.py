"""MNIST, read row by row (LeCun, Cortes & Burges)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Mnist
from rnnscope.data.dataset import Dataset, Split, hold_out
from rnnscope.data.npy import read_npz
from rnnscope.errors import UserError

NAMES = ("x_train", "y_train", "x_test", "y_test")


def load_mnist(config: Mnist) -> Dataset:
    """60,000 + 10,000 sequences of 28 timesteps and 28 features as bytes, 10 classes."""
    arrays = _download() if config.path is None else read_npz(Path(config.path))
    for name in NAMES:
        if name not in arrays:
            raise UserError(f"data.path={config.path}: no array '{name}'; it has {list(arrays)}")
    train, test = (
        Split(arrays[f"x_{part}"], arrays[f"y_{part}"].astype(np.int32))
        for part in ("train", "test")
    )
    val = None
    if config.validation_fraction:
        train, val = hold_out(train, config.validation_fraction, config.split_seed)
    return Dataset(test, train, val, tuple(str(digit) for digit in range(10)))


def _download() -> dict[str, NDArray[Any]]:
    """Keras' copy of MNIST, cached where Keras keeps its data sets."""
    from keras.datasets import mnist  # TensorFlow starts with it: only where it is needed

    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise UserError(
            f"data=mnist could not be downloaded ({' '.join(str(error).split())}); "
            "give the file instead: data.path=/path/to/mnist.npz"
        ) from error
    return dict(zip(NAMES, (x_train, y_train, x_test, y_test), strict=True))
