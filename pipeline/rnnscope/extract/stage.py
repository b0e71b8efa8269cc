"""Stage extract: record the states of a trained model on the test split, and prove them."""

import functools
import logging
import math
import shutil
import threading
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
from threadpoolctl import threadpool_limits

from rnnscope import engine, models, states, trace
from rnnscope.config import Config, located
from rnnscope.data import Dataset, Split
from rnnscope.errors import UserError, listed
from rnnscope.extract import finishing, judging, mixing, padding
from rnnscope.extract.columns import SEQUENCES, STEPS, TABLES
from rnnscope.extract.notes import PARTS, Note, Part
from rnnscope.extract.recorder import Recorder
from rnnscope.models import custom, tokens
from rnnscope.models.batches import fixed_batch
from rnnscope.states import place_of
from rnnscope.store.atomic import remove
from rnnscope.store.inputs import Inputs
from rnnscope.store.sources import Source
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Table, by_column
from rnnscope.trace.findings import Findings, Worst, merge, sample
from rnnscope.trace.loops import state_variables
from rnnscope.trace.names import refuse_names

__all__ = ["TABLES", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """What to record, such that any process with access to the same files can take part."""

    token: str
    """A unique name, by which assignments are compared."""
    config: Config = field(compare=False)
    trained: Path | None = field(compare=False)
    key: str = field(compare=False)
    model: str = field(compare=False)
    folder: Path = field(compare=False)
    sources: tuple[Source, ...] = field(compare=False, default=())
    """The user's files that data and model come from."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Record the chosen signals of the test split into ``folder``.

    Args:
        config: the run's config.
        inputs: the artefact of stage train, unless the model comes from a file.
        folder: where to write; parts that an interrupted run finished there are kept.

    Raises:
        UserError: a model that does not fit the data, or one that cannot be recorded; a residual
            of the proof past ``extract.tolerance``.
    """
    config = replace(config, data=located(config.data), model=located(config.model))
    assignment = Assignment(
        uuid.uuid4().hex,
        config,
        inputs.folders.get("train"),
        inputs.key,
        inputs.made_from.get("train", ""),
        folder,
        inputs.sources,
    )
    try:
        return _run(assignment)
    finally:
        _ready.cache_clear()


def _run(assignment: Assignment) -> dict[str, Any]:
    config, folder = assignment.config, assignment.folder
    dataset, record = _ready(assignment)
    count = _count(dataset, config)
    _announce(record, dataset, count, folder)
    if config.extract.batch_size > 1:
        with custom.explaining():
            mixing.refuse(record.model, dataset.test)
    test = dataset.test
    split = _parts(count, record.rows.most(test, count)[0], assignment, record.model)
    with threadpool_limits(1, "blas"):  # the proof's products are small: threads would only wait
        done = _record_all(assignment, record, split)
    parts = [note.figures for note in done]
    found = _found(parts)
    figures = _merged(parts, found)
    called = {place_of(name) for name in record.paths}
    layers = trace.recurrent_layers(record.model)
    silent = sorted(name for name in layers if not {name, f"{name}.cell0"} & called)
    for name in silent:
        log.warning(f"layer '{name}' was not called in the forward pass; it has no states")
    if record.scores.why_not:
        log.warning(f"no accuracy and no loss: {record.scores.why_not}")
    if record.streams.layers:
        names = ", ".join(f"'{name}'" for name in record.streams.layers)
        log.warning(f"layer {names} draws at random: states and outputs are those of one draw")
    unmasked = sorted({layer for part in parts for layer in part["without_mask"]})
    if unmasked:
        drawn = record.streams.variables
        depends = padding.depending(record.recorded, record.model, test, record.rows, drawn)
        if depends.layers or depends.outputs:
            log.warning(padding.warning(record.model, unmasked, depends, record.rows))
    lost = {layer: maker for part in parts for layer, maker in part["mask_lost"].items()}
    for layer, maker in sorted(lost.items()):
        log.warning(padding.lost(layer, maker, record.rows, test))
    tables: dict[Table, dict[bytes, bytes]] = {SEQUENCES: {}}
    if test.per_timestep or test.steps:
        apart = [name for name in record.layers if not record.rows.known(name, test)]
        tables[STEPS] = states.of_other_time(apart)
    contents, nulls = finishing.finish(folder, split, done, tables)
    return figures | {
        "contents": {name: asdict(content) for name, content in contents.items()},
        "footers": states.footers_of(folder, (name for name in contents if "/" in name)),
        "layers": record.layers,
        "paths": record.paths,
        "null": {name: by_column(each) for name, each in nulls.items()},
        "not_called": silent,
        "without_mask": unmasked,
        "mask_lost": lost,
        "no_scores": record.scores.why_not or None,
        "classes": list(dataset.classes),
        "labels": test.labels,
        "annotations": list(test.steps),
        "draws": record.streams.layers,
        "proved": sum(min(sample(test.timesteps), part.stop - part.start) for part in split),
        "headline": {
            **_scores(parts, test, count),
            "sequences": count,
            "rows": figures["rows"],
            "residual": judging.judged(found),
        },
    }


@functools.lru_cache(maxsize=1)
def _ready(assignment: Assignment) -> tuple[Dataset, Recorder]:
    """The data and the recorder of an assignment, made once in each process that takes part."""
    config = assignment.config
    step = config.extract.checkpoint
    model, dataset = models.of_run(config.model, assignment.trained, config.data, step)
    _refuse_misfit(model, dataset)
    tokens.refuse_strange(model, dataset.test, _count(dataset, config))
    workers = engine.workers(config.engine)
    read = assignment.sources
    with custom.explaining():
        made = Recorder(model, dataset, config.extract, assignment.folder, workers, read)
    return dataset, made


_getting_ready = threading.Lock()


def _record(assignment: Assignment, part: Part) -> Note:
    """Record one part, in whichever process this is called."""
    with _getting_ready:  # without it, two threads would both fill the cache
        _, record = _ready(assignment)
    with custom.explaining():
        return record.part(part)


def _record_all(assignment: Assignment, record: Recorder, split: list[Part]) -> list[Note]:
    """The note of every part.

    A stateful model carries its state from batch to batch, and one that draws at random its random
    streams: they take the batches in order, in one thread.
    """
    carried, streams = state_variables(record.model), record.streams.variables
    variables = [*carried, *streams]
    if variables:
        remove(assignment.folder / PARTS)
    (assignment.folder / PARTS).mkdir(exist_ok=True)
    if not variables:
        one = functools.partial(_record, assignment)
        pool = assignment.config.engine
        return list(engine.run(one, split, pool, what="extract", unit="part", spread=True))
    kept = [variable.numpy() for variable in variables]
    try:
        for variable in carried:
            variable.assign(variable * 0)
        with custom.explaining():
            return [record.part(part) for part in split]
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


def _count(dataset: Dataset, config: Config) -> int:
    """How many sequences of the test split are recorded."""
    return min(len(dataset.test), config.extract.max_sequences or len(dataset.test))


def _parts(count: int, timesteps: int, assignment: Assignment, model: keras.Model) -> list[Part]:
    """Cut ``count`` sequences into parts of about ``extract.part_rows`` timesteps."""
    size = max(1, assignment.config.extract.part_rows // timesteps)
    step = fixed_batch(model)
    if step:
        size = max(1, size // step) * step
    starts = range(0, count, size)
    return [
        Part(number, start, min(start + size, count), assignment.key, assignment.model)
        for number, start in enumerate(starts)
    ]


def _announce(record: Recorder, dataset: Dataset, count: int, folder: Path) -> None:
    """Log how much will be written, and raise if the disk cannot hold it."""
    _, rows = record.rows.most(dataset.test, count)
    columns = sum(len(units) for units in record.units.values())
    if not columns:
        raise UserError(
            f"extract.signals={record.options.signals}, extract.units={record.options.units}: "
            "nothing of that kind is in the model"
        )
    written = {signal for _, signal in record.units}
    if lacking := [name for name in record.options.signals or () if name not in written]:
        log.info(f"{'':<10} extract.signals: no layer has {listed(lacking)}")
    size = rows * columns * (2 if record.options.dtype == "float16" else 4)
    log.info(f"{'':<10} {rows:,} rows of {columns:,} columns, at most {size / 1e6:,.0f} MB")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"the states would take up to {size / 1e6:,.1f} MB, the disk of root has "
            f"{free / 1e6:,.1f} MB free: choose less with extract.signals, extract.units, "
            "extract.timesteps or extract.max_sequences, or give another root"
        )


def _refuse_misfit(model: keras.Model, dataset: Dataset) -> None:
    """Raise if the model does not fit the data, has no recurrent layer or odd names."""
    refuse_names(model)
    if not trace.recurrent_layers(model):
        names = ", ".join(layer.name for layer in model.layers)
        raise UserError(f"model '{model.name}' has no recurrent layer; it has {names}")
    models.inputs(model, dataset.test.take(slice(0, 1)))


def _found(parts: list[dict[str, Any]]) -> Findings:
    """The worst residuals over all parts."""
    found: Findings = {}
    for part in parts:
        of_part = {
            layer: {kind: Worst(**worst) for kind, worst in kinds.items()}
            for layer, kinds in part["proof"].items()
        }
        merge(found, of_part)
    return found


def _merged(parts: list[dict[str, Any]], found: Findings) -> dict[str, Any]:
    """Sums of rows and bytes over all parts; the worst residuals, and where they are."""
    return {
        "rows": sum(part["rows"] for part in parts),
        "states_bytes": sum(part["states_bytes"] for part in parts),
        "residuals": {
            layer: {kind: worst.value for kind, worst in kinds.items()}
            for layer, kinds in found.items()
        },
        "worst": {
            layer: {kind: worst.place() for kind, worst in kinds.items()}
            for layer, kinds in found.items()
        },
    }


def _scores(parts: list[dict[str, Any]], test: Split, count: int) -> dict[str, float]:
    """Accuracy and loss, or the squared error: means over sequences, with equal weights."""
    means = {
        name: math.fsum(part["scores"][name] for part in parts) / count
        for name in parts[0]["scores"]
    }
    if test.numeric:
        return {"squared error": means["loss"]} if means else {}
    return {"accuracy": means["correct"], "loss": means["loss"]} if means else {}
