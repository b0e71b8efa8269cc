"""The stages in their order, and the one loop that runs, skips or plans them."""

import dataclasses
import itertools
import logging
import socket
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pipeline import chain as chains
from pipeline import config as schema
from pipeline import engine, planning, provenance, store
from pipeline.chain import Figures, Inputs, Stage, Step
from pipeline.config import Config
from pipeline.runs import Found
from pipeline.terminal import shown, without_greeting

log = logging.getLogger(__name__)


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


def _population(config: Config, inputs: Inputs, folder: Path) -> Figures:
    from pipeline.analysis.population import run

    return run(config.population, config.engine, inputs["extract"], folder)


def _decoding(config: Config, inputs: Inputs, folder: Path) -> Figures:
    from pipeline.analysis.decoding import run

    return run(config.decoding, config.engine, inputs["extract"], folder)


def _ablation(config: Config, inputs: Inputs, folder: Path) -> Figures:
    with without_greeting():
        from pipeline.analysis.ablation import run
        from pipeline.models import device

        used = device()
    return {"device": used} | run(config, inputs.get("train"), inputs["units"], folder)


def _report(config: Config, inputs: Inputs, folder: Path) -> Figures:
    from pipeline.report import run

    return run(inputs, folder)


def _collect(config: Config, found: Found, folder: Path) -> Figures:
    from pipeline.collect import run

    return run(found, folder)


def _compare(config: Config, found: Found, folder: Path) -> Figures:
    from pipeline.analysis.compare import run

    return run(config.compare, config.engine, found.runs, folder)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("train", 1, (), ("data", "model", "train", "seed"), _train),
        Stage(
            "extract",
            1,
            ("train",),
            ("data", "model", "extract"),
            _extract,
            resumes=True,
            spreads=True,
        ),
        Stage("units", 3, ("extract",), ("units",), _units, spreads=True),
        Stage("population", 1, ("extract",), ("population",), _population),
        Stage("decoding", 1, ("extract",), ("decoding",), _decoding),
        Stage("ablation", 1, ("train", "units"), ("data", "model", "ablation"), _ablation),
        Stage(
            "report",
            3,
            ("train", "extract", "units", "population", "decoding", "ablation"),
            (),
            _report,
        ),
    )
}
OVER_RUNS = {
    stage.name: stage
    for stage in (
        Stage("collect", 1, tuple(STAGES), ("collect",), _collect, runs=1),
        Stage("compare", 1, ("extract",), ("compare",), _compare, runs=2),
    )
}
"""The stages over all finished runs below the root; of each they need what is there."""


def chain(config: Config) -> list[Step]:
    """The steps that bring ``config.stage`` up to date, in order."""
    return chains.chain(config, STAGES, OVER_RUNS)


def run(config: Config, *, single: bool = True) -> list[Step]:
    """Bring ``config.stage`` up to date, or with mode=plan say what that would take.

    Args:
        config: the run's config.
        single: whether this is one run by itself, which ``latest`` then leads to.
    """
    steps = chain(config)
    for each in steps[-1].found.left_out if steps[-1].found else []:
        log.info(f"{'left out':<10} {each}")
    if config.mode == "plan":
        for line in planning.plan(steps, Path(config.root)):
            log.info(line)
        return steps
    for spreads, group in itertools.groupby(steps, lambda step: step.stage.spreads and step.waits):
        with _engine_of(config) if spreads else nullcontext():
            for step in group:
                if step.waits:
                    _run_step(step, config)
                else:
                    log.info(f"{step.stage.name:<10} up to date     {shown(step.artefact.folder)}")
    if single:
        store.point_latest(Path(config.root), [step.artefact for step in steps])
    return steps


def _engine_of(config: Config) -> AbstractContextManager[None]:
    """The engine, with all that parts need to see."""
    files = [*schema.files(config.data).values(), *schema.files(config.model).values()]
    return engine.opened(config.engine, Path(config.root), files)


def _run_step(step: Step, config: Config) -> None:
    """Run one stage into its artefact, unless another job finishes it meanwhile."""
    with store.claim(step.artefact) as holder:
        if not step.waits:
            log.info(f"{step.stage.name:<10} done meanwhile {shown(step.artefact.folder)}")
            return
        log.info(f"{step.stage.name:<10} runs")
        folder = store.open_partial(step.artefact, resume=step.stage.resumes and not step.forced)
        inputs = {name: artefact.folder for name, artefact in step.upstream.items()}
        given = step.found or inputs
        started = time.perf_counter()
        provenance.reset_peak_memory()
        figures = step.stage.run(config, given, folder)
        seconds = time.perf_counter() - started
        manifest = _manifest(step, config, figures, seconds, folder)
        store.commit(step.artefact, manifest, holder, replace=step.forced)
    summary = ", ".join(f"{name} {_number(value)}" for name, value in figures["headline"].items())
    log.info(f"{'':<10} {seconds:6.1f} s  {summary}\n{'':<20} {shown(step.artefact.folder)}")


def _manifest(
    step: Step, config: Config, figures: Figures, seconds: float, folder: Path
) -> dict[str, Any]:
    return {
        "stage": step.stage.name,
        "run": step.run,
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


def _number(value: Any) -> str:
    match value:
        case float():
            return f"{value:.4g}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
