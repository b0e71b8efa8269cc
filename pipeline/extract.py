"""Stage extract: a trained model and the test split become states in Parquet, with proof."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import data, engine, models, proof, states, trace, train
from pipeline.config import Config, Extract, ModelFile
from pipeline.data import Batch, Dataset, Split
from pipeline.errors import UserError

PARTS = "_parts"
"""What is known of each finished part, until the last is done."""
SAMPLE = 32
"""Sequences of each part that are compared with Keras' own loop, which is slower than ours."""


@dataclass(frozen=True)
class Part:
    """A run of consecutive sequences, start <= number < stop."""

    number: int
    start: int
    stop: int


def run(config: Config, trained: Path | None, folder: Path) -> dict[str, Any]:
    """Record every signal of the test split into ``folder``.

    Args:
        config: the run's config.
        trained: the output of stage train; None where the model comes from a file.
        folder: where to write; parts that an interrupted run finished there are kept.

    Raises:
        UserError: a model that does not fit the data, or one that cannot be recorded.
        ArithmeticError: a residual of the proof past ``extract.tolerance``.
    """
    dataset = data.load(config.data)
    if trained is not None:
        model = models.load(trained / train.MODEL)
    else:
        assert isinstance(config.model, ModelFile)
        model = models.load(Path(config.model.path))
    _refuse_misfit(model, dataset)
    recorder = Recorder(model, dataset, config.extract, folder)
    split = parts_of(dataset.test, config.extract.part_rows)
    (folder / PARTS).mkdir(exist_ok=True)
    done = engine.run(recorder.part, split, config.engine, what="extract", unit="part")
    figures = _merged(list(done))
    _check(figures["residuals"], config.extract.tolerance)
    sequences = _sequences(folder, split, dataset)
    sequences.to_parquet(folder / states.SEQUENCES, index=False)
    for leftover in (folder / PARTS).iterdir():
        leftover.unlink()
    (folder / PARTS).rmdir()
    return figures | {
        "layers": {name: list(signals) for name, signals in states.layers(folder).items()},
        "classes": list(dataset.classes),
        "compared_with_stock": sum(min(SAMPLE, part.stop - part.start) for part in split),
        "headline": _headline(sequences, figures),
    }


