"""MNIST, read row by row (LeCun, Cortes & Burges)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Mnist
from rnnscope.data.dataset import Dataset, Split
from rnnscope.data.holding import hold_out
from rnnscope.data.npy import read_npz
from rnnscope.errors import UserError, listed

NAMES = ("x_train", "y_train", "x_test", "y_test")
SHAPE = (28, 28)
"""Of an image: timesteps and features."""


def load_mnist(config: Mnist) -> Dataset:
    """60,000 + 10,000 sequences of 28 timesteps and 28 features as bytes, 10 classes."""
    arrays = _download() if config.path is None else read_npz(Path(config.path))
    for name in NAMES:
        if name not in arrays:
            raise UserError(f"data.path={config.path}: no array '{name}'; it has {listed(arrays)}")
    for part in ("train", "test"):
        _refuse_other(arrays[f"x_{part}"], arrays[f"y_{part}"], part, f"data.path={config.path}")
    train, test = (
        Split(arrays[f"x_{part}"], arrays[f"y_{part}"].astype(np.int32))
        for part in ("train", "test")
    )
    val = None
    if config.validation_fraction:
        train, val = hold_out(train, config.validation_fraction, config.split_seed)
    return Dataset(test, train, val, tuple(str(digit) for digit in range(10)))


def _refuse_other(x: NDArray[Any], y: NDArray[Any], part: str, at: str) -> None:
    """Raise where arrays are not images and their digits."""
    own = "your own arrays need data=files"
    if x.dtype != np.uint8 or x.shape[1:] != SHAPE or not len(x):
        raise UserError(
            f"{at}: x_{part} has shape {x.shape} of {x.dtype}; MNIST's is [N, 28, 28] of uint8; "
            + own
        )
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise UserError(
            f"{at}: y_{part} has shape {y.shape} of {y.dtype}; it must be [{len(x)}] of whole "
            f"numbers; {own}"
        )
    strange = (y < 0) | (y > 9)
    if strange.any():
        first = int(strange.argmax())
        raise UserError(f"{at}: y_{part}[{first}] is {y[first]}; a digit is from 0 to 9; {own}")


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
