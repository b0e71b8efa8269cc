"""Demixed components, from states whose axes of time and of class are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope.analysis.population import demixing
from rnnscope.analysis.population.demixing import Cells
from tests.analysis.population.test_population import OPTIONS, Tables, measured
from tests.recordings import Recording

Float = NDArray[np.float64]
U, T, K = 6, 12, 3
TIME, CLASS = (np.array(axis) / 5 for axis in ([3, 4, 0, 0, 0, 0], [4, 0, 3, 0, 0, 0]))
"""Axes of time and of class, which are not orthogonal."""


def planted(counts: tuple[int, ...] = (40, 40, 40), noise: float = 0.3, seed: int = 0) -> Recording:
    """States that go along one axis with time in all classes, and lie along another by class."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int32)
    clock = np.sin(np.arange(T) / 2)[:, np.newaxis] * TIME
    values = clock + (labels - 1)[:, np.newaxis, np.newaxis] * CLASS + 7
    values = values + noise * random.normal(size=(len(labels), T, U))
    made = {"lstm": {"c": values.astype(np.float32)}}
    return Recording(made, np.full(len(labels), T), labels, len(counts))


def first(tables: Tables, marginal: str) -> pd.DataFrame:
    """The rows of a marginalisation's first component."""
    table = tables["demixed"]
    return table[(table["marginalisation"] == marginal) & (table["component"] == 1)]


def along(values: "pd.Series[float]", axis: Float) -> float:
    """|cosine| of the angle between an axis of the table and another."""
    lengths = float(np.linalg.norm(values) * np.linalg.norm(axis))
    return abs(float(values.to_numpy() @ axis)) / lengths


@pytest.mark.parametrize("counts", [(40, 40, 40), (12, 200, 60)])
def test_time_and_class_are_taken_apart(counts: tuple[int, ...], tmp_path: Path) -> None:
    tables, figures = measured(tmp_path, planted(counts, 0.1))
    assert figures["not_demixed"] == {}
    of_time, of_class = first(tables, "time"), first(tables, "class")
    assert along(of_time["encoder"], TIME) > 0.995
    assert along(of_class["encoder"], CLASS) > 0.995
    for rows, other in ((of_time, CLASS), (of_class, TIME)):
        assert along(rows["decoder"], other) < 0.1  # which a principal component is not
        assert rows["own_share"].iloc[0] > 0.99
        assert np.linalg.norm(rows["encoder"]) == pytest.approx(1)
    assert set(of_time["sequences"]) == {min(counts)}
    assert set(of_time["timesteps"]) == {T}
    assert set(of_time["classes"]) == {3}
    variance = np.sin(np.arange(T) / 2).var(), np.arange(3).var()
    for rows, known in zip((of_time, of_class), variance, strict=True):
        expected = known / sum(variance)
        assert rows["marginal_share"].iloc[0] == pytest.approx(expected, abs=0.03)
        assert rows["explained"].iloc[0] == pytest.approx(expected, abs=0.1)


def test_a_share_that_is_noise_is_near_its_expectation(tmp_path: Path) -> None:
    """Classes that differ by chance alone, over 40 draws."""
    found = []
    for seed in range(40):
        sums = _cells(planted((9, 14, 30), 1, seed), 0)
        demixed = demixing.demix(sums, 3)
        of_class = demixed.marginal.index("class")
        found.append((demixed.share[of_class], demixed.noise[of_class]))
    share, noise = np.mean(found, axis=0)
    assert share == pytest.approx(noise, rel=0.08)


@pytest.mark.parametrize("lasting", [False, True])
def test_of_time_the_noise_is_an_upper_bound_that_white_noise_reaches(lasting: bool) -> None:
    """Classes that do not differ, nor change over time, over 40 draws."""
    found = []
    labels = np.repeat(np.arange(K), (9, 14, 30))
    for seed in range(40):
        random = np.random.default_rng(seed)
        values = random.normal(size=(len(labels), T, U))
        if lasting:
            values = random.normal(size=(len(labels), 1, U)) + 0.1 * values
        demixed = demixing.demix(_sums(values, labels), 3)
        of_time = demixed.marginal.index("time")
        found.append((demixed.share[of_time], demixed.noise[of_time]))
    share, noise = np.mean(found, axis=0)
    if lasting:
        assert share < 0.1 * noise
    else:
        assert share == pytest.approx(noise * (1 - 1 / T), rel=0.08)


