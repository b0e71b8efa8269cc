"""The user's own Python module, with what a saved model is made of beyond Keras' classes."""

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from rnnscope.config.source import specs
from rnnscope.errors import UserError
from rnnscope.models import guard, unseen
from rnnscope.store import digests

_DIGESTS: dict[str, str] = {}
"""Of the files of what this process imported, as they were then. Python imports a module once."""
_NAMED: list[str] = []
"""The modules that were named in this process."""
_FILES: dict[str, str] = {}
"""The files in the key of the module that was named last, by the names of their modules."""
_OWN: set[str] = set()
"""The outermost packages of the user's that were not there before."""
_UNSEEN: dict[str, str] = {}
"""What was refused, by the file of the module that was named: its helpers are imported now."""


def members(name: str) -> dict[str, Any]:
    """Import the module; its classes and functions by name.

    Only it and the modules that its source says it imports are found in the working folder, also
    by imports that run later. Nothing else that lies there can be imported.

    Raises:
        UserError: it cannot be found or imported, another file than the one in the model's key was
            imported, or one that is not in the key.
    """
    found = specs(name)
    files = {each: str(spec.origin) for each, spec in found.items() if spec.has_location}
    here = f"model.custom_objects={name}"
    _refuse_edited(here, files)
    if (said := _UNSEEN.get(files[name])) is not None:
        raise UserError(said)
    _FILES.clear()
    _FILES.update(files)
    before = unseen.modules()
    there = {each.partition(".")[0] for each in before}
    _OWN.update({each.partition(".")[0] for each in found} - there)
    _FINDER.known.update(found)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)  # before Python's own, which would take bytecode
    try:
        with guard.importing():
            module: Any = importlib.import_module(name)
    except Exception as error:
        raise UserError(f"{here}: {_why(error, set(files.values()))}") from error
    if not isinstance(module, ModuleType):
        raise UserError(f"{here}: it puts a {type(module).__name__} in its place in sys.modules")
    if (imported := getattr(module, "__file__", None)) != files[name]:
        raise UserError(f"{here}: {imported} was imported, not {files[name]}")
    _NAMED.append(name)
    refuse_unseen(before)
    return {
        name: member
        for name, member in vars(module).items()
        if inspect.isclass(member) or inspect.isfunction(member)
    }


@contextlib.contextmanager
def explaining() -> Iterator[None]:
    """Let an exception of the user's code, once it is imported, be one line.

    Raises:
        UserError: what was raised, and in which line; other exceptions pass as they are. Or a
            module was imported that is not in the key.
    """
    before = unseen.modules()
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (line := blamed(error)) is not None:
            raise UserError(f"model.custom_objects: {line}") from error
        raise
    refuse_unseen(before)


def blamed(error: BaseException | None) -> str | None:
    """The first exception behind this one that passed a line of the user's code, in one line."""
    line = None
    while error is not None:
        if isinstance(error, Exception) and (place := _place(error, set(_DIGESTS))):
            line = _said(error, place)
        error = error.__cause__ or error.__context__
    return line


class _Source(SourceFileLoader):
    """Runs a file's own text.

    Bytecode is taken for that of a file by its time of change and its size, which another file,
    whose content is not in the key, may share.
    """

    def path_stats(self, path: Any) -> NoReturn:
        """Without these Python neither reads nor writes bytecode."""
        raise OSError("no bytecode")


class _Finder(MetaPathFinder):
    """Finds the user's modules in the files whose content is in the key."""

    def __init__(self) -> None:
        self.known: dict[str, ModuleSpec] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, if it is among those known."""
        if (spec := self.known.get(fullname)) is None:
            return None
        led = PathFinder.find_spec(fullname, path)
        if led is not None and _elsewhere(led, spec, within=path is not None):
            return None  # sys.path or its package leads elsewhere: refused once it is imported
        inner = spec.submodule_search_locations
        folders = None if inner is None else list(inner)
        if spec.has_location:
            loader = _Source(fullname, str(spec.origin))
            return spec_from_file_location(
                fullname, spec.origin, loader=loader, submodule_search_locations=folders
            )
        found = ModuleSpec(fullname, None, is_package=True)  # a folder without __init__.py
        found.submodule_search_locations = folders
        return found


_FINDER = _Finder()


def _elsewhere(led: ModuleSpec, spec: ModuleSpec, *, within: bool) -> bool:
    """Whether Python would take a module, within a package or not, from another file."""
    if within or not (led.has_location and spec.has_location):
        return within and led.origin != spec.origin
    return Path(str(led.origin)).resolve() != Path(str(spec.origin)).resolve()


def _refuse_edited(here: str, files: Mapping[str, str]) -> None:
    """Raise if a file was edited since this process imported it."""
    for name, file in files.items():
        now = digests.file_digest(Path(file))
        if _DIGESTS.get(file, now) != now and name in sys.modules:
            raise UserError(f"{here}: {file} was edited since it was imported; run again")
        _DIGESTS[file] = now


def refuse_unseen(before: Collection[str]) -> None:
    """Raise if a file of the user's was imported or run whose content is not in the key.

    A layer may import one when it is made or called, by a name that it computes.

    Args:
        before: the names of the modules that were there before.

    Raises:
        UserError: with the file, and how to write it.
    """
    if not _NAMED:
        return
    last = _NAMED[-1]
    own = _OWN | {name.partition(".")[0] for name in _NAMED}
    if said := unseen.module(before, _DIGESTS, own, _FILES) or unseen.text(_DIGESTS):
        _UNSEEN[_FILES[last]] = f"model.custom_objects={last}: {said}"
        raise UserError(_UNSEEN[_FILES[last]])


def _why(error: Exception, files: set[str]) -> str:
    """What went wrong in an import, and in which line of the user's."""
    return f"cannot be imported ({_said(error, _place(error, files))})"


def _place(error: BaseException, files: set[str]) -> str:
    """The last line of these files that an exception passed; nothing if it passed none."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename in files]
    return f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


def _said(error: Exception, place: str) -> str:
    """An exception in one line."""
    kind = "" if isinstance(error, ImportError | guard.Ended) else f"{type(error).__name__}: "
    text = "".join(each if each.isprintable() else " " for each in f"{kind}{error}")
    return f"{' '.join(text.split())[:300]}{place}"
