"""Writes a network of TensorFlow 1 with TensorFlow 1's own API, and all it computes step by step.

Run apart from the tests, because tf_keras and Keras 3 do not go together in one process:

    TF_USE_LEGACY_KERAS=1 python -m tests.tf1 <folder> '{"mine": {"network": "basic", ...}}'

It leaves <folder>/mine with model.ckpt-7.*, states.npz (logits [B, K], and c and h [B, T, U] of
every cell), and data.npz.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
rnn = v1.nn.rnn_cell
FEATURES, CLASSES, TIMESTEPS, COUNT = 3, 4, 6, 9


def cell(units: int, kind: str, **options: Any) -> Any:
    """A BasicLSTMCell or LSTMCell."""
    return {"basic": rnn.BasicLSTMCell, "lstm": rnn.LSTMCell}[kind](units, **options)


def network(x: Any, name: str, options: dict[str, Any]) -> tuple[Any, dict[str, list[Any]]]:
    """What is read out [B, U], and for each of our layers (c, h) [B, U] of every timestep."""
    steps = tf.unstack(x, axis=1)
    if name in ("basic", "lstm"):
        one = cell(5, name, **options)
        outputs, _ = v1.nn.static_rnn(one, steps, dtype=tf.float32)
        return outputs[-1], {"lstm": stepped(one, "rnn", steps)}
    if name == "multi":
        many = rnn.MultiRNNCell([cell(5, "basic", **options), cell(4, "lstm", **options)])
        outputs, _ = v1.nn.dynamic_rnn(many, x, dtype=tf.float32)
        taken = stepped(many, "rnn", steps)
        return outputs[:, -1], {f"lstm_{n + 1}": [each[n] for each in taken] for n in (0, 1)}
    fw, bw = (cell(5, "basic", **options) for _ in range(2))
    if name == "apart":
        fw, bw = (rnn.MultiRNNCell([cell(5, "lstm"), cell(4, "lstm")]) for _ in range(2))
    outputs, ends = v1.nn.bidirectional_dynamic_rnn(fw, bw, x, dtype=tf.float32)
    forward = stepped(fw, "bidirectional_rnn/fw", steps)
    backward = stepped(bw, "bidirectional_rnn/bw", steps[::-1])[::-1]
    if name == "apart":
        states = {
            f"lstm_{n + 1}_{way}": [each[n] for each in steps]
            for n in (0, 1)
            for way, steps in (("forward", forward), ("backward", backward))
        }
        return tf.concat([end[-1].h for end in ends], axis=1), states
    states = {"lstm.forward": forward, "lstm.backward": backward}
    if name == "bidirectional_output":
        return tf.concat(outputs, axis=2)[:, -1], states
    return tf.concat([end.h for end in ends], axis=1), states


def stepped(one: Any, scope: str, steps: list[Any]) -> list[Any]:
    """The state (c, h) after each timestep, by calling the cell once for each."""
    state = one.zero_state(COUNT, tf.float32)
    states = []
    with v1.variable_scope(scope, reuse=True):
        for x in steps:
            _, state = one(x, state)
            states.append(state)
    return states


def read_out(h: Any, kind: str) -> Any:
    """Logits [B, K]; as in tutorials, or as by tf.layers, or of more than one possible matrix."""
    width = h.shape[1]
    if kind == "unnamed":
        matrix = tf.Variable(tf.zeros([width, CLASSES]))
        return h @ matrix + tf.Variable(tf.zeros([CLASSES]))
    with v1.variable_scope("dense"):
        matrix = v1.get_variable("kernel", [width, CLASSES])
        bias = v1.get_variable("bias", [CLASSES])
    if kind == "second":
        v1.get_variable("other/kernel", [width, CLASSES])
        v1.get_variable("other/bias", [CLASSES])
    if kind == "hidden":
        v1.get_variable("after/kernel", [CLASSES, 2])
    return h @ matrix + bias


def write(name: str, kind: str, options: dict[str, Any], folder: Path) -> None:
    """Build, fill every variable with numbers from a seed, compute, and save."""
    random = np.random.default_rng(0)
    values = random.normal(size=(COUNT, TIMESTEPS, FEATURES)).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        x = tf.constant(values)
        if name == "none":
            logits = read_out(x[:, -1], kind)
            states: dict[str, Any] = {}
        else:
            h, states = network(x, name, options)
            logits = read_out(h, kind)
        with v1.variable_scope("train"):
            v1.train.AdamOptimizer().minimize(tf.reduce_sum(logits**2))
        session.run(v1.global_variables_initializer())
        for variable in v1.global_variables():
            drawn = random.normal(scale=0.7, size=variable.shape.as_list())
            variable.load(drawn.astype(np.float32), session)
        computed = {"logits": session.run(logits)}
        for layer, steps in states.items():
            for signal in ("c", "h"):
                arrays = session.run([getattr(step, signal) for step in steps])
                computed[f"{layer}:{signal}"] = np.stack(arrays, axis=1)
        v1.train.Saver().save(session, str(folder / "model.ckpt"), global_step=7)
    np.savez(folder / "states.npz", **computed)
    labels = np.arange(COUNT) % CLASSES
    np.savez(folder / "data.npz", x_test=values, y_test=labels)


if __name__ == "__main__":
    v1.disable_v2_behavior()
    for key, asked in json.loads(sys.argv[2]).items():
        place = Path(sys.argv[1]) / key
        place.mkdir()
        write(asked["network"], asked.get("read_out", ""), asked.get("cell", {}), place)
