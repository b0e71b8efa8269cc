"""Dynamical similarity: systems that are the same in another basis, and others that are not."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rnnscope.analysis.compare import dynamics
from rnnscope.analysis.compare.columns import COMPARE
from tests.analysis.compare.test_compare import OPTIONS, compared, laid
from tests.recordings import Recording

Float = NDArray[np.float64]
ASKED = replace(OPTIONS, dsa=True, dsa_delays=1, dsa_rank=4)
N, T = 60, 30
installed = pytest.mark.skipif(
    importlib.util.find_spec(dynamics.PACKAGE) is None, reason="the extra dsa is not installed"
)


def turning(angles: tuple[float, float], seed: int = 0, decay: float = 0.97) -> Recording:
    """Sequences of many lengths of a linear system that turns in two planes, with noise."""
    random = np.random.default_rng(seed)
    a = np.zeros((4, 4))
    for place, angle in enumerate(angles):
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        a[2 * place : 2 * place + 2, 2 * place : 2 * place + 2] = decay * np.array(turn)
    h = np.zeros((N, T, 4))
    h[:, 0] = random.normal(size=(N, 4))
    for t in range(1, T):
        h[:, t] = h[:, t - 1] @ a.T + 0.1 * random.normal(size=(N, 4))
    lengths = np.random.default_rng(9).integers(12, T + 1, N)
    return Recording({"rnn": {"h": h.astype(np.float32)}}, lengths)


def rotated(recording: Recording, seed: int = 0) -> Recording:
    """The same system seen in another basis, with another scale and origin."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    h = 3 * recording.signals["rnn"]["h"] @ basis + 5
    return replace(recording, signals={"rnn": {"h": h.astype(np.float32)}})


def known(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance of two systems' eigenvalues, from their angles."""
    a, b = (0.97 * np.exp(1j * np.array([*each, *(-x for x in each)])) for each in (one, other))
    squares = np.abs(a[:, np.newaxis] - b) ** 2
    return float(np.sqrt(squares[linear_sum_assignment(squares)].mean()))


@installed
@pytest.mark.torch
def test_the_same_dynamics_are_near_and_others_are_far(tmp_path: Path) -> None:
    one = turning((0.3, 1.2))
    runs = [
        laid(tmp_path, "a", one),
        laid(tmp_path, "b", rotated(one)),
        laid(tmp_path, "c", rotated(turning((0.3, 1.2), 5), 1)),
        laid(tmp_path, "d", turning((0.9, 2.4))),
    ]
    table, _, figures = compared(tmp_path, *runs, options=ASKED)
    dsa = table.set_index(["run_a", "run_b"])["dsa"]
    assert dsa["a", "b"] < 1e-3
    assert dsa["a", "c"] < 0.05  # other sequences of the same system
    far = known((0.3, 1.2), (0.9, 2.4))
    assert dsa["a", "d"] == pytest.approx(far, abs=0.05)
    assert dsa["c", "d"] == pytest.approx(far, abs=0.05)
    assert (table["dsa_floor"] < 0.07).all()
    assert figures["null"]["compare"].keys().isdisjoint({"dsa", "dsa_floor"})
    again, _, _ = compared(tmp_path, *runs, options=ASKED)
    pd.testing.assert_frame_equal(again, table)


@installed
@pytest.mark.torch
def test_too_short_sequences_have_none(tmp_path: Path) -> None:
    one = turning((0.3, 1.2))
    runs = [laid(tmp_path, name, one) for name in "ab"]
    table, _, figures = compared(tmp_path, *runs, options=replace(ASKED, dsa_delays=40))
    assert table["dsa"].isna().all()
    assert figures["null"]["compare"]["dsa"] == {dynamics.SHORT: 1}


@pytest.mark.parametrize("timesteps", ["all", "last"])
def test_without_the_package_or_dynamics_the_reason_is_said(
    timesteps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamics, "PACKAGE", "no_such_package")
    runs = [laid(tmp_path, name, turning((0.3, 1.2))) for name in "ab"]
    options = replace(ASKED, timesteps=timesteps)
    table, _, figures = compared(tmp_path, *runs, options=options)
    assert table[["dsa", "dsa_floor"]].isna().all(axis=None)
    why = dynamics.LAST if timesteps == "last" else dynamics.MISSING
    assert figures["null"]["compare"]["dsa"] == {why: 1}
    assert "rnnscope[dsa]" in dynamics.MISSING


def test_the_floor_is_of_operators_of_half_of_a_runs_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the reference says so: of half as many sequences as the distance itself."""
    runs = {"a": [np.zeros((9, 2))] * 7, "b": [np.zeros((9, 2))] * 10}
    monkeypatch.setattr(dynamics, "_sequences", lambda signal, *_: runs[signal])
    monkeypatch.setattr(dynamics, "_operator", lambda states, *_: np.float32(len(states)))
    monkeypatch.setattr(dynamics, "_distance", lambda one, other: 10.0 * one + other)
    one: Any = "a"
    other: Any = "b"
    found = dynamics.similar(one, other, np.arange(10), ASKED)
    assert found.distance == 80
    assert found.floor == np.mean([43, 55])
    floor, distance = (COMPARE.column(name) for name in ("dsa_floor", "dsa"))
    assert floor is not None
    assert distance is not None
    assert "half as many sequences as those of dsa" in floor.meaning
    assert "eigenvalues of both operators" in distance.meaning
