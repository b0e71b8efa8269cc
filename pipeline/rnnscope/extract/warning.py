"""What is to be known of a recording besides its states: layers without any, draws, padding."""

from collections.abc import Mapping
from dataclasses import dataclass

from rnnscope import trace
from rnnscope.errors import listed
from rnnscope.extract import padding
from rnnscope.extract.recorder import Recorder
from rnnscope.states import place_of, selection


@dataclass(frozen=True)
class Noticed:
    """What was noticed while all parts were recorded."""

    silent: list[str]
    """Layers that were not called."""
    unmasked: list[str]
    """Layers that no mask reaches though sequences differ in length."""
    lost: Mapping[str, str]
    """Layers that read padding as rows: by name, the layer whose mask does not reach them."""
    warnings: list[str]
    """A line for each thing that the user should know."""


def noticed(record: Recorder, unmasked: set[str], lost: Mapping[str, str]) -> Noticed:
    """What there is to say of a recording that is done.

    Args:
        record: which recorded it.
        unmasked: as in ``BatchRecord``, of all batches together.
        lost: likewise.
    """
    called = {place_of(name) for name in record.paths}
    layers = trace.recurrent_layers(record.model)
    silent = sorted(name for name in layers if not {name, f"{name}.cell0"} & called)
    found = [
        f"layer '{name}' was not called in the forward pass; it has no states" for name in silent
    ]
    if record.scores.why_not:
        found.append(f"no accuracy and no loss: {record.scores.why_not}")
    if record.streams.layers:
        names = ", ".join(f"'{name}'" for name in record.streams.layers)
        found.append(f"layer {names} draws at random: states and outputs are those of one draw")
    found += _without_rows(record)
    read = sorted(unmasked)
    if read:
        drawn = record.streams.variables
        depends = padding.depending(record.passed, record.model, record.split, record.rows, drawn)
        if depends.layers or depends.outputs:
            found.append(padding.warning(record.model, read, depends, record.rows))
    if record.split.per_timestep or record.split.steps:
        found += _without_known(record)
    found += [
        padding.lost(layer, maker, record.rows, record.split)
        for layer, maker in sorted(lost.items())
    ]
    return Noticed(silent, read, lost, found)


def _without_rows(record: Recorder) -> list[str]:
    """How many sequences have none of the timesteps that were asked for."""
    split, asked = record.split, record.options.timesteps
    if split.lengths is None or asked == "last":
        return []
    steps = selection.steps_of(asked, split.timesteps)
    without = int((split.lengths <= steps.min(initial=split.timesteps)).sum())
    if not without:
        return []
    return [
        f"extract.timesteps={asked}: {without:,} of {len(split):,} sequences have none of these "
        f"timesteps, which are counted in the longest, of {split.timesteps:,}, and so have no rows"
    ]


def _without_known(record: Recorder) -> list[str]:
    """Why layers are given no labels and annotations of timesteps that one may expect there."""
    others = record.of_other_time
    moved = [name for name in others if record.rows.displaced.get(name)]
    untold = [name for name in others if name not in moved and not record.rows.reads(name)]
    found = []
    if moved:
        found.append(
            f"layer {listed(moved)}: the model moves or pools time on the way to it, so labels and "
            "annotations of timesteps are not those of its timesteps: it is given none"
        )
    if untold:
        found.append(
            f"layer {listed(untold)}: the model's graph does not tell of which input's timesteps "
            "its own are, so labels and annotations of timesteps may not be theirs: it is given "
            "none"
        )
    return found
