"""The loop that runs, skips or plans the steps of a run."""

import dataclasses
import itertools
import logging
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rnnscope import config as schema
from rnnscope import engine, store
from rnnscope.config import Config
from rnnscope.stages import planning
from rnnscope.stages.chain import Step, chain
from rnnscope.store import provenance
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures, Stage
from rnnscope.terminal import short_path, without_greeting
from rnnscope.trouble import told

log = logging.getLogger(__name__)


def run(config: Config, *, single: bool = True) -> list[Step]:
    """Bring ``config.stage`` up to date, or with mode=plan say what that would take.

    Args:
        config: the run's config.
        single: whether this is a single run, to which the links in ``latest`` then point.
    """
    steps = chain(config)
    for each in steps[-1].survey.left_out if steps[-1].survey else []:
        log.info(f"{'left out':<10} {each}")
    if config.mode == "plan":
        for line in planning.plan(steps, Path(config.root)):
            log.info(line)
        return steps
    for spreads, group in itertools.groupby(steps, lambda step: step.stage.spreads and step.waits):
        with _engine_of(config) if spreads else nullcontext():
            for step in group:
                if step.waits:
                    with told(step.stage.name, Path(config.root)):
                        _run_step(step, config)
                else:
                    log.info(
                        f"{step.stage.name:<10} up to date     {short_path(step.artefact.folder)}"
                    )
    if single:
        try:
            store.point_latest(Path(config.root), [step.artefact for step in steps])
        except OSError as error:  # some file systems have no links; the results are there
            log.warning(
                f"latest     not set, may lead to an earlier run ({error.strerror or error})"
            )
    return steps


def _engine_of(config: Config) -> AbstractContextManager[None]:
    """The engine, which checks that workers elsewhere see the root, the data and the model."""
    files = [*schema.files(config.data).values(), *schema.files(config.model).values()]
    return engine.opened(config.engine, Path(config.root), files)


def _run_step(step: Step, config: Config) -> None:
    """Run one stage into its artefact, unless another job finishes it meanwhile."""
    with store.claim(step.artefact) as holder:
        if not step.waits:
            log.info(f"{step.stage.name:<10} done meanwhile {short_path(step.artefact.folder)}")
            return
        log.info(f"{step.stage.name:<10} runs")
        folder = store.open_partial(step.artefact, resume=step.stage.resumes and not step.forced)
        folders = {name: artefact.folder for name, artefact in step.upstream.items()}
        started = time.perf_counter()
        provenance.reset_peak_memory()
        function, used = _imported(step.stage)
        figures = used | function(config, Inputs(folders, step.survey), folder)
        seconds = time.perf_counter() - started
        manifest = _manifest(step, config, figures, seconds, folder)
        store.commit(step.artefact, manifest, holder, replace=step.forced)
    summary = ", ".join(f"{name} {_number(value)}" for name, value in figures["headline"].items())
    log.info(f"{'':<10} {seconds:6.1f} s  {summary}\n{'':<20} {short_path(step.artefact.folder)}")


def _imported(stage: Stage) -> tuple[Callable[..., Figures], Figures]:
    """A stage's function and, if it uses TensorFlow, the device that TensorFlow will use."""
    if not stage.tensorflow:
        return stage.run, {}
    with without_greeting():
        from rnnscope.models import device

        return stage.run, {"device": device()}


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
