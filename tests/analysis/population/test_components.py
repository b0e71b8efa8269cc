"""Principal components and trajectories, against scikit-learn and by hand."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from rnnscope import states
from rnnscope.analysis.population import components
from rnnscope.analysis.population.columns import COMPONENTS
from rnnscope.analysis.population.components import Axes
from rnnscope.analysis.statistics import covariance
from rnnscope.analysis.statistics.covariance import Covariances

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.floating]


def summed(values: Float, parts: int = 3) -> Covariances:
    sums = covariance.empty(1, len(values))
    for part in np.array_split(values, parts, axis=1):
        covariance.add(sums, 0, part)
    return sums


def drawn(seed: int, units: int, rows: int) -> Float:
    random = np.random.default_rng(seed)
    spread = np.linspace(1, 3, units)[:, np.newaxis]
    turn = np.linalg.qr(random.normal(size=(units, units)))[0]
    return turn @ (spread * random.normal(size=(units, rows))) + random.normal(size=(units, 1))


@QUICK
@given(
    seed=st.integers(0, 999),
    units=st.integers(1, 9),
    rows=st.integers(12, 60),
    k=st.integers(1, 11),
)
def test_axes_are_scikit_learns_but_for_their_sign(
    seed: int, units: int, rows: int, k: int
) -> None:
    values = drawn(seed, units, rows)
    got = components.axes(summed(values), k)
    expected = PCA(min(k, units), svd_solver="full").fit(values.T)
    np.testing.assert_allclose(got.variance, expected.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(got.share, expected.explained_variance_ratio_, rtol=1e-8)
    np.testing.assert_allclose(got.centre, expected.mean_, rtol=1e-9, atol=1e-12)
    signs = np.sign((got.loading * expected.components_).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(got.loading, signs * expected.components_, atol=1e-6)
    size = np.abs(got.loading)
    np.testing.assert_allclose(size.max(axis=1), got.loading.max(axis=1), rtol=1e-6)
    here = np.random.default_rng(seed).permutation(rows)[: rows // 2]
    projected = signs * expected.transform(values.T[here]).T
    np.testing.assert_allclose(components.project(got, values, here), projected, atol=1e-5)


def test_equally_large_loadings_have_the_sign_that_makes_the_first_positive() -> None:
    line = np.random.default_rng(0).normal(size=200)
    for parts in (1, 2, 7, 40):
        axes = components.axes(summed(np.stack([0 * line, -line, line, line]), parts), 1)
        np.testing.assert_allclose(axes.loading[0], np.array([0, 1, -1, -1]) / np.sqrt(3))


def test_an_axis_along_which_nothing_varies_is_null() -> None:
    values = drawn(0, 2, 50)
    flat = np.concatenate([values, values[:1] + values[1:], 0 * values[:1] + 3])
    axes = components.axes(summed(flat), 9)
    assert axes.loading.shape == (4, 4)
    assert np.isnan(axes.loading).all(axis=1).tolist() == [False, False, True, True]
    assert axes.share[:2].sum() == pytest.approx(1)
    assert axes.variance[2:].tolist() == axes.share[2:].tolist() == [0, 0]


@pytest.mark.parametrize("rows", [1, 5])
def test_states_that_do_not_vary_have_no_axes(rows: int) -> None:
    axes = components.axes(summed(np.ones((3, rows)) * 0.1, 1), 2)
    assert axes.loading.shape == (2, 3)
    for each in (axes.loading, axes.variance, axes.share):
        assert np.isnan(each).all()


def test_the_table_has_one_row_per_component_and_unit() -> None:
    axes = components.axes(summed(drawn(0, 3, 50)), 2)
    pooled = SimpleNamespace(axes=axes, units=np.array([4, 7, 9], np.int32))
    table = COMPONENTS.frame(pooled)
    assert table["component"].tolist() == [1, 1, 1, 2, 2, 2]
    assert table["unit"].tolist() == [4, 7, 9, 4, 7, 9]
    wide = table.pivot_table(values="loading", index="component", columns="unit")
    np.testing.assert_array_equal(wide, axes.loading)
    by_component = table.groupby("component")[["variance", "variance_share"]].agg(["min", "max"])
    expected = np.repeat(np.stack([axes.variance, axes.share], axis=1), 2, axis=1)
    np.testing.assert_array_equal(by_component, expected)


def lay(
    folder: Path, values: Float, rows: states.RowKeys, cuts: list[int], order: list[int]
) -> states.Signal:
    """Values [U, R] in parts, between whole sequences; read in an order of their own."""
    bounds = np.searchsorted(rows.sequence, [0, *cuts, rows.sequence[-1] + 1])
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        part = slice(start, stop)
        label = None if rows.label is None else rows.label[part]
        keys = states.RowKeys(rows.sequence[part], rows.timestep[part], label)
        lines = np.ascontiguousarray(values[:, part], np.float32)
        file = states.part_file(folder, "lstm", "c", number)
        states.write_part(file, "c", lines, keys, "lz4")
    signal = states.open_signal(folder, "lstm", "c")
    return replace(signal, files=tuple(signal.files[number] for number in order))


def by_hand(
    axes: Axes, values: Float, rows: states.RowKeys, timesteps: NDArray[np.int32]
) -> pd.DataFrame:
    """The trajectories by pandas, from all rows at once."""
    coordinates = axes.loading @ (values.astype(np.float64) - axes.centre[:, np.newaxis])
    label = np.zeros(len(rows.sequence)) if rows.label is None else rows.label
    frame = pd.DataFrame({"label": label, "timestep": rows.timestep})
    names = [f"component_{n}" for n in range(1, len(coordinates) + 1)]
    frame[names] = coordinates.T
    groups = frame[frame["timestep"].isin(timesteps)].groupby(["label", "timestep"])
    table = groups[names].mean()
    table.insert(0, "sequences", groups.size())
    return table.reset_index()


@pytest.mark.parametrize("of", ["sequences", "timesteps", "nothing"])
@pytest.mark.parametrize("timesteps", [[0, 1, 2, 3, 4, 5], [1, 4]])
def test_trajectories_are_means_of_projected_rows(
    of: str, timesteps: list[int], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 7, 40)
    lengths[0] = 6
    labels = random.choice([0, 2, 3], 40).astype(np.int32)
    rows = states.row_keys(0, lengths, None if of == "nothing" else labels)
    if of == "timesteps":
        changing = random.choice([0, 2, 3], len(rows.sequence)).astype(np.int32)
        rows = states.RowKeys(rows.sequence, rows.timestep, changing)
    values = drawn(1, 5, len(rows.sequence)).astype(np.float32)
    axes = components.axes(summed(values), 3)
    steps = np.array(timesteps, np.int32)
    expected = by_hand(axes, values, rows, steps)
    whole = lay(tmp_path / "whole", values, rows, [], [0])
    parts = lay(tmp_path / "parts", values, rows, [3, 4, 20], [2, 0, 3, 1])
    k = 0 if of == "nothing" else 5
    for signal in (whole, parts):
        found = components.trajectories(axes, signal, steps, k)
        assert found.label.dtype == "Int32"
        if of == "nothing":
            assert found.label.isna().all()
        else:
            assert found.label.tolist() == expected["label"].tolist()
        got = np.stack([found.timestep, found.sequences, *found.means])
        columns = ["timestep", "sequences", "component_1", "component_2", "component_3"]
        np.testing.assert_allclose(got.T, expected[columns], rtol=1e-10, atol=1e-10)
