"""The source files of the user's Python module, found without importing anything.

A key is computed from them, also for mode=plan, so finding them must not run the user's code or
change what this process imports.
"""

from importlib.machinery import ModuleSpec
from pathlib import Path

from rnnscope.config import reached
from rnnscope.errors import UserError


def specs(name: str) -> dict[str, ModuleSpec]:
    """The module ``package.module`` and all of the user's modules that it imports, by full name.

    Packages that they lie in are among them. The module is looked for where Python looks, and then
    in the working folder.

    Raises:
        UserError: no such module, or one without a source file.
    """
    try:
        first = reached.outermost(name.partition(".")[0])
    except ValueError as error:  # an empty name, or a module that has no file
        raise UserError(f"model.custom_objects={name}: {error}") from error
    found = {} if first is None else reached.modules(name, first)
    if name not in found or not found[name].has_location:
        raise UserError(
            f"model.custom_objects={name}: no such module, installed or in the working folder; "
            "write it as in an import, package.module"
        )
    return found


def source_files(name: str) -> dict[str, Path]:
    """The files of the module and of all that it imports of the user's own, by full name.

    Raises:
        UserError: no such module, or one without a source file.
    """
    found = specs(name)
    return {each: Path(str(spec.origin)) for each, spec in found.items() if spec.has_location}


def source_file(name: str) -> Path:
    """The file of the module itself, as ``models.custom`` will import it.

    Raises:
        UserError: no such module, or one without a source file.
    """
    return source_files(name)[name]
