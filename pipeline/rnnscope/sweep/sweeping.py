"""A sweep, from its overrides to the table of how its jobs ended."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from rnnscope.errors import UserError
from rnnscope.sweep import listing, local, slurm
from rnnscope.sweep.jobs import jobs_of
from rnnscope.sweep.task import moved


def sweep(
    composed: DictConfig, words: Sequence[str], context: HydraContext, task: TaskFunction
) -> int:
    """Plan a sweep, or run it and print how each job ended.

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
    if mistake := moved(composed.hydra):
        raise UserError(mistake)
    folder = Path(composed.hydra.sweep.dir).resolve()  # jobs inherit the time that is in its name
    jobs = jobs_of(composed, words, context.config_loader)
    mistakes = dict.fromkeys(job.mistake for job in jobs)
    if None not in mistakes:
        raise UserError("; ".join(map(str, mistakes)))
    if composed.mode == "plan":
        print(*listing.plan_lines(jobs), sep="\n")
        return int(len(mistakes) > 1)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(composed, folder / "multirun.yaml")
    print(f"{len(jobs)} jobs; their logs: {folder}", flush=True)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=task, config=composed
    )
    match composed.hydra.launcher:
        case {"submitit_folder": _}:
            endings = slurm.run(launcher, jobs)
        case {"n_jobs": _}:  # in processes of their own
            with local.errors_to(folder / "stderr.log"):
                endings = local.run(launcher.launch, jobs)
        case _:
            endings = local.run(launcher.launch, jobs)
    table = listing.table(jobs, endings)
    print(*listing.lines(table), sep="\n", flush=True)  # first: the disk may be full
    table.to_parquet(folder / listing.TABLE, index=False, write_page_checksum=True)
    return int((table["state"] != "done").any())
