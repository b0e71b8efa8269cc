"""The folder ``latest`` of links to the artefacts of the last single run.

    <root>/latest            ->  .latest-<uuid>
    <root>/.latest-<uuid>/<stage>  ->  ../<stage>/<slug>-<key8>

All links of a run change in one step, when ``latest`` is made to lead to another folder of links.
The one before it stays until the next change, for those who are just following it.
"""

import contextlib
import os
import uuid
from pathlib import Path

from rnnscope.errors import UserError
from rnnscope.store import locks, swap
from rnnscope.store.artefacts import Artefact, read_manifest

PREFIX = ".latest-"


def latest(root: Path, stage: str) -> Path:
    """The link to a stage's newest artefact of a single run."""
    return root / "latest" / stage


def point_latest(root: Path, run: list[Artefact]) -> None:
    """Make ``latest/<stage>`` lead to a run's artefacts, so that all links belong to one run.

    Links of other stages are kept only if their artefact was made from these.
    """
    root.mkdir(parents=True, exist_ok=True)
    if _links(root) == _wanted(root, run):
        return
    with locks.held(root / ".latest.lock", "") as holder:
        wanted = _wanted(root, run)
        if _links(root) == wanted:
            return
        folder = root / f"{PREFIX}{uuid.uuid4().hex}"
        folder.mkdir()
        for stage, target in wanted.items():
            (folder / stage).symlink_to(target)
        holder.check()
        before = _point(root / "latest", folder)
        for left in root.glob(f"{PREFIX}*"):
            if left != folder:
                _clear(left, folder, links=left != before)


def _point(link: Path, folder: Path) -> Path | None:
    """Make ``link`` lead to a folder beside it; returns where it led before."""
    before = link.parent / link.readlink() if link.is_symlink() else None
    fresh = folder.with_name(f"{folder.name}.link")
    fresh.symlink_to(folder.name)
    if link.is_dir() and not link.is_symlink():  # as earlier versions made it
        before = link.with_name(f"{PREFIX}{uuid.uuid4().hex}")
        if swap.exchange(fresh, link):
            fresh.rename(before)
            return before
        link.rename(before)
    fresh.replace(link)
    return before


def _links(root: Path) -> dict[str, Path]:
    """The links of ``latest``, by stage, to where they lead."""
    folder = root / "latest"
    if not folder.is_dir():
        return {}
    found = {}
    for link in folder.iterdir():
        with contextlib.suppress(OSError):  # no link, but a file that someone put there
            found[link.name] = link.readlink()
    return found


def _wanted(root: Path, run: list[Artefact]) -> dict[str, Path]:
    """The links of a run, and those of what is there already and was made from it."""
    links = _links(root)
    keys: dict[str, str | None] = {artefact.stage: artefact.key for artefact in run}
    others = {name: link for name, link in links.items() if name not in keys}
    while stale := [name for name in others if _made_from_others(latest(root, name), keys)]:
        for name in stale:
            keys[name] = None  # links to what was made from it go too
            del others[name]
    ours = {each.stage: Path("..") / each.folder.relative_to(root) for each in run}
    return others | ours


def _made_from_others(link: Path, keys: dict[str, str | None]) -> bool:
    """Whether an artefact of another stage was made from other artefacts than those of ``keys``."""
    try:
        upstream = dict(read_manifest(link)["upstream"])
    except (OSError, UserError, ValueError, KeyError, TypeError):
        return True  # gone or damaged: what it was made from is unknown
    return any(keys.get(stage, key) != key for stage, key in upstream.items())


def _clear(left: Path, folder: Path, *, links: bool) -> None:
    """Move what is no link, and so not ours, from a former folder of links to the present one."""
    if left.is_symlink():  # of a job that was killed
        left.unlink(missing_ok=True)
        return
    for each in left.iterdir():
        if not each.is_symlink():
            taken = os.path.lexists(folder / each.name)
            each.rename(folder / (f"{each.name}~" if taken else each.name))
        elif links:
            each.unlink(missing_ok=True)
    if links:
        left.rmdir()
