"""The stages in their order, and the one loop that runs, skips or plans them."""

import contextlib
import dataclasses
import logging
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import config as schema
from pipeline import provenance, store
from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.store import Artefact
from pipeline.terminal import without_greeting

log = logging.getLogger(__name__)

Inputs = Mapping[str, Path]
"""For each stage needed, the folder of its finished artefact."""
Figures = dict[str, Any]
"""A stage's headline figures, for its manifest and the terminal."""


def _train(config: Config, inputs: Inputs, folder: Path) -> Figures:
    with without_greeting():
        from pipeline.models import device
        from pipeline.train import run

        used = device()
    return {"device": used} | run(config, folder)


def _extract(config: Config, inputs: Inputs, folder: Path) -> Figures:
    with without_greeting():
        from pipeline.extract import run
        from pipeline.models import device

        used = device()
    return {"device": used} | run(config, inputs.get("train"), folder)


def _units(config: Config, inputs: Inputs, folder: Path) -> Figures:
    from pipeline.analysis.units import run

    return run(config.units, config.engine, inputs["extract"], folder)


def _report(config: Config, inputs: Inputs, folder: Path) -> Figures:
    from pipeline.report import run

    return run(inputs, folder)


@dataclass(frozen=True)
class Stage:
    """A named step: what it needs, what it reads of the config, and the function that runs it.

    The functions import what they run, so that no stage pays for another's libraries.
    """

    name: str
    version: int
    """Raised by hand whenever the same config gives another result."""
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    run: Callable[[Config, Inputs, Path], Figures]
    resumes: bool = False
    """Whether what an interrupted run left behind is taken up again."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("train", 1, (), ("data", "model", "train", "seed"), _train),
        Stage("extract", 1, ("train",), ("data", "model", "extract"), _extract, resumes=True),
        Stage("units", 1, ("extract",), ("units",), _units),
        Stage("report", 1, ("train", "extract", "units"), (), _report),
    )
}


@dataclass(frozen=True)
class Step:
    """A stage of one run, with the artefact that its config leads to."""

    stage: Stage
    artefact: Artefact
    slice: dict[str, Any]
    """What it reads of the config, with each file's digest in place of its path."""
    upstream: dict[str, Artefact]
    forced: bool

    @property
    def waits(self) -> bool:
        """Whether it has to run."""
        return self.forced or not self.artefact.finished


def chain(config: Config) -> list[Step]:
    """The steps that bring ``config.stage`` up to date, in order."""
    root = Path(config.root)
    steps: dict[str, Step] = {}
    for name in _closure(config):
        stage = STAGES[name]
        upstream = {need: steps[need].artefact for need in _needs(stage, config)}
        part = {field: _identity(field, getattr(config, field)) for field in stage.reads}
        identity = {
            "stage": [stage.name, stage.version],
            "slice": part,
            "upstream": {need: artefact.key for need, artefact in upstream.items()},
        }
        artefact = store.locate(root, name, slug(config), store.key(identity))
        forced = config.mode == "force" and name == config.stage
        steps[name] = Step(stage, artefact, part, upstream, forced)
    return list(steps.values())


def run(config: Config, *, single: bool = True) -> list[Step]:
    """Bring ``config.stage`` up to date, or with mode=plan say what that would take.

    Args:
        config: the run's config.
        single: whether this is one run by itself, which ``latest`` then leads to.
    """
    steps = chain(config)
    if config.mode == "plan":
        for line in plan(steps, Path(config.root)):
            log.info(line)
        return steps
    for step in steps:
        if step.waits:
            _run_step(step, config)
        else:
            log.info(f"{step.stage.name:<8} up to date     {_shown(step.artefact.folder)}")
    if single:
        store.point_latest(Path(config.root), [step.artefact for step in steps])
    return steps


def plan(steps: list[Step], root: Path) -> list[str]:
    """One line per step: what would happen to it, and why."""
    lines = []
    waiting: set[str] = set()
    for step in steps:
        name = step.stage.name
        if not step.waits:
            lines.append(f"{name:<8} up to date     {_shown(step.artefact.folder)}")
            continue
        waiting.add(name)
        lines.append(f"{name:<8} would run      {_reason(step, root, waiting)}")
    return lines


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
    """A text as part of a folder's name: small letters, digits, and a letter or digit first."""
    return re.sub(r"[^a-z0-9.-]+", "_", text.lower()).strip("._-") or "unnamed"


