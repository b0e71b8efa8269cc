"""The table of ``make proof``: what it counts as recognised, and its status."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.proof import __main__ as proof
from tests.proof import trained
from tests.proof.checks import Check


def words(wrong: dict[int, int]) -> pd.DataFrame:
    """Steps of aⁿbⁿ for n = 1 to 5, of which some have a wrong prediction at a timestep."""
    rows = []
    for n in range(1, 6):
        for t in range(2 * n + 1):
            phase = 0 if t == 0 else 1 if t <= n else 2
            right = wrong.get(n) != t
            rows.append((n, t, phase, min(t, 2 * n - t), right))
    return pd.DataFrame(rows, columns=["sequence", "timestep", "phase", "count", "correct"])


@pytest.mark.parametrize(
    ("wrong", "longest"),
    [
        ({}, 5),
        ({4: 6}, 3),
        ({4: 6, 2: 3}, 1),
        ({1: 2}, 0),
        ({3: 2}, 5),  # whether another a comes is not to be known
    ],
)
def test_recognised_is_every_n_up_to_the_first_wrong_one(
    wrong: dict[int, int], longest: int
) -> None:
    shuffled = words(wrong).sample(frac=1, random_state=0)
    assert trained._recognised(shuffled) == longest


@pytest.mark.parametrize("passed", [True, False, np.False_])
def test_the_status_is_1_if_a_check_fails_or_a_run(
    passed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one(root: Path) -> Iterator[Check]:
        assert root.is_dir()
        yield Check("one", "known", "source", "> 1", "2", passed)

    def broken(root: Path) -> Iterator[Check]:
        if root.is_dir():
            raise ChildProcessError("said so")
        yield from one(root)

    monkeypatch.setattr(proof, "WRITTEN", {"one": one, "other": broken})
    monkeypatch.setattr(proof, "TRAINED", {})
    monkeypatch.setattr(sys, "argv", ["proof", "--only", "one"])
    with pytest.raises(SystemExit) as ended:
        proof.main()
    assert ended.value.code == int(not passed)
    assert f"| {'pass' if passed else 'FAIL'} |" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["proof", "--only", "other"])
    with pytest.raises(SystemExit) as ended:
        proof.main()
    assert ended.value.code == 1
    assert "said so" in capsys.readouterr().err
