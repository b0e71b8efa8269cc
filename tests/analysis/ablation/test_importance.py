"""Rank correlations of statistics with importance, against SciPy and by counting orders."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.ablation.columns import IMPORTANCE
from rnnscope.analysis.ablation.importance import rank_correlations, spearman, statistics_in
from rnnscope.analysis.statistics.testing import with_q_values
from rnnscope.analysis.units.columns import UNITS
from rnnscope.store.tables import Column, Table

Float = NDArray[np.float64]

COUNT = 30


def ablation(lost: Float) -> pd.DataFrame:
    """Units of two layers, of one of them by two methods."""
    units = np.arange(len(lost), dtype=np.int32)
    made = {("a", "h_zero"): lost, ("a", "c_mean"): -lost, ("b", "h_zero"): lost**3}
    return pd.concat(
        pd.DataFrame({"layer": layer, "unit": units, "method": method, "loss_change": change})
        for (layer, method), change in made.items()
    )


def units(lost: Float) -> pd.DataFrame:
    """Statistics of c of layer a; some of them say nothing of a unit."""
    random = np.random.default_rng(9)
    count = len(lost)
    return pd.DataFrame(
        {
            "layer": pd.Categorical(["a"] * count),
            "signal": pd.Categorical(["c"] * count),
            "unit": np.arange(count, dtype=np.int32),
            "count": random.integers(3, 9, count),
            "mean": np.exp(lost),
            "std": random.normal(size=count),
            "skewness": np.where(np.arange(count) < 12, lost, np.nan) + random.normal(size=count),
            "min": 1.0,
            "forget_timescale": np.where(np.arange(count) < 4, lost, np.nan),
            "dead": lost > 0,
            "preferred_class": pd.array([1] * count, dtype="Int32"),
            "best_covariate": "depth",
            "p_value": random.random(count),
            "not_declared": lost,
        }
    )


def importance(lost: Float, made: pd.DataFrame) -> pd.DataFrame:
    rows = list(rank_correlations(ablation(lost), made, "loss_change"))
    return with_q_values(IMPORTANCE, IMPORTANCE.frame(rows), ())


def test_importance_is_the_rank_correlation_over_units() -> None:
    lost = np.random.default_rng(8).normal(size=COUNT)
    made = units(lost)
    rows = list(rank_correlations(ablation(lost), made, "loss_change"))
    table = with_q_values(IMPORTANCE, IMPORTANCE.frame(rows), ())
    assert table.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(["layer", "method", "signal", "statistic", "change"], "category"),
        "units": "int32",
        **dict.fromkeys(["spearman", "p_value", "q_value"], "float64"),
    }
    names = ["mean", "std", "skewness", "min", "forget_timescale", "dead"]
    assert table["statistic"].tolist() == names * 2  # layer b has no statistics
    first, second = (
        table[table["method"] == method].set_index("statistic") for method in ("h_zero", "c_mean")
    )
    assert first.loc["mean", "spearman"] == pytest.approx(1)
    assert second.loc["mean", "spearman"] == pytest.approx(-1)
    here = {**dict.fromkeys(names, COUNT), "skewness": 12, "forget_timescale": 4}
    assert first["units"].to_dict() == here
    for name, keep in (("std", slice(None)), ("skewness", slice(12)), ("dead", slice(None))):
        want = scipy.stats.spearmanr(made[name][keep], lost[keep])
        assert first.loc[name, "spearman"] == pytest.approx(want.statistic)
        assert first.loc[name, "p_value"] == pytest.approx(want.pvalue)
    null = ["spearman", "p_value", "q_value"]
    assert first.loc[["min", "forget_timescale"], null].isna().all(axis=None)
    reasons = IMPORTANCE.nulls(rows, table)
    for name in null:
        assert reasons.pop((name, "fewer than 5 units")) == 2
        assert reasons.pop((name, "the statistic or the change is the same for all units")) == 2
    assert not reasons


def test_all_rows_of_the_table_are_one_family() -> None:
    lost = np.random.default_rng(7).normal(size=COUNT)
    table = importance(lost, units(lost))
    known = table.dropna(subset="p_value")
    assert known[["method", "statistic"]].drop_duplicates().shape == (8, 2)
    want = scipy.stats.false_discovery_control(known["p_value"])
    np.testing.assert_allclose(known["q_value"], want)


@pytest.mark.parametrize("count", [7, 40])
def test_infinite_timescales_rank_highest_and_are_not_left_out(count: int) -> None:
    random = np.random.default_rng(6)
    tau, change = random.exponential(10, count), random.normal(size=count)
    tau[::3] = np.inf
    found, rho, p = spearman(tau, change)
    finite = np.where(np.isinf(tau), 1e6, tau)
    want = scipy.stats.spearmanr(scipy.stats.rankdata(finite), scipy.stats.rankdata(change))
    assert found == count
    assert rho == pytest.approx(want.statistic, rel=1e-12)
    if count > 8:
        assert p == pytest.approx(want.pvalue, rel=1e-9)
    made = units(np.sort(change)).assign(forget_timescale=tau)
    if count > 8:
        table = importance(change, made)
        assert (table[table["statistic"] == "forget_timescale"]["units"] == count).all()


@pytest.mark.parametrize("count", [5, 6, 7, 8])
@pytest.mark.parametrize("ties", [False, True])
def test_of_few_units_p_is_the_share_of_orders(count: int, ties: bool) -> None:
    random = np.random.default_rng(count)
    x, y = random.normal(size=(2, count))
    if ties:
        x, y[0] = np.round(x), y[1]
    _, rho, p = spearman(x, y)
    if count < 8:  # 5,040 orders at most
        orders, ranks = itertools.permutations(scipy.stats.rankdata(y)), scipy.stats.rankdata(x)
        every = np.abs([np.corrcoef(ranks, order)[0, 1] for order in orders])
        assert p == pytest.approx(np.mean(every >= abs(rho) - 1e-9), rel=1e-12)
    else:
        test = scipy.stats.permutation_test(
            (x,),
            lambda x: scipy.stats.spearmanr(x, y).statistic,
            permutation_type="pairings",
            n_resamples=2000,
            rng=1,
        )
        assert p == pytest.approx(test.pvalue, abs=4 * np.sqrt(0.25 / 2000))


@pytest.mark.parametrize("count", [5, 8, 9, 12, 64])
def test_a_perfect_correlation_of_few_units_is_not_certain(count: int) -> None:
    rising = np.arange(count, dtype=np.float64)
    assert spearman(rising, np.exp(rising))[1:] == pytest.approx((1, 2 / math.factorial(count)))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_four_units_no_order_is_unlikely_enough(count: int) -> None:
    found, rho, p = spearman(np.arange(count * 1.0), np.arange(count * 1.0))
    assert found == count
    assert np.isnan([rho, p]).all()


def test_the_declarations_say_which_columns_are_no_property_of_a_unit() -> None:
    made = Table(
        "made",
        "unit",
        (
            Column("x", "a property"),
            Column("x_low", "lower end"),
            Column("x_high", "upper end"),
            Column("y_low", "a property, as there is no y"),
            Column("best", "a name", kind="class"),
            Column("p_value", "probability", kind="p"),
            Column("fit", "how well it fits", evidence=True),
        ),
    )
    assert [column.name for column in made.properties()] == ["x", "y_low"]


def test_every_property_of_a_unit_takes_part_and_no_evidence() -> None:
    numbers = {column.name: [0.5] for column in UNITS.columns if column.name != "timescale_fit"}
    found = statistics_in(pd.DataFrame(numbers))
    evidence = {"unit", "count", "preferred_class", "timescale_r2", "f_statistic"}
    for word in (
        "_low",
        "_high",
        "p_value",
        "q_value",
        "log10_p",
        "mi_p",
        "mi_q",
        "_correlation_p",
    ):
        assert not [name for name in found if name.endswith(word)], word
    assert not evidence & set(found)
    assert {"mean", "lag1", "timescale", "eta2", "omega2", "dprime", "auc"} <= set(found)
