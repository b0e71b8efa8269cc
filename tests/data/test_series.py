"""One long series in windows: what stands in them, their targets, and the split in time."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.data import Dataset
from rnnscope.data.series import arrays_from_series
from rnnscope.errors import UserError
from tests.data.test_data import load, options, whole

R = 300
TIMES = pd.date_range("2016-01-11 17:00", periods=R, freq="10min")


def sensor() -> pd.DataFrame:
    """The row's number and its square root, every 10 minutes."""
    rows = np.arange(R)
    written = [f"{t.day:02d}/{t.month:02d}/{t.year} {t.hour}:{t.minute:02d}" for t in TIMES]
    return pd.DataFrame({"date": written, "row": rows * 1.0, "root": np.sqrt(rows)})


def saved(folder: Path, frame: pd.DataFrame, **changes: Any) -> Path:
    frame.to_csv(folder / "sensor.csv", index=False, **changes)
    return folder / "sensor.csv"


def complaint(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows_of(dataset: Dataset) -> list[Any]:
    return [split.take(slice(None)).x[:, :, 0] for split in whole(dataset)]


@given(
    st.integers(20, 120),
    st.integers(1, 12),
    st.integers(1, 15) | st.none(),
    st.integers(1, 5) | st.none(),
    st.sampled_from([0.2, 0.45, None]),
    st.sampled_from([0.0, 0.3]),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_windows_are_those_of_a_loop_and_cross_no_split(
    count: int,
    window: int,
    stride: int | None,
    horizon: int | None,
    test: float | None,
    validation: float,
) -> None:
    frame = pd.DataFrame({"row": np.arange(count) * 1.0})
    chosen = options(
        Path("it"),
        validation,
        window=window,
        stride=stride,
        horizon=horizon,
        test_fraction=test,
    )
    ends = [0, count]
    if test is not None:
        first = count - round(count * test)
        ends = sorted({0, first - round(first * validation), first, count})
    parts = ["test"] if test is None else ["train", "val", "test"]
    if len(ends) == 3:
        parts.remove("val")
    want: dict[str, list[int]] = {}
    for part, start, stop in zip(parts, ends[:-1], ends[1:], strict=True):
        at = start
        want[part] = []
        while at + window + (horizon or 0) <= stop:
            want[part].append(at)
            at += stride or window
    if not all(want.values()):
        with pytest.raises(UserError, match=r"too few for a window.*data\.\w+_fraction"):
            arrays_from_series(frame, chosen)
        return
    arrays, ids, task = arrays_from_series(frame, chosen)
    assert {name for name in arrays if name[0] == "x"} == {f"x_{part}" for part in want}
    for part, starts in want.items():
        x = arrays[f"x_{part}"][:, :, 0]
        np.testing.assert_array_equal(x, np.add.outer(starts, np.arange(window)))
        np.testing.assert_array_equal(ids[part], starts)
        if horizon:
            assert task == "regression"
            np.testing.assert_array_equal(arrays[f"y_{part}"], x[:, -1] + horizon)
        else:
            assert f"y_{part}" not in arrays


def test_rows_in_any_order_are_put_into_that_of_time(tmp_path: Path) -> None:
    frame = sensor()
    turned = frame.sample(frac=1, random_state=0)
    for written in (frame, turned):
        forms: list[dict[str, Any]] = [{}, {"sep": ";", "decimal": ","}, {"sep": "\t"}]
        for changes in forms:
            test = load(saved(tmp_path, written, **changes), window=48).test
            batch = test.take(slice(None))
            assert batch.x.shape == (6, 48, 2)
            np.testing.assert_array_equal(batch.x[:, :, 0].ravel(), np.arange(288))
            assert test.ids is not None
            assert test.ids[1] == "12/01/2016 1:00"
    frame.assign(date=TIMES).to_parquet(tmp_path / "sensor.parquet", index=False)
    again = load(tmp_path / "sensor.parquet", window=48).test.take(slice(None))
    np.testing.assert_array_equal(again.x[:, :, 0].ravel(), np.arange(288))


@pytest.mark.parametrize("names", [("Date", "Time"), ("date", "time"), ("DATE", "time_")])
def test_a_date_and_a_clock_in_two_columns_are_one_time(
    names: tuple[str, str], tmp_path: Path
) -> None:
    frame = sensor()
    date, clock = names
    two = pd.DataFrame(
        {date: TIMES.strftime("%d/%m/%Y"), clock: TIMES.strftime("%H.%M.%S"), "row": frame["row"]}
    ).sample(frac=1, random_state=0)
    found = load(saved(tmp_path, two), window=10, label_column="none")
    rows = found.test.take(slice(None)).x[:, :, 0]
    np.testing.assert_array_equal(rows.ravel(), np.arange(R))
    assert found.test.ids is not None
    assert found.test.ids[0] == "11/01/2016 17.00.00"


@pytest.mark.parametrize("name", ["Date_Time", "DateTime", "time stamp", "Timestamp "])
def test_the_column_of_time_may_be_written_otherwise(name: str, tmp_path: Path) -> None:
    frame = sensor().rename(columns={"date": name}).sample(frac=1, random_state=0)
    found = load(saved(tmp_path, frame), window=10, label_column="none")
    rows = found.test.take(slice(None)).x[:, :, 0]
    np.testing.assert_array_equal(rows.ravel(), np.arange(R))


def test_the_target_is_a_later_value_of_a_column_that_stays_a_feature(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {
        "window": 24,
        "stride": 3,
        "horizon": 6,
        "label_column": "row",
        "test_fraction": 0.25,
    }
    dataset = load(saved(tmp_path, sensor()), 0.2, **chosen)
    assert dataset.test.labels == "number per sequence"
    for split in whole(dataset):
        batch = split.take(slice(None))
        assert batch.y is not None
        assert batch.x.shape[2] == 2
        np.testing.assert_array_equal(batch.y, batch.x[:, -1, 0] + 6)
    train, val, test = rows_of(dataset)
    assert train.max() + 6 < val.min()
    assert val.max() + 6 < test.min()


def test_labels_of_rows_are_those_of_windows_or_of_timesteps(tmp_path: Path) -> None:
    activity = np.where(np.arange(R) < 200, "walk", "run")
    path = saved(tmp_path, sensor().assign(activity=activity))
    last = load(path, window=30, label_column="activity").test.take(slice(None)).y
    assert last is not None
    assert last.tolist() == [1] * 6 + [0] * 4
    each = load(path, window=30, label_column="last", labels="timestep")
    batch = each.test.take(slice(None))
    assert batch.y is not None
    assert batch.x.shape[2] == 2
    assert each.classes == ("run", "walk")
    np.testing.assert_array_equal(batch.y.ravel(), activity == "walk")


def test_what_each_column_is_taken_for_is_said(tmp_path: Path, caplog: Any) -> None:
    path = saved(tmp_path, sensor())
    with caplog.at_level(logging.INFO):
        load(path, window=10, label_column="root", horizon=1)
    assert "300 timesteps in order of date; features: row, root; target: root" in caplog.text


@pytest.mark.parametrize(("stride", "said"), [(3, True), (10, False), (12, False), (None, False)])
def test_windows_that_overlap_are_not_independent(
    stride: int | None, said: bool, tmp_path: Path, caplog: Any
) -> None:
    load(saved(tmp_path, sensor()), window=10, stride=stride, label_column="none")
    assert ("windows overlap" in caplog.text) == said
    assert ("data.stride=10 avoids that" in caplog.text) == said


def test_a_hole_in_time_is_said(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        load(saved(tmp_path, sensor()), window=20)
        assert not caplog.messages
        load(saved(tmp_path, sensor().drop(index=range(50, 60))), window=20)
    assert len(caplog.messages) == 1
    assert (
        "1 steps of date are longer than usual, the first after 12/01/2016 1:10"
        in (caplog.messages[0])
    )


GAP = sensor().assign(root=lambda f: f["root"].where((f.index < 10) | (f.index > 12)))


@pytest.mark.parametrize(
    ("frame", "changes", "says"),
    [
        (sensor(), {"horizon": 2}, "which column is to be predicted.*one of row, root"),
        (
            sensor(),
            {"label_column": "temp"},
            "label_column=temp: no such column; there is row, root",
        ),
        (sensor(), {"layout": "wide"}, "does not go with data.layout=wide"),
        (sensor().assign(sequence=1), {}, "has a column 'sequence': leave data.window out"),
        (sensor().assign(time=1), {}, "columns date, time may be the time"),
        (sensor().assign(place="a"), {}, "column 'place' is not numeric, so no feature"),
        (sensor().rename(columns={"date": "when"}), {}, "'when' .* if it tells the time, name it"),
        (sensor().assign(date="1/1/2016"), {}, "date 1/1/2016 is there twice"),
        (
            GAP,
            {},
            "3 missing values in 3 of 300 rows, the first in line 12, column 'root': data.miss",
        ),
        (sensor(), {"test_fraction": 0.1}, "test part has 30 of 300 .* another data.test_fraction"),
        (
            sensor(),
            {"test_fraction": 0.4, "validation": 0.1},
            "val part has 18 of 300 .* another data.validation_fraction, 0 leaves it out",
        ),
        (sensor(), {"horizon": 2, "label_column": "row", "labels": "timestep"}, "does not go with"),
    ],
)
def test_what_is_not_clear_of_a_series_is_asked(
    frame: pd.DataFrame, changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert re.search(says, complaint(saved(tmp_path, frame), window=40, **changes))


def test_missing_values_are_filled_without_looking_into_another_part(tmp_path: Path) -> None:
    frame = sensor()
    frame.loc[[100, 101, 239, 240], "row"] = np.nan
    path = saved(tmp_path, frame)
    chosen: dict[str, Any] = {"window": 60, "stride": 1, "test_fraction": 0.2}
    train, test = rows_of(load(path, missing="interpolate", **chosen))
    np.testing.assert_allclose(train[41], np.arange(41, 101))
    assert train[-1, -1] == 238  # not the mean with the first value of the test part
    assert test[0, 0] == 241
    masked = load(path, missing="zero_and_mask", **chosen).test.take(slice(None)).x
    assert masked.shape[2] == 4
    np.testing.assert_array_equal(
        masked[0, :2], [[0, np.float32(np.sqrt(240)), 0, 1], masked[0, 1]]
    )


def test_missing_values_are_filled_without_looking_into_another_group(tmp_path: Path) -> None:
    value = np.concatenate([np.arange(12.0), 1000 + np.arange(12.0)])
    frame = pd.DataFrame(
        {"time": np.arange(24), "value": value, "patient": ["a"] * 12 + ["b"] * 12}
    )
    frame.loc[[4, 11, 12], "value"] = np.nan
    path = saved(tmp_path, frame)
    (found,) = rows_of(load(path, missing="interpolate", window=4, groups="patient"))
    np.testing.assert_array_equal(found.ravel(), [*range(11), 10, 1001, *(1000 + np.arange(1, 12))])


LABELS: dict[str, Any] = {
    "text": np.resize(["up", "down"], 60).astype(object),
    "booleans": pd.array(np.arange(60) % 2 == 0, dtype="boolean"),
    "whole numbers": pd.array(np.arange(60) % 2, dtype="Int64"),
    "floats": np.arange(60) % 2 * 1.0,
    "categories": pd.Categorical(np.resize(["up", "down"], 60)),
    "days": pd.Series(np.resize(pd.to_datetime(["2016-01-01", "2016-01-02"]), 60)),
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("kind", LABELS)
def test_no_window_has_a_label_that_is_missing(
    kind: str, each: bool, suffix: str, tmp_path: Path
) -> None:
    """Windows of 6 end in rows 5, 11, …; rows 60 and 61 are past the last one."""

    def saved_without(row: int) -> Path:
        label = pd.Series(LABELS[kind]).reindex(range(62))
        frame = pd.DataFrame({"u": np.sqrt(np.arange(62.0)), "label": label})
        frame.loc[row, "label"] = None
        path = tmp_path / f"series.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        return path

    options: dict[str, Any] = {"window": 6, "labels": "timestep" if each else None}
    said = complaint(saved_without(17), **options)
    row = "line 19" if suffix == "csv" else "row 17"
    assert f"1 labels or targets of windows are missing in column 'label', the first in {row}" in (
        said
    )
    if suffix == "csv":
        last = options | {"label_column": "last"}
        assert said == complaint(saved_without(17), **last)
    y = load(saved_without(60), **options).test.y
    assert y is not None
    rows = np.arange(60).reshape(10, 6) if each else np.arange(5, 60, 6)
    pairs = set(
        zip(np.ravel(y[:]), np.asarray(LABELS[kind].astype(str))[rows].ravel(), strict=True)
    )
    assert len(pairs) == (2 if each else 1)


@pytest.mark.parametrize("column", ["kind", "last", "first"])
@pytest.mark.parametrize(
    ("names", "says"), [(["01", "1"], "the same number"), (["a", "NA"], "may be a missing value")]
)
def test_labels_are_read_as_text_wherever_they_stand(
    column: str, names: list[str], says: str, tmp_path: Path
) -> None:
    kind = np.resize(np.repeat(names, 6), 60)
    frame = pd.DataFrame({"u": np.sqrt(np.arange(60)), "kind": kind})
    path = saved(tmp_path, frame[["kind", "u"]] if column == "first" else frame)
    assert says in complaint(path, window=6, label_column=column)
