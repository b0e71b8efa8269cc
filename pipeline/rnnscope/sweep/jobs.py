"""The jobs of a sweep: one for every combination of the values that its overrides list."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict

from rnnscope import stages
from rnnscope.config import Config
from rnnscope.errors import UserError, brief
from rnnscope.sweep.composing import allowed
from rnnscope.sweep.record import read_record
from rnnscope.sweep.task import checked
from rnnscope.terminal import bar

MOST = 10_000
"""Most jobs of a sweep: composing the config of each takes about a tenth of a second."""


@dataclass(frozen=True)
class Job:
    """One config of a sweep."""

    number: int
    overrides: tuple[str, ...]
    """All overrides that make up its config."""
    differs: str
    """Those that other jobs do not share."""
    folder: Path
    """Its logs and its record."""
    config: Config | None
    """None if it has a mistake."""
    mistake: str | None
    """What is wrong with its config, in one line."""

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "rnnscope.log"

    def record(self) -> dict[str, Any]:
        """Its record so far; empty before it begins."""
        return read_record(self.folder)


def jobs_of(composed: DictConfig, words: Sequence[str], loader: ConfigLoader) -> list[Job]:
    """The jobs of a sweep, each with its config checked.

    Args:
        composed: the config that all jobs share.
        words: all overrides, those that differ between jobs as lists: ``seed=0,1,2``.
        loader: Hydra's, which composes each job's config.

    Raises:
        UserError: a stage over several runs, or a sweep over what has no list of values.
    """
    parser = OverridesParser.create(config_loader=loader)
    product = combinations(parser.parse_overrides(list(words)))
    jobs = []
    composing = bar(iterable=differing(product), desc="composing the sweep", unit="job")
    for number, differs in enumerate(composing):
        raw = allowed(loader.load_sweep_config(composed, product[number]))
        if raw.stage in (*stages.OVER_RUNS, stages.CHECK):
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


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """Each job's overrides: one for every combination of the values that differ.

    Raises:
        UserError: a sweep over what cannot be listed, over no value, or of more than MOST jobs.
    """
    by_key: dict[str, list[str]] = {}
    for override in overrides:
        key, said = override.get_key_element(), brief(str(override.input_line))
        if not override.is_sweep_override():
            by_key[key] = [str(override.input_line)]
        elif override.is_discrete_sweep():
            by_key[key] = [f"{key}={value}" for value in _values(override, said)]
        else:
            raise UserError(f"{said}: has no list of values; write {key}=1,2,3 or range(1,4)")
        if not by_key[key]:
            raise UserError(f"{said}: has no value; write {key}=1,2,3 or range(1,4)")
    if (count := math.prod(map(len, by_key.values()))) > MOST:
        most = max(by_key, key=lambda key: len(by_key[key]))
        raise UserError(
            f"{count:,} jobs, {len(by_key[most]):,} values of {most} among them: a sweep has at "
            f"most {MOST:,}; sweep over less at a time"
        )
    return [list(job) for job in itertools.product(*by_key.values())]


def _values(override: Override, said: str) -> list[str]:
    """The values of a sweep; not more than there may be jobs, of a range that may be endless."""
    try:
        values = list(itertools.islice(override.sweep_string_iterator(), MOST + 1))
    except (HydraException, ValueError, TypeError, ArithmeticError) as error:
        raise UserError(f"{said}: {brief(str(error)) or type(error).__name__}") from error
    if len(values) > MOST:
        raise UserError(f"{said}: has more than {MOST:,} values, the most jobs of a sweep")
    return values


def differing(jobs: Sequence[Sequence[str]]) -> list[str]:
    """For each job, the overrides that not all jobs share; all of them if the jobs are equal."""
    counts = Counter(word for job in jobs for word in set(job))
    varied = [[word for word in job if counts[word] < len(jobs)] for job in jobs]
    return [" ".join(words) for words in (varied if any(varied) else jobs)]
