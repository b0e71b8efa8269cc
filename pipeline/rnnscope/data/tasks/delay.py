"""A value that is shown once, and to be given at a cue: working memory."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Delay
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of

Float = NDArray[np.float64]


def load_delay(options: Delay) -> Dataset:
    """Sequences of two features, stimulus and cue, that end with the cue; a target of each."""
    length, shortest = options.length, options.shortest_delay

    def lengths(numbers: Float) -> NDArray[np.int32]:
        return (_times(numbers, length, shortest)[1] + 1).astype(np.int32)

    recipe = Recipe(3, lambda numbers: _made(numbers, length, shortest), lengths)
    return dataset_of(options, recipe)


def _times(numbers: Float, length: int, shortest: int) -> tuple[NDArray[np.int64], ...]:
    """The timesteps of value and cue [B]: the first drawn evenly, then the second behind it.

    As the cue may come at any time, the value has to be kept in a form that can be given at once.
    """
    shown_at = (numbers[:, 0] * (length - shortest)).astype(np.int64)
    first = shown_at + shortest
    return shown_at, first + (numbers[:, 1] * (length - first)).astype(np.int64)


def _made(numbers: Float, length: int, shortest: int) -> Made:
    """The sequences of numbers evenly from (0, 1) [B, 3]: when value and cue, and the value."""
    shown_at, cue = (each[:, np.newaxis] for each in _times(numbers, length, shortest))
    t, value = np.arange(length), (2 * numbers[:, 2:] - 1).astype(np.float32)
    x = np.zeros((len(numbers), length, 2), np.float32)
    x[..., 0] = np.where(t == shown_at, value, 0)
    x[..., 1] = t == cue
    shown = t >= shown_at
    steps = {
        "shown": shown,
        "since": np.where(shown, t - shown_at, np.nan).astype(np.float32),
        "value": np.where(shown, value, np.nan),
    }
    return Made(x, value[:, 0], steps)
