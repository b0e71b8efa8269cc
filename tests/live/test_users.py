"""A user of the wheel, in an empty folder: the README's snippets run, and mypy sees the types.

The environment is that of ``test_wheel``: fresh, with the wheel and what it depends on.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose import PROJECT
from tests.test_readme import snippets
from tests.test_wheel import installed, said, wheel

__all__ = ["installed", "wheel"]

pytestmark = pytest.mark.process

USER = """
import keras
import numpy as np
import rnnscope

model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
states = rnnscope.record(model, np.zeros((2, 5, 3), np.float32), units=[0])
reveal_type(states)
reveal_type(states["lstm"]["c"])
reveal_type(states.residuals)
reveal_type(rnnscope.open_states("recorded"))
reveal_type(rnnscope.measure)
rnnscope.record(model, 0, unit=[0])
states.nothing
"""


def test_the_snippets_in_your_own_code_run_with_the_wheel_alone(
    installed: Path, tmp_path: Path
) -> None:
    text = (PROJECT / "README.md").read_text()
    (section,) = [each for each in text.split("\n## ") if each.startswith("In your own code")]
    python = "".join(code for language, code in snippets(section) if language == "python")
    check = "\nassert states['lstm']['c'].shape == (200, 20, 16)\nassert len(units) == 6 * 16\n"
    said(installed / "python", "-c", python + check, cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"recorded"}
    assert (tmp_path / "recorded" / "lstm" / "c" / "part-00000.parquet").is_file()


def test_help_tells_what_there_is(installed: Path, tmp_path: Path) -> None:
    text = said(installed / "python", "-c", "import rnnscope; help(rnnscope)", cwd=tmp_path)
    for name in ("record(model", "open_states(folder", "measure(states", "class States", "Raises"):
        assert name in text


@pytest.mark.slow
def test_mypy_sees_the_types_in_a_users_project(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--python-executable", installed / "python", "user.py"]
    done = subprocess.run(
        list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = re.findall(r"(\d+): (?:note|error): (.*)", done.stdout)
    assert not [line for _, line in found if "rnnscope" in line and "missing" in line], done.stdout
    shown = [line for _, line in found if line.startswith("Revealed type")]
    assert len(shown) == 5
    assert "rnnscope.live.states.States" in shown[0]
    assert "numpy.ndarray" in shown[1]
    assert "float32" in shown[1] or "floating" in shown[1]
    assert "dict[" in shown[2]
    assert "rnnscope.live.states.States" in shown[3]
    assert "Unexpected keyword argument" in done.stdout
    assert '"States" has no attribute "nothing"' in done.stdout
