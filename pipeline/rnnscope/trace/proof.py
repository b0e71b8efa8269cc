"""Proof that recorded signals are what the layer computes, one timestep at a time.

From the recorded states of one step, one call of the model's own cell on the layer's own inputs
must give the recorded states of the next. By induction the whole recording is then the layer's,
however sensitive its dynamics are.

step_h, step_c, step_s0 ...   recorded states against that call
gates           recorded gates against the equations in float64, from the public weights
equations       that call against the same equations: they are this cell's, so the gates are too
handed          outputs and final states returned to Keras, against that call

A residual is |a - b| / max(1, |b|); of cells whose equations are known, the denominator is at least
``spread / ROUNDING``, where the spread is what rounding of one step may change (``equations``).

What follows is reported and not judged, as two right loops in float32 part where c counts over
many timesteps, or the dynamics are chaotic:

drift           outputs and final states against Keras' own loop over the same inputs
drift_float64   the same against a loop in float64, where the equations are known
keras_float64   Keras' own loop against that one
"""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from rnnscope.trace import cells, drift, equations
from rnnscope.trace.equations import Rounded
from rnnscope.trace.reading import Tensor
from rnnscope.trace.recording import Trace
from rnnscope.trace.steps import Stepped, Steps, stepped, steps_of

DRIFT = ("drift", "drift_float64", "keras_float64")
"""Kinds that are reported and not judged."""

ROUNDING = 2e-6
"""A spread of this much counts like a value of 1: a tolerance of 1e-5 allows five of them, each of
which is one rounding of every sum in the step."""

Numbers = Any
"""A float64 tensor [6]: residual, sequence, timestep, unit, recorded value, expected value."""
Found = dict[str, dict[str, dict[str, Numbers]]]
"""Layer -> kind of residual -> signal -> numbers."""


def proved(trace: Trace, count: Tensor) -> Found:
    """The worst residual of each kind over the first ``count`` sequences of a pass.

    To be called in the graph in which the pass was recorded: cells may hold what belongs to its
    batch.

    Raises:
        UserError: a cell draws at random at each timestep.
    """
    found: Found = {}
    for call in trace.calls.values():
        if all(cells.stock_kind(each.cell) for each in call.cells.values()):
            call = call.first(count)  # only Keras' own cells surely take any number of sequences
        steps = steps_of(call)
        own = stepped(steps)
        every = (_judged(steps, own, count), _handed(steps, own, count), _drift(steps, count))
        for part in every:
            for layer, kind, signal, numbers in part:
                found.setdefault(layer, {}).setdefault(kind, {})[signal] = numbers
    return found


Compared = Iterator[tuple[str, str, str, Numbers]]
"""Layer, kind, signal and numbers of each comparison."""


def _judged(steps: Steps, own: dict[str, Stepped], count: Tensor) -> Compared:
    """The signals of each cell."""
    compare = _comparison(steps.timestep, steps.mask, count)
    for layer, trace in steps.call.cells.items():
        known = _equations(trace.cell, own[layer])
        for state, after in own[layer].after.items():
            spread = known[state].spread if known else 0.0
            recorded = steps.recorded(trace.signals[state])
            yield layer, f"step_{state}", state, compare(recorded, after, spread)
            if known:
                yield layer, "equations", state, compare(after, known[state].value, spread)
        for gate in known.keys() - own[layer].after.keys():
            recorded, exact = steps.recorded(trace.signals[gate]), known[gate]
            yield layer, "gates", gate, compare(recorded, exact.value, exact.spread)


