"""Options that contradict each other, refused before anything runs and not by their stage."""

import itertools
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from rnnscope.config import Analysis, Config, Delay, Extract, Files, Lagged, Recurrent, Text
from rnnscope.config.intervention import CLUSTERS
from rnnscope.config.options import spelled
from rnnscope.errors import UserError, listed
from rnnscope.stages.table import RERUN

SIGNALS = {"lstm": "hcifog", "gru": "hzrg", "simple_rnn": "h"}
"""The signals of the networks that are trained here."""
ANALYSES = ("units", "population", "decoding")


def refuse(config: Config, stages: Collection[str]) -> None:
    """Raise UserError for the first contradiction that concerns one of the stages."""
    found = itertools.chain(
        _of_data(config) if {"extract", *RERUN} & {*stages} else (),
        _of_training(config) if "train" in stages else (),
        _of_checkpoints(config, stages),
        _of_extract(config) if "extract" in stages else (),
        *(_of_analysis(config, name) for name in ANALYSES if name in stages),
        _of_decoding(config) if "decoding" in stages else (),
        _of_ablation(config) if "ablation" in stages else (),
        _of_intervention(config) if "intervention" in stages else (),
        _of_fixed_points(config) if "fixed_points" in stages else (),
    )
    for mistake in found:
        raise UserError(mistake)


def _of_data(config: Config) -> Iterator[str]:
    data = config.data
    if isinstance(data, Delay) and data.shortest_delay >= data.length:
        yield (
            f"data.shortest_delay={data.shortest_delay}: the longest for which there is room in "
            f"data.length={data.length} is {data.length - 1}"
        )
    if isinstance(data, Lagged) and data.lag >= data.length:
        yield f"data.lag={data.lag}: data.length={data.length} has no timesteps so far apart"
    if isinstance(data, Text) and data.split_seed:
        yield (
            f"data.split_seed={data.split_seed}: has no effect on data=text, which is split in "
            "time, and nothing of it is drawn; leave it out"
        )
    if not isinstance(data, Files):
        return
    if data.window is None:
        for name in ("stride", "horizon"):
            if getattr(data, name) is not None:
                yield f"data.{name}={getattr(data, name)}: needs data.window"
    elif data.layout is not None:
        yield (
            f"data.window={data.window} cuts a table that is one series, which does not go with "
            f"data.layout={data.layout}: leave one of them out"
        )
    if data.horizon is not None and data.labels == "timestep":
        yield "data.labels=timestep does not go with data.horizon: it is one target per window"
    if data.test_path and Path(data.test_path).resolve() == Path(data.path).resolve():
        yield (
            f"data.test_path={data.test_path}: is data.path itself, so that what is tested would "
            "be trained on; to part one file into both give data.test_fraction=0.3 instead"
        )
    if data.groups is not None and data.groups in (data.annotations or ()):
        yield f"data.groups={data.groups}: is in data.annotations too: leave it out there"


def _of_training(config: Config) -> Iterator[str]:
    train, data = config.train, config.data
    for name in ("restore_best", "patience"):
        value = getattr(train, name)
        if not value:
            continue
        if not train.steps:
            yield f"train.{name}={spelled(value)}: does not go with train.steps=0, no training"
        if not isinstance(data, Files) and not data.validation_fraction:
            yield (
                f"train.{name}={spelled(value)}: needs validation sequences, of which "
                "data.validation_fraction=0 leaves none"
            )


def _of_checkpoints(config: Config, stages: Collection[str]) -> Iterator[str]:
    kept, steps = config.train.checkpoints, config.train.steps
    asked = config.extract.checkpoint if "extract" in stages else None
    if not isinstance(config.model, Recurrent):
        for name, value in (("train.checkpoints", kept), ("extract.checkpoint", asked)):
            if value is not None:
                yield (
                    f"{name}={spelled(value)}: model={config.model.name} is not trained here; "
                    f"leave it out, and give the weights of each step as a model of its own"
                )
        return
    if kept is not None and kept[-1] > steps:
        yield f"train.checkpoints={spelled(kept)}: train.steps={steps} ends before step {kept[-1]}"
    if asked is None or asked in (kept or ()):
        return
    if asked > steps:
        yield f"extract.checkpoint={asked}: train.steps={steps} ends before it"
    all_of_them = spelled(sorted({*(kept or ()), asked})).replace(" ", "")
    yield (
        f"extract.checkpoint={asked}: is not among train.checkpoints={spelled(kept)}, those that "
        f"are kept; give 'train.checkpoints={all_of_them}'"
    )


def _of_extract(config: Config) -> Iterator[str]:
    options = config.extract
    yield from _empty("extract", options.timesteps)
    model = config.model
    if not isinstance(model, Recurrent):
        return
    yield from _unknown("extract.layers", options.layers, _layers(model))
    there = SIGNALS[model.name]
    if options.signals is not None and not {*options.signals} & {*there}:
        yield f"extract.signals={spelled(options.signals)}: model={model.name} has {listed(there)}"
    if options.units is not None and min(options.units) >= model.units:
        yield f"extract.units={spelled(options.units)}: model.units={model.units}, counted from 0"


