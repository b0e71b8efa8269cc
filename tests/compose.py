"""Configs as the command line composes them."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pipeline import config
from pipeline.config import Config

PROJECT = Path(__file__).resolve().parents[1]


def composed(root: Path, *overrides: str) -> Config:
    """The checked config of ``python -m pipeline root=<root> <overrides>``."""
    if not OmegaConf.has_resolver("project"):
        OmegaConf.register_new_resolver("project", lambda folder: str(PROJECT / folder))
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return config.load(compose("config", [f"root={root}", *overrides]))
