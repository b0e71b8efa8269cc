"""Adjusted p-values by hand and against SciPy, and those of whole tables."""

import numpy as np
import pandas as pd
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.statistics.testing import q_values, with_q_values
from rnnscope.store.tables import Column, Table

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]

PROBABILITIES = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=30).map(
    np.array
)


@QUICK
@given(PROBABILITIES)
def test_q_values_are_those_of_benjamini_and_hochberg(p: Float) -> None:
    q = q_values(p)
    by_hand = [min(1, min(x * len(p) / (p <= x).sum() for x in p[p >= each])) for each in p]
    np.testing.assert_allclose(q, by_hand, rtol=1e-12)
    np.testing.assert_allclose(q, scipy.stats.false_discovery_control(p), rtol=1e-12)


@QUICK
@given(PROBABILITIES)
def test_q_values_rise_with_p_and_never_lie_below_it(p: Float) -> None:
    q = q_values(p)
    assert (np.diff(q[np.argsort(p)]) >= 0).all()
    assert (q >= p * (1 - 1e-12)).all()
    assert (q <= 1).all()


@QUICK
@given(PROBABILITIES, st.integers(1, 5))
def test_unknown_p_values_stay_unknown_and_do_not_count(p: Float, unknown: int) -> None:
    places = np.random.default_rng(unknown).integers(0, len(p) + 1, unknown)
    with_gaps = np.insert(p, places, np.nan)
    q = q_values(with_gaps)
    np.testing.assert_array_equal(np.isnan(q), np.isnan(with_gaps))
    np.testing.assert_array_equal(q[~np.isnan(q)], q_values(p))


def test_nothing_known_gives_nothing() -> None:
    assert np.isnan(q_values(np.full(3, np.nan))).all()


TABLE = Table(
    "made",
    "key",
    (
        Column("key", "text", lambda frame: frame["key"]),
        Column("q", "p adjusted", adjusts="p"),
        Column("p", "probability", lambda frame: frame["p"]),
    ),
)


def test_the_p_values_of_a_table_are_adjusted_within_its_keys() -> None:
    source = pd.DataFrame({"key": ["a", "b", "a", "b"], "p": [0.01, 0.5, 0.03, np.nan]})
    found = with_q_values(TABLE, TABLE.frame(source), ["key"])
    assert list(found) == ["key", "q", "p"]
    np.testing.assert_allclose(found["q"], [0.02, 0.5, 0.03, np.nan])
    assert TABLE.nulls(source, found)["q", "not defined for its values"] == 1


def test_without_keys_the_p_values_of_all_rows_are_adjusted_together() -> None:
    p = np.array([0.01, 0.5, 0.03, np.nan])
    source = pd.DataFrame({"key": ["a", "b", "a", "b"], "p": p})
    found = with_q_values(TABLE, TABLE.frame(source), ())
    q = scipy.stats.false_discovery_control(p[:3])
    np.testing.assert_allclose(found["q"], [*q, np.nan])


def test_a_table_without_rows_has_its_columns() -> None:
    source = pd.DataFrame({"key": [], "p": np.array([], np.float64)})
    found = with_q_values(TABLE, TABLE.frame(source), ["key"])
    assert list(found) == ["key", "q", "p"]
    assert found["q"].dtype == np.float64
