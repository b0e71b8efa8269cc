"""From a config to the steps that bring its stage up to date."""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope import config as schema
from rnnscope import store
from rnnscope.config import Config
from rnnscope.config.tasks import DRAWING
from rnnscope.errors import UserError
from rnnscope.stages import contradictions
from rnnscope.stages.table import BROUGHT, CHECK, OVER_RUNS, RERUN, STAGES
from rnnscope.store import beside, contents, damage, digests, over_runs, runs, sources
from rnnscope.store.artefacts import Artefact
from rnnscope.store.contents import Damaged
from rnnscope.store.damage import MISSING, Fault
from rnnscope.store.runs import Survey
from rnnscope.store.sources import Source
from rnnscope.store.stage import Stage
from rnnscope.terminal import short_path
from rnnscope.trouble import explained


@dataclass(frozen=True)
class Due:
    """Why a step has to run."""

    why: str = ""
    """In words; empty where nothing is there yet."""
    replaces: bool = False
    """Whether it takes the place of a finished artefact."""


@dataclass(frozen=True)
class Step:
    """A stage of one run, with the artefact that its config leads to."""

    stage: Stage
    artefact: Artefact
    slice: dict[str, Any]
    """The sections of the config that it reads, each file's digest in place of its path."""
    upstream: dict[str, Artefact]
    forced: bool
    run: str
    """A readable name of the run."""
    survey: Survey | None = None
    """The runs below the root, for a stage over several."""
    sources: tuple[Source, ...] = ()
    """The user's files among what it reads."""

    @property
    def waits(self) -> bool:
        """Whether it has to run, as things stand; nothing is written."""
        return self.due(remember=False) is not None

    def due(self, *, remember: bool = True) -> Due | None:
        """Why it has to run; None if it is finished, undamaged, and made from what is there now.

        Args:
            remember: whether to note beside the artefact that its files were verified.

        Raises:
            UserError: a later version of rnnscope made its artefact.
        """
        folder = self.artefact.folder
        try:
            manifest = self.artefact.manifest()  # also where it is forced: a later version's stays
        except FileNotFoundError:
            there = os.path.lexists(folder)
            due = Due(str(Fault(folder / store.MANIFEST, MISSING)) if there else "")
            return Due("forced") if self.forced else due
        except Damaged as error:
            return Due("forced" if self.forced else str(error).partition("; ")[0])
        if self.forced:
            return Due("forced", replaces=True)
        if manifest["key"] != self.artefact.key:
            return Due()
        if found := damage.faults(folder, manifest, remember=remember):
            return Due(damage.in_words(found), replaces=True)
        now = self.made_from()
        was = manifest.get("made_from", {})
        if other := [name for name in now if was.get(name, now[name]) != now[name]]:
            names = " and ".join(other)
            return Due(f"{short_path(folder)}: was made from another {names}", replaces=True)
        return None

    def made_from(self) -> dict[str, str]:
        """Of each artefact upstream that is finished, the fingerprint of what it holds now.

        A stage that runs again may give another result under the same key, on a GPU or after a
        change that nobody noticed; what was made from the old one must not be mixed with the new.
        """
        return {
            name: contents.fingerprint(artefact.manifest()["contents"])
            for name, artefact in self.upstream.items()
            if artefact.finished
        }


def chain(config: Config) -> list[Step]:
    """The steps that bring ``config.stage`` up to date, in order."""
    if config.stage in OVER_RUNS:
        return [_over_runs(OVER_RUNS[config.stage], config)]
    steps: dict[str, Step] = {}
    names = _closure(config)
    contradictions.refuse(config, names)
    for name in names:
        stage = _of_model(STAGES[name], config)
        upstream = {need: steps[need].artefact for need in _needs(stage, config)}
        if stage.shows and (shown := _shown(STAGES[stage.shows], config, steps)):
            every = upstream | {stage.shows: shown}
            upstream = {each: every[each] for each in STAGES if each in every}
        steps[name] = _step(stage, config, _name(stage, config), upstream)
    return list(steps.values())


def _shown(stage: Stage, config: Config, steps: Mapping[str, Step]) -> Artefact | None:
    """What a stage that only runs when it is asked for has found of this run, if anything.

    That of this config, or else the newest: what was asked for once need not be asked for again.
    """
    if isinstance(config.model, schema.RecordedStates) and stage.name in RERUN:
        return None
    behind = {need: steps[need].artefact for need in _needs(stage, config)}
    mine = _step(stage, config, _name(stage, config), behind).artefact
    remember = config.mode != "plan"
    return beside.newest(Path(config.root), stage, behind, first=mine.key, remember=remember)


def _step(
    stage: Stage,
    config: Config,
    name: str,
    upstream: dict[str, Artefact],
    survey: Survey | None = None,
) -> Step:
    """A step, its artefact located by the config it reads and the artefacts upstream."""
    found = tuple(each for field in stage.reads for each in _sources(field, getattr(config, field)))
    digest = {each.option: {"sha256": each.digest} for each in found}
    part = {field: _identity(field, getattr(config, field), digest) for field in stage.reads}
    identity: dict[str, Any] = {
        "stage": [stage.name, stage.version],
        "slice": part,
        "upstream": {need: artefact.key for need, artefact in upstream.items()},
    }
    if "data" in stage.reads and isinstance(config.data, schema.Generated):
        identity["drawing"] = DRAWING
    artefact = store.locate(Path(config.root), stage.name, name, digests.key(identity))
    forced = config.mode == "force" and stage.name == config.stage
    return Step(stage, artefact, part, upstream, forced, name, survey, found)


