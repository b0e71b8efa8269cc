"""Write what was recorded of a part: its states, its rows of the tables, and its note."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.extract import notes, stored
from rnnscope.extract.notes import Note, Part
from rnnscope.extract.outcome import SCORED
from rnnscope.extract.records import Layout, PartRecord, table_of
from rnnscope.states import selection
from rnnscope.store import partials, sources
from rnnscope.store.contents import Content
from rnnscope.store.sources import Source


@dataclass
class Writer:
    """A folder that parts of a recording are written to."""

    folder: Path
    layout: Layout
    compression: str
    dtype: str
    workers: int = 1
    """Signals that are encoded side by side, also while other parts are being computed."""
    read: Sequence[Source] = ()
    """The user's files that the model and the data came from."""
    pool: ThreadPoolExecutor = field(init=False)
    places: dict[str, str] = field(init=False)
    """The folder of each layer."""

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.workers)
        self.places = states.folders(self.layout.layers)

    def part(self, part: Part, found: PartRecord) -> Note:
        """Write one part, whose states are let go of; its note has rows, bytes, proof and scores.

        Scores are sums over its sequences.
        """
        labels = np.concatenate(found.labels) if found.labels else None
        rows = 0
        writing = []
        for layer, columns in found.columns.items():
            of_rows = None if layer in self.layout.unlabelled else labels
            backward = layer in self.layout.backward
            keys = selection.keys_of(part.start, columns.kept, of_rows, backward)
            rows = max(rows, len(keys.sequence))
            for signal in list(columns.signals):
                # No reference is kept here, so that its memory is freed as soon as it is written.
                values = columns.signals.pop(signal)
                writing.append(self.pool.submit(self._write, part, layer, signal, values, keys))
                del values
        files = dict(done.result() for done in writing)
        sequences = table_of(found.sequences)
        tables = {states.SEQUENCES: sequences}
        if found.steps:
            tables[states.STEPS] = table_of(found.steps)
        scores = {name: float(np.sum(sequences[name])) for name in SCORED if name in sequences}
        figures = {
            "rows": rows,
            "longest": {layer: each.kept[0].shape[1] for layer, each in found.columns.items()},
            "states_bytes": sum(content.bytes for content in files.values()),
            "proof": {
                layer: {kind: asdict(worst) for kind, worst in kinds.items()}
                for layer, kinds in found.proof.items()
            },
            "without_mask": sorted(found.unmasked),
            "mask_lost": found.lost,
            "scores": scores,
        }
        sources.check(self.read)
        partials.check(self.folder)
        return notes.write(self.folder, part, figures, files, tables)

    def _write(
        self,
        part: Part,
        layer: str,
        signal: str,
        values: list[NDArray[np.float32]],
        keys: states.RowKeys,
    ) -> tuple[str, Content]:
        """Write one signal of one part, given batch by batch [U, rows]; its name and content."""
        # Columns in one piece: the encoder is twice as slow over many short ones.
        whole = values[0] if len(values) == 1 else np.concatenate(values, axis=1)
        values.clear()
        whole = stored.narrowed(whole, self.dtype, f"signal {signal} of layer '{layer}'")
        file = states.part_file(self.folder, self.places[layer], signal, part.number)
        units = self.layout.units[layer, signal]
        origin = states.Origin(part.artefact, layer, signal, part.start, part.stop)
        partials.check(self.folder)
        content = states.write_part(file, signal, whole, keys, self.compression, units, origin)
        return file.relative_to(self.folder).as_posix(), content
