"""Whether an artefact is as it was written: its files held against its manifest."""

import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.store import contents, sidecar
from rnnscope.store import manifest as manifests
from rnnscope.store.contents import Content
from rnnscope.store.manifest import MANIFEST
from rnnscope.store.sidecar import Seen
from rnnscope.terminal import short_path

MISSING = "missing"
FOREIGN = "not written by rnnscope"
CHANGED = "other bytes than were written"
FORBIDDEN = "may not be read by this user"


@dataclass(frozen=True)
class Fault:
    """A file that is not as it was written."""

    path: Path
    what: str

    def __str__(self) -> str:
        name = short_path(self.path)  # which may hold anything, of a foreign file
        shown = "".join(char if char.isprintable() else "\ufffd" for char in name)
        return f"{shown}: {self.what}"


def in_words(found: list[Fault]) -> str:
    """The faults of one artefact in one line: the first, and how many more there are."""
    more = len(found) - 1
    return f"{found[0]}{f' (and {more} more)' if more else ''}"


def declared(manifest: Mapping[str, Any]) -> dict[str, Content]:
    """The contents that a manifest declares."""
    return {name: Content(**each) for name, each in manifest["contents"].items()}


def faults(folder: Path, manifest: Mapping[str, Any], *, remember: bool = True) -> list[Fault]:
    """What is wrong with a finished artefact's files: missing, foreign, or other than written.

    Files that are unchanged since they were last verified are not read.

    Args:
        folder: of the artefact.
        manifest: which is whole.
        remember: whether to note beside the folder what was verified.

    Raises:
        UserError: a file may not be read.
    """
    found = _faults(folder, declared(manifest), remember)
    if not found:
        return []
    try:
        now = manifests.whole(folder)
    except (OSError, UserError):
        return found
    # Another job may have put a new artefact in its place meanwhile.
    return found if now["seal"] == manifest["seal"] else faults(folder, now, remember=remember)


def _faults(folder: Path, known: Mapping[str, Content], remember: bool) -> list[Fault]:
    found, files = compared(folder, known)
    before = sidecar.verified(folder, known)
    changed = [name for name, each in files.items() if before.get(name) != each]
    if not changed:
        return found
    now = sidecar.clock(folder) if remember else None
    spoilt = [fault for fault in digested(folder, known, changed) if fault]
    for fault in spoilt:
        if fault.what == FORBIDDEN:  # which is no reason to make somebody's artefact again
            raise UserError(f"{fault}; change its permissions, or give another root=")
    if now is not None:
        bad = {fault.path for fault in spoilt}
        good = {name: each for name, each in files.items() if folder / name not in bad}
        sidecar.note(folder, known, good, now)
    return sorted([*found, *spoilt], key=lambda fault: fault.path)


def compared(folder: Path, known: Mapping[str, Content]) -> tuple[list[Fault], dict[str, Seen]]:
    """The set of files and their sizes, held against the contents known.

    Returns:
        What is wrong, and what the files are like of which this is right.
    """
    found, files = [], {}
    for name, content in known.items():
        path = folder / name
        try:
            about = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            found.append(Fault(path, MISSING))
            continue
        more = about.st_size - content.bytes
        if not stat.S_ISREG(about.st_mode):
            found.append(Fault(path, "is no file"))
        elif more:
            than = "longer" if more > 0 else "shorter"
            byte = "byte" if abs(more) == 1 else "bytes"
            found.append(Fault(path, f"{abs(more):,} {byte} {than} than when it was written"))
        else:
            files[name] = sidecar.seen(about)
    above = {parent.as_posix() for name in known for parent in Path(name).parents}
    for name in sorted({*contents.inside(folder)} - known.keys() - above - {MANIFEST}):
        found.append(Fault(folder / name, FOREIGN))
    return found, files


def digested(
    folder: Path,
    known: Mapping[str, Content],
    names: list[str],
    read: Callable[[int], object] = lambda _: None,
) -> Iterator[Fault | None]:
    """Each file's fault after it was read whole, if it has one, in the order of the names.

    Args:
        folder: where the files lie.
        known: their contents.
        names: which of them to read.
        read: is told the bytes of every file that was read.
    """

    def look(name: str) -> Fault | None:
        try:
            there = contents.of_file(folder / name)
        except FileNotFoundError:
            return Fault(folder / name, MISSING)
        except PermissionError:
            return Fault(folder / name, FORBIDDEN)
        except OSError as error:
            return Fault(folder / name, f"cannot be read ({error.strerror})")
        read(there.bytes)
        return None if there == known[name] else Fault(folder / name, CHANGED)

    with ThreadPoolExecutor(contents.THREADS) as pool:
        yield from pool.map(look, names)


def is_whole(folder: Path, key: str) -> bool:
    """Whether what lies in a folder is finished, of a key, and as it was written."""
    try:
        manifest = manifests.whole(folder)
    except (OSError, UserError):
        return False
    return manifest["key"] == key and not faults(folder, manifest, remember=False)
