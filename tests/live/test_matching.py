"""A pattern that was selected is found elsewhere, best first, as its definition says."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnscope
from rnnscope.analysis.statistics.matching import best_windows, selected
from rnnscope.errors import UserError

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(12, 9, 2)).astype(np.float32)
LENGTHS = np.array([9, 5, 2, 9, 7, 4, 9, 9, 3, 6, 9, 1])


@pytest.fixture(scope="module")
def states() -> rnnscope.States:
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((None, 2)),
        keras.layers.Masking(),
        keras.layers.LSTM(6, name="lstm"),
        keras.layers.Dense(2),
    ]
    return rnnscope.record(keras.Sequential(layers), X, lengths=LENGTHS, labels=np.arange(12) % 2)


def by_hand(
    values: Any, sequence: int, start: int, stop: int, threshold: float
) -> tuple[set[int], list[tuple[float, int, int, int]]]:
    """The definition, set by set: the units, and (-score, -shared, sequence, start), best first."""

    def on(number: int, first: int, past: int) -> set[int]:
        window = values[number, first:past]
        return {unit for unit in range(values.shape[2]) if all(window[:, unit] >= threshold)}

    wanted, found = on(sequence, start, stop), []
    for number in range(len(values)):
        places = []
        for first in range(values.shape[1] - (stop - start) + 1):
            past = first + stop - start
            if np.isnan(values[number, first:past]).any():
                continue
            if number == sequence and first < stop and start < past:
                continue
            there = on(number, first, past)
            both = len(wanted & there)
            places.append((-both / max(1, len(wanted | there)), first, both))
        if places and (best := min(places, key=lambda each: each[:2]))[2]:
            found.append((best[0], -best[2], number, best[1]))
    return wanted, sorted(found)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 11), st.integers(0, 8), st.integers(1, 4), st.floats(-0.2, 0.2), st.data())
def test_it_finds_what_the_definition_says(
    states: rnnscope.States, sequence: int, start: int, length: int, threshold: float, data: Any
) -> None:
    signal = data.draw(st.sampled_from("hcg"))
    values, stop = states["lstm"][signal], start + length
    if stop > LENGTHS[sequence]:
        with pytest.raises(UserError):
            rnnscope.match(states, sequence, start, stop, threshold, signal=signal)
        return
    wanted, places = by_hand(values, sequence, start, stop, threshold)
    if not wanted:
        with pytest.raises(UserError, match=r"no unit of lstm/. is at or above it"):
            rnnscope.match(states, sequence, start, stop, threshold, signal=signal)
        return
    found = rnnscope.match(states, sequence, start, stop, threshold, signal=signal)
    assert set(found.units) == wanted
    rows = found.places
    got = list(zip(-rows["score"], -rows["shared"], rows["sequence"], rows["start"], strict=True))
    assert [each[1:] for each in got] == [each[1:] for each in places]
    np.testing.assert_allclose([each[0] for each in got], [each[0] for each in places])
    assert (rows["stop"] - rows["start"] == length).all()
    assert (rows["label"] == rows["sequence"] % 2).all()


def test_a_copy_of_the_window_is_the_best_match_wherever_it_lies() -> None:
    draw = np.random.default_rng(1)
    values = draw.normal(size=(20, 30, 16))
    values[7, 11:15] = values[3, 20:24]
    units = selected(values[3], 20, 22, 0.5)
    assert units.any()
    best = best_windows(values, units, 2, 0.5, (3, 20, 22))
    assert best.score[7] == best.score.max() == 1
    assert best.start[7] == 11
    order = draw.permutation(16)
    again = best_windows(values[..., order], units[order], 2, 0.5, (3, 20, 22))
    np.testing.assert_array_equal(again.score, best.score)


def test_in_files_it_is_the_same(states: rnnscope.States, tmp_path: Any) -> None:
    opened = rnnscope.open_states(states.write(tmp_path / "states"))
    one, other = (rnnscope.match(each, 0, 2, 4, -0.05) for each in (states, opened))
    assert one.units == other.units
    assert one.places.equals(other.places)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((0, 4, 4, 0.0), "start=4, stop=4: must be a window of the 9 timesteps"),
        ((0, 4, 10, 0.0), "start=4, stop=10: must be a window"),
        ((2, 1, 3, 0.0), "sequence 2 has no rows at some of these timesteps"),
        ((0, 1, 3, 2.0), "threshold=2.0: no unit of lstm/c is at or above it"),
    ],
)
def test_what_cannot_be_matched_is_one_line(
    states: rnnscope.States, options: tuple[Any, ...], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        rnnscope.match(states, *options)
    with pytest.raises(ValueError, match="sequence=12: there are 12, from 0"):
        rnnscope.match(states, 12, 0, 1, 0.0)
