"""Stage extract where states were recorded elsewhere: into the Parquet contract, without a proof.

Nothing here runs a model, so TensorFlow is not imported.
"""

import functools
import logging
import threading
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from rnnscope import data, engine, states
from rnnscope.config import Config, RecordedStates, located
from rnnscope.data import Dataset, Recorded, Split
from rnnscope.data.mapped import LazyArray, release
from rnnscope.data.precision import warn_of_coarse
from rnnscope.data.recorded import no_inputs
from rnnscope.errors import UserError, listed
from rnnscope.extract import finishing, notes, stored
from rnnscope.extract.brought import arrays, tables, values
from rnnscope.extract.brought.arrays import Given
from rnnscope.extract.columns import SEQUENCES, STEPS, TABLES
from rnnscope.extract.notes import PARTS, Note, Part
from rnnscope.states import selection
from rnnscope.store import partials, sources
from rnnscope.store.inputs import Inputs
from rnnscope.store.sources import Source
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Table, by_column

__all__ = ["TABLES", "run"]

log = logging.getLogger(__name__)

NO_PROOF = (
    "the states were recorded elsewhere: there is no model here by which they could be computed "
    "again, so nothing is known of whether they are right"
)


@dataclass(frozen=True)
class Assignment:
    """What to write, such that any process with access to the same files can take part."""

    token: str
    """A unique name, by which assignments are compared."""
    config: Config = field(compare=False)
    key: str = field(compare=False)
    folder: Path = field(compare=False)
    read: tuple[Source, ...] = field(compare=False, default=())
    """The user's files that states and data come from."""


@dataclass(frozen=True)
class Ready:
    """The states and the data, opened and held against each other."""

    given: Given
    """Only the layers and signals that are asked for."""
    dataset: Dataset
    split: Split
    """The test split, without its inputs."""
    count: int
    """How many of its sequences are written."""
    units: dict[tuple[str, str], list[int]]
    """Layer and signal -> the numbers of the units."""
    places: dict[str, str]
    """Layer -> its folder."""
    backward: tuple[str, ...]
    """The layers that read backwards."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the states of the test split into ``folder``.

    Args:
        config: the run's config.
        inputs: no artefacts.
        folder: where to write; parts that an interrupted run finished there are kept.

    Raises:
        UserError: arrays that are no states, or not of the data's test split.
    """
    config = replace(config, data=located(config.data), model=located(config.model))
    assignment = Assignment(uuid.uuid4().hex, config, inputs.key, folder, inputs.sources)
    try:
        return _run(assignment)
    finally:
        _ready.cache_clear()


