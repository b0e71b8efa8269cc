"""Weights of CuDNNLSTM and CuDNNGRU, which Keras 2 had for GPUs, in the layout of LSTM and GRU.

A CuDNN layer handed the memory of each gate's kernel to cuDNN as it was, and cuDNN reads it as a
matrix [U, F] that stands left of the input, where Keras' kernel [F, U] stands right of it. There
are two biases, one beside the input's product and one beside the state's (cuDNN's documentation,
cudnnRNNMode_t). In an LSTM their sum counts; a GRU resets what includes the second, as
``reset_after`` does. The gates are in Keras' order (keras/layers/cudnn_recurrent.py of Keras 2.2).
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

_GATES: tuple[tuple[type, int], ...] = ((keras.layers.LSTMCell, 4), (keras.layers.GRUCell, 3))


def converted(cell: Any, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Kernel [F, g U], recurrent kernel [U, g U] and bias of Keras' cell, g gates.

    Args:
        cell: the cell or layer that they are for.
        arrays: what the file stores for it; of a CuDNN layer the bias is [2 g U], and by this it is
            known, as Keras 2 did. Others are returned as they are.
    """
    gates = next((count for kind, count in _GATES if isinstance(cell, kind)), None)
    if gates is None or len(arrays) != 3:
        return arrays
    kernel, recurrent, bias = arrays
    if bias.shape != (2 * gates * len(recurrent),):
        return arrays
    halves = bias.reshape(2, -1)
    return [
        _right_of(kernel, gates),
        _right_of(recurrent, gates),
        halves.sum(axis=0, dtype=bias.dtype) if gates == 4 else halves,
    ]


def _right_of(kernel: NDArray[Any], gates: int) -> NDArray[Any]:
    """[F, g U] in Keras' sense from [F, g U] whose memory cuDNN reads as [U, F] gate by gate."""
    features = len(kernel)
    return np.hstack([each.reshape(-1, features).T for each in np.hsplit(kernel, gates)])
