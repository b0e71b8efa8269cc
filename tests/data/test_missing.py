"""Missing values within sequences: counted, interpolated over time, or masked."""

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.data import parquet
from rnnscope.data.missing import filled
from rnnscope.errors import UserError
from tests.data.test_arrays import npy
from tests.data.test_data import N, T, arrays, load, long_form, npz, write


@given(st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=60, derandomize=True)
def test_interpolation_is_a_line_between_the_known_neighbours(seed: int, told: bool) -> None:
    random = np.random.default_rng(seed)
    n, t, f = np.add(random.integers(1, 7, 3), (0, 2, 0))
    lengths = random.integers(3, t + 1, n)
    x = random.normal(size=(n, t, f))
    valid = np.arange(t) < lengths[:, np.newaxis]
    gone = (random.random(x.shape) < 0.4) & valid[:, :, np.newaxis]
    gone[np.arange(n), lengths - 1] = gone[:, 0] = False  # both ends are known
    with_gaps = np.where(gone | ~valid[:, :, np.newaxis], np.nan, x)
    got = filled(with_gaps, lengths if told else None, "interpolate", "x")
    for i, j, k in np.argwhere(gone):
        before = max(u for u in range(j) if not gone[i, u, k])
        after = min(u for u in range(j + 1, lengths[i]) if not gone[i, u, k])
        share = (j - before) / (after - before)
        want = (1 - share) * x[i, before, k] + share * x[i, after, k]
        assert got[i, j, k] == pytest.approx(want, abs=1e-12)
    np.testing.assert_array_equal(got[valid][~gone[valid]], x[valid][~gone[valid]])
    assert np.isnan(got[~valid]).all()
    masked = filled(with_gaps, lengths if told else None, "zero_and_mask", "x")
    np.testing.assert_array_equal(masked[valid][:, :f], np.where(gone, 0, x)[valid])
    np.testing.assert_array_equal(masked[valid][:, f:], ~gone[valid])


def test_ends_take_the_nearest_known_value() -> None:
    x = np.array([[[np.nan], [2.0], [np.nan], [4.0], [np.nan]]])
    got = filled(x, np.array([5]), "interpolate", "x")
    assert got.ravel().tolist() == [2, 2, 3, 4, 4]


