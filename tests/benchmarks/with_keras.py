"""Keras alone: h in memory; and the usual way to h and c in Parquet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tests.benchmarks.problem import (
    BATCH,
    FEATURES,
    UNITS,
    Array,
    Batches,
    InMemory,
    ToParquet,
    cuts,
    weights,
)


def h_only(folder: Path) -> dict[str, InMemory]:
    """LSTM(return_sequences=True), in a graph and by ``predict_on_batch``."""
    model = keras.Sequential(
        [keras.Input((None, FEATURES)), keras.layers.LSTM(UNITS, return_sequences=True)]
    )
    model.set_weights(weights(folder)[:3])
    graph = tf.function(lambda x: model(x, training=False), autograph=False, reduce_retracing=True)

    def through(call: Callable[[Array], Any], size: int) -> InMemory:
        def run(x: Array) -> Batches:
            return {"h": [np.asarray(call(x[cut])) for cut in cuts(len(x), size)]}

        return run

    def in_graph(x: Array) -> Any:
        return memoryview(graph(tf.convert_to_tensor(x)))

    return {
        f"tf.function, batches of {BATCH}": through(in_graph, BATCH),
        f"tf.function, batches of {2 * BATCH}": through(in_graph, 2 * BATCH),
        f"predict_on_batch, batches of {BATCH}": through(model.predict_on_batch, BATCH),
    }


class RecordingCell(keras.layers.LSTMCell):
    """An LSTM cell that puts out h and c side by side, as its users do to see c."""

    @property
    def output_size(self) -> int:
        """Units of h and of c."""
        return 2 * int(self.units)

    @output_size.setter
    def output_size(self, value: int) -> None:
        """Keras sets what it supposes; it is not kept."""

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One timestep."""
        _, (h, c) = super().call(inputs, states, training=training)
        return keras.ops.concatenate([h, c], axis=-1), [h, c]


def usual_way(folder: Path) -> dict[str, ToParquet]:
    """RNN over a recording cell, ``predict`` in large batches, ``DataFrame.to_parquet``."""
    cell = RecordingCell(UNITS)
    model = keras.Sequential(
        [keras.Input((None, FEATURES)), keras.layers.RNN(cell, return_sequences=True)]
    )
    model.set_weights(weights(folder)[:3])
    names = [f"{signal}_{unit:03d}" for signal in "hc" for unit in range(UNITS)]

    def run(x: Array, out: Path) -> None:
        states = model.predict(x, batch_size=BATCH, verbose=0)
        frame = pd.DataFrame(states.reshape(-1, 2 * UNITS), columns=names)
        sequences, timesteps = x.shape[:2]
        frame.insert(0, "timestep", np.tile(np.arange(timesteps, dtype=np.int32), sequences))
        frame.insert(0, "sequence", np.repeat(np.arange(sequences, dtype=np.int32), timesteps))
        frame.to_parquet(out / "states.parquet", index=False)

    return {f"predict, batches of {BATCH}": run}
