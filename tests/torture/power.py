"""Loss of power: what a finished artefact vouches for was on the disk before it got its name.

The system calls of a real run are recorded by strace. After a loss of power a file holds what was
synced, and a folder the entries that were; renames may survive all the same. So when an artefact
gets its name, nothing in it may wait to be synced, nor may what a part's note vouches for.
"""

import functools
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.torture import base, command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

CALLS = "write,pwrite64,writev,openat,mkdir,fsync,fdatasync,rename,renameat,renameat2,unlink,rmdir"
_ON_FILE = re.compile(r"^\d+ +(\w+)\((?:AT_FDCWD<[^>]*>, )?(?:\d+<([^>]*)>|\"([^\"]*)\")(.*)$")
_SECOND = re.compile(r"\"([^\"]*)\"")


@dataclass
class Disk:
    """What a disk would have lost, of the files below one root."""

    waiting: set[str] = field(default_factory=set)
    """Files written, and folders changed, since they were last synced."""
    unsafe: list[str] = field(default_factory=list)
    """What was still waiting when something that vouches for it got its name."""
    named: int = 0

    def apply(self, call: str, path: str, rest: str) -> None:
        """One system call that succeeded."""
        folder = str(PurePosixPath(path).parent)
        match call:
            case "write" | "pwrite64" | "writev":
                self.waiting.add(path)
            case "openat" if "O_CREAT" in rest:
                self.waiting.add(folder)
            case "mkdir" | "unlink" | "rmdir":
                self.waiting.add(folder)
                self.waiting.discard(path)
            case "fsync" | "fdatasync":
                self.waiting.discard(path)
            case "rename" | "renameat" | "renameat2":
                if to := _SECOND.search(rest):
                    self._rename(path, to[1])

    def _rename(self, path: str, to: str) -> None:
        if path.endswith(".partial"):
            self.named += 1
            self.unsafe += sorted(
                name for name in self.waiting if (name + "/").startswith(path + "/")
            )
        elif re.search(r"_parts/\d+\.json$", to):
            self.named += 1
            self.unsafe += [path] if path in self.waiting else []
        moved = {name for name in self.waiting if (name + "/").startswith(path + "/")}
        self.waiting = self.waiting - moved | {to + name[len(path) :] for name in moved}
        self.waiting |= {str(PurePosixPath(path).parent), str(PurePosixPath(to).parent)}


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Every stage, once: the order of its system calls does not depend on chance."""
    if shutil.which("strace"):
        attempts = [functools.partial(_lost, whole, stage) for stage in (*base.RUN, *base.OVER)]
        yield Fault("loss of power, by the order of system calls", attempts)
    else:
        print("loss of power is left out: strace is not installed", file=sys.stderr)


def _lost(whole: Base, stage: str, folder: Path) -> Outcome:
    root = whole.without(stage, folder / "root")
    record = folder / "calls"
    tracing = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(record)]
    ended = command.run(root, *base.words(stage), under=tracing)
    if ended.code:
        return Outcome("lost", f"{stage}: status {ended.code}: {ended.last[:300]}")
    disk = Disk()
    for line in record.read_text(errors="replace").splitlines():
        found = _ON_FILE.match(line)
        if found and " = -1 " not in line and (path := found[2] or found[3]).startswith(str(root)):
            disk.apply(found[1], path, found[4])
    if not disk.named:
        return Outcome("wrong", f"{stage}: no artefact got its name in the recorded calls")
    if disk.unsafe:
        names = [name.removeprefix(f"{root}/") for name in disk.unsafe]
        return Outcome("lost", f"{stage}: not synced: {len(names)}, {', '.join(names[:4])}")
    return SURVIVED