def _handed(steps: Steps, own: dict[str, Stepped], count: Tensor) -> Compared:
    """What was returned to Keras: outputs, which it repeats at masked steps, and final states."""
    call = steps.call
    top = list(call.cells)[-1]
    outputs, *states = call.outputs_and_states()
    want = own[top].output
    if steps.mask is not None:
        none = tf.zeros_like(want[:, 0])
        held = tf.zeros_like(want) if call.layer.zero_output_for_mask else steps.held(outputs, none)
        want = tf.where(steps.mask[:, :, tf.newaxis], want, held)
    known = _equations(call.cells[top].cell, own[top])
    spread = known["h"].spread if known else 0.0
    yield top, "handed", "outputs", _comparison(steps.timestep, None, count)(outputs, want, spread)
    compare = _comparison(steps.final_timestep(), None, count)
    for layer, trace in call.cells.items():
        known = _equations(trace.cell, own[layer])
        for state, initial in trace.initial.items():
            want = steps.held(own[layer].after[state], initial)[:, -1:]
            spread = _final_spread(steps, known[state].spread) if known else 0.0
            yield layer, "handed", state, compare(states.pop(0), want, spread)


def _final_spread(steps: Steps, spread: Tensor) -> Tensor:
    return steps.held(spread, tf.zeros_like(spread[:, 0]))[:, -1:]


def _drift(steps: Steps, count: Tensor) -> Compared:
    call = steps.call
    top = list(call.cells)[-1]
    ours = call.outputs_and_states()
    keras = drift.of_keras(call)
    exact = drift.in_float64(call)
    for kind, got, want in (
        ("drift", ours, keras),
        ("drift_float64", ours, exact),
        ("keras_float64", keras, exact),
    ):
        if want is None:
            continue
        for number, (a, b) in enumerate(zip(got, want, strict=True)):
            time = steps.final_timestep() if number else steps.timestep
            signal = f"state {number - 1}" if number else "outputs"
            yield top, kind, signal, _comparison(time, None, count)(a, b, 0.0)


def _equations(cell: Any, own: Stepped) -> dict[str, Rounded]:
    """All signals by the equations, [B, T, U] each; empty where they are not known."""
    if cells.stock_kind(cell) is None:
        return {}
    lead = tf.shape(own.x)[:2]

    def rows(x: Tensor) -> Tensor:
        return tf.reshape(x, (-1, x.shape[-1]))

    def back(x: Tensor) -> Tensor:
        return tf.reshape(x, (*tf.unstack(lead), x.shape[-1]))

    before = {name: rows(values) for name, values in own.before.items()}
    found = equations.signals(cell, rows(own.x), before)
    return {
        signal: Rounded(back(each.value), back(each.spread), each.unit)
        for signal, each in found.items()
    }


def _comparison(
    timestep: Tensor, mask: Tensor | None, count: Tensor
) -> Callable[[Tensor, Tensor, Tensor | float], Numbers]:
    """A function of recorded and expected values [B, T, U] and their spread, which gives numbers.

    Args:
        timestep: the input timestep of each row [B, T].
        mask: which rows count [B, T]; None if all do.
        count: only so many sequences.
    """

    def compare(recorded: Tensor, expected: Tensor, spread: Tensor | float) -> Numbers:
        a, b = (tf.cast(values[:count], tf.float64) for values in (recorded, expected))
        scale = tf.maximum(tf.abs(b), 1.0)
        if not isinstance(spread, float):
            scale = tf.maximum(scale, spread[:count] / ROUNDING)
        residual = tf.abs(a - b) / scale
        if mask is not None:
            residual = tf.where(mask[:count, :, tf.newaxis], residual, tf.zeros_like(residual))
        # NaN comes first: it is larger than any number.
        rank = tf.where(tf.math.is_nan(residual), tf.constant(float("inf"), tf.float64), residual)
        # In the order of steps, so that of equal ones the first is named.
        rank = tf.transpose(rank, (1, 0, 2))
        flat = tf.argmax(tf.reshape(rank, [-1]), output_type=tf.int64)
        step, sequence, unit = tf.unstack(tf.unravel_index(flat, tf.shape(rank, tf.int64)))
        place = tf.stack([sequence, step, unit])
        at = [tf.gather_nd(values, place) for values in (residual, a, b)]
        time = tf.gather_nd(timestep[:count], place[:2])
        numbers = (at[0], sequence, time, unit, *at[1:])
        return tf.stack([tf.cast(each, tf.float64) for each in numbers])

    return compare
