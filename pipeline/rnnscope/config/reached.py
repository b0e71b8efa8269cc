"""The source files that a Python module is made of, from its import statements, without running it.

A key is computed from them. What is installed counts by its version, which manifests record, and
not here: the standard library, and packages below site-packages other than the module's own. Not
found are modules whose names are computed, and files that code reads; ``models.custom`` refuses the
former where it sees them.
"""

import ast
import importlib.util
import site
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_INSTALLED = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_INSTALLED |= {*site.getsitepackages(), site.getusersitepackages()}


def modules(name: str, first: ModuleSpec) -> dict[str, ModuleSpec]:
    """The module and all of the user's own modules that it imports, by their full names.

    Args:
        name: of the module, as in ``import package.module``.
        first: where its outermost package is.
    """
    own = name.partition(".")[0]
    tops: dict[str, ModuleSpec | None] = {own: first}
    found: dict[str, ModuleSpec] = {}
    waiting = [name]
    while waiting:
        for each in _with_packages(waiting.pop()):
            if each in found:
                continue
            outer, _, last = each.rpartition(".")
            if outer:
                spec = _within(found.get(outer), last)
            else:
                if each not in tops:
                    tops[each] = _users(each)
                spec = tops[each]
            if spec is None:
                break  # not there, an attribute, or installed: nothing within it counts
            found[each] = spec
            waiting += _imported(each, spec)
    return found


def _with_packages(name: str) -> Iterator[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``: importing it runs them all."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def outermost(part: str) -> ModuleSpec | None:
    """Where a top-level module or package is: where Python looks, then in the working folder.

    Raises:
        ValueError: an empty name, or a module that has no file.
    """
    found = importlib.util.find_spec(part)  # without a dot in it, this imports nothing
    if found is None or found.origin is None:
        # A package without __init__.py may lie in both: Python then merges its folders.
        found = PathFinder.find_spec(part, [*sys.path, str(Path.cwd())])
    return found


def _users(part: str) -> ModuleSpec | None:
    """Where a top-level module is, if it is the user's own."""
    if part in sys.stdlib_module_names or part in ("rnnscope", "hydra_plugins"):
        return None
    try:
        spec = outermost(part)
    except ValueError:
        return None
    return None if spec is None or installed(spec) else spec


def installed(spec: ModuleSpec) -> bool:
    """Whether a module is part of Python or of an installed package."""
    folders = [str(Path(spec.origin).parent)] if spec.origin and spec.has_location else []
    folders = folders or list(spec.submodule_search_locations or [])
    return not folders or any(map(is_installed, folders))


def is_installed(folder: str) -> bool:
    """Whether a folder belongs to Python or to an installed package."""
    path = Path(folder).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.is_relative_to(Path(each).resolve()) for each in _INSTALLED if each)


def _within(package: ModuleSpec | None, last: str) -> ModuleSpec | None:
    """A module of a package."""
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(last, list(package.submodule_search_locations))


def _imported(name: str, spec: ModuleSpec) -> list[str]:
    """The modules that a module may import, and names of what it takes out of them."""
    tree = _tree(spec)
    if tree is None:
        return []
    inside = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [each.name for each in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                start = _absolute(module or "", level, inside)
                if start is not None:
                    found.append(start)
                    found += [f"{start}.{each.name}" for each in names if each.name != "*"]
            case ast.Call(args=[ast.Constant(value=str() as given), *_], func=function):
                called = getattr(function, "attr", getattr(function, "id", ""))
                if called in ("import_module", "__import__"):
                    start = _absolute(
                        given.lstrip("."), len(given) - len(given.lstrip(".")), inside
                    )
                    found += [start] if start else []
            case ast.Assign(
                targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple() as public
            ):
                constants = [each.value for each in public.elts if isinstance(each, ast.Constant)]
                # What a star takes out of a package.
                found += [f"{name}.{each}" for each in constants if isinstance(each, str)]
    return [each for each in found if all(part.isidentifier() for part in each.split("."))]


def _absolute(module: str, level: int, inside: str) -> str | None:
    """The full name of a module that is named from within a package; None if above the package."""
    if not level:
        return module
    parts = inside.split(".") if inside else []
    if level > len(parts):
        return None
    return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


def _tree(spec: ModuleSpec) -> ast.AST | None:
    """The syntax of a module's source; None if it has none, or none that Python reads."""
    if spec.origin is None or not spec.has_location or Path(spec.origin).suffix != ".py":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its syntax; importing it gives them
            return ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # importing it will say so
