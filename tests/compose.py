"""Configs as the command line composes them."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from rnnscope import config
from rnnscope.config import CONF, Config, Engine
from rnnscope.stages import STAGES
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures

PROJECT = Path(__file__).resolve().parents[1]
OF_THE_PAGE = [name for name in STAGES if name in (*STAGES["report"].needs, "report")]
"""The stages that run by default; the others run where they are asked for."""
FINISHED = (
    *("model.units=4", "train.steps=20", "train.validate_every=10", "data.test_fraction=0.02"),
    *("units.permutations=20", "decoding.folds=2", "decoding.max_timesteps=2"),
)
"""The overrides of the run that the fixture ``finished_root`` holds: seconds, all stages."""


def analysed(stage: str, options: Any, recorded: Path, folder: Path, workers: int = 1) -> Figures:
    """Run one analysis stage with the given options over recorded states; returns its figures."""
    config = composed(Path())
    setattr(config, stage, options)
    config.engine = Engine("local", workers)
    return STAGES[stage].run(config, Inputs({"extract": recorded}), folder)


def composed(root: Path, *overrides: str) -> Config:
    """The checked config of ``rnnscope root=<root> <overrides>``."""
    whole = copy.deepcopy(_composed(overrides))
    whole.root = str(root)
    return config.load(whole)


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """What Hydra makes of them: 0.15 s, and the tests ask for few that differ."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))
