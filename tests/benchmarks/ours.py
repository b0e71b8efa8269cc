"""This project as a contender: all that the benchmarks know of it is in these functions."""

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import rnnscope
from rnnscope import data, engine, models, states, trace
from rnnscope.analysis.ablation import stage as rerunning
from rnnscope.analysis.ablation.columns import METHODS
from rnnscope.config import Engine, Extract
from rnnscope.extract.notes import PARTS, parts_of
from rnnscope.extract.recorder import Recorder
from rnnscope.extract.stage import Ready
from rnnscope.extract.writing import Writer
from rnnscope.live.prepared import Prepared
from rnnscope.store.inputs import Inputs
from rnnscope.store.tables import table_file
from tests.benchmarks.problem import (
    BATCH,
    CLASSES,
    FEATURES,
    UNITS,
    Array,
    Batches,
    cores,
    cuts,
    weights,
)
from tests.compose import composed

LAYER = "lstm"


def prepare() -> None:
    """Set what must be set before TensorFlow starts: each thread computes its own batch."""
    tf.config.threading.set_intra_op_parallelism_threads(1)


def build(folder: Path) -> keras.Model:
    """The model of the shared weights: one LSTM and a linear read-out of its last h."""
    *lstm, readout = weights(folder)
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES), name="x"),
            keras.layers.LSTM(UNITS, name=LAYER),
            keras.layers.Dense(readout.shape[1], use_bias=False, name="readout"),
        ]
    )
    model.set_weights([*lstm, readout])
    return model


def in_memory(model: keras.Model, x: Array) -> Batches:
    """All six signals of sequences x [N, T, F]."""
    graph = _graph(model)

    def batch(cut: slice) -> dict[str, Any]:
        signals: dict[str, Any] = graph(tf.convert_to_tensor(x[cut]))
        return signals

    with ThreadPoolExecutor(cores()) as pool:
        batches = list(pool.map(batch, cuts(len(x), min(BATCH, -(-len(x) // cores())))))
    return {
        signal: [np.asarray(memoryview(each[signal])).transpose(1, 0, 2) for each in batches]
        for signal in batches[0]
    }


def passes(model: keras.Model, x: Array) -> Batches:
    """All six signals of x [N, T, F] as passes give them, one after another."""
    graph = _graph(model)
    batches = [graph(tf.convert_to_tensor(x[cut])) for cut in cuts(len(x), BATCH)]
    return {
        signal: [np.asarray(memoryview(each[signal])).transpose(1, 0, 2) for each in batches]
        for signal in batches[0]
    }


def recorded(model: keras.Model, x: Array) -> Batches:
    """All six signals of x [N, T, F] by ``record``, with its checks and its proof."""
    found = rnnscope.record(model, x)[LAYER]
    return {signal: [found[signal]] for signal in found}


def recorded_again(model: keras.Model, x: Array) -> Batches:
    """The same, once the model is prepared, as a callback has it."""
    found = _prepared(model, x).record()[LAYER]
    return {signal: [found[signal]] for signal in found}


def held(model: keras.Model, x: Array) -> Batches:
    """The same as far as ``record`` goes: in batches, as passes give them, until one looks."""
    source: Any = _prepared(model, x).record()._source
    found = source.held[LAYER].signals
    return {signal: [values for values, _ in each.batches] for signal, each in found.items()}


_PREPARED: dict[int, Prepared] = {}
"""By the number of sequences."""


def _prepared(model: keras.Model, x: Array) -> Prepared:
    """The model prepared for some sequences, made once."""
    if len(x) not in _PREPARED:
        _PREPARED[len(x)] = Prepared(model, x)
    return _PREPARED[len(x)]


def to_parquet(model: keras.Model, x: Array, folder: Path, options: Extract) -> None:
    """The signals of x [N, T, F] as stage extract writes them, with its proof."""
    recorder = Recorder(model, data.Dataset(data.Split(x, _labels(x))), options)
    writer = Writer(folder, recorder.layout, options.compression, options.dtype, cores())
    (folder / PARTS).mkdir()
    parts = parts_of(len(x), x.shape[1], options.part_rows, None)
    part = Ready(recorder, writer).part
    list(engine.run(part, parts, Engine("local", None), what="extract", unit="part"))


def finish(recorded: Path, x: Array) -> None:
    """Add the table of sequences to states that ``to_parquet`` wrote."""
    sequence = np.arange(len(x), dtype=np.int32)
    table = pd.DataFrame({"sequence": sequence, "length": x.shape[1], "label": _labels(x)})
    table.to_parquet(recorded / states.SEQUENCES, index=False)


def _labels(x: Array) -> Any:
    """Classes [N] of no meaning."""
    return np.arange(len(x), dtype=np.int32) % CLASSES


@functools.cache
def _graph(model: keras.Model) -> Any:
    """Inputs -> all signals [T, B, U], traced before any thread calls it."""

    def recorded(x: Any) -> Any:
        with trace.recording(model) as traced:
            model(x, training=False)
        return traced.layers[LAYER].signals

    graph = tf.function(recorded, input_signature=[models.signature(model)], autograph=False)
    graph.get_concrete_function()
    return graph


def options_of(signals: str) -> Extract:
    """The options of stage extract by which these signals are written."""
    return composed(Path(), f"extract.signals=[{','.join(signals)}]").extract


def ablation(model: keras.Model, x: Array, out: Path) -> None:
    """All that stage ablation computes of sequences x [N, T, F], by every method, to Parquet.

    The classes have no meaning, and neither have the statistics that importance is held against.
    """
    data, file = out / "data.npz", out / "model.keras"
    np.savez(data, x_test=x, y_test=np.arange(len(x)) % CLASSES)
    model.save(file)
    known = {"layer": "lstm", "signal": "c", "unit": np.arange(UNITS), "std": np.arange(UNITS)}
    pd.DataFrame(known).to_parquet(table_file(out, "units"))
    given = f"data.path={data}", f"model.path={file}", "ablation.max_sequences=null"
    config = composed(out, "stage=ablation", "data=files", "model=file", *given)
    made = rerunning.run(config, Inputs({"units": out}), out)
    once = len(METHODS) - 1  # c at 0 is h at 0 by algebra
    if (made["rows"], made["sequences"]) != (once * UNITS, len(x)):
        raise ArithmeticError(f"{made['rows']} rows of {made['sequences']} sequences")
