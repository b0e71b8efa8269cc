"""Stage extract: record the states of a trained model on the test split, and prove them."""

import functools
import logging
import math
import threading
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from rnnscope import engine, models, states
from rnnscope.config import Config, located
from rnnscope.data import Split
from rnnscope.errors import listed
from rnnscope.extract import finishing, fit, judging, mixing, notes, stored
from rnnscope.extract.columns import SEQUENCES, STEPS, TABLES
from rnnscope.extract.notes import PARTS, Note, Part, parts_of
from rnnscope.extract.recorder import Recorder
from rnnscope.extract.records import PartRecord
from rnnscope.extract.warning import noticed
from rnnscope.extract.writing import Writer
from rnnscope.models import custom
from rnnscope.models.batches import fixed_batch
from rnnscope.store.atomic import remove
from rnnscope.store.inputs import Inputs
from rnnscope.store.sources import Source
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Table, by_column
from rnnscope.trace.findings import Findings, Worst, merge, sample

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
    ready = _ready(assignment)
    record, test = ready.recorder, ready.recorder.split
    count = _count(test, config)
    _announce(record, count, folder)
    if assignment.trained is None:  # those built here keep sequences apart
        with custom.explaining():
            mixing.refuse(record.model, test)
    longest, _ = record.rows.most(test, count)
    made = {"artefact": assignment.key, "model": assignment.model}
    fixed = fixed_batch(record.model)
    split = parts_of(count, longest, config.extract.part_rows, fixed, **made)
    with threadpool_limits(1, "blas"):  # the proof's products are small: threads would only wait
        done = _record_all(assignment, ready, split)
    parts = [note.figures for note in done]
    found = _found(parts)
    figures = _merged(parts, found)
    lost = {layer: maker for part in parts for layer, maker in part["mask_lost"].items()}
    about = noticed(record, {each for part in parts for each in part["without_mask"]}, lost)
    for line in about.warnings:
        log.warning(line)
    tables: dict[Table, dict[bytes, bytes]] = {SEQUENCES: {}}
    apart = record.of_other_time
    told = models.told(config.model, assignment.trained, record.model)
    if test.per_timestep or test.steps:
        tables[STEPS] = states.of_other_time(apart)
    contents, nulls = finishing.finish(folder, split, done, tables)
    return figures | {
        "contents": {name: asdict(content) for name, content in contents.items()},
        "footers": states.footers_of(folder, (name for name in contents if "/" in name)),
        "longest": {layer: n for part in parts for layer, n in part.get("longest", {}).items()},
        "layers": ready.writer.layout.layers,
        "other_time": apart,
        "paths": record.paths,
        "null": {name: by_column(each) for name, each in nulls.items()},
        "not_called": about.silent,
        "without_mask": about.unmasked,
        "mask_lost": dict(about.lost),
        "no_scores": record.scores.why_not or None,
        "classes": list(record.dataset.classes),
        "labels": test.labels,
        "annotations": list(test.steps),
        "inputs": None if told is None else told.noted(),
        "draws": record.streams.layers,
        "proved": sum(min(sample(test.timesteps), part.stop - part.start) for part in split),
        "headline": {
            **_scores(parts, test, count),
            "sequences": count,
            "rows": figures["rows"],
            "residual": judging.judged(found),
        },
    }


@dataclass(frozen=True)
class Ready:
    """What a process that takes part makes once."""

    recorder: Recorder
    writer: Writer

    def part(self, part: Part) -> Note:
        """Record one part, unless it is finished."""
        if (known := notes.read(self.writer.folder, part)) is not None:
            return known
        found = PartRecord()
        for batch in self.recorder.record(part.start, part.stop):
            found.add(batch)
            del batch
        return self.writer.part(part, found)


@functools.lru_cache(maxsize=1)
def _ready(assignment: Assignment) -> Ready:
    """The recorder and the writer of an assignment, made once in each process that takes part."""
    config, options = assignment.config, assignment.config.extract
    model, dataset = models.of_run(
        config.model, assignment.trained, config.data, options.checkpoint
    )
    fit.refuse_misfit(model, dataset.test, _count(dataset.test, config))
    with custom.explaining():
        recorder = Recorder(model, dataset, options)
    form, workers = (options.compression, options.dtype), engine.workers(config.engine)
    writer = Writer(assignment.folder, recorder.layout, *form, workers, assignment.sources)
    return Ready(recorder, writer)


_getting_ready = threading.Lock()


def _record(assignment: Assignment, part: Part) -> Note:
    """Record one part, in whichever process this is called."""
    with _getting_ready:  # without it, two threads would both fill the cache
        ready = _ready(assignment)
    with custom.explaining():
        return ready.part(part)


def _record_all(assignment: Assignment, ready: Ready, split: list[Part]) -> list[Note]:
    """The note of every part.

    A stateful model carries its state from batch to batch, and one that draws at random its random
    streams: they take the batches in order, in one thread.
    """
    carried = ready.recorder.carried
    if carried:
        remove(assignment.folder / PARTS)
    (assignment.folder / PARTS).mkdir(exist_ok=True)
    if not carried:
        one = functools.partial(_record, assignment)
        pool = assignment.config.engine
        return list(engine.run(one, split, pool, what="extract", unit="part", spread=True))
    with ready.recorder.from_zero(), custom.explaining():
        return [ready.part(part) for part in split]


def _count(test: Split, config: Config) -> int:
    """How many sequences of the test split are recorded."""
    return min(len(test), config.extract.max_sequences or len(test))


def _announce(record: Recorder, count: int, folder: Path) -> None:
    """Log how much will be written, and raise if the disk cannot hold it."""
    _, rows = record.rows.most(record.split, count)
    columns = sum(len(units) for units in record.units.values())
    written = {signal for _, signal in record.units}
    if lacking := [name for name in record.options.signals or () if name not in written]:
        log.info(f"{'':<10} extract.signals: no layer has {listed(lacking)}")
    stored.announce(rows, columns, record.options.dtype, folder)


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