def _over_runs(stage: Stage, config: Config) -> Step:
    """The step of a stage over all finished runs below the root."""
    wanted = getattr(config, stage.name).runs
    patterns = " or ".join(wanted) if isinstance(wanted, list) else wanted
    survey = runs.find(Path(config.root), STAGES, wanted, remember=config.mode != "plan")
    if len(survey.runs) < stage.runs:
        why = f"; {len(survey.left_out)} left out, {survey.left_out[0]}" if survey.left_out else ""
        named = "" if wanted is None else f" named {patterns or 'nothing'}"
        raise UserError(
            f"stage={stage.name}: needs {stage.runs} finished run{'s' * (stage.runs > 1)}{named}, "
            f"there {'is' if len(survey.runs) == 1 else 'are'} {len(survey.runs)} in "
            f"{short_path(Path(config.root))}{why}; a sweep makes some: "
            "rnnscope -m stage=units seed=0,1"
        )
    upstream = {
        f"{run.name}/{name}": each.artefact
        for run in survey.runs
        for name, each in run.stages.items()
        if name in stage.needs
    }
    if stage.shows:
        remember = config.mode != "plan"
        other = OVER_RUNS[stage.shows]
        if made := over_runs.newest(Path(config.root), other, survey.runs, remember=remember):
            upstream[f"{runs.OVER}/{other.name}"] = made
    return _step(stage, config, f"{len(survey.runs)}-runs", upstream, survey)


def _name(stage: Stage, config: Config) -> str:
    """A readable name for a stage of the run: behind training with the step that was taken."""
    step = None if stage.name == "train" else config.extract.checkpoint
    return slug(config) + ("" if step is None else f"-step{step}")


def slug(config: Config) -> str:
    """A readable name for the run, such as ``digits-lstm64-s0``."""
    data, model = config.data.name, config.model.name
    if isinstance(config.data, schema.Files | schema.Text):
        data = _safe(Path(config.data.path).stem)
    if isinstance(config.model, schema.Trained):
        name = re.sub(r"\.(keras|h5|hdf5|index)$", "", Path(config.model.path).name)
        text = f"{data}-{_safe(name)}"
    else:
        assert isinstance(config.model, schema.Recurrent)
        stack = f"{config.model.layers}x" if config.model.layers > 1 else ""
        direction = "bi" if config.model.bidirectional else ""
        text = f"{data}-{direction}{model}{stack}{config.model.units}-s{config.seed}"
    return _safe(text)[:60]


def _safe(text: str) -> str:
    """A text made safe for a folder's name: lower case, and a letter or digit first."""
    return re.sub(r"[^a-z0-9.-]+", "_", text.lower()).strip("._-") or "unnamed"


def _closure(config: Config) -> list[str]:
    """The stage asked for and all that it needs, in the table's order."""
    if config.stage not in STAGES:
        raise UserError(
            f"stage={config.stage}: must be one of {', '.join([*STAGES, *OVER_RUNS, CHECK])}"
        )
    if isinstance(config.model, schema.RecordedStates) and config.stage in RERUN:
        raise UserError(
            f"stage={config.stage}: model={config.model.name} has recorded states and no model to "
            "run; the stages that go without one are "
            f"{', '.join(name for name in STAGES if name not in RERUN)}"
        )
    if config.stage == "train" and isinstance(config.model, schema.Trained):
        raise UserError(
            f"stage=train: model={config.model.name} is trained already; start with stage=extract"
        )
    wanted = {config.stage}
    for name in reversed(list(STAGES)):
        if name in wanted:
            wanted.update(_needs(STAGES[name], config))
    return [name for name in STAGES if name in wanted]


def _needs(stage: Stage, config: Config) -> tuple[str, ...]:
    """The stages before this one that have something to do, also those that its options ask for.

    A model that was trained elsewhere needs no training; where there are states alone, nothing can
    be run again either.
    """
    needs = (*stage.needs, *(name for name, asked in stage.asked if asked(config)))
    if isinstance(config.model, schema.RecordedStates):
        return tuple(need for need in needs if need not in RERUN)
    trained = isinstance(config.model, schema.Trained)
    return tuple(need for need in needs if not (trained and need == "train"))


def _of_model(stage: Stage, config: Config) -> Stage:
    """A stage as a kind of model has it: states that were recorded elsewhere are only written."""
    if stage.name == "extract" and isinstance(config.model, schema.RecordedStates):
        return dataclasses.replace(stage, module=BROUGHT, tensorflow=False)
    return stage


def _identity(name: str, section: Any, digest: Mapping[str, Any]) -> Any:
    """A section of the config as plain values, each file by its content instead of its path."""
    if not dataclasses.is_dataclass(section):
        return section
    assert not isinstance(section, type)
    return schema.counted(section) | {
        option: digest[f"{name}.{option}"] for option in schema.files(section)
    }


def _sources(name: str, section: Any) -> list[Source]:
    """The files and folders that a section of the config names, hashed."""
    if not dataclasses.is_dataclass(section):
        return []
    return [_source(f"{name}.{option}", path) for option, path in schema.files(section).items()]


def _source(option: str, path: Path) -> Source:
    try:
        return sources.source(option, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{option}={path}: no such file or folder") from error
    except UserError as error:
        raise UserError(f"{option}={error}") from error
    except OSError as error:
        raise UserError(f"{option}={explained(error) or error}") from error
