"""A value that is shown once, and to be given at a cue: working memory."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Delay
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of


def load_delay(options: Delay) -> Dataset:
    """Sequences of ``length`` timesteps and two features, stimulus and cue; a target of each."""
    length, shortest = options.length, options.shortest_delay
    return dataset_of(options, Recipe(2, lambda numbers: _made(numbers, length, shortest)))


def _made(numbers: NDArray[np.float64], length: int, shortest: int) -> Made:
    """The sequences that follow from numbers evenly from (0, 1) [B, 2]: when, and the value."""
    t = np.arange(length)
    shown_at = (numbers[:, :1] * (length - shortest)).astype(np.int64)
    value = (2 * numbers[:, 1:] - 1).astype(np.float32)
    x = np.zeros((len(numbers), length, 2), np.float32)
    x[..., 0] = np.where(t == shown_at, value, 0)
    x[:, -1, 1] = 1
    shown = t >= shown_at
    steps = {
        "shown": shown,
        "since": np.where(shown, t - shown_at, np.nan).astype(np.float32),
        "value": np.where(shown, value, np.nan),
    }
    return Made(x, value[:, 0], steps)
