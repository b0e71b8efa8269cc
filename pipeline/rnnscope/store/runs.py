"""The finished runs below a root.

A run is the chain of artefacts that one config leads to: train, extract, units, and any later
stages made from them. Stale and unfinished artefacts are listed, and are in no run.
"""

import collections
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from natsort import natsorted

from rnnscope.config import absent_if_null
from rnnscope.store import lineage
from rnnscope.store.artefacts import slug_of
from rnnscope.store.lineage import Finished, Lineage
from rnnscope.store.stage import Stage

OVER = "runs"
"""Stands for a run's name before a stage over several; no run is called so."""
DIGITS = 4
"""Least number of digits of the key in a run's name, where several runs share a slug."""

SHOWING = ("report",)
"""Stages whose options choose how results are shown: runs do not differ by them."""


@dataclass(frozen=True)
class Run:
    """A finished, up-to-date run."""

    name: str
    """Readable and unique: the slug, with digits of the key of units if several share it."""
    stages: dict[str, Finished]
    """Stage -> its artefact, in the stages' order. There is no train if the model was trained
    elsewhere, and none of the stages after units that are not finished."""

    @property
    def slug(self) -> str:
        """Its readable name, which several runs may share."""
        return self.stages["units"].slug

    @property
    def config(self) -> dict[str, Any]:
        """Every option that a stage read, by its dotted name; a file's digest as path.sha256.

        Left out are options of how results are shown.
        """
        found: dict[str, Any] = {}
        for each in (made for stage, made in self.stages.items() if stage not in SHOWING):
            files = each.manifest["files"]
            for name, value in _flat(each.manifest["slice"]):
                option = name.removesuffix(".sha256")
                if option in files:
                    found[option] = files[option]
                found[name] = value
            for group in each.manifest["slice"]:
                for name in absent_if_null(group):
                    found.setdefault(f"{group}.{name}", None)
        return found


@dataclass(frozen=True)
class LeftOut:
    """An artefact that is in no run, and why."""

    folder: Path
    why: str

    @property
    def slug(self) -> str:
        """Its folder's name without the key."""
        return slug_of(self.folder)

    def __str__(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}: {self.why}"


@dataclass(frozen=True)
class Survey:
    """The runs below a root, and the artefacts that are in none of them."""

    runs: list[Run]
    left_out: list[LeftOut]


def find(
    root: Path,
    stages: Mapping[str, Stage],
    wanted: str | list[str] | None = None,
    *,
    remember: bool = True,
) -> Survey:
    """The runs below ``root`` whose train, extract and units are finished and up to date.

    Of the later stages, a run has the newest artefact that was made from it. Left out, with the
    reason, are artefacts of an older version of a stage and those made from them or from something
    that is gone; damaged and unfinished ones; and those that a newer one supersedes. Of artefacts
    made one from another, only the last is listed.

    Args:
        root: folder of all artefacts.
        stages: of a run, in their order.
        wanted: only runs whose name or slug matches this pattern, such as ``digits-lstm*``, or one
            of these.
        remember: whether to note beside the artefacts of runs that their files were verified.
    """
    known = lineage.read(root, stages)
    chains = _chains(known, stages)
    while True:
        read = {
            each.artefact.key
            for run in _named(chains)
            if _matches(wanted, run.name, run.slug)
            for each in run.stages.values()
        }
        if (sound := lineage.verified(known, read, stages, remember=remember)) is None:
            break
        known = sound
        chains = _chains(known, stages)
    counted = {each.artefact.key for chain in chains for each in chain.values()}
    left_out = [
        LeftOut(each.artefact.folder, known.faults[key] or _why(known, each))
        for key, each in known.made.items()
        if key not in counted and key not in known.users
    ]
    left_out += [LeftOut(folder, why) for folder, why in known.damaged.items()]
    left_out += [
        LeftOut(folder, f"unfinished, {state}")
        for stage in stages
        for folder, state in lineage.unfinished(root, stage)
    ]
    runs = natsorted(_named(chains), key=lambda run: run.name)
    return Survey(
        [run for run in runs if _matches(wanted, run.name, run.slug)],
        [each for each in left_out if _matches(wanted, each.folder.name, each.slug)],
    )


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """How many runs were added, removed or changed, from keys by ``<run>/<stage>``, in words.

    Behind these, each stage over several runs whose artefact is another than before.
    """
    before, after = (_by_run(keys) for keys in (old, new))
    was, now = (keys.pop(OVER, {}) for keys in (before, after))
    both = before.keys() & after.keys()
    counts = {
        "more": len(after.keys() - before.keys()),
        "gone": len(before.keys() - after.keys()),
        "changed": sum(before[name] != after[name] for name in both),
    }
    others = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    return [
        *(f"runs {word}: {count}" for word, count in counts.items() if count),
        *(
            f"another {name}" if name in was else f"{name} is there now"
            for name in others
            if name in now
        ),
        *(f"{name} is gone, or of other runs" for name in others if name not in now),
    ]


def _chains(known: Lineage, stages: Mapping[str, Stage]) -> list[dict[str, Finished]]:
    """The runs whose units are neither stale nor damaged, nor anything they were made from."""
    return [
        _chain(known, each, stages)
        for key, each in known.made.items()
        if each.artefact.stage == "units" and not known.faults[key]
    ]


def _chain(known: Lineage, units: Finished, order: Iterable[str]) -> dict[str, Finished]:
    """A run by its stages, in their order, from its units artefact."""
    chain = known.behind(units)
    for stage in order:
        keys = {name: each.artefact.key for name, each in chain.items()}
        users = [user for key in keys.values() for user in known.sound_users(key, stage)]
        fit = [user for user in users if user.upstream.items() <= keys.items()]
        if stage not in chain and fit:
            chain[stage] = max(fit, key=lambda each: each.age)
    return {stage: chain[stage] for stage in order if stage in chain}


def _why(known: Lineage, each: Finished) -> str:
    """Why an artefact that is not stale is in no run."""
    extract = known.behind(each).get("extract")
    if extract is None:
        return "unfinished, no extract was made from it"
    if not known.sound_users(extract.artefact.key, "units"):
        return "unfinished, no units of the current version were made from its extract"
    return "superseded, its run has newer ones"


def _named(chains: list[dict[str, Finished]]) -> Iterator[Run]:
    """Runs, named with as many digits of their keys as distinguish those of the same slug."""
    keys = collections.defaultdict(list)
    for chain in chains:
        keys[chain["units"].slug].append(chain["units"].artefact.key)
    for chain in chains:
        slug, key = chain["units"].slug, chain["units"].artefact.key
        same = keys[slug]
        apart = (n for n in range(DIGITS, 65) if len({each[:n] for each in same}) == len(same))
        yield Run(slug if len(same) == 1 else f"{slug}-{key[: next(apart)]}", chain)


def _matches(wanted: str | list[str] | None, *names: str) -> bool:
    """Whether one of the names matches one of the patterns; None matches any."""
    if wanted is None:
        return True
    patterns = wanted if isinstance(wanted, list) else [wanted]
    # On the command line, a pattern of digits alone becomes a number.
    return any(fnmatch.fnmatchcase(name, str(each)) for each in patterns for name in names)


def _by_run(keys: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for name, key in keys.items():
        run, _, stage = name.rpartition("/")
        found[run][stage] = key
    return found


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested section's values by their dotted names."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
