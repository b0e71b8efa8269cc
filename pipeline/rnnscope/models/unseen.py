"""What a user's module ran of the user's own files whose content is not in the model's key."""

import contextlib
import functools
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rnnscope.config.reached import is_installed

_RAN: set[str] = set()
"""The files whose text was run since ``modules`` was last asked, as Python reports it."""
_REWRITTEN = "__autograph_generated_file"
"""TensorFlow writes the functions that it rewrites to files of such names, and runs these."""


def modules() -> set[str]:
    """The modules that there are; from here on it is noted whose text is run."""
    _listen()
    _RAN.clear()
    return set(sys.modules)


@functools.cache
def _listen() -> None:
    """Have Python report whose text is run, also past its own ``import``; it goes on for good."""

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event == "exec":
            with contextlib.suppress(OSError):  # the working folder is gone
                # Now: the module may change the working folder.
                _RAN.add(os.path.abspath(getattr(given[0], "co_filename", "")))  # noqa: PTH100

    sys.addaudithook(heard)


def module(
    before: Collection[str],
    keyed: Collection[str],
    own: Collection[str],
    names: Mapping[str, str],
) -> str | None:
    """The first module of the user's that was imported and is not in the key, in a clause.

    What others imported is not the user's: installed packages, and modules of a package that was
    there before.

    Args:
        before: the names of the modules that were there before.
        keyed: the files in keys.
        own: the outermost packages of which all is the user's.
        names: the files in the key of the model, by the names of their modules.
    """
    known = set(map(os.path.realpath, keyed))
    there = {each.partition(".")[0] for each in before}
    for name in sorted(set(sys.modules).difference(before)):
        text, top = _file(name), name.partition(".")[0]
        if text is None or os.path.realpath(text) in known or not Path(text).is_file():
            continue  # no file, or one within another, such as a zip
        file = Path(text)
        if top in own or _lies_here(file) or (top not in there and _may_change(file)):
            return _said(name, file, names, within=top in own)
    return None


def text(keyed: Collection[str]) -> str | None:
    """The first file of the user's that was run without an import and is not in the key."""
    known = set(map(os.path.realpath, keyed))
    imported = {_file(name) for name in list(sys.modules)}
    for each in sorted(_RAN.difference(imported)):
        file = Path(each)
        if os.path.realpath(each) in known or not file.is_file():
            continue
        if _lies_here(file.resolve()) or _may_change(file.resolve()):
            return (
                f"it runs {file} without importing it, so that an edit would pass unnoticed: "
                f"write import {file.stem}{_place(file.parent)}"
            )
    return None


def _said(name: str, file: Path, names: Mapping[str, str], *, within: bool) -> str:
    """What is wrong with an import, and what would be right."""
    if name in names:
        return f"it imports {name} from {file}, not from {names[name]}: rename one of the two"
    steps = name.count(".") + (file.stem == "__init__")
    folder = file.parents[min(steps, len(file.parents) - 1)]
    if place := "" if within else _place(folder):
        return (
            f"it imports {name} from {folder}, where nothing is found without its help, so that "
            f"an edit of {file} would pass unnoticed: write import {name}{place}"
        )
    return (
        f"it imports {name} by a name that its source does not spell, so that an edit of {file} "
        f"would pass unnoticed: write import {name}"
    )


def _place(folder: Path) -> str:
    """What else an import of a module in a folder needs, in words; nothing where it is found."""
    found = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    if folder.resolve() in {Path.cwd(), *(Path(each).resolve() for each in found)}:
        return ""
    return f", with {folder} on PYTHONPATH, or install it as a package"


def _file(name: str) -> str | None:
    """The file of a module.

    Its own dictionary is asked: a module that is loaded on first use would be loaded by getattr.
    """
    try:
        file = object.__getattribute__(sys.modules[name], "__dict__").get("__file__")
    except (AttributeError, KeyError):  # not a module, or gone meanwhile
        return None
    return file if isinstance(file, str) else None


def _lies_here(file: Path) -> bool:
    """Whether a file lies in the working folder, and is not of what is installed there."""
    return file.is_relative_to(Path.cwd()) and not _belongs(file)


def _may_change(file: Path) -> bool:
    """Whether a file is nobody's but the user's: the version of no package tells its content."""
    return not (_belongs(file) or file.stem.startswith(_REWRITTEN) or _distributed(file))


def _belongs(file: Path) -> bool:
    """Whether a file belongs to Python, to an installed package or to this one."""
    return file.is_relative_to(Path(__file__).parents[2]) or is_installed(str(file.parent))


def _distributed(file: Path) -> bool:
    """Whether a package was installed outside of site-packages, as by pip's --target, with it."""
    for folder in file.parents:
        start = f"{file.relative_to(folder).as_posix()},"
        for record in folder.glob("*.dist-info/RECORD"):
            with contextlib.suppress(OSError):
                lines = record.read_text("utf-8", errors="replace").splitlines()
                if any(line.startswith(start) for line in lines):
                    return True
    return False
