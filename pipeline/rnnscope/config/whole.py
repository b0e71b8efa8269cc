"""All groups together: the configuration of one run."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rnnscope.config.data import Data
from rnnscope.config.engine import Engine
from rnnscope.config.model import Model
from rnnscope.config.options import option
from rnnscope.config.source import source_file
from rnnscope.config.stages import (
    Ablation,
    Collect,
    Compare,
    Decoding,
    Extract,
    Population,
    Train,
    Units,
)

Section = TypeVar("Section")


@dataclass
class Config:
    """The whole configuration of one run."""

    stage: str = option()
    """The stage to bring up to date, with what is missing before it."""
    mode: str = option(choices=("run", "plan", "force"))
    """run what is missing; plan says what would run, and why; force runs the stage again."""
    seed: int = option(low=0, high=2**32 - 1)
    """Seed of the initial weights, of dropout and of the order of the batches."""
    root: str = option()
    """Folder of everything written."""
    data: Data = option()
    model: Model = option()
    train: Train = option()
    extract: Extract = option()
    units: Units = option()
    population: Population = option()
    decoding: Decoding = option()
    ablation: Ablation = option()
    collect: Collect = option()
    compare: Compare = option()
    engine: Engine = option()


def files(section: Any) -> dict[str, Path]:
    """The files whose content a section of the config stands for: field -> path."""
    found = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if value is not None and field.metadata.get("file"):
            found[field.name] = Path(value)
        if value is not None and field.metadata.get("module"):
            found[field.name] = source_file(value)
    return found


def located(section: Section) -> Section:
    """The same section, its files named in full: right also from another working folder."""
    assert dataclasses.is_dataclass(section)
    assert not isinstance(section, type)
    paths = {
        field.name: str(Path(value).resolve())
        for field in dataclasses.fields(section)
        if field.metadata.get("file") and (value := getattr(section, field.name)) is not None
    }
    return dataclasses.replace(section, **paths)
