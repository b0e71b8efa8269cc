"""Stage extract: a trained model and the test split become states in Parquet, with proof."""

import logging
import shutil
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from pipeline import checkpoint, data, engine, models, recorder, states, trace, train
from pipeline.config import Config, ModelFile, Tf1Checkpoint
from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.recorder import PARTS, SAMPLE, Part, Recorder

log = logging.getLogger(__name__)


def run(config: Config, trained: Path | None, folder: Path) -> dict[str, Any]:
    """Record the chosen signals of the test split into ``folder``.

    Args:
        config: the run's config.
        trained: the output of stage train; None where the model comes from a file.
        folder: where to write; parts that an interrupted run finished there are kept.

    Raises:
        UserError: a model that does not fit the data, or one that cannot be recorded.
        ArithmeticError: a residual of the proof past ``extract.tolerance``.
    """
    dataset = data.load(config.data)
    model = _model(config, trained, dataset)
    _refuse_misfit(model, dataset)
    workers = engine.workers(config.engine)
    record = Recorder(model, dataset.test, config.extract, folder, workers)
    count = min(len(dataset.test), config.extract.max_sequences or len(dataset.test))
    _announce(record, dataset, count, folder)
    split = _parts(count, dataset.test.timesteps, config, model)
    figures = _merged(_record_all(record, split, config, folder))
    _check(figures["residuals"], config.extract.tolerance)
    sequences = _sequences(folder, split, dataset)
    sequences.to_parquet(folder / states.SEQUENCES, index=False)
    shutil.rmtree(folder / PARTS)
    silent = sorted(set(trace.recurrent_layers(model)) - {_layer(name) for name in record.paths})
    for name in silent:
        log.warning(f"layer '{name}' was not called in the forward pass; it has no states")
    if record.unmasked:
        log.warning(
            f"no mask reaches {', '.join(sorted(record.unmasked))}: states end at each sequence's "
            "length, but what the model makes of a sequence comes after its padding"
        )
    return figures | {
        "layers": {name: list(signals) for name, signals in states.layers(folder).items()},
        "paths": record.paths,
        "not_called": silent,
        "without_mask": sorted(record.unmasked),
        "classes": list(dataset.classes),
        "compared_with_stock": sum(min(SAMPLE, part.stop - part.start) for part in split),
        "headline": _headline(sequences, figures),
    }


def _model(config: Config, trained: Path | None, dataset: Dataset) -> keras.Model:
    """The model to record: the one that was trained here, or one from a file."""
    if trained is not None:
        return models.load(trained / train.MODEL)
    match config.model:
        case Tf1Checkpoint():
            return checkpoint.load(config.model, padded=dataset.padded)
        case ModelFile():
            return models.load(Path(config.model.path), config.model.custom_objects)
    raise TypeError(f"no loader for {type(config.model).__name__}")


def _record_all(
    record: Recorder, split: list[Part], config: Config, folder: Path
) -> list[dict[str, Any]]:
    """The figures of every part.

    A stateful model goes on from batch to batch, so it takes them in order, in one thread.
    """
    variables = recorder.stateful(record.model)
    if variables:
        shutil.rmtree(folder / PARTS, ignore_errors=True)
    (folder / PARTS).mkdir(exist_ok=True)
    if not variables:
        return list(engine.run(record.part, split, config.engine, what="extract", unit="part"))
    kept = [variable.numpy() for variable in variables]
    try:
        for variable in variables:
            variable.assign(variable * 0)
        return [record.part(part) for part in split]
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


def _parts(count: int, timesteps: int, config: Config, model: keras.Model) -> list[Part]:
    """Cut ``count`` sequences into parts of about ``extract.part_rows`` timesteps."""
    size = max(1, config.extract.part_rows // timesteps)
    step = recorder.fixed_batch(model)
    if step:
        size = max(1, size // step) * step
    starts = range(0, count, size)
    return [Part(n, start, min(start + size, count)) for n, start in enumerate(starts)]


def _announce(record: Recorder, dataset: Dataset, count: int, folder: Path) -> None:
    """Say how much will be written, and refuse what the disk cannot hold."""
    lengths = dataset.test.lengths
    rows = count * dataset.test.timesteps if lengths is None else int(lengths[:count].sum())
    columns = sum(len(units) for units in record.units.values())
    if not columns:
        raise UserError(
            f"extract.signals={record.options.signals}, extract.units={record.options.units}: "
            "nothing of that kind is in the model"
        )
    size = rows * columns * (2 if record.options.dtype == "float16" else 4)
    log.info(f"{'':<8} {rows:,} rows of {columns:,} columns, at most {size / 1e6:,.0f} MB")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"the states would take up to {size / 1e9:,.1f} GB, the disk of root has "
            f"{free / 1e9:,.1f} GB free: choose less with extract.signals, extract.units, "
            "extract.timesteps or extract.max_sequences, or give another root"
        )


def _refuse_misfit(model: keras.Model, dataset: Dataset) -> None:
    """Raise where the model does not take the data or has nothing to record."""
    if not trace.recurrent_layers(model):
        names = ", ".join(layer.name for layer in model.layers)
        raise UserError(f"model '{model.name}' has no recurrent layer; it has {names}")
    models.inputs(model, dataset.test.take(slice(0, 1)))
    outputs = getattr(model, "outputs", None) or []
    labels = dataset.test.y
    for shape in (each.shape for each in outputs):
        if labels is not None and len(shape) == 2 and 1 < shape[1] <= labels.max():
            raise UserError(
                f"model '{model.name}' has {shape[1]} outputs; the data has a class {labels.max()}"
            )


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums of rows and bytes, and the largest residuals, over all parts."""
    residuals: recorder.Residuals = {}
    for part in parts:
        recorder.merge(residuals, part["residuals"])
    return {
        "rows": sum(part["rows"] for part in parts),
        "states_bytes": sum(part["states_bytes"] for part in parts),
        "residuals": residuals,
    }


def _check(residuals: recorder.Residuals, tolerance: float) -> None:
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
        table.insert(1, "id", dataset.test.ids[: len(table)])
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


def _layer(name: str) -> str:
    """The layer of a trace's name, without the call or the cell."""
    return name.partition(".call")[0].partition(".cell")[0]
