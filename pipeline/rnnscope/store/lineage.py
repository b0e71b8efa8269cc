"""The finished artefacts below a root, what each was made from, and which of them are stale.

Only manifests are read, and tables checked to exist. Whether files are as they were written is
looked up of those artefacts that ``verified`` is asked about.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from natsort import natsorted

from rnnscope.config import KINDS, Trained
from rnnscope.store import artefacts, contents, damage, partials
from rnnscope.store import manifest as manifests
from rnnscope.store.artefacts import Artefact
from rnnscope.store.contents import Damaged
from rnnscope.store.manifest import NewerError, OlderError
from rnnscope.store.stage import Stage
from rnnscope.store.tables import table_file

FIELDS: dict[str, type | tuple[type, ...]] = {
    "key": str,
    "version": int,
    "upstream": dict,
    "slice": dict,
    "files": dict,
    "headline": dict,
    "seconds": (int, float),
    "peak_memory_bytes": int,
}
"""The entries of a manifest that are used, with their types."""


@dataclass(frozen=True)
class Finished:
    """A finished artefact with its manifest."""

    artefact: Artefact
    manifest: dict[str, Any]

    @property
    def upstream(self) -> dict[str, str]:
        """Stage -> key of the artefact that it was made from."""
        return self.manifest["upstream"]

    @property
    def slug(self) -> str:
        """Its folder's name without the key."""
        return artefacts.slug_of(self.artefact.folder)

    @property
    def age(self) -> tuple[datetime, str]:
        """Sorts artefacts of the same stage, the oldest first."""
        return datetime.fromisoformat(self.manifest["finished"]), self.artefact.folder.name


@dataclass(frozen=True)
class Lineage:
    """All finished artefacts by their keys, in the stages' order."""

    made: dict[str, Finished]
    users: dict[str, list[Finished]]
    """Key -> the artefacts that were made from it."""
    faults: dict[str, str | None]
    """Key -> why it is stale, itself or something it was made from; None if it is not."""
    damaged: dict[Path, str]
    """Folders whose manifest cannot be used, and why."""

    def behind(self, each: Finished) -> dict[str, Finished]:
        """By stage, an artefact that is not stale and everything that it was made from."""
        found = {each.artefact.stage: each}
        for key in each.upstream.values():
            found |= self.behind(self.made[key])
        return found

    def sound_users(self, key: str, stage: str) -> list[Finished]:
        """The artefacts of a stage that were made from this one and are not stale."""
        return [
            user
            for user in self.users.get(key, [])
            if user.artefact.stage == stage and not self.faults[user.artefact.key]
        ]


def read(root: Path, stages: Mapping[str, Stage]) -> Lineage:
    """The finished artefacts below ``root``.

    Args:
        root: folder of all artefacts.
        stages: in their order; artefacts of another version of a stage are stale.
    """
    made: dict[str, Finished] = {}
    damaged = {}
    for stage in stages:
        for folder in natsorted((root / stage).glob("[!.]*")):
            try:
                each = _finished(stage, folder)
            except FileNotFoundError:
                continue  # unfinished, or not an artefact
            except NewerError:
                damaged[folder] = "made by a later version of rnnscope: update it"
                continue
            except (OSError, Damaged, ValueError, KeyError, TypeError):
                damaged[folder] = "its manifest cannot be read"
                continue
            if why := artefacts.misplaced(folder, each.manifest):
                damaged[folder] = why
                continue
            made[each.artefact.key] = each
    users = collections.defaultdict(list)
    for each in made.values():
        for key in each.upstream.values():
            users[key].append(each)
    faults = {key: _fault(made, key, stages, {}) for key in made}
    return Lineage(made, dict(users), faults, damaged)


def verified(
    known: Lineage, keys: Iterable[str], stages: Mapping[str, Stage], *, remember: bool
) -> Lineage | None:
    """The lineage without those of the artefacts whose files are damaged; None if none is."""
    spoilt = {}
    for key in keys:
        each = known.made[key]
        if found := damage.faults(each.artefact.folder, each.manifest, remember=remember):
            place = Path(each.artefact.stage, found[0].path.relative_to(each.artefact.folder))
            spoilt[key] = f"damaged, {dataclasses.replace(found[0], path=place)}; run it again"
    if not spoilt:
        return None
    faults = {
        key: known.faults[key] or _fault(known.made, key, stages, spoilt) for key in known.made
    }
    return dataclasses.replace(known, faults=faults)


def unfinished(root: Path, stage: str) -> Iterator[tuple[Path, str]]:
    """A stage's unfinished artefacts: the folder of each, and whether a job is making it."""
    there = natsorted((root / stage).glob(".*.partial"))
    for named in dict.fromkeys(map(partials.named_in, there)):
        slug, _, key = named.name.rpartition("-")
        artefact = artefacts.locate(root, stage, slug, key)
        with contextlib.suppress(NewerError):
            if not artefact.finished:
                being = artefacts.being_made(artefact)
                yield artefact.folder, "being made" if being else "interrupted"


def _finished(stage: str, folder: Path) -> Finished:
    """The artefact in a folder; raises if its manifest is not one of ours."""
    try:
        manifest = manifests.whole(folder)
    except OlderError:
        manifest = manifests.read_manifest(folder)
    for name, kind in FIELDS.items():
        if not isinstance(manifest[name], kind):
            raise TypeError(name)
    if datetime.fromisoformat(manifest["finished"]).tzinfo is None:
        raise ValueError(manifest["finished"])
    return Finished(Artefact(stage, manifest["key"], folder), manifest)


def _fault(
    made: Mapping[str, Finished],
    key: str,
    stages: Mapping[str, Stage],
    spoilt: Mapping[str, str],
) -> str | None:
    """Why an artefact is stale or damaged, if it is: the first reason among what it was made from.

    Args:
        made: all artefacts by their keys.
        key: the artefact's.
        stages: in their order.
        spoilt: key -> what is wrong with the files of an artefact.
    """
    each = made[key]
    stage, version = each.artefact.stage, each.manifest["version"]
    if stage == "extract" and "train" not in each.upstream and not _trained_elsewhere(each):
        return "stale, its manifest names no train artefact"
    if stage == "units" and "extract" not in each.upstream:
        return "stale, its manifest names no extract artefact"
    for need, behind in each.upstream.items():
        if behind not in made:
            return f"stale, {need} {behind[:8]} that it was made from is gone"
        if fault := _fault(made, behind, stages, spoilt):
            return fault
    if version != stages[stage].version:
        now = stages[stage].version
        return f"stale, {stage} is of version {version}, now {now}: run it again"
    if "contents" not in each.manifest:
        return "made by an earlier version of rnnscope, which noted no digests: run it again"
    for need, behind in each.upstream.items():
        if _other(each, need, made[behind]):
            return f"stale, made from another {need} than there is now: run it again"
    if key in spoilt:
        return spoilt[key]
    for name in stages[stage].tables[:1]:
        if not (file := table_file(each.artefact.folder, name)).is_file():
            return f"{file.name} is missing"
    return None


def _other(user: Finished, need: str, behind: Finished) -> bool:
    """Whether an artefact was made from another content of what is upstream than it has now."""
    was = user.manifest.get("made_from", {}).get(need)
    return was not in (None, contents.fingerprint(behind.manifest["contents"]))


def _trained_elsewhere(extract: Finished) -> bool:
    kind = KINDS["model"].get(extract.manifest["slice"].get("model", {}).get("name"))
    return kind is not None and issubclass(kind, Trained)
