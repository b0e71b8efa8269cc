"""Stage check: every file of every artefact below the root, read whole and held against its digest.

Nothing is written. What was verified before is read again: bytes may go bad on a disk while size
and times stay as they were.
"""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.stages.table import CHECK, OVER_RUNS, STAGES
from rnnscope.store import artefacts, contents, damage, sidecar
from rnnscope.store import manifest as manifests
from rnnscope.store.damage import MISSING, Fault
from rnnscope.store.manifest import MANIFEST
from rnnscope.terminal import bar, short_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """What was found below a root."""

    faults: list[str]
    artefacts: int
    files: int
    bytes: int

    def __str__(self) -> str:
        many = _many(len(self.faults), "fault") if self.faults else "whole"
        artefacts, files = _many(self.artefacts, "artefact"), _many(self.files, "file")
        return f"{many}: {artefacts}, {files}, {self.bytes:,} bytes"


def check(root: Path, *, read: bool = True) -> bool:
    """Log one line for each file below the root that is not as it was written, then a count.

    Args:
        root: folder of all artefacts.
        read: whether to read the files; otherwise their number and sizes are looked up.

    Returns:
        Whether everything is as it was written.

    Raises:
        UserError: there is no artefact.
    """
    started = time.perf_counter()
    found = checked(root, read=read)
    if not found.artefacts and not found.faults:
        raise UserError(f"stage={CHECK}: there are no artefacts in root={short_path(root)}")
    took = f", {time.perf_counter() - started:.1f} s" if read else " to read"
    log.info(f"{CHECK:<10} {found}{took}")
    if found.faults:
        log.info(f"{'':<10} what is damaged is made again by the commands that made it")
    return not found.faults


def checked(root: Path, *, read: bool = True) -> Checked:
    """What is wrong below a root, each fault logged when it is found."""
    faults: list[str] = []
    whole: dict[Path, dict[str, Any]] = {}
    folders = list(_artefacts(root))
    for folder in folders:
        try:
            whole[folder] = manifests.whole(folder)
            if why := artefacts.misplaced(folder, whole[folder]):
                _say(faults, str(Fault(folder, why)))
        except FileNotFoundError:
            _say(faults, str(Fault(folder / MANIFEST, MISSING)))
        except UserError as error:
            _say(faults, str(error).partition("; ")[0])
    for folder, manifest in whole.items():
        for why in _origins(root, manifest, whole.values()):
            _say(faults, str(Fault(folder, why)))
    size = sum(each["bytes"] for manifest in whole.values() for each in _held(manifest).values())
    with bar(total=size, unit="B", unit_scale=True, desc=CHECK) as progress:
        for folder, manifest in whole.items():
            known = damage.declared(manifest)
            wrong, files = damage.compared(folder, known)
            names = list(files) if read else []
            found = [*wrong, *damage.digested(folder, known, names, progress.update)]
            for fault in filter(None, found):
                _say(faults, str(fault))
            if any(found):  # else a command may believe that nothing has changed since it looked
                sidecar.forget(folder)
    return Checked(faults, len(folders), sum(len(_held(each)) for each in whole.values()), size)


def _origins(
    root: Path, manifest: Mapping[str, Any], every: Collection[Mapping[str, Any]]
) -> Iterator[str]:
    """What an artefact of one run was made from and is gone, or is not as it was then.

    Tables over several runs outlive these.
    """
    if manifest["stage"] not in STAGES:
        return
    for need, key in manifest["upstream"].items():
        there = [each for each in every if (each["stage"], each["key"]) == (need, key)]
        prints = {contents.fingerprint(each["contents"]) for each in there}
        if not any((root / need).glob(f"[!.]*-{key[:8]}*")):  # hidden: what was verified of it
            yield f"was made from {need} {key[:8]}, which is gone"
        elif prints and manifest["made_from"].get(need) not in (None, *prints):
            yield f"was made from another {need} than there is now"


def _artefacts(root: Path) -> Iterator[Path]:
    """The folders of all artefacts; unfinished ones and stray files are none."""
    for stage in (*STAGES, *OVER_RUNS):
        if (root / stage).is_dir():
            there = sorted((root / stage).iterdir())
            yield from (each for each in there if each.is_dir() and not each.name.startswith("."))


def _held(manifest: Mapping[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = manifest["contents"]
    return held


def _say(faults: list[str], line: str) -> None:
    log.info(line)
    faults.append(line)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