def _run(assignment: Assignment) -> Figures:
    config, folder = assignment.config, assignment.folder
    ready = _ready(assignment)
    _announce(ready, config, folder)
    timesteps = ready.given.shape[1]
    size = max(1, config.extract.part_rows // timesteps)
    parts = [
        Part(number, start, min(start + size, ready.count), assignment.key)
        for number, start in enumerate(range(0, ready.count, size))
    ]
    (folder / PARTS).mkdir(exist_ok=True)
    one = functools.partial(_written, assignment)
    done = list(engine.run(one, parts, config.engine, what="extract", unit="part", spread=True))
    split = ready.split
    written: dict[Table, dict[bytes, bytes]] = {SEQUENCES: {}}
    if split.per_timestep or split.steps:
        written[STEPS] = {}
    contents, nulls = finishing.finish(folder, parts, done, written)
    rows = sum(note.figures["rows"] for note in done)
    log.warning(f"no proof: {NO_PROOF}")
    return {
        "rows": rows,
        "states_bytes": sum(note.figures["states_bytes"] for note in done),
        "contents": {name: asdict(content) for name, content in contents.items()},
        "footers": states.footers_of(folder, (name for name in contents if "/" in name)),
        "layers": states.by_layer(ready.units),
        "paths": {layer: layer for layer in ready.given.arrays},
        "other_time": [],
        "null": {name: by_column(each) for name, each in nulls.items()},
        "no_proof": NO_PROOF,
        "no_scores": "there is no model here whose outputs could be scored",
        "classes": list(ready.dataset.classes),
        "labels": split.labels,
        "annotations": list(split.steps),
        "headline": {"sequences": ready.count, "rows": rows, "proof": "none"},
    }


@functools.lru_cache(maxsize=1)
def _ready(assignment: Assignment) -> Ready:
    """What an assignment reads, opened once in each process that takes part."""
    config, options = assignment.config, assignment.config.extract
    model = config.model
    assert isinstance(model, RecordedStates)
    given = arrays.given(Path(model.path))
    count, timesteps = given.shape
    recorded = Recorded(count, timesteps, lambda: values.ends(given), given.where)
    dataset = data.load(config.data, recorded=recorded).as_trained()
    test = dataset.test
    if (len(test), test.timesteps) != (count, timesteps):
        raise UserError(
            f"{given.where}: it has {count} sequences of {timesteps} timesteps, and the test split "
            f"of data={config.data.name} has {len(test)} of {test.timesteps}: give the data of the "
            "sequences whose states these are, in their order, such as data=files "
            f"data.path=labels.npz with y_test [{count}]"
        )
    for layer, signals in given.arrays.items():
        for signal, array in signals.items():
            warn_of_coarse(array, f"{given.where}: {layer}/{signal}", "unit", "")
    layers = selection.only("extract.layers", dict(given.arrays), options.layers)
    there = dict.fromkeys(signal for signals in layers.values() for signal in signals)
    if options.signals and there.keys().isdisjoint(options.signals):
        selection.only("extract.signals", there, options.signals)
    chosen: dict[str, dict[str, LazyArray]] = {}
    units = {}
    for layer, signals in layers.items():
        for signal, array in selection.picked(dict(signals), options.signals).items():
            own = [unit for unit in options.units or range(array.shape[2]) if unit < array.shape[2]]
            if own:
                chosen.setdefault(layer, {})[signal] = array
                units[layer, signal] = own
    if not units:
        raise UserError(
            f"extract.units={options.units}, extract.signals={options.signals}: nothing of that "
            f"kind is in {model.path}"
        )
    backward = _backward(model, given)
    return Ready(
        replace(given, arrays=chosen),
        dataset,
        replace(test, x=no_inputs(count, timesteps), others={}, name=None, other_lengths={}),
        min(count, options.max_sequences or count),
        units,
        states.folders(states.by_layer(units)),
        backward,
    )


def _backward(model: RecordedStates, given: Given) -> tuple[str, ...]:
    """The layers that read their input backwards."""
    if model.backward is None:
        return tuple(layer for layer in given.arrays if layer.endswith(".backward"))
    for layer in model.backward:
        if layer not in given.arrays:
            raise UserError(f"model.backward: no layer '{layer}'; there is {listed(given.arrays)}")
    return tuple(model.backward)


_getting_ready = threading.Lock()


def _written(assignment: Assignment, part: Part) -> Note:
    """Write one part, unless it is finished, in whichever process this is called."""
    with _getting_ready:  # without it, two threads would both fill the cache
        ready = _ready(assignment)
    folder, options = assignment.folder, assignment.config.extract
    if (known := notes.read(folder, part)) is not None:
        return known
    batch = ready.split.take(slice(part.start, part.stop))
    labels = None if ready.split.numeric else batch.y
    files, rows = {}, 0
    for layer, signals in ready.given.arrays.items():
        backward = layer in ready.backward
        kept = selection.timesteps_of(batch.valid, options.timesteps, backward)
        keys = selection.keys_of(part.start, [kept], labels, backward)
        rows = max(rows, len(keys.sequence))
        for signal, array in signals.items():
            name = f"{layer}/{signal}"
            units, where = ready.units[layer, signal], f"{ready.given.where}: {name}"
            read = arrays.rows(array, part.start, part.stop, where)
            rows_of_units = values.columns(read, kept, units, part.start, where)
            release(array)
            if signal in values.GATES:
                values.refuse_gates(rows_of_units, kept, units, part.start, where)
            partials.check(folder)
            file = states.part_file(folder, ready.places[layer], signal, part.number)
            origin = states.Origin(part.artefact, layer, signal, part.start, part.stop)
            files[file.relative_to(folder).as_posix()] = states.write_part(
                file,
                signal,
                stored.narrowed(rows_of_units, options.dtype, name),
                keys,
                options.compression,
                units,
                origin,
            )
    figures = {"rows": rows, "states_bytes": sum(each.bytes for each in files.values())}
    sources.check(assignment.read)
    partials.check(folder)
    return notes.write(folder, part, figures, files, tables.of_part(ready.split, batch, part))


def _announce(ready: Ready, config: Config, folder: Path) -> None:
    """Log how much will be written, and raise if the disk cannot hold it."""
    lengths = ready.split.lengths
    whole = ready.count * ready.given.shape[1]
    rows = whole if lengths is None else int(lengths[: ready.count].sum())
    columns = sum(map(len, ready.units.values()))
    stored.announce(rows, columns, config.extract.dtype, folder)
    types = {
        f"{layer}/{signal}": np.dtype(array.dtype).name
        for layer, signals in ready.given.arrays.items()
        for signal, array in signals.items()
    }
    if other := [f"{n} ({kind})" for n, kind in types.items() if kind not in values.AS_STORED]:
        log.info(f"{'':<10} stored as float32: {listed(other)}")
    if ready.backward:
        log.info(f"{'':<10} read backwards: {listed(ready.backward)}")
