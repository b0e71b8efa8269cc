"""The configuration of one run: all groups together."""

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rnnscope.config.data import Data
from rnnscope.config.engine import Engine
from rnnscope.config.intervention import Intervention
from rnnscope.config.model import Model
from rnnscope.config.options import PATH, SEED, option
from rnnscope.config.source import source_files
from rnnscope.config.stages import (
    Ablation,
    Collect,
    Compare,
    Decoding,
    Extract,
    FixedPoints,
    Population,
    Report,
    Train,
    Units,
)

Section = TypeVar("Section")


@dataclass
class Config:
    """The whole configuration of one run."""

    stage: str = option(
        pattern="[a-z_]{1,40}", words="the name of a stage, which rnnscope --help lists"
    )
    """The stage to bring up to date, along with the stages that it needs; rnnscope --help lists
    them."""
    mode: str = option(choices=("run", "plan", "force"))
    """run: run what is missing; plan: print what would run, and why; force: run the named stage
    even if it is up to date."""
    seed: int = option(low=0, high=SEED)
    """Seed of the initial weights, of dropout and of the order of batches."""
    root: str = option(longest=PATH)
    """Folder to which everything is written. By default it is outputs/ beside pyproject.toml in a
    clone, and in the working folder elsewhere."""
    data: Data = option()
    model: Model = option()
    train: Train = option()
    extract: Extract = option()
    units: Units = option()
    population: Population = option()
    decoding: Decoding = option()
    ablation: Ablation = option()
    intervention: Intervention = option()
    fixed_points: FixedPoints = option()
    report: Report = option()
    collect: Collect = option()
    compare: Compare = option()
    engine: Engine = option()


def counted(section: Any) -> dict[str, Any]:
    """The options of a section that are part of keys, by name."""
    found = dataclasses.asdict(section)
    rules = {field.name: field.metadata for field in dataclasses.fields(section)}
    return {
        name: value
        for name, value in found.items()
        if not rules[name].get("no_key")
        and not (value is None and rules[name].get("no_key_if_null"))
    }


def absent_if_null(group: str) -> list[str]:
    """The options of a group that manifests leave out where they are null."""
    kind = typing.get_type_hints(Config).get(group)
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return [field.name for field in fields if field.metadata.get("no_key_if_null")]


def files(section: Any) -> dict[str, Path]:
    """The files whose content counts in a section of the config: field -> path.

    Of a module's helpers the name is ``field.helper``.
    """
    found = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if value is not None and field.metadata.get("file"):
            found[field.name] = Path(value)
        if value is not None and field.metadata.get("module"):
            for name, path in source_files(value).items():
                found[field.name if name == value else f"{field.name}.{name}"] = path
    return found


def located(section: Section) -> Section:
    """The section with absolute paths, which hold in any working folder."""
    assert dataclasses.is_dataclass(section)
    assert not isinstance(section, type)
    paths = {
        field.name: str(Path(value).resolve())
        for field in dataclasses.fields(section)
        if field.metadata.get("file") and (value := getattr(section, field.name)) is not None
    }
    return dataclasses.replace(section, **paths)
