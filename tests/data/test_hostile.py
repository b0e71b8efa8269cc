"""Hostile data is refused in one line, in little time and memory; the rest is read."""

import copy
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rnnscope import config, data
from rnnscope.errors import UserError
from tests.compose import PROJECT, _composed
from tests.data.hostile import CASES, Case

LONGEST = 300
"""Characters of a message, but for the folder's name."""
LIMITED = """
import resource, sys, time
from pathlib import Path
from rnnscope.errors import UserError
from tests.data.hostile import CASES
from tests.data.test_hostile import composed, loaded

composed()
case = next(case for case in CASES if case.name == sys.argv[1])
options = case.make(Path(sys.argv[2]))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, used + 10**9))
started = time.process_time()
try:
    loaded(options, Path(sys.argv[2]))
except UserError as error:
    print(error)
print(time.process_time() - started)
"""


@cache
def composed() -> Any:
    return _composed(("data=files", "data.path=none"))


def loaded(options: list[str], folder: Path) -> data.Dataset:
    """The data set that options name, by way of the checked config."""
    raw = copy.deepcopy(composed())
    raw.root = str(folder)
    for override in options:
        key, _, value = override.partition("=")
        OmegaConf.update(raw, key, OmegaConf.create(f"a: {value}").a)
    return data.load(config.load(raw).data)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in CASES if not case.large]
)
def test_data_is_refused_in_one_line_or_read(case: Case, tmp_path: Path) -> None:
    if case.says is None:
        dataset = loaded(case.make(tmp_path), tmp_path)
        for split in (dataset.train, dataset.val, dataset.test):
            if split is not None:
                assert len(split.take(slice(0, 5)).x)
        return
    with pytest.raises(UserError) as caught:
        loaded(case.make(tmp_path), tmp_path)
    message = str(caught.value)
    assert re.search(case.says, message), message
    assert message.isprintable()
    assert len(message.replace(str(tmp_path), "")) <= LONGEST, message
    assert str(tmp_path) in message or "data." in message


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="sizes are read from /proc")
@pytest.mark.parametrize("name", [case.name for case in CASES if case.large])
def test_what_is_large_is_refused_within_5_seconds_and_1_gb(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, name, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=300,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 0, done.stderr
    *message, seconds = done.stdout.splitlines()
    (case,) = (case for case in CASES if case.name == name)
    assert case.says
    assert len(message) == 1
    assert re.search(case.says, message[0]), message
    assert float(seconds) < 5


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150
    assert sum(case.says is None for case in CASES) < len(CASES) / 3