FORMS: dict[str, Any] = {
    ".npz": npz,
    ".npy": npy,
    ".csv": lambda folder, made: write(folder, long_form(made), "csv"),
    ".parquet": lambda folder, made: write(folder, long_form(made)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_is_filled_alike(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    made = arrays()
    made["lengths_test"][3] = T
    made["x_test"][3] = np.arange(T)[:, np.newaxis] * [1, 2, 3]
    made["x_test"][3, 1:3, 1] = np.nan
    path = FORMS[form](tmp_path, made)
    with pytest.raises(UserError, match=r"2 .*missing.*data.missing=interpolate .*zero_and_mask"):
        load(path)
    batch = load(path, missing="interpolate").test.take(slice(None))
    np.testing.assert_allclose(batch.x[3, :, 1], np.arange(T) * 2)
    assert batch.x.shape == (N, T, 3)
    batch = load(path, missing="zero_and_mask").test.take(slice(None))
    assert batch.x[3, :, 1].tolist() == [0, 0, 0, 6, 8]
    assert batch.x[3, :, 4].tolist() == [1, 0, 0, 1, 1]
    assert (batch.x[3, :, [3, 5]] == 1).all()
    assert (batch.x[~batch.valid] == 0).all()


def test_a_feature_without_any_value_is_not_made_up(tmp_path: Path) -> None:
    made = arrays()
    made["x_test"][0, :, 2] = np.nan
    path = npz(tmp_path, made)
    with pytest.raises(UserError, match=r"feature 2 of sequence 0 has no value.*zero_and_mask"):
        load(path, missing="interpolate")
    assert load(path, missing="zero_and_mask").test.features == 6


def test_one_feature_in_two_dimensions(tmp_path: Path) -> None:
    path = npz(tmp_path, {"x_test": np.array([[1.0, np.nan, 3.0], [4.0, np.nan, np.nan]])})
    test = load(path, missing="interpolate").test
    assert test.lengths is not None
    assert test.lengths.tolist() == [3, 1]
    assert test.take(slice(None)).x.tolist() == [[1, 2, 3], [4, 0, 0]]
    mask = load(path, missing="zero_and_mask").test.take(slice(None)).x
    assert mask.tolist() == [[[1, 1], [0, 0], [3, 1]], [[4, 1], [0, 0], [0, 0]]]


def test_what_is_no_sequence_is_left_alone(tmp_path: Path) -> None:
    made = arrays() | {"x_place_test": np.full((N, 4), np.nan), "x_place_train": np.ones((N, 4))}
    with pytest.raises(UserError) as caught:
        load(npz(tmp_path, made), missing="interpolate")
    assert re.search(r"x_place_test\[0, 0\] is not a finite number", str(caught.value))
    assert "data.missing" not in str(caught.value)


def test_frames_with_gaps_are_not_offered_what_frames_do_not_take(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).normal(size=(N, T, 3, 3)).astype(np.float32)
    frames[1, 0, 2, 2] = np.nan
    with pytest.raises(UserError, match=r"missing within 1 of .*interpolate") as caught:
        load(npz(tmp_path, {"x_test": frames}))
    assert "zero_and_mask" not in str(caught.value)
    whole = load(npz(tmp_path, {"x_test": frames}), missing="interpolate").test
    assert np.isfinite(whole.take(slice(None)).x).all()


WRITTEN: dict[str, Any] = {
    "numbers": lambda steps: steps,
    "text of numbers": lambda steps: [f"t{step}"[1:] for step in steps],
    "tenths": lambda steps: 0.1 * steps + 0.1,
    "dates": lambda steps: pd.Timestamp("2016-02-28") + pd.to_timedelta(steps, "D"),
    "dates with a zone": lambda steps: (
        pd.Timestamp("2016-02-28", tz="Asia/Tokyo") + pd.to_timedelta(steps, "h")
    ),
    "days": lambda steps: [datetime.date(2016, 2, 28) + datetime.timedelta(int(n)) for n in steps],
    "text of dates": lambda steps: [
        f"{datetime.date(2016, 2, 28) + datetime.timedelta(int(n))}" for n in steps
    ],
    "clocks": lambda steps: [f"{8 + n // 60}:{n % 60:02d}:00" for n in steps],
    "times": lambda steps: [datetime.time(8 + int(n) // 60, int(n) % 60) for n in steps],
    "durations": lambda steps: pd.to_timedelta(steps, "min"),
    "nanoseconds": lambda steps: 1_456_617_600_000_000_000 + steps,
    "whole numbers of dates": lambda steps: [
        int(f"{datetime.date(2016, 1, 1) + datetime.timedelta(int(n)):%Y%m%d}") for n in steps
    ],
}
"""How a table writes the same times."""
STEPS = np.array([0, 1, 10, 11, 14, 24])


def uneven(kind: str) -> pd.DataFrame:
    """Two sequences, at each time its square; two of these are missing."""
    rows = pd.DataFrame({"timestep": WRITTEN[kind](STEPS), "a": STEPS**2.0, "b": 0.5 - STEPS})
    rows.loc[[1, 4], "a"] = np.nan
    return pd.concat([rows.assign(sequence=n) for n in range(2)], ignore_index=True)


WANT = [0, 10, 100, 121, 121 + 3 / 13 * (576 - 121), 576]
"""The squares, with the lines between 0 and 10, and between 11 and 24."""


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (kind, form)
        for kind in WRITTEN
        for form in ("csv", "parquet", "series")
        if (kind, form) != ("durations", "csv")  # their text is no time
    ],
)
def test_interpolation_is_over_the_times_that_a_table_tells(
    kind: str, form: str, tmp_path: Path
) -> None:
    frame = uneven(kind)
    changes: dict[str, Any] = {"missing": "interpolate"}
    if form == "series":
        frame = frame[frame["sequence"] == 0].drop(columns="sequence")
        changes["window"] = len(STEPS)
    got = load(write(tmp_path, frame, "csv" if form == "csv" else "parquet"), **changes)
    np.testing.assert_allclose(got.test.x[0][:, 0], WANT, rtol=1e-6)


def test_names_of_columns_may_be_times(tmp_path: Path) -> None:
    x = np.array([STEPS**2.0, -STEPS, np.sqrt(STEPS)])
    x[0, [1, 4]] = np.nan
    frame = pd.DataFrame(x, columns=[f"t{step}" for step in STEPS])
    for suffix in ("csv", "parquet"):
        got = load(write(tmp_path, frame, suffix), missing="interpolate")
        np.testing.assert_allclose(np.ravel(got.test.x[0]), WANT, rtol=1e-6)
    np.savez(tmp_path / "plain.npz", x_test=x[:, :, np.newaxis])
    got = load(tmp_path / "plain.npz", missing="interpolate")
    assert got.test.x[0][:, 0].tolist() == [0, 50, 100, 121, (121 + 576) / 2, 576]


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 600, 0.1, 1 / 3, 60_000_000_000]),
    st.sampled_from([0, -7, 0.1, 1_456_617_600]),
)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_even_times_are_the_same_as_none_bit_for_bit(seed: int, step: float, first: float) -> None:
    random = np.random.default_rng(seed)
    n, t = random.integers(1, 5), random.integers(2, 40)
    x = random.normal(size=(n, t, 2)).astype(np.float32)
    x[random.random(x.shape) < 0.3] = np.nan
    x[:, 0] = x[:, -1] = 1
    times = np.tile(np.arange(t) * step + first, (int(n), 1)).astype(np.float64)
    want = filled(x, None, "interpolate", "x")
    np.testing.assert_array_equal(filled(x, None, "interpolate", "x", times), want)


