"""A planted answer: states made by hand, in which it is known what each unit does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import scipy.stats

from tests.compose import analysed, composed
from tests.recordings import Recording, write


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """States in which unit 3 carries class, 5 is dead, 7 decays with tau = 12, 9 duplicates 3."""
    random = np.random.default_rng(0)
    n, t, u, k = 800, 120, 12, 4
    labels = random.integers(0, k, n).astype(np.int32)
    values = random.normal(size=(n, t, u))
    values[..., 3] += 2 * (labels == 2)[:, np.newaxis]
    values[..., 5] = 0.25
    noise = random.normal(size=(n, t + 200))
    values[..., 7] = scipy.signal.lfilter([1], [1, -np.exp(-1 / 12)], noise)[:, 200:]
    values[..., 9] = values[..., 3]
    # What all sequences have in common at a timestep is no fluctuation.
    values[..., [3, 7, 9]] += np.linspace(0, 5, t)[:, np.newaxis]
    lengths = random.integers(80, t + 1, n)
    folder = tmp_path_factory.mktemp("planted")
    made = {"lstm": {"c": values.astype(np.float32)}}
    write(folder / "states", Recording(made, lengths, labels, k), parts=5, seed=3)
    config, recorded = composed(folder), folder / "states"
    analysed("units", replace(config.units, permutations=1000), recorded, folder)
    analysed("population", config.population, recorded, folder)
    return folder


def test_the_planted_units_are_found_and_no_others(planted: Path) -> None:
    table = pd.read_parquet(planted / "units.parquet").set_index("unit")
    assert table.query("q_value < 0.05").index.tolist() == [3, 9]
    assert table.query("mi_q < 0.05").index.tolist() == [3, 9]
    assert table.query("dead").index.tolist() == [5]
    assert table.query("timescale_fit == 'decays'").index.tolist() == [7]


def test_the_planted_class_is_carried_as_strongly_as_it_was_made(planted: Path) -> None:
    row = pd.read_parquet(planted / "units.parquet").set_index("unit").loc[3]
    assert row["preferred_class"] == 2
    assert row["dprime"] == pytest.approx(2, abs=0.25)
    assert row["auc"] == pytest.approx(scipy.stats.norm.cdf(2 / np.sqrt(2)), abs=0.03)
    # Of the variance of 1 about the means, and 3/16 · 2² of the means themselves.
    assert row["eta2"] == pytest.approx(0.75 / 1.75, abs=0.06)
    assert row["mutual_information"] > 0.2
    over_time = pd.read_parquet(planted / "timesteps.parquet").query("unit == 3")
    assert over_time["eta2"].median() == pytest.approx(0.75 / 1.75, abs=0.03)
    tuning = pd.read_parquet(planted / "tuning.parquet").query("unit == 3")
    means = tuning.pivot_table("mean", index="timestep", columns="label")
    assert (means[2] - means[[0, 1, 3]].mean(axis=1)).mean() == pytest.approx(2, abs=0.05)


def test_the_planted_decay_has_its_timescale(planted: Path) -> None:
    table = pd.read_parquet(planted / "units.parquet").set_index("unit")
    assert table.loc[7, "timescale"] == pytest.approx(12, rel=0.1)
    assert table.loc[7, "lag1"] == pytest.approx(np.exp(-1 / 12), abs=0.005)
    others = table.drop(index=[3, 5, 7, 9])
    assert (others["lag1"].abs() < 0.03).all()


def test_the_planted_dead_unit_has_no_statistic_that_needs_variance(planted: Path) -> None:
    row = pd.read_parquet(planted / "units.parquet").set_index("unit").loc[5]
    needing = ["skewness", "kurtosis", "lag1", "timescale", "timescale_r2", "eta2", "omega2"]
    needing += ["f_statistic", "p_value", "log10_p", "q_value", "preferred_class", "dprime", "auc"]
    assert row[needing].isna().all()
    assert (row["std"], row["mutual_information"], row["mi_p"]) == (0, 0, 1)
    assert (row["hoyer"], row["lifetime_sparseness"]) == (0, 0)


def test_the_planted_duplicate_is_the_same_in_every_column_and_found_redundant(
    planted: Path,
) -> None:
    table = pd.read_parquet(planted / "units.parquet").drop(columns="unit")
    pd.testing.assert_series_equal(table.loc[3], table.loc[9], check_names=False)
    pairs = pd.read_parquet(planted / "correlation.parquet")
    clustered = pairs.dropna(subset="cluster")
    assert clustered[["unit", "other"]].to_numpy().tolist() == [[3, 9]]
    assert clustered["correlation"].item() == pytest.approx(1, abs=1e-6)
