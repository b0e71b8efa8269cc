"""The user's own Python module, with what a saved model is made of beyond Keras' classes."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from rnnscope.config.source import source_file
from rnnscope.errors import UserError


def members(name: str) -> dict[str, Any]:
    """Import the module; its classes and functions by name.

    Raises:
        UserError: it cannot be found or imported, or another file than the one in the model's key
            was imported.
    """
    source = source_file(name)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: what lies there must not shadow an installed package
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"model.custom_objects={name}: cannot be imported ({error})") from error
    if (imported := getattr(module, "__file__", None)) != str(source):
        raise UserError(f"model.custom_objects={name}: {imported} was imported, not {source}")
    return {
        name: member
        for name, member in vars(module).items()
        if inspect.isclass(member) or inspect.isfunction(member)
    }
