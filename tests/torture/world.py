"""The world around: full disks, folders that cannot be written, roots that are no folders."""

import functools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.torture import base, command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

ROOM = "200m"
ON_SMALL_DISK = f"""
mount -t tmpfs -o "$1" none "$2" && cp -r "$3"/. "$2" 2>/dev/null
shift 3
"$@"; echo $? > "$STATUS.first"
mount -o remount,size={ROOM},nr_inodes=0 none "$DISK"
HYDRA_FULL_ERROR= "$@" > "$STATUS.out" 2> "$STATUS.err"; echo $? > "$STATUS.second"
cp -r "$DISK" "$COPY"
"""


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Disks of all sizes that are too small; then places where nothing can be written."""
    small = [functools.partial(_small_disk, whole, "size", n) for n in range(max(2, tries // 2))]
    yield Fault("full disk", small)
    few = [functools.partial(_small_disk, whole, "nr_inodes", n) for n in range(max(1, tries // 5))]
    yield Fault("no inodes left", few)
    yield Fault(
        "a root that cannot be", [functools.partial(_odd_root, whole, root) for root in ROOTS]
    )
    yield Fault("output into a pipe that ends", [functools.partial(_pipe, whole)])


def _small_disk(whole: Base, limit: str, number: int, folder: Path) -> Outcome:
    """A run on a tmpfs that is too small, and again when it has grown: it finishes."""
    draw = random.Random(f"{limit} {number}")
    stage = draw.choice(base.RUN)
    before = whole.without(stage, folder / "before")
    taken = sum(path.stat().st_size for path in before.rglob("*") if path.is_file())
    files = sum(1 for _ in before.rglob("*"))
    room = {
        "size": f"size={taken + len(list(before.rglob('*'))) * 4096 + draw.randrange(0, 120_000)}",
        "nr_inodes": f"size={ROOM},nr_inodes={files + draw.randrange(2, 20)}",
    }[limit]
    disk, status, copy = folder / "disk", folder / "status", folder / "copy"
    disk.mkdir()
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    words = [sys.executable, "-m", "rnnscope", f"root={disk}", *base.words(stage)]
    done = subprocess.run(
        ["unshare", "--mount", *user, "sh", "-c", ON_SMALL_DISK, "sh", room, disk, before, *words],
        env={**os.environ, "STATUS": str(status), "DISK": str(disk), "COPY": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = f"{stage}, {room}: "
    if not Path(f"{status}.second").is_file():
        return Outcome("traceback", f"{told}the disk could not be made: {done.stderr[-200:]}")
    first = command.Ended(int(Path(f"{status}.first").read_text()), done.stdout, done.stderr)
    second = int(Path(f"{status}.second").read_text())
    if first.code and (bad := command.refused(first)):
        return Outcome(bad.verdict, f"{told}{bad.detail}")
    if second:
        return Outcome("lost", f"{told}again: {Path(f'{status}.err').read_text()[-300:]}")
    if different := command.differences(command.fingerprint(copy, stage), whole.truth(stage)):
        return Outcome("wrong", f"{told}differ: {', '.join(different[:5])}")
    return SURVIVED


ROOTS = ("", "null", "/proc/none", "/dev/null", "FILE", "FILE/below", "LONG", "/sys/x", "NUL")
"""Roots that cannot be; in capitals, what is made in the try's folder."""


def _odd_root(whole: Base, root: str, folder: Path) -> Outcome:
    (folder / "file").write_text("")
    place = {
        "FILE": str(folder / "file"),
        "FILE/below": str(folder / "file" / "below"),
        "LONG": str(folder / ("x" * 300)),
        "NUL": "a\tb",
    }.get(root, root)
    for mode in ("run", "plan"):
        ended = command.run(place, f"mode={mode}", "stage=train", *command.SMALL, cwd=folder)
        # A plan may be made for a root that is not there yet.
        if (ended.code or mode == "run") and (bad := command.refused(ended)):
            return Outcome(bad.verdict, f"root={root} mode={mode}: {bad.detail}")
    there = sorted(path.name for path in folder.iterdir())
    if there != ["file"]:
        return Outcome("wrong", f"root={root}: made {', '.join(there)}")
    return SURVIVED


def _pipe(whole: Base, folder: Path) -> Outcome:
    root = command.copied(whole.root, folder / "root")
    shell = shutil.which("bash") or "sh"
    words = " ".join([sys.executable, "-m", "rnnscope", f"root={root}", *base.words("report")])
    done = subprocess.run(
        [shell, "-c", f"{words} | head -1"], capture_output=True, text=True, check=False
    )
    if "Traceback" in done.stderr or "BrokenPipe" in done.stderr:
        return Outcome("traceback", done.stderr[-300:])
    return SURVIVED
