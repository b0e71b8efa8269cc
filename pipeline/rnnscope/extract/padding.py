"""What depends on padding where no mask reaches a recurrent layer, found by changing padding."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope import models
from rnnscope.data import MASK, Batch, Split
from rnnscope.extract.landing import ROUNDING
from rnnscope.extract.rounding import relative
from rnnscope.extract.rows import Rows
from rnnscope.models.batches import fixed_batch
from rnnscope.models.calls import masking
from rnnscope.models.tokens import embeddings
from rnnscope.trace.loops import state_variables

TRIED = 8
"""Sequences whose padding is changed, of each input the shortest."""


@dataclass(frozen=True)
class Depending:
    """What changes with the padding."""

    layers: list[str]
    """Layers whose rows do."""
    outputs: bool
    """Whether the outputs do, where they are of timesteps those of valid ones."""

    def __str__(self) -> str:
        states = [f"the states of {', '.join(self.layers)}"] if self.layers else []
        return " and ".join([*states, *(["the outputs"] if self.outputs else [])])


def depending(
    recorded: Callable[[Any], tuple[Any, Any, Any]],
    model: keras.Model,
    split: Split,
    rows: Rows,
    drawn: Iterable[Any],
) -> Depending:
    """Which states and outputs of a model change with the padding of its test split.

    Args:
        recorded: a pass over inputs: each layer's signals [U, B, T] and mask; outputs; more.
        model: the model, which stays unchanged.
        split: the test split.
        rows: which timesteps are rows.
        drawn: the random streams of the model.
    """
    batch = split.take(_shortest(model, split))
    changing = [*model.non_trainable_variables, *state_variables(model), *drawn]
    variables = {id(each): each for each in changing}
    kept = [(each, np.array(each)) for each in variables.values()]
    passes = []
    for given in (batch, _changed(batch)):
        signals, outputs, _ = recorded(models.inputs(model, given))
        for variable, values in kept:
            variable.assign(values)
        passes.append(_compared(signals, np.asarray(outputs), batch, split, rows))
    one, other = passes
    layers = [name for name in one if name is not None and _differ(one[name], other[name])]
    return Depending(layers, _differ(one[None], other[None]))


def warning(model: keras.Model, unmasked: list[str], found: Depending, rows: Rows) -> str:
    """That padding is read, by which layers, with what effect, and how to avoid it."""
    by_input: dict[str, list[str]] = {}
    for layer in unmasked:
        by_input.setdefault(min(rows.reads(layer), default="x"), []).append(layer)
    tokens = embeddings(model)
    what = "token 0" if by_input.keys() <= tokens.keys() else "zeros"
    makers = {id(layer): layer.name for layer in masking(model)}

    def mask(name: str) -> str:
        if (maker := makers.get(id(tokens.get(name)))) is not None:
            return f"mask={maker}.compute_mask({name})"
        valid = f"keras.ops.not_equal({name}, 0)"
        return f"mask={valid}" if name in tokens else f"mask=keras.ops.any({valid}, axis=-1)"

    calls = [f"{mask(name)} in the call of {', '.join(of)}" for name, of in by_input.items()]
    return (
        f"no mask of padding reaches {', '.join(unmasked)}: it is read as {what}, and {found} "
        f"depend on it; {' and '.join(calls)} avoids that"
    )


def lost(layer: str, maker: str, rows: Rows, split: Split) -> str:
    """That a mask does not reach a layer, whose padding are rows therefore, and what to do."""
    read = min(rows.reads(layer), default="x")
    key = f"lengths_{read}_test" if split.others else "lengths_test"
    scored = ", with labels" if split.per_timestep else ""
    return (
        f"the mask of '{maker}' does not reach layer '{layer}' (Keras drops it where initial_state "
        f"is passed, and behind what takes none): padding are rows there{scored}; for padding on "
        f"the right give {key}, or in the layer's call mask={maker}.compute_mask({read})"
    )


def _shortest(model: keras.Model, split: Split) -> NDArray[np.intp]:
    """The numbers of the sequences to try, as many as the model takes in a batch."""
    lengths = [each for each in (split.lengths, *split.other_lengths.values()) if each is not None]
    found = np.unique(np.concatenate([np.argsort(each, kind="stable")[:TRIED] for each in lengths]))
    return np.resize(found, fixed_batch(model) or len(found))


def _changed(batch: Batch) -> Batch:
    """The batch with values of valid timesteps in its padding."""
    random = np.random.default_rng(0)
    found = batch.cut(np.arange(len(batch.x)))
    for name in (None, *batch.others):
        lengths = batch.lengths_of(name)
        if lengths is not None:
            values = found.x if name is None else found.others[name]
            padding = np.arange(values.shape[1]) >= lengths[:, np.newaxis]
            known = values[~padding]
            values[padding] = known[random.integers(len(known), size=padding.sum())]
    return found


def _compared(
    signals: Any, outputs: NDArray[Any], batch: Batch, split: Split, rows: Rows
) -> dict[str | None, list[NDArray[Any]]]:
    """Of a pass the signals of each layer's rows [R, U], and under None the outputs [..., F]."""
    found: dict[str | None, list[NDArray[Any]]] = {}
    for layer, (named, mask) in signals.items():
        arrays = [np.asarray(values) for values in named.values()]
        own = None if mask is None else np.asarray(mask)
        valid, _ = rows.valid(layer, arrays[0].shape[2], own, batch)
        found[layer] = [values[:, valid].T for values in arrays]
    timed = outputs.ndim > 2 or split.per_timestep
    if rows.times is not None:
        timed = rows.times.output is not None and bool(rows.times.output.inputs - {MASK})
    fits = timed and outputs.shape[:2] == batch.valid.shape
    found[None] = [outputs[batch.valid] if fits else outputs]
    return found


def _differ(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> bool:
    pairs = zip(one, other, strict=True)
    return any((relative(found, known) > ROUNDING).any() for found, known in pairs)
