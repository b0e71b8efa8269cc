"""Paths that options name: the user's home folder written out, what is no path refused."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf

from rnnscope.errors import UserError

Section = TypeVar("Section")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def path_of(option: str, value: Any) -> str:
    """The path that an option names, with ``~`` as the home folder.

    Raises:
        UserError: nothing, not a text, an address, or a path with control characters.
    """
    if not isinstance(value, str) or not value.strip():
        given = "null" if value is None else value
        unset = "; is a variable of the shell unset?" if isinstance(value, str) else ""
        raise UserError(f"{option}={given}: must be a path{unset}")
    if scheme := _SCHEME.match(value):
        remedy = "mount it, or copy it to a disk, and give the path there"
        if scheme[1].lower() == "file":
            remedy = f"write {option}={re.sub('^file:/+', '/', value, flags=re.IGNORECASE)}"
        raise UserError(f"{option}={value}: an address, not a path; {remedy}")
    if not value.isprintable():
        raise UserError(
            f"{option}={value!a}: a path with characters that cannot be printed; rename it"
        )
    if not value.startswith("~"):
        return value
    home = os.path.expanduser(value)  # noqa: PTH111 (Path's has another error for each cause)
    if home.startswith("~"):
        raise UserError(
            f"{option}={value}: no such home folder, or HOME is not set; write the whole path"
        )
    return home


def root_of(value: Any) -> Path:
    """The folder of ``root=``, in full.

    Raises:
        UserError: it is no path, or the top of the file system.
    """
    if isinstance(value, bool | int | float):
        value = str(value).lower()
    root = Path(path_of("root", value)).resolve()
    if root == Path(root.anchor):
        raise UserError(
            f"root={value}: the top of the file system; give a folder of its own, such as "
            "root=/data/outputs, or leave root= out"
        )
    return root


def settled(section: Section) -> Section:
    """The section, and those in it, with paths of files as ``path_of`` gives them."""
    _settle(section, "")
    return section


def _settle(section: Any, prefix: str) -> None:
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            _settle(value, f"{prefix}{field.name}.")
        elif field.metadata.get("file") and value is not None:
            setattr(section, field.name, path_of(f"{prefix}{field.name}", value))


# Where Hydra writes the log of a run, in every process that composes a job's config.
OmegaConf.register_new_resolver("logs", lambda root: str(root_of(root) / "logs"), replace=True)
