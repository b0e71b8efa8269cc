"""The loop inside each recurrent layer of a model, and its replacement during one pass.

All of Keras' recurrent layers run one method, ``inner_loop(sequences, initial_state, mask,
training)``. It can be replaced on each of them for the duration of a pass; the model is neither
rebuilt nor copied, and is unchanged afterwards.
"""

import contextlib
import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.libraries import replacing
from rnnscope.trace import cells
from rnnscope.trace.reading import Reading, Tensor, reading

Loop = Callable[..., tuple[Tensor, Tensor, Any]]
"""An ``inner_loop``: returns the last output [B, U], all outputs [B, T, U] in the order of its
steps, and the final states."""

BUILT_IN_CELLS = (
    keras.layers.LSTMCell,
    keras.layers.GRUCell,
    keras.layers.SimpleRNNCell,
    cells.ConvLSTMCell,
)
INNER_LOOP = "inner_loop"
LAYERS = (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
INNER_LOOPS = {
    layer.inner_loop for layer in LAYERS if layer.inner_loop.__module__.startswith("keras.src.")
}
"""Keras' own; one that somebody put in its place is another's."""


def recurrent_layers(model: keras.Model) -> dict[str, keras.layers.RNN]:
    """The model's recurrent layers by name, in the model's order.

    A layer inside another is named after both: ``bidirectional.forward``, ``encoder.lstm``. Of
    layers that share a name the second is ``lstm.2``. A layer that is reached in two ways, say from
    two models that share it, is named after the first.
    """
    found: dict[str, keras.layers.RNN] = {}
    for name, layer in _recurrent(model, ""):
        if all(layer is not known for known in found.values()):
            names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
            found[next(each for each in names if each not in found)] = layer
    return found


def state_variables(model: keras.Model) -> list[Any]:
    """The variables in which a stateful model keeps its states between batches."""
    return [
        variable
        for layer in recurrent_layers(model).values()
        if layer.stateful
        for variable in tf.nest.flatten(layer.states)
    ]


def cells_of(layer: keras.layers.RNN) -> list[Any]:
    """The cells of a layer, from the bottom up."""
    return list(layer.cell.cells) if stacked(layer) else [layer.cell]


def by_cell(layer: keras.layers.RNN, states: Any) -> Iterator[tuple[Any, Any]]:
    """The cells of a layer, each with its part of states in the layer's structure."""
    return zip(cells_of(layer), states if stacked(layer) else [states], strict=True)


def stacked(layer: keras.layers.RNN) -> bool:
    """Whether a layer has a stack of cells."""
    return isinstance(layer.cell, keras.layers.StackedRNNCells)


@contextlib.contextmanager
def replaced(
    layers: dict[str, keras.layers.RNN], make: Callable[[str, keras.layers.RNN], Loop]
) -> Iterator[None]:
    """While open, each layer's inner loop is ``make(name, layer)``; then as it was before."""
    made = [(layer, INNER_LOOP, make(name, layer)) for name, layer in layers.items()]
    with replacing.replaced(made):
        yield


def replacement(layer: keras.layers.RNN) -> Any:
    """What this thread has in place of a layer's own inner loop; None if it has nothing."""
    return replacing.replacement(layer, INNER_LOOP)


def stand_in(
    name: str,
    layer: keras.layers.RNN,
    compute: Callable[[Tensor, Any, Reading, bool], tuple[Tensor, Tensor, Any]],
) -> Loop:
    """An ``inner_loop`` that checks its arguments and then calls ``compute``.

    Args:
        name: the layer's name, for errors.
        layer: the layer whose loop it replaces.
        compute: takes sequences [B, T, F], initial states, how the sequences are read and whether
            this is training; returns what an inner loop returns.
    """
    # Signals of a layer called in an inner graph, such as a loop's, cannot be read outside of it.
    home = tf.compat.v1.get_default_graph() if not tf.executing_eagerly() else None

    def inner_loop(
        sequences: Tensor, initial_state: Any, mask: Tensor = None, training: bool = False
    ) -> tuple[Tensor, Tensor, Any]:
        if home is not None and tf.compat.v1.get_default_graph() is not home:
            raise UserError(f"layer '{name}': called inside a loop of the model's own")
        if training and any(cells.drops(cell) for cell in cells_of(layer)):
            raise UserError(f"layer '{name}': called with training=True, it drops inputs at random")
        mask = tf.nest.flatten(mask)[0] if mask is not None else None
        # A stateful layer passes its variables, which are updated at the end of the pass.
        initial_state = tf.nest.map_structure(tf.identity, initial_state)
        return compute(sequences, initial_state, reading(mask, layer.go_backwards), training)

    return inner_loop


def stock_loop(
    layer: keras.layers.RNN,
    step: Callable[[Tensor, Any], tuple[Any, Any]],
    sequences: Tensor,
    initial_state: Any,
    mask: Tensor | None,
    training: bool,
) -> tuple[Any, Any, Any]:
    """Keras' own loop over a step of ours; returns last outputs, all outputs, and final states.

    Args:
        layer: the layer whose loop it is.
        step: takes inputs [B, F] and states; returns outputs, of any structure, and the states
            after.
        sequences: [B, T, F].
        initial_state: in the structure that the layer has it.
        mask: which timesteps are read [B, T], or None.
        training: whether in training.
    """
    # The method is run on an object with all attributes of a layer that it uses.
    asked = types.SimpleNamespace(
        cell=step,
        stateful=False,
        unroll=False,
        return_sequences=True,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
    )
    return keras.layers.RNN.inner_loop(
        asked, sequences, initial_state, mask=mask, training=training
    )


def called(
    cell: Any, x: Tensor, states: Any, training: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """One timestep of one cell: its output, the states before and the states after."""
    takes_training = isinstance(cell, keras.Layer) and cell._call_has_training_arg
    given = list(states) if tf.nest.is_nested(states) else [states]
    output, after = cell(x, given, **({"training": training} if takes_training else {}))
    return output, given, tf.nest.flatten(after)


def refuse(model: keras.Model, layers: dict[str, keras.layers.RNN]) -> None:
    """Raise for layers whose loop cannot be replaced without changing what is computed.

    Raises:
        UserError: with the layer's name and the reason.
    """
    # A user's own cell may call one of Keras'.
    held = {
        id(inner)
        for layer in layers.values()
        for cell in cells_of(layer)
        for inner in (cell._flatten_layers() if isinstance(cell, keras.Layer) else [cell])
    }
    for layer in model._flatten_layers():
        if isinstance(layer, BUILT_IN_CELLS) and id(layer) not in held:
            raise UserError(f"cell '{layer.name}': called outside keras.layers.RNN; wrap it in one")
        if isinstance(layer, keras.layers.TimeDistributed) and recurrent_layers(layer):
            raise UserError(_of_two_times(model, layer))
    for name, layer in layers.items():
        kind = type(layer).__name__
        own = vars(layer).get(INNER_LOOP)
        if type(layer).inner_loop not in INNER_LOOPS or not isinstance(
            own, replacing.PerThread | None
        ):
            raise UserError(f"layer '{name}': {kind} has an inner loop of its own")
        if stacked(layer) and type(layer.cell).call is not keras.layers.StackedRNNCells.call:
            raise UserError(
                f"layer '{name}': {type(layer.cell).__name__} calls its cells in a way of its own; "
                "make it one cell, a keras.layers.Layer with call and state_size"
            )


def _of_two_times(model: keras.Model, outer: keras.layers.TimeDistributed) -> str:
    """Why a layer inside TimeDistributed cannot be recorded in place, and how else."""
    inner, td = ", ".join(recurrent_layers(outer)), outer.name
    why = (
        f"layer '{inner}': inside TimeDistributed '{td}' it starts anew in every outer timestep, "
        "and a row has one timestep; "
    )
    if not hasattr(model, "inputs") or outer not in model.layers:
        return f"{why}record '{inner}' as a model of its own, on what '{td}' gives it at each"
    return (
        f"{why}record two models in its place: with td = model.get_layer('{td}') and "
        "x = keras.Input(td.input.shape[2:]), keras.Model(x, td.layer(x)) on "
        "keras.Model(model.input, td.input).predict(data).reshape(-1, *td.input.shape[2:]), and "
        "keras.Model(td.output, model.output) on keras.Model(model.input, td.output).predict(data)"
    )


def _recurrent(layer: keras.layers.Layer, prefix: str) -> Iterator[tuple[str, keras.layers.RNN]]:
    for child in layer._flatten_layers(include_self=False, recursive=False):
        name = f"{prefix}{child.name or 'layer'}"
        named = {name: child}
        if isinstance(child, keras.layers.Bidirectional):
            named = {
                f"{name}.forward": child.forward_layer,
                f"{name}.backward": child.backward_layer,
            }
        for path, each in named.items():
            if isinstance(each, keras.layers.RNN):
                yield path, each
            yield from _recurrent(each, f"{path}.")  # also a layer within a cell
