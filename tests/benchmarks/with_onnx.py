"""The ONNX operator LSTM under onnxruntime: h of every timestep, c of none but the last."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.benchmarks.problem import (
    BATCH,
    FEATURES,
    UNITS,
    Array,
    Batches,
    InMemory,
    cores,
    cuts,
    weights,
)


def h_only(folder: Path) -> dict[str, InMemory]:
    """All cores on one batch, and a batch per core."""
    graph = _graph(folder)
    return {
        **{f"{size} at a time": _in_memory(graph, size) for size in (256, BATCH)},
        **{f"{size} per thread": _in_memory(graph, size, own=True) for size in (128, BATCH)},
    }


def _in_memory(graph: bytes, size: int, *, own: bool = False) -> InMemory:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if own else cores()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def batch(x: Array) -> Array:
        h: Array = session.run(["h"], {"x": np.ascontiguousarray(x.transpose(1, 0, 2))})[0]
        return h[:, 0].transpose(1, 0, 2)

    def run(x: Array) -> Batches:
        with ThreadPoolExecutor(cores() if own else 1) as pool:
            return {"h": list(pool.map(lambda cut: batch(x[cut]), cuts(len(x), size)))}

    return run


def _graph(folder: Path) -> bytes:
    """One LSTM node; ONNX orders its gates i, o, f, g, and holds two biases."""
    constants = {
        "w": _ordered(weights(folder)[0]),
        "r": _ordered(weights(folder)[1]),
        "b": np.append(_ordered(weights(folder)[2]), np.zeros((1, 4 * UNITS), np.float32), axis=1),
    }
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r", "b"], ["h"], hidden_size=UNITS)],
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "B", FEATURES])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, ["T", 1, "B", UNITS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def _ordered(values: Array) -> Array:
    """Columns i, f, g, o [.., 4 U] as rows i, o, f, g [1, 4 U, ..]."""
    i, f, g, o = np.split(values, 4, axis=-1)
    return np.ascontiguousarray(np.concatenate([i, o, f, g], axis=-1).T[np.newaxis])
