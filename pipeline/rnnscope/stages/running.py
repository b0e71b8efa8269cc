"""The loop that runs, skips or plans the steps of a run."""

import dataclasses
import itertools
import logging
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from rnnscope import config as schema
from rnnscope import engine, libraries, store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import planning
from rnnscope.stages.chain import Due, Step, chain
from rnnscope.store import atomic, provenance, reading, sidecar, sources
from rnnscope.store.contents import Damaged
from rnnscope.store.inputs import Inputs
from rnnscope.store.locks import Held
from rnnscope.store.sources import ChangedError
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
    while not _up_to_date(steps, config):
        steps = chain(config)
    if single:
        try:
            store.point_latest(Path(config.root), [step.artefact for step in steps])
        except OSError as error:  # some file systems have no links; the results are there
            log.warning(
                f"latest     not set, may lead to an earlier run ({error.strerror or error})"
            )
    return steps


def _up_to_date(steps: list[Step], config: Config) -> bool:
    """Run the steps that are due, in order; False where one of them has to be looked up again."""
    looked = ((step, step.due()) for step in steps)  # one at a time, after those before it ran
    for spreads, group in itertools.groupby(
        looked, lambda each: each[0].stage.spreads and each[1] is not None
    ):
        with _engine_of(config) if spreads else nullcontext():
            for step, due in group:
                if due is None:
                    store.tidy(step.artefact)
                    log.info(
                        f"{step.stage.name:<10} up to date     {short_path(step.artefact.folder)}"
                    )
                else:
                    with told(step.stage.name, Path(config.root)):
                        if not _run_step(step, config):
                            return False
    return True


def _engine_of(config: Config) -> AbstractContextManager[None]:
    """The engine, which checks that workers elsewhere see the root, the data and the model."""
    files = [*schema.files(config.data).values(), *schema.files(config.model).values()]
    return engine.opened(config.engine, Path(config.root), files)


def _run_step(step: Step, config: Config) -> bool:
    """Run one stage into its artefact, unless another job finishes it meanwhile.

    Returns:
        False where that job's artefact has another key and took the folder's name.
    """
    with store.claim(step.artefact) as holder:
        due, artefact = step.due(), step.artefact
        slug = store.slug_of(artefact.folder)
        if store.locate(Path(config.root), artefact.stage, slug, artefact.key) != artefact:
            return False
        if due is None:
            log.info(f"{step.stage.name:<10} done meanwhile {short_path(step.artefact.folder)}")
            return True
        if due.why and not step.forced:
            log.warning(f"{due.why}; made again")
        log.info(f"{step.stage.name:<10} runs")
        resume = step.stage.resumes and not step.forced
        try:
            while (made := _made(step, config, holder, due, resume=resume)) is None:
                resume = False
        except BaseException:
            store.abandon(artefact, holder)
            raise
    seconds, headline = made["seconds"], made["headline"]
    summary = ", ".join(f"{name} {_number(value)}" for name, value in headline.items())
    log.info(f"{'':<10} {seconds:6.1f} s  {summary}\n{'':<20} {short_path(artefact.folder)}")
    return True


def _made(
    step: Step, config: Config, holder: Held, due: Due, *, resume: bool
) -> dict[str, Any] | None:
    """Make an artefact; its manifest. None if something it read was replaced meanwhile.

    Raises:
        LostLockError: another job took the artefact over; whatever else failed follows from that.
        ChangedError: a file of the user's changed meanwhile. Nothing that was made of it is kept.
    """
    folder = store.open_partial(step.artefact, holder, resume=resume)
    folders = {name: artefact.folder for name, artefact in step.upstream.items()}
    before = {name: reading.identity(each) for name, each in folders.items()}
    made_from = step.made_from()
    started = time.perf_counter()
    provenance.reset_peak_memory()
    try:
        with libraries.blaming():
            function, used = _imported(step.stage)
            key = step.artefact.key
            inputs = Inputs(folders, key, made_from, step.survey, step.sources)
            figures, failure = used | function(config, inputs, folder), None
    except Exception as error:
        figures, failure = {}, error
    seconds = time.perf_counter() - started
    try:
        holder.check(now=True)
        sources.check(step.sources, anew=True)
    except UserError as error:
        if isinstance(error, ChangedError):
            atomic.remove(folder)
        raise error from failure
    for name, each in folders.items():
        if reading.identity(each) != before[name]:
            log.info(f"{'':<10} {short_path(each)} was replaced while it was being read; again")
            return None
    if isinstance(failure, Damaged):
        for each in folders.values():
            sidecar.forget(each)  # so that the next command reads them, and makes them again
    if failure is not None:
        raise failure
    manifest = _manifest(step, config, figures, seconds, made_from)
    store.commit(step.artefact, manifest, holder, replace=due.replaces)
    return manifest


def _imported(stage: Stage) -> tuple[Callable[..., Figures], Figures]:
    """A stage's function and, if it uses TensorFlow, the device that TensorFlow will use.

    Raises:
        UserError: a setting of pandas, TensorFlow or Keras that would change results.
    """
    libraries.prepare(tensorflow=stage.tensorflow)
    if not stage.tensorflow:
        return stage.run, {}
    with without_greeting(), libraries.without_matplotlib():
        from rnnscope.models import device

        return stage.run, {"device": device()}


def _manifest(
    step: Step, config: Config, figures: Figures, seconds: float, made_from: dict[str, str]
) -> dict[str, Any]:
    return {
        "stage": step.stage.name,
        "run": step.run,
        "version": step.stage.version,
        "key": step.artefact.key,
        "upstream": {name: artefact.key for name, artefact in step.upstream.items()},
        "made_from": made_from,
        "slice": step.slice,
        "files": {
            f"{field}.{name}": str(path.resolve())
            for field in step.stage.reads
            if dataclasses.is_dataclass(section := getattr(config, field))
            for name, path in schema.files(section).items()
        },
        "seconds": round(seconds, 3),
        "peak_memory_bytes": provenance.peak_memory(),
        **figures,
        "host": socket.gethostname(),
        # Which of two artefacts is newer may hang on less than a second.
        "finished": datetime.now().astimezone().isoformat(timespec="milliseconds"),
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
