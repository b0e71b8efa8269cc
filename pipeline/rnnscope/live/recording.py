"""The states of a model on some sequences, in memory."""

from typing import Any

import keras

from rnnscope.live.prepared import Prepared
from rnnscope.live.states import States


def record(
    model: keras.Model,
    x: Any,
    *,
    signals: Any = None,
    layers: Any = None,
    units: Any = None,
    timesteps: Any = "all",
    lengths: Any = None,
    labels: Any = None,
    annotations: Any = None,
    batch_size: int = 512,
    tolerance: float = 1e-5,
) -> States:
    """Record h, c and every gate of a Keras model's recurrent layers at every timestep.

    The states are those of one forward pass in inference, and are proved as stage extract proves
    them. Nothing global changes, and the model is as before, also after an exception. Memory is
    that of what is asked for and of one batch; up to a gigabyte per layer it may be twice as much.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> x = np.random.default_rng(0).normal(size=(10, 20, 3)).astype("float32")
    >>> states = rnnscope.record(model, x)
    >>> states["lstm"]["c"].shape  # [sequence, timestep, unit]
    (10, 20, 4)

    Args:
        model: a built Keras model of any form: functional, sequential or subclassed, stacked,
            bidirectional, stateful, of several inputs.
        x: N sequences as the model takes them: an array or tensor [N, T, F], of tokens or of one
            feature [N, T]; a dict by the names of its inputs, or a list or tuple in their order; a
            ``tf.RaggedTensor`` or a list of arrays [T_n, F], whose lengths are then known; a
            ``tf.data.Dataset`` of batches of x, or of (x, y), y being the labels, which is read
            once into memory; or a pandas table with one row per timestep: columns ``sequence``,
            ``timestep``, features and, if there is one, ``label`` or ``target``. NaN in all
            features at the end of a sequence is padding. Bytes are not scaled.
        signals: which of h, c, i, f, o, g, z, r, s0, ...: one or a list; all by default.
        layers: which recurrent layers, by name; all by default.
        units: which units, from 0: a number, a list or a range; all by default.
        timesteps: "all"; "last", each sequence's final step, of a backward layer its first; or a
            slice, ``slice(0, 10)`` or "0:10:2".
        lengths: valid timesteps of each sequence [N], from 1 to T; of several inputs a dict. All
            are valid by default.
        labels: a class, in whole numbers or names, or a numeric target, as floats, of each
            sequence [N] or, as [N, T] or [N, T, 1], of each timestep; as floats [N, T, D], D
            numeric targets of each timestep. Columns of a one-hot pandas table are names of
            classes.
        annotations: numbers known of each timestep, {name: [N, T]}; of a table the names of its
            columns.
        batch_size: sequences per forward pass.
        tolerance: largest residual of the proof that is accepted, as ``extract.tolerance``.

    Returns:
        The states: ``states["lstm"]["c"]`` is a read-only float32 array [N, T, U], NaN where a
        sequence has no row.

    Raises:
        rnnscope.errors.UserError: one line that says what is wrong, where, and what would be
            right: x does not fit the model, a layer cannot be recorded exactly, a state is not a
            finite number, or a residual is past the tolerance.
    """
    return Prepared(
        model,
        x,
        signals=signals,
        layers=layers,
        units=units,
        timesteps=timesteps,
        lengths=lengths,
        labels=labels,
        annotations=annotations,
        batch_size=batch_size,
        tolerance=tolerance,
    ).record()
