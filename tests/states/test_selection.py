"""Which layers, signals and timesteps a choice names."""

import re
from pathlib import Path

import numpy as np
import pytest

from rnnscope import states
from rnnscope.config import Analysis
from rnnscope.errors import UserError
from rnnscope.states import selection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of an LSTM above a GRU above a simple RNN."""
    folder = tmp_path_factory.mktemp("recorded")
    for layer, signals in {"rnn_1": "h", "gru_2": "zgrh", "lstm_10": "ogfich"}.items():
        for signal in signals:
            path = states.part_file(folder, layer, signal, 0)
            rows = states.row_keys(0, np.array([1]), None)
            states.write_part(path, signal, np.zeros((2, 1), np.float32), rows, "lz4")
    return folder


def named(folder: Path, layers: list[str] | None, signals: list[str] | None) -> list[str]:
    opened = selection.signals(folder, Analysis(layers, signals), "units")
    return [f"{signal.layer}/{signal.name}" for signal in opened]


def test_all_is_recorded_unless_less_is_asked_for(folder: Path) -> None:
    gru = [f"gru_2/{signal}" for signal in "hzrg"]
    lstm = [f"lstm_10/{signal}" for signal in "hcifog"]
    assert named(folder, None, None) == [*gru, *lstm, "rnn_1/h"]
    assert named(folder, ["lstm_10"], None) == lstm
    assert named(folder, ["rnn_1", "gru_2"], None) == [*gru, "rnn_1/h"]


def test_a_signal_is_taken_of_those_layers_that_have_it(folder: Path) -> None:
    assert named(folder, None, ["c"]) == ["lstm_10/c"]
    both = ["gru_2/h", "gru_2/g", "lstm_10/h", "lstm_10/g", "rnn_1/h"]
    assert named(folder, None, ["g", "h"]) == both
    assert named(folder, ["gru_2"], ["z"]) == ["gru_2/z"]


@pytest.mark.parametrize(
    ("layers", "signals", "says"),
    [
        (["lstm"], None, "units.layers: no 'lstm'; there is gru_2, lstm_10, rnn_1"),
        (None, ["h", "x"], "units.signals: no 'x'; there is h, z, r, g, c, i, f, o"),
        (["gru_2"], ["c"], "units.signals: no 'c'; there is h, z, r, g"),
        ([], None, "units.layers=[], units.signals=None: no rows of that kind were recorded"),
        (None, [], "units.layers=None, units.signals=[]: no rows of that kind were recorded"),
    ],
)
def test_what_was_not_recorded_is_named_beside_what_was(
    layers: list[str] | None, signals: list[str] | None, says: str, folder: Path
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        named(folder, layers, signals)


def test_a_signal_without_rows_is_not_there(folder: Path, tmp_path: Path) -> None:
    """None of the timesteps chosen may be within any sequence."""
    rows = states.row_keys(0, np.array([], int), None)
    path = states.part_file(tmp_path, "lstm", "c", 0)
    states.write_part(path, "c", np.zeros((2, 0), np.float32), rows, "lz4")
    with pytest.raises(UserError, match="no rows of that kind were recorded"):
        named(tmp_path, None, None)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ("2:4", [2, 3]),
        (":2", [0, 1]),
        ("4:", [4, 5]),
        ("::3", [0, 3]),
        ("1:6:2", [1, 3, 5]),
        ("-2:", [4, 5]),
        (":-4", [0, 1]),
        ("4:2", []),
        ("0:99", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_timesteps_are_all_or_a_slice(text: str, numbers: list[int]) -> None:
    assert selection.steps_of(text, 6).tolist() == numbers


@pytest.mark.parametrize("text", ["all", "2:4", "::3", "-2:"])
def test_what_is_analysed_is_chosen_as_what_is_written(text: str) -> None:
    valid = np.arange(6) < np.array([[6], [3], [1]])
    chosen = selection.timesteps_of(valid, text, backward=False)
    expected = valid & np.isin(np.arange(6), selection.steps_of(text, 6))
    np.testing.assert_array_equal(chosen, expected)


@pytest.mark.parametrize(("backward", "expected"), [(False, [5, 2, 4]), (True, [0, 0, 2])])
def test_the_last_timestep_is_the_last_that_the_layer_read(
    backward: bool, expected: list[int]
) -> None:
    valid = np.arange(6) < np.array([[6], [3], [5]])
    valid[2, :2] = False  # padding on the left
    chosen = selection.timesteps_of(valid, "last", backward)
    sequence, timestep = np.nonzero(chosen)
    assert (sequence.tolist(), timestep.tolist()) == ([0, 1, 2], expected)


@pytest.mark.parametrize(("text", "said"), [("all", False), ("last", False), ("0:3", True)])
def test_a_slice_may_lack_the_final_step(text: str, said: bool) -> None:
    found = selection.final_step(text)
    assert (found is not None) == said
    assert not said or (found or "").startswith("extract.timesteps=0:3: what is said of the final")
