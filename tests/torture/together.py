"""Several at once: commands on one root, forced ones among them, and readers in a loop."""

import functools
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.store import hammer
from tests.torture import base, command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

COMMANDS = 10
STAGES = ("units", "extract", "population", "report")
READER = """
import sys, pandas as pd, rnnscope
from pathlib import Path
latest, truth = Path(sys.argv[1]), None
while not Path(sys.argv[2]).exists():
    read = rnnscope.read_states(latest / "extract", "c")
    each = pd.read_parquet(latest / "units" / "units.parquet")
    if truth is None:
        truth = read, each
    pd.testing.assert_frame_equal(read, truth[0])
    pd.testing.assert_frame_equal(each, truth[1])
"""


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Ten at once, on a root where the stage is missing and on one where it is finished."""
    rounds = range(max(2, tries // 12))
    attempts = [
        functools.partial(_at_once, whole, stage, number) for stage in STAGES for number in rounds
    ]
    yield Fault(f"{COMMANDS} commands at once, some forced, and a reader", attempts, alone=True)
    attempts = [functools.partial(_hammered, differ) for differ in hammer.READERS]
    yield Fault(f"{COMMANDS} writers of one artefact, and readers", attempts, alone=True)
    attempts = [
        functools.partial(_suspended, whole, number) for number in range(max(1, tries // 12))
    ]
    yield Fault("suspended until another took the lock, then continued", attempts)


def _at_once(whole: Base, stage: str, number: int, folder: Path) -> Outcome:
    draw = random.Random(f"{stage} {number}")
    fresh = number % 2 == 0
    root = (
        whole.without(stage, folder / "root")
        if fresh
        else command.copied(whole.root, folder / "root")
    )
    options = base.words(stage)
    reader = None
    if not fresh:
        command.run(root, *base.words("report"))  # sets the links that the reader follows
        stop = folder / "stop"
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(root / "latest"), str(stop)],
            stderr=subprocess.PIPE,
            text=True,
        )
    forced = [draw.random() < 0.3 for _ in range(COMMANDS)]
    processes = []
    for force in forced:
        processes.append(command.start(root, *options, *(["mode=force"] if force else [])))
        time.sleep(draw.uniform(0, 0.3))
    endings = [command.end(process) for process in processes]
    told = f"{stage} {number}: "
    if reader is not None:
        stop.touch()
        _, said = reader.communicate()
        if reader.returncode:
            return Outcome("wrong", f"{told}the reader: {said.strip()[-300:]}")
    failures = (command.failed(ended, told) for ended in endings)
    return (
        next((failure for failure in failures if failure), None)
        or command.as_undisturbed(root, whole.truth(stage), stage, told, base.mark(stage))
        or SURVIVED
    )


def _hammered(differ: bool, folder: Path) -> Outcome:
    seen = hammer.hammer(folder, writers=COMMANDS, times=12, differ=differ)
    if found := hammer.wrong(folder, seen):
        return Outcome("wrong", f"writing {'different' if differ else 'equal'} values: {found}")
    return SURVIVED


def _suspended(whole: Base, number: int, folder: Path) -> Outcome:
    """One command is stopped while it computes; the other takes over after the usual minute."""
    root = whole.without("units", folder / "root")
    # Long enough to be stopped while it computes.
    usual = [word for word in base.words("units") if not word.startswith("units.permutations=")]
    options = (*usual, "units.permutations=20000")
    first = command.start(root, *options)
    lock = _wait_for_lock(root / "units")
    if lock is None:
        command.kill(first)
        return Outcome("wrong", "the first command held no lock")
    time.sleep(0.3)
    _signal(first, "STOP")
    second = command.run(root, *options)
    _signal(first, "CONT")
    ended = command.end(first)
    if bad := command.failed(second, "the second: "):
        return bad
    if ended.code == 0:
        return SURVIVED  # it found the other's result in place
    if ended.code != 1 or ended.traceback:
        return Outcome("traceback", f"the first: status {ended.code}: {ended.err[-300:]}")
    if command.run(root, "stage=check").code:
        return Outcome("wrong", "the second's result is damaged")
    return SURVIVED


def _wait_for_lock(stage: Path) -> Path | None:
    for _ in range(600):
        if found := next(iter(stage.glob(".*.lock")), None):
            return found
        time.sleep(0.05)
    return None


def _signal(process: "subprocess.Popen[str]", name: str) -> None:
    subprocess.run(["kill", f"-{name}", "--", f"-{process.pid}"], check=True)
