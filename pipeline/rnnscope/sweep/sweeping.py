"""A sweep from its overrides to the table of what became of its jobs."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from rnnscope import stages
from rnnscope.errors import UserError
from rnnscope.sweep import jobs as sweep_jobs
from rnnscope.sweep import launching
from rnnscope.sweep.jobs import Job
from rnnscope.sweep.task import checked


def sweep(
    composed: DictConfig, words: Sequence[str], context: HydraContext, task: TaskFunction
) -> int:
    """Plan a sweep, or run it and print what became of each job.

    Args:
        composed: the config that all jobs share, with Hydra's own part.
        words: all overrides, those that differ between jobs as lists: ``seed=0,1,2``.
        context: Hydra's, with its loader of configs.
        task: what every job runs.

    Returns:
        0 if all jobs are done, or would run; else 1.

    Raises:
        UserError: no job has a config that can run.
    """
    folder = Path(composed.hydra.sweep.dir).resolve()  # jobs inherit the time that is in its name
    jobs = _jobs(composed, words, context)
    mistakes = dict.fromkeys(job.mistake for job in jobs)
    if None not in mistakes:
        raise UserError("; ".join(map(str, mistakes)))
    if composed.mode == "plan":
        print(*sweep_jobs.plan(jobs), sep="\n")
        return int(len(mistakes) > 1)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(composed, folder / "multirun.yaml")
    print(f"{len(jobs)} jobs; their logs: {folder}", flush=True)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=task, config=composed
    )
    match composed.hydra.launcher:
        case {"submitit_folder": _}:
            fates = launching.on_slurm(launcher, jobs)
        case {"n_jobs": _}:  # in processes of their own
            with launching.errors_to(folder / "stderr.log"):
                fates = launching.here(launcher.launch, jobs)
        case _:
            fates = launching.here(launcher.launch, jobs)
    table = sweep_jobs.table(jobs, fates)
    table.to_parquet(folder / sweep_jobs.TABLE, index=False)
    print(*sweep_jobs.lines(table), sep="\n")
    return int((table["state"] != "done").any())


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Each job's overrides: one for every combination of the values that differ.

    Raises:
        UserError: a sweep over what cannot be listed.
    """
    by_key: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            by_key[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            by_key[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise UserError(
                f"{override.input_line}: has no list of values; write {key}=1,2,3 or range(1,4)"
            )
    return [list(job) for job in itertools.product(*by_key.values())]


def _jobs(composed: DictConfig, words: Sequence[str], context: HydraContext) -> list[Job]:
    """The jobs of a sweep, each with its config checked."""
    loader = context.config_loader
    parser = OverridesParser.create(config_loader=loader)
    product = combinations(parser.parse_overrides(list(words)))
    jobs = []
    for number, differs in enumerate(sweep_jobs.differing(product)):
        raw = loader.load_sweep_config(composed, product[number])
        if raw.stage in stages.OVER_RUNS:
            raise UserError(
                f"stage={raw.stage}: covers all runs, so it cannot be a job of a sweep; run it "
                f"without -m and without the experiment: rnnscope stage={raw.stage}"
            )
        with open_dict(raw):
            raw.hydra.job.num = number
            folder = Path(raw.hydra.sweep.dir).resolve() / str(raw.hydra.sweep.subdir)
            del raw["hydra"]
        config, mistake = None, None
        try:
            config = checked(raw)
            stages.chain(config)
        except UserError as error:
            config, mistake = None, str(error)
        jobs.append(Job(number, tuple(product[number]), differs, folder, config, mistake))
    return jobs
