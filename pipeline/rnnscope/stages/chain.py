"""From a config to the steps that bring its stage up to date."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope import config as schema
from rnnscope import store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import contradictions
from rnnscope.stages.table import OVER_RUNS, STAGES
from rnnscope.store import digests, runs
from rnnscope.store.artefacts import Artefact
from rnnscope.store.runs import Survey
from rnnscope.store.stage import Stage
from rnnscope.terminal import short_path


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

    @property
    def waits(self) -> bool:
        """Whether it has to run."""
        return self.forced or not self.artefact.finished


def chain(config: Config) -> list[Step]:
    """The steps that bring ``config.stage`` up to date, in order."""
    if config.stage in OVER_RUNS:
        return [_over_runs(OVER_RUNS[config.stage], config)]
    steps: dict[str, Step] = {}
    names = _closure(config)
    contradictions.refuse(config, names)
    for name in names:
        stage = STAGES[name]
        upstream = {need: steps[need].artefact for need in _needs(stage, config)}
        steps[name] = _step(stage, config, slug(config), upstream)
    return list(steps.values())


def _step(
    stage: Stage,
    config: Config,
    name: str,
    upstream: dict[str, Artefact],
    survey: Survey | None = None,
) -> Step:
    """A step, its artefact located by the config it reads and the artefacts upstream."""
    part = {field: _identity(field, getattr(config, field)) for field in stage.reads}
    identity = {
        "stage": [stage.name, stage.version],
        "slice": part,
        "upstream": {need: artefact.key for need, artefact in upstream.items()},
    }
    artefact = store.locate(Path(config.root), stage.name, name, digests.key(identity))
    forced = config.mode == "force" and stage.name == config.stage
    return Step(stage, artefact, part, upstream, forced, name, survey)


def _over_runs(stage: Stage, config: Config) -> Step:
    """The step of a stage over all finished runs below the root."""
    wanted = getattr(config, stage.name).runs
    patterns = " or ".join(wanted) if isinstance(wanted, list) else wanted
    survey = runs.find(Path(config.root), STAGES, wanted)
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
    return _step(stage, config, f"{len(survey.runs)}-runs", upstream, survey)


def slug(config: Config) -> str:
    """A readable name for the run, such as ``digits-lstm64-s0``."""
    data, model = config.data.name, config.model.name
    if isinstance(config.data, schema.Files):
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
        raise UserError(f"stage={config.stage}: must be one of {', '.join([*STAGES, *OVER_RUNS])}")
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
    """The stages before this one; a model that was trained elsewhere needs no training."""
    trained = isinstance(config.model, schema.Trained)
    return tuple(need for need in stage.needs if not (trained and need == "train"))


def _identity(name: str, section: Any) -> Any:
    """A section of the config as plain values, each file by its content instead of its path."""
    if not dataclasses.is_dataclass(section):
        return section
    assert not isinstance(section, type)
    return schema.counted(section) | {
        option: {"sha256": _digest(f"{name}.{option}", path)}
        for option, path in schema.files(section).items()
    }


def _digest(option: str, path: Path) -> str:
    """The digest of the file or folder that an option names."""
    try:
        return digests.digest(path)
    except FileNotFoundError as error:
        raise UserError(f"{option}={path}: no such file or folder") from error
