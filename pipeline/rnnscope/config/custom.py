"""The user's own Python module, which holds what a saved model is made of beyond Keras' classes.

Nothing here runs unless the user has named the module.
"""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError


def source(name: str) -> Path:
    """The file of the module ``package.module``; only the packages that it lies in are imported.

    Raises:
        UserError: no such module, or one without a source file.
    """
    _look_here_too()
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise UserError(f"model.custom_objects={name}: {error}") from error
    if found is None or not found.has_location or found.origin is None:
        raise UserError(
            f"model.custom_objects={name}: no such module here or among the installed ones; "
            "write it as in an import, package.module"
        )
    return Path(found.origin)


def members(name: str) -> dict[str, Any]:
    """Import the module; its classes and functions by name."""
    source(name)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"model.custom_objects={name}: cannot be imported ({error})") from error
    return {
        name: member
        for name, member in vars(module).items()
        if inspect.isclass(member) or inspect.isfunction(member)
    }


def _look_here_too() -> None:
    """Let the working folder be imported from, as ``python -m`` does, whatever started us."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
