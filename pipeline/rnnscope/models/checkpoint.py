"""LSTM networks of TensorFlow 1, from a checkpoint's variables alone, as stock Keras layers.

BasicLSTMCell and LSTMCell have one kernel [F + U, 4 U], with the rows of the input above those of
h, and one bias [4 U], both with columns in the order i, j, f, o; j is the candidate g. At run time
they add ``forget_bias`` to f (tensorflow/python/ops/rnn_cell_impl.py, BasicLSTMCell.call). Keras
has an input kernel [F, 4 U] and a recurrent kernel [U, 4 U], in the order i, f, g, o, and adds
nothing.

How the layers are connected follows from the names and shapes in a checkpoint. A checkpoint does
not contain ``cell_clip``, an activation other than tanh, a ResidualWrapper, or an initial state
other than zero: a network with one of these is loaded without it, and its states then differ from
those in TensorFlow 1.
"""

import logging
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.config import Tf1Checkpoint
from rnnscope.data import MASK
from rnnscope.errors import UserError
from rnnscope.models import variables
from rnnscope.models.ends import last
from rnnscope.models.variables import Cell, Shapes
from rnnscope.store import digests

log = logging.getLogger(__name__)


def load(model: Tf1Checkpoint, *, padded: bool = False) -> keras.Model:
    """The network in a checkpoint, as a Keras model with its weights set.

    Inputs: x [B, T, F], and if ``padded`` a mask [B, T] (bool), as for our own models. Layers:
    ``lstm``, or ``lstm_1``, ``lstm_2``, ...; Bidirectional if there are two directions, or
    ``lstm_1_forward``, ``lstm_1_backward``, ... if each direction is a stack of its own. Output:
    that of the Dense layer ``readout`` for h after the final step [B, K].

    Raises:
        UserError: no network of LSTM cells, one that Keras' LSTM cannot compute, or a readout that
            names and shapes do not determine.
    """
    where = f"model.path={model.path}"
    reader, shapes = _open(Path(model.path), where)
    stack = variables.stack(variables.cells(shapes, where), where)
    flat = [cell for layer in stack for cell in layer]
    variables.refuse_cudnn(flat, model.forget_bias, where)
    own = {name for cell in flat for name in (cell.kernel, cell.bias)}
    free = {name: shape for name, shape in shapes.items() if name not in own}
    width = sum(cell.units for cell in stack[-1])
    kernel, bias = variables.readout(free, width, model.readout, model.readout_bias, where)

    x = keras.Input((None, flat[0].features), name="x")
    mask = keras.Input((None,), dtype="bool", name=MASK) if padded else None
    y, layers = _layers(x, mask, stack, model.readout_from == "output")
    dense = keras.layers.Dense(free[kernel][1], use_bias=bias is not None, name="readout")
    inputs = x if mask is None else {"x": x, MASK: mask}
    built = keras.Model(inputs, dense(y), name=model.name)

    for cell, layer in zip(flat, layers, strict=True):
        kernels, biases = (_values(reader, each, where) for each in (cell.kernel, cell.bias))
        layer.set_weights(_as_keras(kernels, biases, cell.features, model.forget_bias))
    names = [kernel] if bias is None else [kernel, bias]
    dense.set_weights([_values(reader, name, where) for name in names])

    left = ", ".join(sorted(name for name in free if name not in names))
    cells = ", ".join(f"{cell.scope} [{cell.features} -> {cell.units}]" for cell in flat)
    log.info(f"{'':<10} {cells}; readout {' + '.join(names)}; not used: {left or 'nothing'}")
    return built


def _as_keras(
    kernel: Any, bias: Any, features: int, forget_bias: float
) -> list[NDArray[np.float32]]:
    """Keras' [F, 4 U], [U, 4 U] and [4 U] from TensorFlow 1's [F + U, 4 U] and [4 U]."""
    i, j, f, o = np.split(np.vstack([kernel, bias]).astype(np.float32), 4, axis=1)
    f[-1] += np.float32(forget_bias)
    together = np.hstack([i, f, j, o])
    return [together[:features], together[features:-1], together[-1]]


