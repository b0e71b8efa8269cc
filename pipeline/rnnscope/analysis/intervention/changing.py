"""A layer computed and recorded step by step, with a state of its cell changed in a window."""

from typing import Any

import tensorflow as tf

from rnnscope.analysis.intervention.changes import Change, signals
from rnnscope.trace import cells, loops
from rnnscope.trace.places import Place
from rnnscope.trace.reading import Reading
from rnnscope.trace.recording import Compute, LayerTrace, in_time

Tensor = Any


def changing(
    place: Place, change: Change, units: list[int], window: range, values: Tensor
) -> Compute:
    """What computes the place's layer with some units set, for ``trace.recording_with``.

    Args:
        place: of the cell.
        change: of its state.
        units: that are set.
        window: the timesteps at which they are, in input time.
        values: to what [B, W, units].
    """
    layer = place.layer

    def compute(
        sequences: Tensor, initial_state: Any, read: Reading, training: bool
    ) -> tuple[Tensor, Any, dict[str, LayerTrace]]:
        whole = _with_values(sequences, values, place.units, units, window)
        sizes = [sequences.shape[-1], place.units, 1]

        def step(x: Tensor, states: Any) -> tuple[Any, Any]:
            x, value, inside = tf.split(x, sizes, axis=-1)
            found, after = [], []
            for number, (cell, state) in enumerate(loops.by_cell(layer, states)):
                here = change if number == place.number else None
                made, new = _made(cell, here, x, state, value, inside > 0, training)
                x = new[0]
                found.append(made)
                after.append(new)
            return (x, found), tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

        _, (outputs, found), final = loops.stock_loop(
            layer, step, whole, initial_state, read.mask, training
        )
        recorded = {}
        for number, (cell, given) in enumerate(loops.by_cell(layer, initial_state)):
            names = cells.states_of(cell, len(tf.nest.flatten(given)))
            recorded[f".cell{number}" if loops.stacked(layer) else ""] = LayerTrace(
                cell,
                {name: in_time(each, read.backwards) for name, each in found[number].items()},
                dict(zip(names, tf.nest.flatten(given), strict=True)),
                read,
                "loop",
            )
        return outputs, final, recorded

    return compute


def _with_values(
    sequences: Tensor, values: Tensor, count: int, units: list[int], window: range
) -> Tensor:
    """Sequences [B, T, F] with further features, so that each step has its own [B, T, F + U + 1].

    They are the values of all units, 0 of those that are not set, and 1 within the window.
    """
    after = tf.shape(sequences)[1] - window.stop
    spread = values @ tf.one_hot(units, count, dtype=values.dtype)
    marked = tf.concat([spread, tf.ones_like(spread[..., :1])], axis=2)
    padded = tf.pad(marked, [[0, 0], [window.start, after], [0, 0]])
    return tf.concat([sequences, tf.cast(padded, sequences.dtype)], axis=2)


def _made(
    cell: Any,
    change: Change | None,
    x: Tensor,
    state: Any,
    value: Tensor,
    inside: Tensor,
    training: bool,
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The signals of one cell after one timestep, and its states."""
    if cells.stock_kind(cell) is None:
        _, _, new = loops.called(cell, x, state, training)
        return dict(zip(cells.states_of(cell, len(new)), new, strict=True)), new
    given = list(state) if tf.nest.is_nested(state) else [state]
    made = signals(cell, change, x, given, value, inside)
    return made, [made[name] for name in cells.states_of(cell, len(given))]
