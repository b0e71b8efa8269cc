"""The heart: any pass of a Keras model, and every signal of its recurrent layers with it.

All of Keras' recurrent layers end in one method, ``inner_loop(sequences, initial_state, mask,
training)``. While ``recording`` is open that method is replaced on each of them by one that
computes all signals, keeps them, and returns to Keras what the stock method would have returned.
The model itself is neither rebuilt nor copied, and is as it was afterwards.

    with recording(model) as trace:
        outputs = model(inputs, training=False)
    trace["lstm"].signals["c"]        # [T, B, U]

An LSTM's signals are those of Hochreiter & Schmidhuber (1997) with the forget gate of Gers,
Schmidhuber & Cummins (2000); sigma is the logistic function:

    i = sigma(x W_i + h' U_i + b_i)     input gate
    f = sigma(x W_f + h' U_f + b_f)     forget gate
    g = tanh (x W_g + h' U_g + b_g)     candidate
    o = sigma(x W_o + h' U_o + b_o)     output gate
    c = f c' + i g                      cell state
    h = o tanh c                        hidden state
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import UserError

Tensor = Any
"""A TensorFlow tensor, eager or symbolic."""

SIGNALS = ("h", "c", "i", "f", "o", "g")
"""An LSTM's signals, in the order in which they are reported."""


@dataclass(frozen=True)
class LayerTrace:
    """The signals of one recurrent layer in one forward pass."""

    signals: dict[str, Tensor]
    """Signal -> [T, B, U], time first as the op returns them, aligned to input time. Rows where
    ``mask`` is false mean nothing. Gradients flow through h and c; those of the gates are None."""
    mask: Tensor | None
    """Valid timesteps [B, T], bool; None where all are."""
    initial: dict[str, Tensor]
    """h and c before the first timestep [B, U]."""
    backwards: bool
    """Whether the layer reads its input from the last valid timestep to the first."""


def recurrent_layers(model: keras.Model) -> dict[str, keras.layers.RNN]:
    """The model's recurrent layers by name, in the order in which the model holds them.

    A layer inside another is named after both: ``bidirectional.forward``, ``encoder.lstm``.
    """
    return dict(_recurrent(model, ""))


@contextlib.contextmanager
def recording(model: keras.Model) -> Iterator[dict[str, LayerTrace]]:
    """While open, a forward pass of ``model`` fills the dict: layer name -> its trace.

    It may be opened inside a ``tf.function``. Whatever happens inside, the layers are as before
    afterwards.

    Raises:
        UserError: a recurrent layer that cannot be recorded, with its name and the reason.
    """
    layers = recurrent_layers(model)
    for name, layer in layers.items():
        _refuse(name, layer)
    trace: dict[str, LayerTrace] = {}
    try:
        for name, layer in layers.items():
            # Past Keras' attribute tracking, so that nothing of it remains.
            object.__setattr__(layer, "inner_loop", _recorder(name, layer, trace))
        yield trace
    finally:
        for layer in layers.values():
            with contextlib.suppress(AttributeError):
                object.__delattr__(layer, "inner_loop")


@contextlib.contextmanager
def returning_everything(model: keras.Model) -> Iterator[dict[str, list[Tensor]]]:
    """While open, a pass of ``model`` runs the stock loops and keeps what they return.

    Layer name -> [h of every timestep [B, T, U], then the final states [B, U]]; in a backward
    layer h comes in the order in which it is read. This is the other side of the proof.
    """
    layers = recurrent_layers(model)
    kept: dict[str, list[Tensor]] = {}
    try:
        for name, layer in layers.items():
            object.__setattr__(layer, "inner_loop", _stock(name, layer, kept))
        yield kept
    finally:
        for layer in layers.values():
            with contextlib.suppress(AttributeError):
                object.__delattr__(layer, "inner_loop")


def _recurrent(layer: keras.layers.Layer, prefix: str) -> Iterator[tuple[str, keras.layers.RNN]]:
    for child in layer._flatten_layers(include_self=False, recursive=False):
        name = f"{prefix}{child.name}"
        if isinstance(child, keras.layers.Bidirectional):
            yield f"{name}.forward", child.forward_layer
            yield f"{name}.backward", child.backward_layer
        elif isinstance(child, keras.layers.RNN):
            yield name, child
        else:
            yield from _recurrent(child, f"{name}.")


def _refuse(name: str, layer: keras.layers.RNN) -> None:
    """Raise for what cannot be recorded; better than a number that is not true."""
    kind = type(layer).__name__
    if type(layer) is not keras.layers.LSTM:
        raise UserError(f"layer '{name}': a {kind} cannot be recorded yet, only keras.layers.LSTM")
    activations = layer.activation, layer.recurrent_activation
    if activations != (keras.activations.tanh, keras.activations.sigmoid):
        names = ", ".join(getattr(each, "__name__", str(each)) for each in activations)
        raise UserError(f"layer '{name}': activations {names}; only tanh, sigmoid can be recorded")
    if layer.compute_dtype != "float32":
        raise UserError(f"layer '{name}': computes in {layer.compute_dtype}; must be float32")