def parts_of(split: Split, rows: int) -> list[Part]:
    """Cut N sequences into parts of about ``rows`` timesteps, padding included."""
    size = max(1, rows // split.timesteps)
    starts = range(0, len(split), size)
    return [Part(n, start, min(start + size, len(split))) for n, start in enumerate(starts)]


class Recorder:
    """Runs a model over parts of a split and writes what it records."""

    def __init__(self, model: keras.Model, dataset: Dataset, options: Extract, folder: Path):
        self.model, self.split, self.options, self.folder = model, dataset.test, options, folder
        signature = models.signature(model)
        graph = functools.partial(tf.function, input_signature=[signature], autograph=False)
        self.recorded = graph(functools.partial(_recorded, model))
        self.compared = graph(functools.partial(_compared, model))
        # Traced here once, while no other thread looks: recording replaces a method for a moment.
        self.recorded.get_concrete_function()
        self.compared.get_concrete_function()

    def part(self, part: Part) -> dict[str, Any]:
        """Record one part, unless it is done. Returns its rows, bytes and residuals.

        The note of what was done is written last: a part without one starts anew.
        """
        note = self.folder / PARTS / f"{part.number:05d}.json"
        if note.is_file():
            known: dict[str, Any] = json.loads(note.read_text())
            return known
        whole = self.split.take(slice(part.start, part.stop))
        timesteps = whole.x.shape[1]
        lengths = np.full(len(whole.x), timesteps) if whole.lengths is None else whole.lengths
        rows = states.rows_of(part.start, lengths, whole.y)
        valid = None if whole.lengths is None else np.arange(timesteps) < lengths[:, np.newaxis]
        columns, outputs, residuals = self._record(whole, valid, len(rows.sequence))
        size = 0
        for (layer, signal), values in columns.items():
            file = states.part_file(self.folder, layer, signal, part.number)
            size += states.write_part(file, signal, values, rows, self.options.compression)
        outcome = _outcome(outputs, whole.y)
        outcome.insert(0, "length", lengths.astype(np.int32))
        outcome.insert(0, "sequence", np.arange(part.start, part.stop, dtype=np.int32))
        outcome.to_parquet(note.with_suffix(".parquet"), index=False)
        figures = {"rows": len(rows.sequence), "states_bytes": size, "residuals": residuals}
        unfinished = note.with_suffix(".new")
        unfinished.write_text(json.dumps(figures))
        unfinished.rename(note)
        return figures

    def _record(
        self, whole: Batch, valid: NDArray[np.bool_] | None, rows: int
    ) -> tuple[
        dict[tuple[str, str], NDArray[np.float32]], NDArray[np.float32], dict[str, dict[str, float]]
    ]:
        """All signals as columns [U, R], the outputs [B, K], and the residuals by layer."""
        sample = _cut(whole, slice(0, SAMPLE))
        residuals = _floats(self.compared(models.inputs(self.model, sample)))
        columns: dict[tuple[str, str], NDArray[np.float32]] = {}
        outputs = []
        filled = 0
        for start in range(0, len(whole.x), self.options.batch_size):
            cut = slice(start, start + self.options.batch_size)
            signals, output, found = self.recorded(models.inputs(self.model, _cut(whole, cut)))
            outputs.append(output.numpy())
            for layer, kinds in _floats(found).items():
                for kind, value in kinds.items():
                    residuals[layer][kind] = max(value, residuals[layer].get(kind, 0.0))
            for layer, by_name in signals.items():
                for signal, tensor in by_name.items():
                    values = np.asarray(memoryview(tensor))  # [U, B, T], not copied
                    flat = (
                        values.reshape(len(values), -1) if valid is None else values[:, valid[cut]]
                    )
                    column = columns.setdefault(
                        (layer, signal), np.empty((len(values), rows), np.float32)
                    )
                    column[:, filled : filled + flat.shape[1]] = flat
            filled += flat.shape[1]
        return columns, np.concatenate(outputs), residuals


def _recorded(model: keras.Model, inputs: Any) -> tuple[Any, Any, Any]:
    """Signals by layer as [U, B, T], the model's output, and the recurrence residuals."""
    with trace.recording(model) as traced:
        outputs = model(inputs, training=False)
    signals = {
        name: {signal: tf.transpose(x, (2, 1, 0)) for signal, x in layer.signals.items()}
        for name, layer in traced.items()
    }
    return signals, outputs, {name: proof.recurrence(layer) for name, layer in traced.items()}


def _compared(model: keras.Model, inputs: Any) -> Any:
    """Residuals by layer between the recorded signals and Keras' own loop."""
    with trace.recording(model) as traced:
        model(inputs, training=False)
    with trace.returning_everything(model) as stock:
        model(inputs, training=False)
    return {name: proof.against_stock(layer, stock[name]) for name, layer in traced.items()}


def _cut(batch: Batch, part: slice) -> Batch:
    arrays = (batch.x, batch.y, batch.lengths)
    return Batch(*(None if array is None else array[part] for array in arrays))  # type: ignore[arg-type]


def _floats(residuals: Any) -> dict[str, dict[str, float]]:
    return {
        layer: {kind: float(value) for kind, value in kinds.items()}
        for layer, kinds in residuals.items()
    }


def _outcome(outputs: NDArray[np.float32], labels: NDArray[np.int32] | None) -> pd.DataFrame:
    """What the model made of each sequence: one row each.

    Outputs [B, K] whose rows are probabilities are taken as such; any others as logits. The loss
    is the cross-entropy in nats.
    """
    x = outputs.astype(np.float64)
    if (x >= 0).all() and np.allclose(x.sum(axis=1), 1, atol=1e-4):
        probabilities = x
        logarithms = np.log(np.maximum(x, np.finfo(np.float64).tiny))
    else:
        x = x - x.max(axis=1, keepdims=True)
        logarithms = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        probabilities = np.exp(logarithms)
    prediction = outputs.argmax(axis=1).astype(np.int32)
    known: dict[str, Any] = {"prediction": prediction}
    if labels is not None:
        loss = -logarithms[np.arange(len(labels)), labels]
        known = {"label": labels, **known, "correct": prediction == labels, "loss": loss}
    scores = {f"p_{k}": p.astype(np.float32) for k, p in enumerate(probabilities.T)}
    return pd.DataFrame({**known, **scores})


def _refuse_misfit(model: keras.Model, dataset: Dataset) -> None:
    """Raise where the model does not take the data or has nothing to record."""
    if not trace.recurrent_layers(model):
        names = ", ".join(layer.name for layer in model.layers)
        raise UserError(f"model '{model.name}' has no recurrent layer; it has {names}")
    takes = models.sequence_shape(model)
    gives = (dataset.test.timesteps, dataset.test.features)
    if len(takes) != 2 or any(t not in (None, g) for t, g in zip(takes, gives, strict=True)):
        raise UserError(
            f"model '{model.name}' takes inputs of shape {takes} (timesteps, features); "
            f"the data's are {gives}"
        )
    outputs = model.outputs
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        raise UserError(
            f"model '{model.name}' has outputs {[tuple(each.shape) for each in outputs]}; "
            "must be one of shape (None, classes)"
        )
    if dataset.test.y is not None and dataset.test.y.max() >= outputs[0].shape[1]:
        raise UserError(
            f"model '{model.name}' has {outputs[0].shape[1]} outputs; "
            f"the data has a class {dataset.test.y.max()}"
        )


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums of rows and bytes, and the largest residuals, over all parts."""
    residuals: dict[str, dict[str, float]] = {}
    for part in parts:
        for layer, kinds in part["residuals"].items():
            largest = residuals.setdefault(layer, {})
            for kind, value in kinds.items():
                largest[kind] = max(value, largest.get(kind, 0.0))
    return {
        "rows": sum(part["rows"] for part in parts),
        "states_bytes": sum(part["states_bytes"] for part in parts),
        "residuals": residuals,
    }


def _check(residuals: dict[str, dict[str, float]], tolerance: float) -> None:
    """Fail where the recorded signals are not what the layer computes."""
    for layer, kinds in residuals.items():
        for kind, value in kinds.items():
            if not value <= tolerance:
                raise ArithmeticError(
                    f"layer '{layer}': residual {kind} is {value:.3g}, "
                    f"past extract.tolerance={tolerance:g}; these states are not to be trusted"
                )


def _sequences(folder: Path, parts: list[Part], dataset: Dataset) -> pd.DataFrame:
    """The table of all test sequences."""
    notes = [folder / PARTS / f"{part.number:05d}.parquet" for part in parts]
    table = pd.concat([pd.read_parquet(note) for note in notes], ignore_index=True)
    if dataset.test.ids is not None:
        table.insert(1, "id", dataset.test.ids)
    return table


def _headline(sequences: pd.DataFrame, figures: dict[str, Any]) -> dict[str, Any]:
    worst = max(value for kinds in figures["residuals"].values() for value in kinds.values())
    scores = {}
    if "correct" in sequences:
        scores = {
            "accuracy": float(sequences["correct"].mean()),
            "loss": float(sequences["loss"].mean()),
        }
    return {**scores, "sequences": len(sequences), "rows": figures["rows"], "residual": worst}
