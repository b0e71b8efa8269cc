"""Damage to finished artefacts: named in a line, planned, found by stage=check, made again."""

import functools
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from rnnscope.store import MANIFEST
from tests.torture import base, command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

DAMAGED = base.RUN


def flipped(file: Path, draw: random.Random) -> None:
    """One bit of a file is another."""
    content = bytearray(file.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def shortened(file: Path, draw: random.Random) -> None:
    """A file ends early."""
    content = file.read_bytes()
    file.write_bytes(content[: draw.randrange(len(content))])


def lengthened(file: Path, draw: random.Random) -> None:
    """A file has more at its end."""
    with file.open("ab") as end:
        end.write(draw.randbytes(draw.randrange(1, 4096)))


def emptied(file: Path, draw: random.Random) -> None:
    """A file has its length and no content, as after a loss of power."""
    file.write_bytes(bytes(file.stat().st_size))


def missing(file: Path, draw: random.Random) -> None:
    """A file is gone."""
    file.unlink()


def swapped(file: Path, draw: random.Random) -> None:
    """Two files have each other's names."""
    others = [path for path in file.parent.rglob("*") if path.is_file() and path != file]
    others = [path for path in others if path.read_bytes() != file.read_bytes()]
    other = draw.choice(others or [_artefact(file) / MANIFEST])
    aside = file.with_name("aside")
    file.rename(aside)
    other.rename(file)
    aside.rename(other)


def foreign(file: Path, draw: random.Random) -> None:
    """A second download lies beside a file."""
    shutil.copy(file, file.with_name(f"{file.stem} (1){file.suffix}"))


def edited(file: Path, draw: random.Random) -> None:
    """A table was opened, changed and saved; any other file gets a space."""
    if file.suffix != ".parquet":
        return lengthened(file, draw)
    table = pd.read_parquet(file)
    numbers = table.select_dtypes("number").columns
    table.loc[table.index[:1], draw.choice(list(numbers))] = 1
    table.to_parquet(file, index=False)
    return None


def without_folder(file: Path, draw: random.Random) -> None:
    """A whole folder is gone."""
    shutil.rmtree(file.parent)


def manifest_edited(file: Path, draw: random.Random) -> None:
    """Another number stands in the manifest."""
    path = _artefact(file) / MANIFEST
    said = json.loads(path.read_text())
    name = draw.choice([name for name in said["headline"] if said["headline"][name] is not None])
    said["headline"][name] = 0.123
    path.write_text(json.dumps(said, indent=2) + "\n")


def manifest_flipped(file: Path, draw: random.Random) -> None:
    """One bit of the manifest is another."""
    flipped(_artefact(file) / MANIFEST, draw)


def manifest_emptied(file: Path, draw: random.Random) -> None:
    """The manifest is empty, or of zero bytes, or half of it."""
    path = _artefact(file) / MANIFEST
    content = path.read_bytes()
    path.write_bytes(draw.choice([b"", bytes(len(content)), content[: len(content) // 2], b"[]"]))


KINDS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(flipped, shortened, lengthened, emptied, missing, swapped, foreign, edited, without_folder),
    *(manifest_edited, manifest_flipped, manifest_emptied),
)


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Every kind of damage, to files of artefacts drawn at random."""
    yield Fault("no damage: stage=check finds none", [functools.partial(_whole, whole)])
    for kind in KINDS:
        attempts = [functools.partial(_damage, whole, kind, n) for n in range(max(1, tries // 5))]
        yield Fault(f"damage: {(kind.__doc__ or '').rstrip('.').lower()}", attempts)


def _whole(whole: Base, folder: Path) -> Outcome:
    root = command.copied(whole.root, folder / "root")
    return command.failed(command.run(root, "stage=check")) or SURVIVED


def _damage(
    whole: Base, kind: Callable[[Path, random.Random], None], number: int, folder: Path
) -> Outcome:
    draw = random.Random(f"{kind.__name__} {number}")
    stage = DAMAGED[number % len(DAMAGED)]
    root = command.copied(whole.root, folder / "root")
    file = _drawn(root, stage, kind, draw)
    told = f"{kind.__name__} {number}, {file.relative_to(root)}: "
    before = file.read_bytes()
    kind(file, draw)
    if file.is_file() and file.read_bytes() == before and kind in (shortened, edited):
        return SURVIVED  # nothing changed
    last = base.words("report")
    check = command.run(root, "stage=check")
    plan = command.run(root, "mode=plan", *last)
    again = command.run(root, *last)
    for ended, name in ((check, "check"), (plan, "plan"), (again, "run")):
        if ended.traceback:
            return Outcome("traceback", f"{told}{name}: {ended.last[:300]}")
    # Of an artefact that nothing was made from there is no trace: it is not made yet.
    traceless = kind is without_folder and stage == base.RUN[-1]
    if check.code == 0 and not traceless:
        return Outcome("wrong", f"{told}stage=check found nothing")
    if f"{stage:<{max(map(len, base.RUN))}} would run" not in plan.text:
        return Outcome("wrong", f"{told}mode=plan: {plan.text.strip()[-300:]}")
    stages = (
        command.as_undisturbed(root, whole.truth(each), each, told, base.mark(each))
        for each in base.RUN
    )
    return (
        command.failed(again, told)
        or next((bad for bad in stages if bad), None)
        or command.failed(command.run(root, "stage=check"), f"{told}still damaged: ")
        or SURVIVED
    )


def _drawn(
    root: Path, stage: str, kind: Callable[[Path, random.Random], None], draw: random.Random
) -> Path:
    """A file of the stage's artefact of seed 0; for some kinds one in a folder of its own."""
    (artefact,) = (root / stage).glob("[!.]*-s0-*")
    there = sorted(path for path in artefact.rglob("*") if path.is_file())
    there = [path for path in there if path.name != MANIFEST and path.stat().st_size]
    if kind is edited:
        there = [path for path in there if path.suffix == ".parquet"] or there
    return draw.choice(there)


def _artefact(file: Path) -> Path:
    """The artefact's folder of one of its files."""
    return next(folder for folder in file.parents if (folder / MANIFEST).is_file())
