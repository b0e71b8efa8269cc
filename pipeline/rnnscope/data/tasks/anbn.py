"""aⁿbⁿ between a start and an end, the simplest language that takes a counter."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Anbn
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of, one_hot

READ = ("^", "a", "b")
"""The symbols that are read."""
NEXT = ("a", "b", "$")
"""Those that may come next."""


def load_anbn(options: Anbn) -> Dataset:
    """Sequences of 2 n + 1 timesteps, three features and three classes of each timestep."""
    train, test = _recipe(options.max_n), _recipe(options.test_max_n)
    return dataset_of(options, train, test, classes=NEXT, symbols=READ)


def _recipe(most: int) -> Recipe:
    """Of n evenly from 1 to ``most``."""

    def n(numbers: NDArray[np.float64]) -> NDArray[np.int32]:
        return (1 + numbers[:, 0] * most).astype(np.int32)

    return Recipe(1, lambda numbers: _made(n(numbers), most), lambda numbers: 2 * n(numbers) + 1)


def _made(n: NDArray[np.int32], most: int) -> Made:
    """The sequences of these n [B], of at most 2 ``most`` + 1 timesteps."""
    t = np.arange(2 * most + 1, dtype=np.int32)
    n = n[:, np.newaxis]
    valid = t <= 2 * n
    phase = np.where(t == 0, 0, np.where(t <= n, 1, 2))
    following = np.where(t < n, 0, np.where(t < 2 * n, 1, 2))
    steps = {
        "count": np.where(valid, np.minimum(t, 2 * n - t), 0),
        "phase": np.where(valid, phase, 0).astype(np.int8),
        "position": np.broadcast_to(t, valid.shape),
    }
    x = one_hot(np.where(valid, phase, -1), len(READ))  # a symbol's number is that of its phase
    return Made(x, np.where(valid, following, 0).astype(np.int8), steps)