def _closure(config: Config) -> list[str]:
    """The stage asked for and all that it needs, in the table's order."""
    if config.stage not in STAGES:
        raise UserError(f"stage={config.stage}: must be one of {', '.join(STAGES)}")
    if config.stage == "train" and isinstance(config.model, schema.Trained):
        raise UserError(
            f"stage=train: model={config.model.name} is trained already; start with stage=extract"
        )
    wanted = {config.stage}
    for name in reversed(STAGES):
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
    return dataclasses.asdict(section) | {
        option: {"sha256": _digest(f"{name}.{option}", path)}
        for option, path in schema.files(section).items()
    }


def _digest(option: str, path: Path) -> str:
    """The digest of what an option names, which may not be there."""
    try:
        return store.digest(path)
    except FileNotFoundError as error:
        raise UserError(f"{option}={path}: no such file or folder") from error


def _run_step(step: Step, config: Config) -> None:
    """Run one stage into its artefact, unless another job finishes it meanwhile."""
    with store.claim(step.artefact):
        if not step.waits:
            log.info(f"{step.stage.name:<8} done meanwhile {_shown(step.artefact.folder)}")
            return
        log.info(f"{step.stage.name:<8} runs")
        folder = store.open_partial(step.artefact, resume=step.stage.resumes and not step.forced)
        inputs = {name: artefact.folder for name, artefact in step.upstream.items()}
        started = time.perf_counter()
        provenance.reset_peak_memory()
        figures = step.stage.run(config, inputs, folder)
        seconds = time.perf_counter() - started
        manifest = _manifest(step, config, figures, seconds, folder)
        store.commit(step.artefact, manifest, replace=step.forced)
    summary = ", ".join(f"{name} {_number(value)}" for name, value in figures["headline"].items())
    log.info(f"{'':<8} {seconds:6.1f} s  {summary}\n{'':<18} {_shown(step.artefact.folder)}")


def _manifest(
    step: Step, config: Config, figures: Figures, seconds: float, folder: Path
) -> dict[str, Any]:
    return {
        "stage": step.stage.name,
        "run": slug(config),
        "version": step.stage.version,
        "key": step.artefact.key,
        "upstream": {name: artefact.key for name, artefact in step.upstream.items()},
        "slice": step.slice,
        "files": {
            f"{field}.{name}": str(path.resolve())
            for field in step.stage.reads
            if dataclasses.is_dataclass(section := getattr(config, field))
            for name, path in schema.files(section).items()
        },
        "seconds": round(seconds, 3),
        "peak_memory_bytes": provenance.peak_memory(),
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        **figures,
        "host": socket.gethostname(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **provenance.of_this_code(),
    }


def _reason(step: Step, root: Path, waiting: set[str]) -> str:
    """Why a step would run."""
    if step.forced:
        return "forced"
    behind = [need for need in step.upstream if need in waiting]
    last = store.latest(root, step.stage.name)
    reasons = [f"{need} would run" for need in behind]
    if (last / store.MANIFEST).is_file():
        known = store.read_manifest(last)
        if known["version"] != step.stage.version:
            reasons.append(f"the stage's version: {known['version']} -> {step.stage.version}")
        reasons += _differences(known["slice"], step.slice)
    if step.artefact.partial.exists():
        reasons.append("an earlier run was interrupted")
    return "; ".join(reasons) or "no finished artefact with this config"


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """What changed between two slices of config, as ``key: old -> new``."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{prefix}: {_brief(old)} -> {_brief(new)}"]
    return [
        line
        for name in sorted({*old, *new})
        for line in _differences(
            old.get(name), new.get(name), f"{prefix}.{name}" if prefix else name
        )
    ]


def _brief(value: Any) -> str:
    return str(value)[:12]


def _shown(path: Path) -> str:
    """A path as the user would type it from here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _number(value: Any) -> str:
    match value:
        case float():
            return f"{value:.4g}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
