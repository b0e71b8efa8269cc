"""The command line: compose the config, check it, hand it over. The only file that knows Hydra."""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException, ValidationError

from pipeline import config, launching, stages, sweep
from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.job import Marked, keep_to, recorded, share
from pipeline.report import summary
from pipeline.sweep import Job

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[1]
OmegaConf.register_new_resolver("project", lambda folder: str(PROJECT / folder))


def task(raw: DictConfig) -> None:
    """What Hydra has run: a run by itself, or one job of a sweep."""
    if HydraConfig.get().mode == RunMode.RUN:
        _run(raw)
    else:
        _job(raw)


def _run(raw: DictConfig) -> None:
    try:
        checked = _checked(raw)
        steps = stages.run(checked)
        if checked.mode != "plan":
            last = summary({step.stage.name: step.artefact.folder for step in steps})
            if last.strip():  # stages over several runs have nothing to add
                log.info(last)
    except UserError as error:
        log.debug("", exc_info=True)
        if _tracebacks_wanted:
            raise
        _fail(str(error))
    except Exception:
        logging.getLogger("traceback").exception("the job failed")
        raise


def _job(raw: DictConfig) -> None:
    about = HydraConfig.get()
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
        checked = _checked(raw)
        checked.engine.workers = checked.engine.workers or cores
        record["key"] = stages.run(checked, single=False)[-1].artefact.key


def _checked(raw: DictConfig) -> Config:
    checked = config.load(raw)
    checked.root = str(Path(checked.root).resolve())
    return checked


class Multirun(BaseException):
    """A sweep that Hydra has composed and not begun; no Exception, so that Hydra lets it pass."""

    def __init__(self, composed: DictConfig, loader: ConfigLoader):
        self.composed, self.loader = composed, loader


class TakeOver(Callback):
    """Leaves sweeps to this file: Hydra reports their first failure and forgets the rest."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Go no further."""
        raise Multirun(config, GlobalHydra.instance().config_loader())


command_line = hydra.main(
    version_base="1.3", config_path=str(PROJECT / "conf"), config_name="config"
)(task)


def main() -> None:
    """Run the command line; mistakes of the user's end as one line and exit status 2."""
    # Hydra prints its errors over several lines unless it is told to raise them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        try:
            command_line()
        except Multirun as found:
            sys.exit(_sweep(found.composed, found.loader))
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if _tracebacks_wanted:
            raise
        _fail(_one_line(error))
    except KeyboardInterrupt:
        sys.stderr.write("cellscope: stopped; the same command goes on from here\n")
        sys.exit(130)


def _sweep(composed: DictConfig, loader: ConfigLoader) -> int:
    """Plan a sweep, or run it and print what became of it. Returns 1 if a job is not done."""
    folder = Path(composed.hydra.sweep.dir).resolve()  # jobs inherit the time that is in its name
    jobs = _jobs(composed, loader)
    mistakes = {job.mistake: None for job in jobs}
    if None not in mistakes:
        raise UserError("; ".join(map(str, mistakes)))
    if composed.mode == "plan":
        print(*sweep.plan(jobs), sep="\n")
        return int(len(mistakes) > 1)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(composed, folder / "multirun.yaml")
    print(f"{len(jobs)} jobs; their logs: {folder}", flush=True)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
        task_function=task,
        config=composed,
    )
    match composed.hydra.launcher:
        case {"submitit_folder": submitit_folder}:
            fates = launching.on_slurm(launcher.launch, jobs, submitit_folder)
        case {"n_jobs": _}:  # in processes of their own
            with launching.errors_to(folder / "stderr.log"):
                fates = launching.here(launcher.launch, jobs)
        case _:
            fates = launching.here(launcher.launch, jobs)
    table = sweep.table(jobs, fates)
    table.to_parquet(folder / sweep.TABLE, index=False)
    print(*sweep.shown(table), sep="\n")
    return int((table["state"] != "done").any())


def _jobs(composed: DictConfig, loader: ConfigLoader) -> list[Job]:
    """The jobs of a sweep, each with its config checked."""
    params = [f"{key}={values}" for key, values in (composed.hydra.sweeper.params or {}).items()]
    words = [*params, *composed.hydra.overrides.task]
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
    (product,) = BasicSweeper.split_arguments(overrides, None)
    jobs = []
    for number, differs in enumerate(sweep.differing(product)):
        raw = loader.load_sweep_config(composed, product[number])
        if raw.stage in stages.OVER_RUNS:
            raise UserError(
                f"stage={raw.stage}: it is over all runs, and no job of a sweep; run it without -m "
                f"and without the experiment: python -m pipeline stage={raw.stage}"
            )
        with open_dict(raw):
            raw.hydra.job.num = number
            folder = Path(raw.hydra.sweep.dir).resolve() / str(raw.hydra.sweep.subdir)
            del raw["hydra"]
        checked, mistake = None, None
        try:
            checked = _checked(raw)
            stages.chain(checked)
        except UserError as error:
            checked, mistake = None, str(error)
        jobs.append(Job(number, tuple(product[number]), differs, folder, checked, mistake))
    return jobs


_tracebacks_wanted = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")


def _one_line(error: BaseException) -> str:
    """What a mistake in the command line comes to."""
    match error:
        case MissingConfigException(missing_cfg_file="hydra/launcher/submitit_slurm"):
            return (
                "hydra/launcher=slurm: needs the extra slurm; "
                "install it with .venv/bin/python -m pip install -c requirements.lock -e '.[slurm]'"
            )
        case MissingConfigException(missing_cfg_file=str(missing), options=options) if options:
            group, _, name = missing.rpartition("/")
            return f"{group}={name}: must be one of {', '.join(options)}"
        case OverrideParseException(override=override):
            return f"{override}: cannot be read; write key=value, odd values as \"key='value'\""
        case HydraException(__cause__=OmegaConfBaseException() as cause):
            return _one_line(cause)
        case ValidationError(full_key=str(key)):
            return f"{key}: {str(error).splitlines()[0]}"
        case OmegaConfBaseException(full_key=str(key), parent_node=DictConfig() as node):
            known = ", ".join(sorted(map(str, {*node} - {"hydra", "_target_"})))
            return f"{key}: no such option; there is {known}"
        case _:
            return str(error)


def _fail(message: str) -> None:
    sys.stderr.write(f"cellscope: {' '.join(message.split())}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
