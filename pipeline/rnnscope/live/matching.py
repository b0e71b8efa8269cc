"""Select what units do in a window of one sequence, and find it elsewhere."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnnscope.analysis.statistics.matching import best_windows, selected
from rnnscope.errors import UserError
from rnnscope.live.states import States
from rnnscope.states.listing import one_layer


@dataclass(frozen=True)
class Matches:
    """Where units that are on together in one window are on together elsewhere."""

    units: list[int]
    """The selected units: those on throughout the window."""
    places: pd.DataFrame
    """One row per sequence with a match, best first: sequence, start, stop, score, shared; and its
    id and label where sequences have them."""


def match(
    states: States,
    sequence: int,
    start: int,
    stop: int,
    threshold: float,
    *,
    layer: str | None = None,
    signal: str = "c",
) -> Matches:
    """Find the windows in which the same units are on as in one window of one sequence.

    A unit is *on* at a timestep if its value there is at least ``threshold``. Selected are the
    units A that are on at every timestep of the window, ``start`` to before ``stop`` of
    ``sequence``. Of every other window of as many timesteps, all of them rows, B are the units that
    are on at every timestep; its score is the Jaccard index of the two sets, |A ∩ B| / |A ∪ B|. Of
    each sequence the window with the highest score counts, the earliest of equal ones; windows that
    overlap the one that was selected do not. This is the search of LSTMVis (Strobelt et al. 2018)
    over windows of one length, with a score that units beside the selected ones lower.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(8, name="lstm")])
    >>> x = np.random.default_rng(0).normal(size=(10, 20, 3)).astype("float32")
    >>> found = rnnscope.match(rnnscope.record(model, x), 4, 12, 15, threshold=0.0)
    >>> list(found.places)
    ['sequence', 'start', 'stop', 'score', 'shared']

    Args:
        states: recorded, in memory or in files, at all timesteps.
        sequence: the number of the sequence, from 0.
        start: the first timestep of the window, from 0, in input time.
        stop: one past its last.
        threshold: in the unit of the signal: of gates from 0 to 1, of h and g from -1 to 1.
        layer: its name; may be left out where only one was recorded.
        signal: its letter.

    Returns:
        The selected units; and for every sequence in which any of them is on throughout a window,
        the best one: ``start`` and ``stop`` in timesteps, ``score`` from above 0 to 1, and
        ``shared``, how many of the selected units are on throughout it. Best first; of equal
        scores those with more shared units, then in the order of sequences.

    Raises:
        ValueError: a layer, signal or sequence that was not recorded.
        rnnscope.errors.UserError: a window that is none or not all rows, in which no unit is on, or
            states of single timesteps.
    """
    layer = one_layer(states._source.layers, layer, "states")
    values = states[layer][signal]
    steps = states._source.steps_of(layer)
    if steps is None or not np.array_equal(steps, np.arange(len(steps))):
        raise UserError("states hold only some timesteps; match takes all, timesteps='all'")
    if not 0 <= sequence < len(values):
        raise ValueError(f"sequence={sequence}: there are {len(values)}, from 0")
    if not 0 <= start < stop <= len(steps):
        raise UserError(
            f"start={start}, stop={stop}: must be a window of the {len(steps)} timesteps, from 0, "
            "with start below stop"
        )
    if np.isnan(values[sequence, start:stop]).any():
        raise UserError(
            f"start={start}, stop={stop}: sequence {sequence} has no rows at some of these "
            "timesteps: they lie past its end, or are masked"
        )
    units = selected(values[sequence], start, stop, threshold)
    if not units.any():
        raise UserError(
            f"threshold={threshold}: no unit of {layer}/{signal} is at or above it throughout "
            f"timesteps {start} to {stop - 1} of sequence {sequence}: take a lower one, or a "
            "shorter window"
        )
    best = best_windows(values, units, stop - start, threshold, (sequence, start, stop))
    found = states.sequences[["sequence"]].assign(
        start=best.start, stop=best.start + stop - start, score=best.score, shared=best.shared
    )
    known = [name for name in ("id", "label", "target") if name in states.sequences]
    found[known] = states.sequences[known]
    places = found[found["shared"] > 0].sort_values(
        ["score", "shared", "sequence"], ascending=[False, False, True], ignore_index=True
    )
    numbers = np.array(states._source.units(layer, signal))
    return Matches(numbers[units].tolist(), places)
