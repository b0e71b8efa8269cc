"""The command as a user gives it, in a process of its own; what it leaves below a root."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.store import MANIFEST, contents
from tests.torture.faults import Outcome

SMALL = (
    *("model.units=6", "train.steps=20", "train.validate_every=10", "extract.part_rows=200"),
    *("extract.max_sequences=160", "units.permutations=20", "decoding.folds=2"),
    *("decoding.max_timesteps=2", "ablation.methods=[h_zero,c_mean]"),
)
"""A run of seconds with all stages; extract has seven parts."""

VOLATILE = (
    "seconds",
    "history_seconds",
    "search_seconds",
    "finished",
    "host",
    "peak_memory_bytes",
    "git_dirty",
)
"""Entries of a manifest that differ between two runs of the same."""
ENOUGH = 600.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its status; negative: the signal that killed it."""
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that it printed."""
        return f"{self.out}\n{self.err}"

    @property
    def traceback(self) -> bool:
        """Whether it showed one."""
        return "Traceback (most recent call last)" in self.text

    @property
    def last(self) -> str:
        """The last line of its errors."""
        return next(iter(reversed(self.err.strip().splitlines())), "")


def start(
    root: Path | str, *words: str, under: Sequence[str] = (), **options: Any
) -> subprocess.Popen[str]:
    """Begin ``rnnscope root=<root> <words>``, in a process group of its own.

    Args:
        root: folder to which everything is written.
        words: the other options.
        under: a command that runs this one, such as strace.
        options: of ``subprocess.Popen``.
    """
    return subprocess.Popen(
        [*under, sys.executable, "-m", "rnnscope", f"root={root}", *words],
        **{
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
            "text": True,
            "start_new_session": True,
            **options,
        },
    )


def end(process: subprocess.Popen[str], within: float = ENOUGH) -> Ended:
    """Wait for a command; what hangs is killed, and has status -9."""
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        kill(process)
        out, err = process.communicate()
        err += f"\ndid not end within {within:.0f} s"
    return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill -9 a command and all processes that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def run(
    root: Path | str,
    *words: str,
    within: float = ENOUGH,
    under: Sequence[str] = (),
    **options: Any,
) -> Ended:
    """``rnnscope root=<root> <words>``, to its end."""
    return end(start(root, *words, under=under, **options), within)


def copied(root: Path, to: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A copy of a root without its logs, links and some stages' artefacts."""
    left_out = shutil.ignore_patterns(*without, "logs", "latest*", ".latest*")
    shutil.copytree(
        root, to, ignore=lambda at, names: left_out(at, names) if at == str(root) else ()
    )
    return to


def fingerprint(root: Path, *stages: str) -> dict[str, str]:
    """The digest of every file of the finished artefacts of some stages, or of all.

    Of manifests without what differs between runs.
    """
    found = {}
    for folder in sorted(root.glob("*/[!.]*")):
        stage = folder.parent.name
        if stage in ("logs", "latest") or (stages and stage not in stages):
            continue
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            found[path.relative_to(root).as_posix()] = _digest(path)
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The names of files that are not the same in two fingerprints."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def left_over(root: Path) -> list[str]:
    """Hidden files and folders below a root that a finished command should not leave."""
    there = (path.relative_to(root).as_posix() for path in root.rglob(".*"))
    return sorted(
        name for name in there if not re.search(r"\.checked$|^\.latest|^latest/|^logs/", name)
    )


def as_undisturbed(
    root: Path, truth: dict[str, str], stage: str, told: str, mark: str = ""
) -> Outcome | None:
    """What is wrong with a stage's artefacts below a root, which should be the same; else None.

    Args:
        root: the folder.
        truth: the digests of their files.
        stage: the stage.
        told: what the try was, for the detail.
        mark: only artefacts whose names hold this.
    """
    found = {name: each for name, each in fingerprint(root, stage).items() if mark in name}
    if different := differences(found, truth):
        return Outcome("wrong", f"{told}differ: {', '.join(different[:5])}")
    if left := left_over(root):
        return Outcome("lost", f"{told}left: {', '.join(left[:5])}")
    return None


def failed(ended: Ended, told: str = "") -> Outcome | None:
    """What is wrong with a command that should have succeeded; None if it did.

    Args:
        ended: how it ended.
        told: what the try was, for the detail.
    """
    detail = f"{told}status {ended.code}: {ended.last[:300]}"
    if ended.traceback:
        return Outcome("traceback", detail)
    return Outcome("lost", detail) if ended.code else None


def refused(ended: Ended, code: int = 2) -> Outcome | None:
    """What is wrong with how a command refused; None if it was in one line, with that status."""
    if ended.traceback or ended.code < 0:
        return Outcome("traceback", f"status {ended.code}: {ended.last[:300]}")
    if ended.code == 0:
        return Outcome("wrong", f"accepted: {ended.out[-300:]}")
    said = [line for line in ended.err.splitlines() if line.startswith("rnnscope: ")]
    if ended.code != code or len(said) != 1:
        return Outcome("traceback", f"status {ended.code}: {ended.err[-300:]}")
    return None


def _digest(path: Path) -> str:
    if path.name == MANIFEST:
        manifest = json.loads(path.read_text())
        for name in (*VOLATILE, "seal"):
            manifest.pop(name, None)
        path_free = {name: value for name, value in manifest.items() if name != "contents"}
        return json.dumps(path_free, sort_keys=True)
    return contents.of_file(path).xxh3