def _of_analysis(config: Config, stage: str) -> Iterator[str]:
    options: Analysis = getattr(config, stage)
    model, recorded = config.model, config.extract
    layers: Iterable[str] | None = recorded.layers
    signals: Iterable[str] | None = recorded.signals
    if isinstance(model, Recurrent):
        layers = layers or _layers(model)
        signals = [name for name in SIGNALS[model.name] if signals is None or name in signals]
    yield from _unknown(f"{stage}.layers", options.layers, layers)
    yield from _unknown(f"{stage}.signals", options.signals, signals)
    timesteps = getattr(options, "timesteps", "all")
    yield from _empty(stage, timesteps)
    if _apart(timesteps, recorded):
        yield (
            f"{stage}.timesteps={timesteps}: none of these is recorded by "
            f"extract.timesteps={recorded.timesteps}"
        )


def _of_decoding(config: Config) -> Iterator[str]:
    most, folds = config.decoding.max_sequences, config.decoding.folds
    if most is not None and most < folds:
        yield f"decoding.max_sequences={most}: fewer than decoding.folds={folds}"


def _of_ablation(config: Config) -> Iterator[str]:
    options, model = config.ablation, config.model
    if not isinstance(model, Recurrent):
        return
    yield from _unknown("ablation.layers", options.layers, _layers(model))
    if options.units is not None and max(options.units) >= model.units:
        yield (
            f"ablation.units={spelled(options.units)}: there are {model.units}, "
            f"from 0 to {model.units - 1}"
        )
    if not {method[0] for method in options.methods} & {*SIGNALS[model.name]}:
        yield f"ablation.methods={spelled(options.methods)}: model={model.name} has no c to clamp"


def _of_intervention(config: Config) -> Iterator[str]:
    options, model = config.intervention, config.model
    if options.decoded is not None and config.decoding.timesteps == "last":
        yield (
            f"intervention.decoded={spelled(options.decoded)}: takes decoders of single timesteps, "
            "of which decoding.timesteps=last has none; leave that out"
        )
    known: dict[frozenset[int], str] = {}
    for group in (each for each in options.groups or () if each != CLUSTERS):
        units = list(map(int, group.split("+")))
        if len(set(units)) < len(units):
            yield f"intervention.groups: {group} names a unit twice"
        # As two rows they would be two of the tests that q_value is adjusted over.
        if (same := known.setdefault(frozenset(units), group)) != group:
            yield f"intervention.groups: {same} and {group} are the same units: leave one out"
    if not isinstance(model, Recurrent):
        return
    yield from _unknown("intervention.layers", options.layers, _layers(model))
    if options.units and max(options.units) >= model.units:
        yield (
            f"intervention.units={spelled(options.units)}: there are {model.units}, "
            f"from 0 to {model.units - 1}"
        )
    if not {*options.states} & {*SIGNALS[model.name]}:
        yield (
            f"intervention.states={spelled(options.states)}: model={model.name} has "
            f"{listed(SIGNALS[model.name])}"
        )


def _of_fixed_points(config: Config) -> Iterator[str]:
    options, model = config.fixed_points, config.model
    if options.slow_tolerance < options.tolerance:
        yield (
            f"fixed_points.slow_tolerance={options.slow_tolerance:g}: below "
            f"fixed_points.tolerance={options.tolerance:g}, up to which points are fixed"
        )
    if isinstance(model, Recurrent):
        yield from _unknown("fixed_points.layers", options.layers, _layers(model))


def _layers(model: Recurrent) -> list[str]:
    """The names of the recurrent layers of a network that is trained here."""
    names = [model.name] if model.layers == 1 else []
    names = names or [f"{model.name}_{number}" for number in range(1, model.layers + 1)]
    if not model.bidirectional:
        return names
    return [f"{name}.{way}" for name in names for way in ("forward", "backward")]


def _unknown(option: str, wanted: list[str] | None, there: Iterable[str] | None) -> Iterator[str]:
    """A name that an option asks for and that is known not to be there; None is not known."""
    known = None if there is None else list(there)
    for name in wanted or ():
        if known is not None and name not in known:
            yield f"{option}: no '{name}'; there is {listed(known)}"


def _empty(stage: str, timesteps: str) -> Iterator[str]:
    """A slice without any timestep, however long sequences are."""
    start, stop = _ends(timesteps)
    if stop == 0 or (start is not None and stop is not None and start >= stop and start * stop > 0):
        yield f"{stage}.timesteps={timesteps}: has no timestep; 0:10 has the first ten"


def _apart(timesteps: str, recorded: Extract) -> bool:
    """Whether two slices have no timestep in common, both counted from the first."""
    (start, stop), (first, end) = map(_ends, (timesteps, recorded.timesteps))
    if any(each is not None and each < 0 for each in (start, stop, first, end)):
        return False
    return (end is not None and (start or 0) >= end) or (stop is not None and (first or 0) >= stop)


def _ends(timesteps: str) -> tuple[int | None, int | None]:
    """Start and stop of a slice; None where it has none."""
    if ":" not in timesteps:
        return None, None
    start, stop, *_ = timesteps.split(":")
    return int(start) if start else None, int(stop) if stop else None
