"""What Hydra calls with a composed config: a run by itself, or one job of a sweep."""

import contextlib
import logging
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rnnscope import stages, streams
from rnnscope.config import Config, load
from rnnscope.config.paths import root_of
from rnnscope.errors import UserError
from rnnscope.stages.summary import summary
from rnnscope.sweep.composing import SWEEPER
from rnnscope.sweep.process import Marked, keep_to, share
from rnnscope.sweep.record import recorded
from rnnscope.trouble import keep_traceback, told

log = logging.getLogger(__name__)


def task(raw: DictConfig) -> None:
    """Run the stages that a config asks for.

    Raises:
        SystemExit: with the message of a mistake in the config of a single run, or of what failed.
            A job of a sweep records these instead.
    """
    if mistake := moved(HydraConfig.get()):
        raise SystemExit(mistake)
    if HydraConfig.get().mode == RunMode.RUN:
        _run(raw)
    else:
        _job(raw)


def moved(hydra: Any) -> str | None:
    """What is wrong if Hydra changes the working folder: paths of the config would mean others."""
    if not hydra.job.chdir:
        return None
    return "hydra.job.chdir=true: must be false, because paths are relative to the working folder"


def checked(raw: DictConfig) -> Config:
    """The config as the schema's dataclasses, its root in full."""
    config = load(raw)
    config.root = str(root_of(config.root))
    return config


def _run(raw: DictConfig) -> None:
    streams.escape_logs()
    whole = True
    try:
        config = checked(raw)
        with told(root=Path(config.root)):
            if config.stage == stages.CHECK:
                whole = stages.check(Path(config.root), read=config.mode != "plan")
            else:
                _run_stages(config)
    except UserError as error:
        log.debug("", exc_info=True)
        raise SystemExit(
            str(error)
        ) from error  # before an Exception, Hydra prints a line of its own
    except Exception as error:
        keep_traceback(error)
        raise
    if not whole:
        sys.exit(1)


def _run_stages(config: Config) -> None:
    steps = stages.run(config)
    if config.mode != "plan":
        last = summary({step.stage.name: step.artefact.folder for step in steps})
        if last.strip():  # stage compare has nothing to add
            log.info(last)


def _job(raw: DictConfig) -> None:
    streams.protect()
    streams.escape_logs()
    about = HydraConfig.get()
    if about.sweeper["_target_"] != SWEEPER:
        raise SystemExit(
            f"hydra/sweeper={about.runtime.choices['hydra/sweeper']}: must be rnnscope, the "
            "default, which plans a sweep and reports how each of its jobs ended"
        )
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(streams.Printable(Marked(about.job.num)))
    n_jobs = about.launcher.get("n_jobs")
    cores = share(n_jobs)
    if cores is not None:
        keep_to(cores)
    folder = Path(about.runtime.output_dir)
    with contextlib.ExitStack() as stack:
        if n_jobs is not None:  # several jobs would write progress bars over one another
            aside = stack.enter_context((folder / "stderr.log").open("a", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stderr(aside))
        record = stack.enter_context(recorded(folder))
        config = checked(raw)
        config.engine.workers = config.engine.workers or cores
        with told(root=Path(config.root)):
            record["key"] = stages.run(config, single=False)[-1].artefact.key
