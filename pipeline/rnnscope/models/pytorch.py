"""Recurrent networks of PyTorch, from a state dict alone, as stock Keras layers.

The equations are those of torch.nn.LSTM, GRU and RNN. PyTorch has kernels [G U, F] and [G U, U]
whose rows are the gates i, f, g, o of an LSTM and r, z, n of a GRU; Keras has [F, G U] and
[U, G U] with i, f, c, o and z, r, h. Both of PyTorch's biases are added in an LSTM and a simple
RNN. In a GRU the recurrent bias of n stands within the product with r, as Keras has it with
``reset_after=True``. ``batch_first`` says only in which order PyTorch takes the axes of its input.
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.config import TorchWeights
from rnnscope.data import MASK, Dataset
from rnnscope.errors import UserError
from rnnscope.models import state_dict, torch_ends, torch_modules
from rnnscope.models.ends import last
from rnnscope.models.state_dict import StateDict
from rnnscope.models.torch_ends import Readout
from rnnscope.models.torch_modules import Cell, Layer
from rnnscope.models.variables import listed

log = logging.getLogger(__name__)

INPUT = "x"
"""The name of the network's input."""
STRANGE = re.compile(r"[^A-Za-z0-9_.-]|\.(?=(call|cell)\d+$)", re.ASCII)
"""What the name of a layer cannot have: letters that TensorFlow does not take, and the endings by
which further calls of a layer and the cells of a stack are told."""


def load(model: TorchWeights, dataset: Dataset) -> keras.Model:
    """The network in a state dict, as a Keras model with its weights set.

    Inputs: x [B, T, F], or tokens [B, T] (int32) where it has an embedding and the data are whole
    numbers [N, T]; if the data's sequences differ in length a mask [B, T] (bool). Layers have the
    names of their modules: ``lstm``, or of a module with several layers ``lstm_l0``, ``lstm_l1``,
    Bidirectional if there are two directions. Output: of a read-out for each timestep [B, T, K]
    where the data's labels or targets belong to timesteps, else for the last one [B, K]; without a
    read-out, h of the upper layer, which is not scored.

    Raises:
        UserError: no recurrent module; one that Keras cannot compute; tensors whose role names and
            shapes do not determine; or weights that are not finite numbers.
    """
    found = state_dict.read(Path(model.path))
    where, every = found.where, found.shapes
    patterns = [state_dict.plain(name, every) for name in model.leave_out or ()]
    without = torch_modules.left_out(every, patterns, where)
    shapes = {name: shape for name, shape in every.items() if name not in without}
    layers = torch_modules.stack(shapes, model.modules, where)
    _refuse_nonlinearity(model, layers)
    names = torch_modules.modules(shapes)
    recurrent = [name for each in names for name in torch_modules.of_module(each, shapes)]
    own = [name for layer in layers for cell in layer.cells for name in cell.tensors]
    free = {name: shape for name, shape in shapes.items() if name not in recurrent}

    x = dataset.test.x
    tokens = len(x.shape) == 2 and x.dtype.kind in "iub"
    embedding = torch_ends.embedding(
        free, layers[0].cells[0].features, _plain(model.embedding, every), tokens, where
    )
    tied = next((name for name, kept in found.tied.items() if kept == embedding), None)
    free.pop(embedding or "", None)
    readout = torch_ends.readout(
        free,
        {name: shape for name, shape in every.items() if name not in recurrent},
        layers[0].cells[0].features,
        layers[-1].width,
        _plain(model.readout, every),
        _plain(model.readout_bias, every),
        embedding if tied else None,
        where,
    )
    named = [] if readout is None else [readout.weight, *filter(None, [readout.bias])]
    if tied and readout and readout.bias is None:
        beside = f"{tied.rpartition('.')[0]}.bias"
        if free.get(beside) == (readout.outputs,):
            readout = Readout(readout.weight, beside, readout.outputs, readout.transposed)
            named.append(beside)
    torch_ends.refuse_left({n: s for n, s in free.items() if n not in named}, every, where)
    built, of_cells = _built(model, layers, embedding, readout, found, dataset)
    for cell, layer in of_cells:
        layer.set_weights(_as_keras(cell, [found.values(name) for name in cell.tensors]))
    unused = [name for name in every if name not in {*own, *named, embedding}]
    _say(found, layers, embedding, named, unused, model.nonlinearity)
    return built


