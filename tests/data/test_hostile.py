"""Hostile data is refused in one line that names it, in little time and memory; the rest is read."""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rnnscope import config, data
from rnnscope.errors import UserError
from tests.compose import _composed
from tests.data.hostile import CASES, Case

LONGEST = 300
"""Characters of a message, but for the folder's name."""


@cache
def composed() -> Any:
    return _composed(("data=files", "data.path=none"))


def loaded(case: Case, folder: Path) -> data.Dataset:
    """The data set of a case, by way of the checked config."""
    raw = copy.deepcopy(composed())
    raw.root = str(folder)
    for override in case.make(folder):
        key, _, value = override.partition("=")
        OmegaConf.update(raw, key, OmegaConf.create(f"a: {value}").a)
    return data.load(config.load(raw).data)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_data_is_refused_in_one_line_or_read(case: Case, tmp_path: Path) -> None:
    if case.says is None:
        dataset = loaded(case, tmp_path)
        for split in (dataset.train, dataset.val, dataset.test):
            if split is not None:
                assert len(split.take(slice(0, 5)).x)
        return
    with pytest.raises(UserError) as caught:
        loaded(case, tmp_path)
    message = str(caught.value)
    assert re.search(case.says, message), message
    assert message.isprintable()
    assert len(message.replace(str(tmp_path), "")) <= LONGEST, message
    assert str(tmp_path) in message or "data." in message


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150
    assert sum(case.says is None for case in CASES) < len(CASES) / 3
