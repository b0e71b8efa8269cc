"""The undisturbed runs that the tries begin with and are compared to."""

import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.torture import command

RUN = (
    *("train", "extract", "units", "population", "decoding", "ablation", "fixed_points"),
    "report",
)
OVER = ("compare", "collect")
"""The stages of a run in their order, and those over several runs: collect shows what was
compared."""
CHAIN = 3
"""The first stages of a run, each made from the one before; the others are made from these."""


@dataclass(frozen=True)
class Base:
    """The root of two finished runs that differ in their seed, with a comparison of both."""

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """How long the command of each stage took, its start-up included."""

    @cached_property
    def _truth(self) -> dict[str, str]:
        return command.fingerprint(self.root)

    def truth(self, stage: str) -> dict[str, str]:
        """The digests of the files of a stage: over several runs, or of the run with seed 0."""
        return {
            name: digest
            for name, digest in self._truth.items()
            if name.startswith(f"{stage}/") and mark(stage) in name
        }

    def without(self, stage: str, to: Path) -> Path:
        """A copy in which a stage and what is made from it are missing."""
        if stage in OVER:
            return command.copied(self.root, to, without=(stage,))
        after = RUN[RUN.index(stage) :] if RUN.index(stage) < CHAIN else (stage, "report")
        copy = command.copied(self.root, to, without=(*after, *OVER))
        for other in copy.glob("*/[!.]*-s1-*"):
            shutil.rmtree(other)
        return copy


def mark(stage: str) -> str:
    """What the names of the artefacts hold that ``words`` leads to."""
    return "" if stage in OVER else "-s0-"


def words(stage: str, seed: int = 0) -> tuple[str, ...]:
    """The options of a stage of one of the runs."""
    return (f"stage={stage}", f"seed={seed}", *command.SMALL)


def make(root: Path) -> Base:
    """Run everything, undisturbed."""
    whole = Base(root)
    for seed in (1, 0):
        for stage in RUN:
            whole.seconds[stage] = _finish(root, *words(stage, seed))
    for stage in OVER:
        whole.seconds[stage] = _finish(root, *words(stage))
    return whole


def _finish(root: Path, *options: str) -> float:
    started = time.monotonic()
    ended = command.run(root, *options)
    if ended.code:
        raise RuntimeError(f"{' '.join(options)}: status {ended.code}\n{ended.err[-3000:]}")
    return time.monotonic() - started