@pytest.mark.parametrize(
    "written",
    [
        ["01/02/2016", "02/02/2016", "05/02/2016"],  # days, or months
        ["01/02/03", "02/02/03", "05/02/03"],
        [20160130, 20160131, 20160201],  # steps of a day, or of 1 and 70
        [201611, 201612, 201701],
    ],
)
def test_times_that_may_be_apart_otherwise_are_refused(written: list[Any], tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"sequence": 0, "timestep": written, "a": [0, np.nan, 1], "b": [0.5, 1, 3]}
    )
    for table in (frame, frame.drop(columns="sequence")):
        path = write(tmp_path, table, "csv")
        window = {} if "sequence" in table else {"window": 3}
        with pytest.raises(UserError, match="depends on how far they are apart"):
            load(path, missing="interpolate", **window)
        load(path, missing="zero_and_mask", **window)
        load(write(tmp_path, table.fillna(0.25), "csv"), missing="interpolate", **window)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "boolean"])
@pytest.mark.parametrize("lacking", [[0], [3], [0, 7, 8]])
@pytest.mark.parametrize("how", ["interpolate", "zero_and_mask", "refuse"])
def test_nullable_columns_are_as_those_of_floats(
    kind: str, lacking: list[int], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(24) % 5
    frame = pd.DataFrame({"sequence": np.arange(24) // 6, "timestep": np.arange(24) % 6})
    frame = frame.assign(a=values > 1 if kind == "boolean" else values, b=np.sqrt(values + 1.0))
    plain, nullable = frame.astype({"a": float}), frame.astype({"a": kind})
    plain.loc[lacking, "a"] = np.nan
    nullable.loc[lacking, "a"] = pd.NA
    (tmp_path / "plain").mkdir()
    one, other = write(tmp_path / "plain", plain), write(tmp_path, nullable)
    if how == "refuse":
        for limit in (parquet.IN_MEMORY, 0):
            monkeypatch.setattr(parquet, "IN_MEMORY", limit)
            with pytest.raises(UserError, match=f"row {lacking[0]} has no value in column 'a'"):
                load(other, missing=how)
        return
    want = load(one, missing=how)
    for limit in (parquet.IN_MEMORY, 0):
        monkeypatch.setattr(parquet, "IN_MEMORY", limit)
        np.testing.assert_array_equal(load(other, missing=how).test.x, want.test.x)
    columns = ["a", "b"]
    series = [write(folder, each[columns]) for folder, each in
              ((tmp_path / "plain", plain), (tmp_path, nullable))]  # fmt: skip
    parts = [load(path, missing=how, window=4).test.x for path in series]
    np.testing.assert_array_equal(*parts)


@pytest.mark.parametrize("kind", ["Int64", "Float64"])
def test_wide_tables_may_be_nullable(kind: str, tmp_path: Path) -> None:
    values = np.arange(40.0).reshape(8, 5) ** 2 % 13
    frame = pd.DataFrame(values, columns=[f"t{n}" for n in range(5)]).astype(kind)
    frame.loc[2, "t3"] = pd.NA
    frame.loc[5, "t4"] = pd.NA  # it ends before
    got = load(write(tmp_path, frame), missing="interpolate").test
    assert got.x[2][3] == (values[2, 2] + values[2, 4]) / 2
    assert got.lengths is not None
    assert got.lengths.tolist() == [5, 5, 5, 5, 5, 4, 5, 5]
