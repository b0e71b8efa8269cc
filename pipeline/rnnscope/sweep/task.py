"""What Hydra calls with a composed config: a run by itself, or one job of a sweep."""

import contextlib
import logging
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rnnscope import stages
from rnnscope.config import Config, load
from rnnscope.errors import Failed, UserError
from rnnscope.stages.summary import summary
from rnnscope.sweep.process import Marked, keep_to, share
from rnnscope.sweep.record import recorded

SWEEPER = "hydra_plugins.rnnscope_sweeper.RnnscopeSweeper"

log = logging.getLogger(__name__)


def task(raw: DictConfig) -> None:
    """Run the stages that a config asks for.

    Raises:
        SystemExit: with the message of a mistake in the config of a single run, or with 1 after
            the line of what failed. A job of a sweep records these instead.
    """
    if HydraConfig.get().mode == RunMode.RUN:
        _run(raw)
    else:
        _job(raw)


def checked(raw: DictConfig) -> Config:
    """The config as the schema's dataclasses, its root in full."""
    config = load(raw)
    config.root = str(Path(config.root).resolve())
    return config


def _run(raw: DictConfig) -> None:
    try:
        config = checked(raw)
        steps = stages.run(config)
        if config.mode != "plan":
            last = summary({step.stage.name: step.artefact.folder for step in steps})
            if last.strip():  # stages over several runs have nothing to add
                log.info(last)
    except UserError as error:
        log.debug("", exc_info=True)
        raise SystemExit(
            str(error)
        ) from error  # before an Exception, Hydra prints a line of its own
    except Failed as error:
        logging.getLogger("traceback").exception("the run failed")
        sys.stderr.write(f"rnnscope: {' '.join(str(error).split())}\n")
        raise SystemExit(1) from error
    except Exception:
        logging.getLogger("traceback").exception("the run failed")
        raise


def _job(raw: DictConfig) -> None:
    about = HydraConfig.get()
    if about.sweeper["_target_"] != SWEEPER:
        raise SystemExit(
            f"hydra/sweeper={about.runtime.choices['hydra/sweeper']}: must be rnnscope, the "
            "default, which plans a sweep and reports how each of its jobs ended"
        )
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(Marked(about.job.num))
    n_jobs = about.launcher.get("n_jobs")
    cores = share(n_jobs)
    if cores is not None:
        keep_to(cores)
    folder = Path(about.runtime.output_dir)
    with contextlib.ExitStack() as stack:
        if n_jobs is not None:  # several jobs would write progress bars over one another
            aside = stack.enter_context((folder / "stderr.log").open("a"))
            stack.enter_context(contextlib.redirect_stderr(aside))
        record = stack.enter_context(recorded(folder))
        config = checked(raw)
        config.engine.workers = config.engine.workers or cores
        record["key"] = stages.run(config, single=False)[-1].artefact.key
