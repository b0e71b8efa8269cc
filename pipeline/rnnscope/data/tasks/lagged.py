"""White noise, of which past values are to be given: how far back a network remembers."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from rnnscope.config import Lagged
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of, named, targets


def load_lagged(options: Lagged) -> Dataset:
    """Sequences of ``length`` timesteps of white noise; a target of each timestep and feature."""
    shape = (options.length, options.features)

    def make(numbers: NDArray[np.float64]) -> Made:
        noise = 2 * numbers - 1 if options.distribution == "uniform" else ndtri(numbers)
        return _made(noise.reshape(-1, *shape).astype(np.float32), options.lag)

    return dataset_of(options, Recipe(shape[0] * shape[1], make))


def _made(x: NDArray[np.float32], lag: int) -> Made:
    """The sequences of this noise [B, T, F]."""
    before = np.zeros_like(x)
    before[:, lag:] = x[:, : x.shape[1] - lag]
    return Made(x, targets(before), named(x))
