"""Configs as the command line composes them."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from rnnscope import config
from rnnscope.config import CONF, Config, Engine
from rnnscope.stages import STAGES
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures

PROJECT = Path(__file__).resolve().parents[1]


def analysed(stage: str, options: Any, recorded: Path, folder: Path, workers: int = 1) -> Figures:
    """Run one analysis stage with the given options over recorded states; returns its figures."""
    config = composed(Path())
    setattr(config, stage, options)
    config.engine = Engine("local", workers)
    return STAGES[stage].run(config, Inputs({"extract": recorded}), folder)


def composed(root: Path, *overrides: str) -> Config:
    """The checked config of ``rnnscope root=<root> <overrides>``."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return config.load(compose("config", [f"root={root}", *overrides]))
