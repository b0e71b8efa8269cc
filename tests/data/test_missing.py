"""Missing values within sequences: counted, interpolated over time, or masked."""

import re
from pathlib import Path
from typing import Any

import numpy as np
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
