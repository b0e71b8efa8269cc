"""Autoregressive sequences of known timescale."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from rnnscope.config import Ar1
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of, named, targets


def load_ar1(options: Ar1) -> Dataset:
    """Sequences of ``length`` timesteps, a feature and a target of each timestep for each φ."""
    phi = np.array(options.phi)
    shape = (options.length + 1, len(phi))
    recipe = Recipe(
        shape[0] * shape[1], lambda numbers: _made(ndtri(numbers).reshape(-1, *shape), phi)
    )
    return dataset_of(options, recipe)


def _made(noise: NDArray[np.float64], phi: NDArray[np.float64]) -> Made:
    """The sequences that follow from normal noise [B, T + 1, F] and φ [F]; T timesteps are read.

    x_0 has the variance that all later ones have, so that they are stationary from there on.
    """
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0]
    scale = np.sqrt(1 - phi**2)
    for t in range(1, noise.shape[1]):
        values[:, t] = phi * values[:, t - 1] + scale * noise[:, t]
    known = values.astype(np.float32)
    x = known[:, :-1]
    return Made(x, targets(known[:, 1:]), named(x))
