"""The source file of a Python module, found without importing anything.

A key is computed from it, also for mode=plan, so finding it must not run the user's code or change
what this process imports.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from rnnscope.errors import UserError


def source_file(name: str) -> Path:
    """The file of the module ``package.module``, as ``models.custom`` will import it.

    It is looked for where Python looks, and then in the working folder.

    Raises:
        UserError: no such module, or one without a source file.
    """
    first, *inner = name.split(".")
    found = _outermost(first, name)
    for part in inner:
        within = None if found is None else found.submodule_search_locations
        found = None if within is None else PathFinder.find_spec(part, list(within))
    if found is None or not found.has_location or found.origin is None:
        raise UserError(
            f"model.custom_objects={name}: no such module, installed or in the working folder; "
            "write it as in an import, package.module"
        )
    return Path(found.origin)


def _outermost(part: str, name: str) -> ModuleSpec | None:
    """Where a top-level module or package is."""
    try:
        found = importlib.util.find_spec(part)  # without a dot in it, this imports nothing
    except ValueError as error:  # an empty name, or a module that has no file
        raise UserError(f"model.custom_objects={name}: {error}") from error
    if found is None or found.origin is None:
        # A package without __init__.py may lie in both: Python then merges its folders.
        found = PathFinder.find_spec(part, [*sys.path, str(Path.cwd())])
    return found
