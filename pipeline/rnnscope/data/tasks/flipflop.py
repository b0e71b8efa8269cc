"""Bits that are set by pulses and held between them (Sussillo & Barak 2013)."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import FlipFlop
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of, targets


def load_flipflop(options: FlipFlop) -> Dataset:
    """Sequences of ``length`` timesteps and a feature per bit; as many targets of each timestep."""
    shape = (options.length, options.bits)
    recipe = Recipe(
        options.length * options.bits,
        lambda numbers: _made(numbers.reshape(-1, *shape), options.pulse_probability),
    )
    return dataset_of(options, recipe)


def _made(numbers: NDArray[np.float64], probability: float) -> Made:
    """The sequences that follow from numbers evenly from (0, 1), one for each pulse [B, T, bits].

    At timestep 0 every bit has a pulse, so that there is something to be held from then on.
    """
    probabilities = np.full(numbers.shape[1:], probability)
    probabilities[0] = 1
    pulses = np.where(numbers < probabilities / 2, -1, (numbers < probabilities).astype(np.float32))
    held = latest(pulses)
    memory = ((held > 0) * 2 ** np.arange(held.shape[2])).sum(axis=2).astype(np.int32)
    x, y = pulses.astype(np.float32), targets(held).astype(np.float32)
    return Made(x, y, {"memory": memory})


def latest(pulses: NDArray[np.floating]) -> NDArray[np.floating]:
    """The last value other than 0 up to each timestep [B, T, bits]; of none before, 0."""
    t = np.arange(pulses.shape[1])[:, np.newaxis]
    place = np.maximum.accumulate(np.where(pulses != 0, t, 0), axis=1)
    return np.take_along_axis(pulses, place, axis=1)
