"""Sparseness: its two ends, its invariances, and its formulas on random arrays."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.statistics.sparseness import hoyer, treves_rolls

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SHAPES = {"units": st.integers(1, 5), "n": st.integers(2, 300), "seed": st.integers(0, 999)}

Float = NDArray[np.float64]
Sparseness = Callable[[Float, Float, int], Float]
BOTH = pytest.mark.parametrize("sparseness", [hoyer, treves_rolls])


def of(sparseness: Sparseness, values: Float) -> Float:
    """The sparseness of each line of values [U, R]."""
    return sparseness(np.abs(values).mean(axis=1), (values**2).mean(axis=1), values.shape[1])


def drawn(units: int, n: int, seed: int) -> Float:
    """Values [U, R] of either sign, more and more of them 0 from unit to unit."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(units, n)) * (random.random((units, n)) < 1 / (1 + seed % 3))
    values[:, 0] = 1
    return values


@QUICK
@given(**SHAPES)
def test_hoyers_is_the_ratio_of_norms(units: int, n: int, seed: int) -> None:
    values = drawn(units, n, seed)
    one, two = (np.linalg.norm(values, order, axis=1) for order in (1, 2))
    expected = (np.sqrt(n) - one / two) / (np.sqrt(n) - 1)
    np.testing.assert_allclose(of(hoyer, values), expected, rtol=1e-10, atol=1e-12)


@QUICK
@given(**SHAPES)
def test_treves_and_rolls_is_what_the_mean_lacks_of_the_power(
    units: int, n: int, seed: int
) -> None:
    rates = np.abs(drawn(units, n, seed))
    activity = rates.sum(axis=1) ** 2 / n / (rates**2).sum(axis=1)
    expected = (1 - activity) / (1 - 1 / n)
    np.testing.assert_allclose(of(treves_rolls, rates), expected, rtol=1e-10, atol=1e-12)


@BOTH
@pytest.mark.parametrize("n", [2, 3, 1000])
@pytest.mark.parametrize("value", [1.0, 0.1, -3e-6, 1e9])
def test_a_constant_has_none_and_one_value_alone_has_all(
    sparseness: Sparseness, n: int, value: float
) -> None:
    constant, alone = np.full((1, n), value), np.zeros((1, n))
    alone[0, n // 2] = value
    assert of(sparseness, constant).item() == pytest.approx(0, abs=1e-12)
    assert of(sparseness, alone).item() == pytest.approx(1, abs=1e-12)


@BOTH
@QUICK
@given(**SHAPES, scale=st.sampled_from([1e-6, 0.3, -1.0, 1e6]))
def test_neither_scale_nor_sign_nor_order_counts_and_it_stays_in_range(
    sparseness: Sparseness, units: int, n: int, seed: int, scale: float
) -> None:
    values = drawn(units, n, seed)
    found = of(sparseness, values)
    assert ((found >= 0) & (found <= 1)).all()
    order = np.random.default_rng(seed).permutation(n)
    changed = of(sparseness, scale * values[:, order])
    np.testing.assert_allclose(changed, found, rtol=1e-9, atol=1e-9)


@BOTH
def test_a_silent_unit_and_a_single_value_have_no_sparseness(sparseness: Sparseness) -> None:
    assert np.isnan(of(sparseness, np.zeros((2, 5)))).all()
    assert np.isnan(of(sparseness, np.array([[3.0], [0.1]]))).all()
