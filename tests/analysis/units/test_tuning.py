"""Means by class and timestep against pandas, and what the class explains of each against SciPy."""

import functools

import numpy as np
import pandas as pd
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.units.classes import ClassSums, merge
from rnnscope.analysis.units.columns import TIMESTEPS, TUNING
from rnnscope.analysis.units.tuning import Responses, mean_over_time, tuning_sums
from rnnscope.states import RowKeys

QUICK = settings(max_examples=30, deadline=None, derandomize=True)
SHAPES = {"n": st.integers(1, 40), "t": st.integers(1, 6), "seed": st.integers(0, 999)}
K = 4
UNITS = [3, 17, 4]

Float = NDArray[np.float64]


def drawn(n: int, t: int, seed: int, *, changing: bool) -> tuple[Float, RowKeys]:
    """Values [U, R] of sequences of any length; labels of sequences, or changing in time."""
    random = np.random.default_rng(seed)
    valid = np.arange(t) < random.integers(1, t + 1, n)[:, np.newaxis]
    sequence, timestep = np.nonzero(valid)
    labels = random.integers(0, K - 1, n)[sequence]  # the last class never occurs
    if changing:
        labels = random.integers(0, K - 1, len(sequence))
    values = random.normal(size=(len(UNITS), len(sequence))) + labels + 10 * timestep
    number, step, label = (each.astype(np.int32) for each in (sequence, timestep, labels))
    return values, RowKeys(number, step, label)


def summed(values: Float, rows: RowKeys, t: int, parts: int = 1) -> ClassSums:
    """The sums over parts of the rows."""
    sums = []
    for piece in np.array_split(np.arange(len(rows.sequence)), parts):
        label = None if rows.label is None else rows.label[piece]
        part = RowKeys(rows.sequence[piece], rows.timestep[piece], label)
        sums.append(tuning_sums(values[:, piece], part, K, t))
    return functools.reduce(merge, sums)


def tuning(sums: ClassSums, t: int, *, labelled: bool = True) -> pd.DataFrame:
    return TUNING.frame(Responses(sums, np.array(UNITS, np.int32), t, labelled))


def by_timestep(sums: ClassSums, t: int) -> pd.DataFrame:
    return TIMESTEPS.frame(Responses(sums, np.array(UNITS, np.int32), t, labelled=True))


def long(values: Float, rows: RowKeys) -> pd.DataFrame:
    """One row per unit and row."""
    frame = pd.DataFrame({"timestep": rows.timestep, "label": rows.label})
    return pd.concat(
        [
            frame.assign(unit=unit, x=line, place=place)
            for place, (unit, line) in enumerate(zip(UNITS, values, strict=True))
        ]
    )


@QUICK
@given(**SHAPES, parts=st.integers(1, 5), changing=st.booleans())
def test_means_and_their_errors_are_those_of_pandas(
    n: int, t: int, seed: int, parts: int, changing: bool
) -> None:
    values, rows = drawn(n, t, seed, changing=changing)
    got = tuning(summed(values, rows, t, parts), t)
    groups = long(values, rows).groupby(["place", "label", "timestep"])["x"]
    expected = groups.agg(["count", "mean", "sem"]).reset_index()
    assert got["unit"].tolist() == np.array(UNITS)[expected["place"]].tolist()
    for name in ("label", "timestep", "count"):
        assert got[name].tolist() == expected[name].tolist(), name
    np.testing.assert_allclose(got["mean"], expected["mean"], rtol=1e-10)
    np.testing.assert_allclose(got["standard_error"], expected["sem"], rtol=1e-8, atol=1e-12)
    types = got.dtypes.astype(str).to_dict()
    assert types == {
        "unit": "int32",
        "label": "Int32",
        "timestep": "int32",
        "count": "int64",
        "mean": "float64",
        "standard_error": "float64",
    }


