"""What Hydra may do with a composed config: only its known parts are made, and only below the root.

Hydra makes objects of whatever class a config names, and folders wherever it says, before it calls
``task``. So every config that it composes passes here first.
"""

import argparse
import contextlib
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from rnnscope import stages
from rnnscope.config import CONF
from rnnscope.config.paths import root_of
from rnnscope.config.twice import refuse_flags_twice, refuse_twice
from rnnscope.errors import UserError, brief

SWEEPER = "hydra_plugins.rnnscope_sweeper.RnnscopeSweeper"
LOGGING = {
    "logging.StreamHandler",
    "logging.FileHandler",
    "logging.Formatter",
    "ext://sys.stdout",
    "ext://sys.stderr",
}
"""What a config may name for Hydra to import, beside its installed plugins."""
MAKERS = ("_target_", "()", "class", "factory")
"""Entries whose value is imported and called."""
_IMPORTS = re.compile(r"\s*(ext|cfg)://")


@contextlib.contextmanager
def guarded(words: Sequence[str]) -> Iterator[list[Path]]:
    """Have ``allowed`` look at every config that Hydra composes inside; yields their roots.

    Before Hydra composes one, its overrides are looked at: none may come twice.

    Args:
        words: the words of the command line.

    Raises:
        UserError: there is no working folder, a word that makes Hydra read a pickle, or a flag
            that is given twice.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(f"the working folder is gone ({error.strerror}); cd to another") from error
    if any(word.startswith("--e") for word in words):
        raise UserError("--experimental-rerun: reads a pickle, which may run any code; not allowed")
    refuse_flags_twice(words)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        of_hydra: Any = type(GlobalHydra.instance().hydra)
    compose, roots = of_hydra.compose_config, []

    @functools.wraps(compose)
    def composed(self: Any, config_name: Any, overrides: list[str], **options: Any) -> DictConfig:
        refuse_twice(overrides)
        config = allowed(compose(self, config_name, overrides, **options))
        if "root" in config:
            roots.append(root_of(config.root))
        return config

    usage = argparse.ArgumentParser.error
    of_hydra.compose_config = composed
    argparse.ArgumentParser.error = _one_line  # type: ignore[assignment, method-assign]
    try:
        yield roots
    finally:
        of_hydra.compose_config = compose
        argparse.ArgumentParser.error = usage  # type: ignore[method-assign]


def _one_line(_: argparse.ArgumentParser, message: str) -> NoReturn:
    """In place of the usage of a dozen lines."""
    if "unrecognized arguments" in message and "=" in message:
        message += "; write flags such as -m before all overrides"
    raise UserError(f"{brief(message, 300)}; see rnnscope --help and --hydra-help")


def allowed(composed: DictConfig) -> DictConfig:
    """The config; of a plan or a check, so that Hydra writes nothing.

    Raises:
        UserError: a class, function or callback that Hydra would make and that is not ours, or a
            root that is no folder.
    """
    if "hydra" not in composed:
        return composed
    plugins = {f"{each.__module__}.{each.__name__}" for each in Plugins.instance().discover()}
    for key, value in _made(OmegaConf.to_container(composed.hydra, resolve=False), "hydra"):
        if value not in plugins | LOGGING:
            raise UserError(
                f"{key}={value}: not run, since a config may name no code; leave it out"
            )
    if composed.hydra.get("callbacks"):
        raise UserError("hydra.callbacks: not run, since a config may name no code; leave it out")
    if "root" in composed:
        root_of(composed.root)
    if composed.get("mode") == "plan" or composed.get("stage") == stages.CHECK:
        with read_write(composed), open_dict(composed):
            composed.hydra.run.dir = "."
            composed.hydra.output_subdir = None
            _without_files(composed.hydra.job_logging)
    return composed


def _made(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all that would be imported in a part of the config."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for name, value in items:
        if isinstance(value, dict | list):
            yield from _made(value, f"{key}.{name}")
        elif name in MAKERS or (isinstance(value, str) and _IMPORTS.match(value)):
            yield f"{key}.{name}", value
        elif name == "stream" and isinstance(value, str):
            yield f"{key}.{name}", value  # an interpolation might end in an import


def _without_files(logging: Any) -> None:
    """Take out the handlers that write to files."""
    if not isinstance(logging, DictConfig) or "handlers" not in logging:
        return
    files = [name for name, each in logging.handlers.items() if "filename" in each]
    for name in files:
        del logging.handlers[name]
    for owner in (logging.get("root"), *(logging.get("loggers") or {}).values()):
        if owner and "handlers" in owner:
            owner.handlers = [name for name in owner.handlers if name not in files]