def _as_keras(cell: Cell, given: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Keras' [F, G U], [U, G U] and bias from PyTorch's [G U, F], [G U, U] and two [G U]."""
    u = cell.units
    order = np.arange(len(given[0]))
    if cell.kind == "gru":  # r, z, n become z, r, n
        order = np.concatenate([order[u : 2 * u], order[:u], order[2 * u :]])
    kernel, recurrent, *biases = (values[order] for values in given)
    made = [np.ascontiguousarray(kernel.T), np.ascontiguousarray(recurrent.T)]
    if biases and cell.kind == "gru":
        made.append(np.stack(biases))
    elif biases:
        both = np.add(*biases, dtype=np.float64)
        made.append(both.astype(np.float32))
    return made


def _built(
    model: TorchWeights,
    layers: list[Layer],
    embedding: str | None,
    readout: Readout | None,
    found: StateDict,
    dataset: Dataset,
) -> tuple[keras.Model, list[tuple[Cell, keras.layers.RNN]]]:
    """The model without the weights of its cells, and each cell's layer."""
    taken = {INPUT, MASK}
    mask = keras.Input((None,), dtype="bool", name=MASK) if dataset.padded else None
    if embedding is None:
        x = y = keras.Input((None, layers[0].cells[0].features), name=INPUT)
    else:
        x = keras.Input((None,), dtype="int32", name=INPUT)
        table = found.values(embedding)
        name = _name(embedding.rpartition(".")[0], "embedding", taken)
        embedded = keras.layers.Embedding(*table.shape, name=name)
        y = embedded(x)
        embedded.set_weights([table])
    of_cells = []
    for layer in layers:
        suffix = "" if layer.number is None else f"_l{layer.number}"
        name = _name(f"{layer.module or layer.kind}{suffix}", layer.kind, taken)
        forward, *backward = layer.cells
        own = _layer(forward, model, name=name if not backward else "forward")
        if backward:
            other = _layer(backward[0], model, name="backward", go_backwards=True)
            both = keras.layers.Bidirectional(own, backward_layer=other, name=name)
            y = both(y, mask=mask)
            of_cells += [(forward, both.forward_layer), (backward[0], both.backward_layer)]
        else:
            y = own(y, mask=mask)
            of_cells.append((forward, own))
    each = dataset.test.per_timestep
    if readout is None:
        # Of the other rank than labels, so that states are not taken for scores of classes.
        y = last(y, mask) if each else y
    else:
        y = y if each else _read(y, mask, layers[-1], model)
        weight = found.values(readout.weight)
        name = _name(readout.weight.rpartition(".")[0], "readout", taken)
        dense = keras.layers.Dense(readout.outputs, use_bias=bool(readout.bias), name=name)
        y = dense(y)
        values = [weight if readout.transposed else weight.T]
        dense.set_weights([*values, *(found.values(n) for n in filter(None, [readout.bias]))])
    return keras.Model(x if mask is None else {INPUT: x, MASK: mask}, y, name="torch"), of_cells


def _layer(cell: Cell, model: TorchWeights, **more: Any) -> keras.layers.RNN:
    """The Keras layer of a cell."""
    more |= {"return_sequences": True, "use_bias": len(cell.tensors) > 2}
    if cell.kind == "lstm":
        return keras.layers.LSTM(cell.units, **more)
    if cell.kind == "gru":
        return keras.layers.GRU(cell.units, reset_after=True, **more)
    return keras.layers.SimpleRNN(cell.units, activation=model.nonlinearity, **more)


def _read(y: Any, mask: Any, upper: Layer, model: TorchWeights) -> Any:
    """What the read-out of whole sequences takes [B, U or 2 U], of all outputs [B, T, U or 2 U]."""
    if len(upper.cells) == 1:
        return last(y, mask)
    if model.readout_from is None:
        raise UserError(
            f"model.path={model.path}: the network reads in both directions, and weights do not "
            "tell what its read-out takes: give model.readout_from=state for each direction's "
            "final h (h_n), or model.readout_from=output for the last timestep (output[:, -1])"
        )
    if model.readout_from == "output":
        return last(y, mask)
    units = upper.cells[0].units
    return keras.ops.concatenate([last(y[:, :, :units], mask), y[:, 0, units:]], axis=-1)


def _refuse_nonlinearity(model: TorchWeights, layers: list[Layer]) -> None:
    """Raise where an RNN's activation is not given, or one is given without an RNN."""
    simple = [layer for layer in layers if layer.kind == "rnn"]
    if simple and model.nonlinearity is None:
        raise UserError(
            f"model.path={model.path}: {simple[0].cells[0].tensors[0]} is of an nn.RNN, whose "
            "weights do not tell its activation: give model.nonlinearity=tanh, PyTorch's default, "
            "or model.nonlinearity=relu"
        )
    if not simple and model.nonlinearity is not None:
        raise UserError(
            f"model.nonlinearity={model.nonlinearity}: is of nn.RNN, and the network has "
            f"{listed({f'nn.{layer.kind.upper()}' for layer in layers})}: leave it out"
        )


def _name(wanted: str, otherwise: str, taken: set[str]) -> str:
    """A name that a layer can have, from that of its module; it is then taken."""
    name = STRANGE.sub("_", wanted or otherwise)
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _plain(name: str | None, every: Iterable[str]) -> str | None:
    return None if name is None else state_dict.plain(name, dict.fromkeys(every, ()))


def _say(
    found: StateDict,
    layers: list[Layer],
    embedding: str | None,
    readout: list[str],
    unused: list[str],
    nonlinearity: str | None,
) -> None:
    """Log what the tensors were taken for."""
    cells = ", ".join(
        f"{cell.kind} {cell.tensors[0]} [{cell.features} -> {cell.units}]"
        for layer in layers
        for cell in layer.cells
    )
    more = f" ({nonlinearity})" if nonlinearity else ""
    front = f"embedding {embedding}; " if embedding else ""
    after = f"readout {' + '.join(readout)}" if readout else "no readout"
    left = listed(unused) if unused else "nothing"
    log.info(f"{'':<10} {front}{cells}{more}; {after}; not used: {left}")
    own = [name for layer in layers for cell in layer.cells for name in cell.tensors]
    kinds = {found.types[name] for name in [*own, *readout, *filter(None, [embedding])]}
    if other := sorted(kinds - {"F32", "float32"}):
        log.info(f"{'':<10} weights of {', '.join(other)} are taken as float32")
