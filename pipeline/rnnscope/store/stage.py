"""What a stage is: the type of the entries in ``stages/table.py``."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]
"""What a stage reports: JSON values for its manifest, of which ``headline`` is also printed."""


@dataclass(frozen=True)
class Stage:
    """A named step, declared once in ``stages/table.py``."""

    name: str
    version: int
    """Raised by hand whenever the same config gives another result."""
    module: str
    """Where its function ``run`` is; imported only when the stage runs, because TensorFlow,
    scikit-learn and Matplotlib take seconds to import."""
    needs: tuple[str, ...] = ()
    """Stages whose artefacts it reads."""
    asked: tuple[tuple[str, Callable[[Any], bool]], ...] = ()
    """Further stages, each with what tells from the config whether it reads their artefacts."""
    reads: tuple[str, ...] = ()
    """Sections of the config it depends on."""
    shows: str = ""
    """Another stage, over as many runs, whose artefact it reads where there is one of what it reads
    itself; it does not make the other run."""
    tables: tuple[str, ...] = ()
    """Its Parquet tables. The first is the main one: without it the artefact is damaged."""
    tensorflow: bool = False
    """Whether it runs a model."""
    resumes: bool = False
    """Whether it continues from what an interrupted run left behind."""
    spreads: bool = False
    """Whether its parts can run on other machines."""
    runs: int = 0
    """For a stage over several runs: how many it needs at least."""

    @property
    def run(self) -> Callable[..., Figures]:
        """The function that runs it: takes the config, the inputs and the folder to fill."""
        function: Callable[..., Figures] = importlib.import_module(self.module).run
        return function