def _layers(
    x: Any, mask: Any, stack: list[list[Cell]], at_last_timestep: bool
) -> tuple[Any, list[keras.layers.LSTM]]:
    """The input of the readout [B, U or 2 U], and each cell's LSTM layer in the stack's order."""
    names = ["lstm"] if len(stack) == 1 else [f"lstm_{n}" for n in range(1, len(stack) + 1)]
    if len(stack[0]) == 1:
        return _direction(x, mask, [cell for (cell,) in stack], names)
    if variables.apart(stack):
        ends, directions = [], []
        for way, cells in zip(("forward", "backward"), zip(*stack, strict=True), strict=True):
            full = [f"{name}_{way}" for name in names]
            y, layers = _direction(x, mask, list(cells), full, way == "backward", at_last_timestep)
            ends.append(last(y, mask) if at_last_timestep else y)
            directions.append(layers)
        pairs = zip(*directions, strict=True)
        return keras.ops.concatenate(ends, axis=-1), [layer for pair in pairs for layer in pair]
    layers = []
    for name, (fw, bw) in zip(names, stack, strict=True):
        whole = at_last_timestep or name != names[-1]
        both = keras.layers.Bidirectional(
            keras.layers.LSTM(fw.units, return_sequences=whole),
            backward_layer=keras.layers.LSTM(bw.units, return_sequences=whole, go_backwards=True),
            name=name,
        )
        x = both(x, mask=mask)
        layers += [both.forward_layer, both.backward_layer]
    return last(x, mask) if at_last_timestep else x, layers


def _direction(
    y: Any,
    mask: Any,
    cells: list[Cell],
    names: list[str],
    backwards: bool = False,
    whole: bool = False,
) -> tuple[Any, list[keras.layers.LSTM]]:
    """Stacked layers of one direction: the last h [B, U], or all h [B, T, U] if ``whole``."""
    layers = []
    for cell, name in zip(cells, names, strict=True):
        sequences = whole or name != names[-1]
        layer = keras.layers.LSTM(
            cell.units, return_sequences=sequences, go_backwards=backwards, name=name
        )
        y = layer(y, mask=mask)
        if backwards and sequences:
            y = keras.ops.flip(y, axis=1)  # back to input time, as the next layer expects
        layers.append(layer)
    return y, layers


def _open(path: Path, where: str) -> tuple[Any, Shapes]:
    """A checkpoint's reader, and its variables' shapes, without scalars and optimizer state."""
    prefix = str(path).removesuffix(".index")
    if path.is_dir():
        found = sorted(str(each).removesuffix(".index") for each in path.glob("*.index"))
        # The file "checkpoint" may name one elsewhere, by the place where this folder once was.
        named = path / Path(tf.train.latest_checkpoint(path) or "").name
        latest = str(named) if str(named) in found else found[0] if len(found) == 1 else None
        if latest is None:
            raise UserError(
                f"{where}: no latest checkpoint in this folder; it has {variables.listed(found)}"
            )
        prefix = latest
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
        _refuse_size(reader.get_variable_to_dtype_map(), shapes, Path(prefix), where)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{where}: TensorFlow cannot read this checkpoint ({reason})") from error
    if "_CHECKPOINTABLE_OBJECT_GRAPH" in shapes:
        raise UserError(
            f"{where}: a checkpoint of TensorFlow 2; where it was made, save the model as .keras "
            "and give model=file"
        )
    own = {
        name: shape
        for name, shape in shapes.items()
        if shape and not variables.is_slot(name, shapes)
    }
    return reader, own


def _values(reader: Any, name: str, where: str) -> Any:
    """The values of a variable, whose checksum TensorFlow compares."""
    try:
        return reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(f"{where}: {name} in it is damaged: copy its files again") from error


def _refuse_size(dtypes: Any, shapes: Shapes, prefix: Path, where: str) -> None:
    """Raise for a checkpoint that claims more than its files hold: reading it would allocate it."""
    size = sum(math.prod(shape) * dtypes[name].size for name, shape in shapes.items())
    stored = sum(file.stat().st_size for file in (digests.checkpoint(prefix) or {}).values())
    if stored and size > stored:
        raise UserError(
            f"{where}: its variables claim {size:,} bytes, and its files have {stored:,}: copy all "
            "of them again"
        )