@QUICK
@given(**SHAPES, parts=st.integers(1, 5), changing=st.booleans())
def test_the_explained_share_at_each_timestep_is_that_of_scipy(
    n: int, t: int, seed: int, parts: int, changing: bool
) -> None:
    values, rows = drawn(n, t, seed, changing=changing)
    got = by_timestep(summed(values, rows, t, parts), t)
    assert rows.label is not None
    expected = []
    for line in values:
        for timestep in np.unique(rows.timestep):
            here = rows.timestep == timestep
            classes = np.unique(rows.label[here])
            groups = [line[here & (rows.label == label)] for label in classes]
            between, within = len(classes) - 1, here.sum() - len(classes)
            explained = np.nan
            if between and within:
                f = scipy.stats.f_oneway(*groups)[0]
                explained = f * between / (f * between + within)
            expected.append((timestep, here.sum(), explained))
    timesteps, counts, eta2 = zip(*expected, strict=True)
    assert got["timestep"].tolist() == list(timesteps)
    assert got["count"].tolist() == list(counts)
    assert got["unit"].tolist() == np.repeat(UNITS, len(got) // len(UNITS)).tolist()
    np.testing.assert_allclose(got["eta2"], eta2, rtol=1e-8, atol=1e-12)


@QUICK
@given(**SHAPES, parts=st.integers(1, 5), changing=st.booleans())
def test_the_peak_is_the_largest_share_over_timesteps_that_enough_sequences_reach(
    n: int, t: int, seed: int, parts: int, changing: bool
) -> None:
    values, rows = drawn(n, t, seed, changing=changing)
    sums = summed(values, rows, t, parts)
    eta2, step = Responses(sums, np.array(UNITS, np.int32), t, labelled=True).peak
    table = by_timestep(sums, t)
    assert rows.label is not None
    enough = table[table["count"] >= 2 * len(np.unique(rows.label))]
    for place, unit in enumerate(UNITS):
        known = enough[enough["unit"] == unit].dropna().set_index("timestep")["eta2"]
        if known.empty:
            assert np.isnan(eta2[place])
        else:
            assert (eta2[place], step[place]) == (known.max(), known.idxmax())


@QUICK
@given(**SHAPES, changing=st.booleans())
def test_the_mean_over_time_is_that_of_all_classes_together(
    n: int, t: int, seed: int, changing: bool
) -> None:
    values, rows = drawn(n, t, seed, changing=changing)
    got = mean_over_time(summed(values, rows, t, 3), t)
    for timestep in range(t):
        here = values[:, rows.timestep == timestep]
        expected = here.mean(axis=1) if here.size else np.zeros(len(UNITS))
        np.testing.assert_allclose(got[:, timestep], expected, rtol=1e-12)


def test_without_labels_all_rows_of_a_timestep_are_one_group() -> None:
    values, rows = drawn(20, 4, 0, changing=False)
    bare = RowKeys(rows.sequence, rows.timestep, None)
    sums = tuning_sums(values, bare, 1, 4)
    got = tuning(sums, 4, labelled=False)
    assert got["label"].isna().all()
    assert str(got["label"].dtype) == "Int32"
    groups = long(values, bare).groupby(["place", "timestep"])["x"]
    np.testing.assert_allclose(got["mean"], groups.mean(), rtol=1e-10)
    np.testing.assert_allclose(got["standard_error"], groups.sem(), rtol=1e-10)
    assert by_timestep(sums, 4)["eta2"].isna().all()


def test_timesteps_that_were_not_recorded_have_no_row() -> None:
    values, rows = drawn(30, 6, 0, changing=False)
    here = np.isin(rows.timestep, [1, 4])
    assert rows.label is not None
    some = RowKeys(rows.sequence[here], rows.timestep[here], rows.label[here])
    sums = tuning_sums(values[:, here], some, K, 6)
    assert set(tuning(sums, 6)["timestep"]) == {1, 4}
    assert by_timestep(sums, 6)["timestep"].tolist() == [1, 4] * 3
