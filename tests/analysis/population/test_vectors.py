"""States as vectors over all units, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ortho_group

from rnnscope.analysis.population import vectors
from rnnscope.states import RowKeys

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]


def rows(sequence: list[int], timestep: list[int]) -> RowKeys:
    return RowKeys(np.array(sequence, np.int32), np.array(timestep, np.int32), None)


def sparseness(values: Float) -> Float:
    """Of vectors, one per column [U, R]."""
    here = np.arange(values.shape[1])
    return vectors.measure(values, here, here > 0)[2]


def test_norm_and_speed_are_euclidean() -> None:
    values = np.array([[0, 3, 3, 6, 9], [0, 4, -8, -4, 12]], np.float32)
    keys = rows([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    here = np.array([3, 0, 1, 4, 2])
    norm, speed, sparse = vectors.measure(values, here, vectors.follows(keys)[here])
    np.testing.assert_allclose(norm, np.sqrt([52, 0, 25, 225, 73]))
    np.testing.assert_allclose(speed, [np.nan, np.nan, 5, np.sqrt(9 + 256), 12])
    np.testing.assert_allclose(sparse[4], (1 - 5.5**2 / 36.5) / (1 - 1 / 2))  # of 3 and -8


def test_a_row_follows_its_own_sequence_without_a_gap() -> None:
    keys = rows([4, 4, 4, 4, 7, 7, 8, 9], [0, 1, 3, 4, 5, 6, 7, 0])
    assert np.flatnonzero(vectors.follows(keys)).tolist() == [1, 3, 5]
    assert not vectors.follows(rows([3], [0])).any()


@pytest.mark.parametrize("units", [2, 3, 50])
def test_sparseness_is_0_for_equal_units_and_1_for_one_alone(units: int) -> None:
    signs = np.where(np.arange(units) % 2, 1.0, -1.0)
    alone = np.eye(units)[units // 2]
    values = np.stack([np.full(units, 0.3), 4 * signs, 2 * alone, -alone], axis=1)
    np.testing.assert_allclose(sparseness(values), [0, 0, 1, 1], atol=1e-12)


def test_sparseness_of_half_the_units_is_known() -> None:
    values = np.array([[1.0], [1.0], [0.0], [0.0]])
    assert sparseness(values).item() == pytest.approx((1 - 0.5) / (1 - 0.25))


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(2, 20), scale=st.sampled_from([-3, 1e-4, 1e5]))
def test_sparseness_lies_between_0_and_1_whatever_the_scale(
    seed: int, units: int, scale: float
) -> None:
    values = np.random.default_rng(seed).normal(size=(units, 30)) ** 3
    found = sparseness(values)
    assert ((found >= -1e-12) & (found <= 1 + 1e-12)).all()
    np.testing.assert_allclose(sparseness(scale * values), found, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparseness(values[::-1]), found, rtol=1e-9, atol=1e-12)


def test_a_silent_vector_and_a_single_unit_have_no_sparseness() -> None:
    assert np.isnan(sparseness(np.zeros((4, 1)))).all()
    assert np.isnan(sparseness(np.array([[2.0, 0.0]]))).all()


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(2, 12))
def test_turning_all_states_changes_neither_norm_nor_speed(seed: int, units: int) -> None:
    values = np.random.default_rng(seed).normal(size=(units, 20))
    turned = ortho_group.rvs(units, random_state=seed) @ values
    here, after = np.arange(20), np.arange(20) > 0
    one, other = (vectors.measure(each, here, after) for each in (values, turned))
    np.testing.assert_allclose(one[:2], other[:2], rtol=1e-10)
    np.testing.assert_allclose(one[0], np.linalg.norm(values, axis=0), rtol=1e-12)
    steps = np.linalg.norm(np.diff(values), axis=0)
    np.testing.assert_allclose(one[1], [np.nan, *steps], rtol=1e-12)
