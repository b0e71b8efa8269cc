"""Choices that do not depend on rounding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.analysis.statistics.choosing import first_of_largest, spread


def test_of_equally_large_values_the_first_is_taken_whatever_their_rounding() -> None:
    rows = np.array([[1, 3, 3 * (1 + 1e-9), 0], [5, 5 * (1 + 1e-5), 0, 0], [0, 0, 0, 0]])
    assert first_of_largest(rows).tolist() == [1, 1, 0]
    assert first_of_largest(np.stack([rows, rows[:, ::-1]])).tolist() == [[1, 1, 0], [1, 2, 0]]
    assert first_of_largest(np.empty((0, 3))).shape == (0,)


@given(st.integers(1, 200), st.integers(1, 60))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_numbers_are_spread_evenly_from_the_first_to_the_last(count: int, most: int) -> None:
    chosen = spread(count, most)
    assert len(chosen) == min(count, most)
    assert chosen[-1] == count - 1
    if len(chosen) > 1:
        assert chosen[0] == 0
        assert np.ptp(np.diff(chosen)) <= 1
        assert np.diff(chosen).min() > 0