def _recorder(
    name: str, layer: keras.layers.LSTM, trace: dict[str, LayerTrace]
) -> Callable[..., Any]:
    """A stand-in for ``layer.inner_loop`` that keeps every signal."""

    def inner_loop(
        sequences: Tensor, initial_state: list[Tensor], mask: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        if name in trace:
            raise UserError(f"layer '{name}': called more than once; cannot be recorded yet")
        mask = tf.nest.flatten(mask)[0] if mask is not None else None
        lengths = None if mask is None else _lengths(mask, name)
        h, c = initial_state
        signals = _lstm(layer, sequences, h, c, lengths)
        output = _as_keras(layer, signals["h"], lengths)
        states = [
            _final(layer, signals["h"], lengths, h),
            _final(layer, signals["c"], lengths, c),
        ]
        trace[name] = LayerTrace(signals, mask, {"h": h, "c": c}, layer.go_backwards)
        return output[:, -1], output, states

    return inner_loop


def _stock(name: str, layer: keras.layers.RNN, kept: dict[str, list[Tensor]]) -> Callable[..., Any]:
    """A stand-in for ``layer.inner_loop`` that runs the stock one and keeps all that it returns."""
    stock = layer.inner_loop

    def inner_loop(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, list[Tensor]]:
        returns_sequences = layer.return_sequences
        layer.return_sequences = True
        try:
            last, outputs, states = stock(*args, **kwargs)
        finally:
            layer.return_sequences = returns_sequences
        kept[name] = [outputs, *states]
        return last, outputs, states

    return inner_loop


def _lengths(mask: Tensor, name: str) -> Tensor:
    """Valid timesteps per sequence [B], int32, of a mask that is padded on the right."""
    mask = tf.cast(mask, tf.bool)
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    right = tf.sequence_mask(lengths, tf.shape(mask)[1])
    message = f"layer '{name}': its mask is not right-padded; cannot be recorded yet"
    with tf.control_dependencies([tf.debugging.assert_equal(mask, right, message)]):
        return tf.identity(lengths)


def _lstm(
    layer: keras.layers.LSTM, sequences: Tensor, h: Tensor, c: Tensor, lengths: Tensor | None
) -> dict[str, Tensor]:
    """All signals [T, B, U] of an LSTM over sequences [B, T, F], from states h and c [B, U].

    One fused op. It orders its gates i, f, g, o, as Keras does, and has neither peepholes nor a
    clip on c unless asked.
    """
    cell = layer.cell
    kernels = tf.concat([cell.kernel, cell.recurrent_kernel], axis=0)
    bias = tf.zeros(4 * layer.units) if cell.bias is None else tf.convert_to_tensor(cell.bias)
    peephole = tf.zeros(layer.units)
    x = tf.transpose(sequences, (1, 0, 2))
    i, c_all, f, o, g, _, h_all = tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.cast(tf.shape(x)[0], tf.int64),
        x=_turned(x, lengths) if layer.go_backwards else x,
        cs_prev=c,
        h_prev=h,
        w=kernels,
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=bias,
        cell_clip=0.0,
        use_peephole=False,
    )
    # The op has gradients for h and c alone; without this a gate's would be a silent zero.
    gates = [tf.stop_gradient(gate) for gate in (i, f, o, g)]
    signals = dict(zip(SIGNALS, (h_all, c_all, *gates), strict=True))
    if layer.go_backwards:
        signals = {name: _turned(signal, lengths) for name, signal in signals.items()}
    return signals


def _turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the valid timesteps of x [T, B, ...]; padding stays on the right."""
    if lengths is None:
        return tf.reverse(x, [0])
    return tf.reverse_sequence(x, lengths, seq_axis=0, batch_axis=1)


def _as_keras(layer: keras.layers.LSTM, h: Tensor, lengths: Tensor | None) -> Tensor:
    """H [B, T, U] as the stock loop returns it: in the order read, its masked steps filled.

    A masked step repeats the last valid h; it is zero where none came before it, as in padding
    read backwards, or where the layer asks for zeros.
    """
    if lengths is not None:
        if layer.go_backwards or layer.zero_output_for_mask:
            fill = tf.zeros_like(h[0])
        else:
            fill = _final(layer, h, lengths, tf.zeros_like(h[0]))
        valid = tf.transpose(tf.sequence_mask(lengths, tf.shape(h)[0]))[:, :, tf.newaxis]
        h = tf.where(valid, h, fill)
    if layer.go_backwards:
        h = tf.reverse(h, [0])
    return tf.transpose(h, (1, 0, 2))


def _final(
    layer: keras.layers.LSTM, state: Tensor, lengths: Tensor | None, initial: Tensor
) -> Tensor:
    """The state [B, U] after a layer's last valid timestep; ``initial`` where there is none."""
    if lengths is None:
        return state[0] if layer.go_backwards else state[-1]
    last = tf.zeros_like(lengths) if layer.go_backwards else tf.maximum(lengths - 1, 0)
    place = tf.stack([last, tf.range(tf.size(lengths))], axis=1)
    return tf.where(lengths[:, tf.newaxis] > 0, tf.gather_nd(state, place), initial)