def _cells(recording: Recording, effect: float) -> Cells:
    """The sums of a recording, of which the class axis is taken away but for a share."""
    assert recording.labels is not None
    labels, values = recording.labels, recording.signals["lstm"]["c"].astype(np.float64)
    values = values - (1 - effect) * (labels - 1)[:, np.newaxis, np.newaxis] * CLASS - 7
    return _sums(values, labels)


def _sums(values: Float, labels: NDArray[np.integer]) -> Cells:
    """The sums of values [N, T, U] of the classes [N]."""
    total = np.array([values[labels == label].sum(axis=0) for label in range(K)])
    count = np.bincount(labels)[:, np.newaxis] + np.zeros((K, T), np.int64)
    return Cells(count, total, np.einsum("ntu,ntv->uv", values, values))


def test_it_is_the_best_reduced_rank_regression_on_single_sequences(tmp_path: Path) -> None:
    """As Kobak et al. pose it: |part - F D x|^2 over all sequences, by way of their values."""
    n = 400
    recording = planted((n, n, n), 0.5)
    tables, _ = measured(tmp_path, recording, replace(OPTIONS, components=2))
    assert recording.labels is not None
    values = recording.signals["lstm"]["c"].astype(np.float64)[
        np.argsort(recording.labels, kind="stable")
    ]
    x = (values - values.mean(axis=(0, 1))).reshape(K, n, T, U)
    mean = x.mean(axis=1)
    time = mean.mean(axis=0)
    for marginal, part in (("time", np.tile(time, (K, 1, 1))), ("class", mean - time)):
        target = np.repeat(part[:, np.newaxis], n, axis=1).reshape(-1, U)
        solution = np.linalg.lstsq(x.reshape(-1, U), target, rcond=None)[0]
        fitted = x.reshape(-1, U) @ solution
        axis = np.linalg.svd(fitted, full_matrices=False)[2][0]
        rows = first(tables, marginal)
        assert along(rows["encoder"], axis) > 1 - 1e-4
        assert along(rows["decoder"], solution @ axis) > 1 - 1e-4


def test_parts_in_any_order_give_the_same_components(tmp_path: Path) -> None:
    recording = planted((30, 31, 9))
    recording.lengths = np.random.default_rng(0).integers(7, T + 1, 70)
    one, _ = measured(tmp_path / "one", recording)
    many, _ = measured(tmp_path / "many", recording, parts=7, seed=0)
    pd.testing.assert_frame_equal(many["demixed"], one["demixed"], rtol=1e-8, atol=1e-10)
    assert set(one["demixed"]["timesteps"]) <= {7, 8, 9, 10, 11, 12}


def test_where_there_is_nothing_to_demix_the_reason_is_said(tmp_path: Path) -> None:
    recording = planted()
    assert recording.labels is not None
    per_timestep = np.tile(recording.labels[:, np.newaxis], (1, T))
    still = {"lstm": {"c": np.full((120, T, U), 1e6, np.float32)}}
    for number, (changed, why) in enumerate(
        (
            (replace(recording, labels=None), "sequences have no classes"),
            (replace(recording, labels=per_timestep), "sequences have no classes"),
            (replace(recording, labels=np.zeros(120, np.int32), k=1), "fewer than two classes"),
            (replace(recording, signals=still), "nothing varies"),
            (replace(recording, lengths=np.ones(120, np.int64)), "fewer than two classes"),
        )
    ):
        tables, figures = measured(tmp_path / f"{number}", changed)
        assert figures["not_demixed"]["lstm/c"].startswith(why)
        assert len(tables["demixed"]) == 0
    assert list(tables["demixed"].dtypes.astype(str)[:5]) == [
        *("category", "category", "category", "int32", "int32")
    ]


def test_no_component_is_of_a_marginalisation_that_does_not_vary(tmp_path: Path) -> None:
    recording = planted(noise=0)
    values = recording.signals["lstm"]["c"]
    values[:] = values[:, :1]
    tables, _ = measured(tmp_path, recording)
    assert set(tables["demixed"]["marginalisation"]) == {"class"}
    assert set(tables["demixed"]["component"]) == {1}
