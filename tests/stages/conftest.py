"""A finished run of stages that take no time."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope import stages
from rnnscope.config import Config
from rnnscope.stages import STAGES
from tests.compose import composed
from tests.stages import tiny


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """The config of a run of which ``tiny.CHAIN`` is finished."""
    for name in tiny.CHAIN:
        stage = dataclasses.replace(STAGES[name], module=tiny.__name__, tensorflow=False)
        monkeypatch.setitem(STAGES, name, stage)
    config = composed(tmp_path, "stage=units")
    stages.run(config)
    yield config
    tiny.LUCK[0] = 0
