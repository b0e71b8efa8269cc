"""What Hydra may do with a composed config: only its known parts are made, and only below the root.

Hydra makes objects of whatever class a config names, and folders wherever it says, before it calls
``task``. So every config that it composes passes here first.
"""

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from rnnscope.config.paths import root_of
from rnnscope.errors import UserError

SWEEPER = "hydra_plugins.rnnscope_sweeper.RnnscopeSweeper"
KNOWN = {
    SWEEPER,
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",  # refused where a sweep begins
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "logging.StreamHandler",
    "logging.FileHandler",
    "logging.Formatter",
    "ext://sys.stdout",
    "ext://sys.stderr",
}
"""What a config may name for Hydra to make or import."""
MAKERS = ("_target_", "()", "class", "factory")
"""Entries whose value is imported and called."""
_IMPORTS = re.compile(r"\s*(ext|cfg)://")


@contextlib.contextmanager
def guarded() -> Iterator[list[Path]]:
    """Have ``allowed`` look at every config that Hydra composes inside; yields their roots."""
    compose, roots = Hydra.compose_config, []

    @functools.wraps(compose)
    def composed(*args: Any, **options: Any) -> DictConfig:
        config = allowed(compose(*args, **options))
        if "root" in config:
            roots.append(root_of(config.root))
        return config

    Hydra.compose_config = composed
    try:
        yield roots
    finally:
        Hydra.compose_config = compose


def allowed(composed: DictConfig) -> DictConfig:
    """The config; of a plan, so that Hydra writes nothing.

    Raises:
        UserError: a class, function or callback that Hydra would make and that is not ours, or a
            root that is no folder.
    """
    if "hydra" not in composed:
        return composed
    for key, value in _made(OmegaConf.to_container(composed.hydra, resolve=False), "hydra"):
        if value not in KNOWN:
            raise UserError(
                f"{key}={value}: not run, since a config may name no code; leave it out"
            )
    if composed.hydra.get("callbacks"):
        raise UserError("hydra.callbacks: not run, since a config may name no code; leave it out")
    if "root" in composed:
        root_of(composed.root)
    if composed.get("mode") == "plan":
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
