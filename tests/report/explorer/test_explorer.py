"""What the page carries of single sequences and units is what is in the states and tables."""

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rnnscope import data, states, store
from rnnscope.report import analyses
from rnnscope.report.explorer import (
    blob,
    choosing,
    contents,
    correlated,
    curves,
    histograms,
    inputs,
    peaks,
    plan,
    scales,
)
from rnnscope.report.explorer.reading import Wanted, read
from rnnscope.states.signals import open_signal
from tests.compose import composed
from tests.report.test_report import LABELS, LENGTHS, PREDICTIONS, extracted, inputs_in


def opened_blob(text: str, directory: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a blob, as a browser reads them."""
    raw = zlib.decompress(base64.b64decode(text))
    found = {}
    for name, at in directory.items():
        kind = np.dtype(at["type"]).newbyteorder("<")
        size = int(np.prod(at["shape"]))
        found[name] = np.frombuffer(raw, kind, size, at["at"]).reshape(at["shape"])
    return found


# Bytes and thresholds


@given(
    st.sampled_from("hcifozrg"),
    arrays(np.float32, st.integers(1, 60), elements=st.floats(-60, 60, width=32)),
    st.integers(0, scales.STEPS - 1),
)
def test_a_code_tells_exactly_whether_a_value_is_at_or_above_an_edge(
    signal: str, values: NDArray[np.float32], number: int
) -> None:
    edges = scales.edges_of(signal, float(values.min()), float(values.max()), 1.0)
    assert len(edges) == scales.STEPS + 1
    assert (np.diff(edges) >= 0).all()  # equal where float32 cannot tell them apart
    assert edges[0] <= values.min()
    assert values.max() <= edges[-1]
    values = np.append(values, edges)  # a value may be an edge
    codes = scales.codes_of(values, edges)
    np.testing.assert_array_equal(codes >= number, values >= edges[number])


def test_values_far_from_0_that_hardly_differ_are_told_apart() -> None:
    values = (5000 + np.linspace(-0.5, 0.5, 101)).astype(np.float32)
    edges = scales.edges_of("c", float(values[0]), float(values[-1]), 5000)
    codes = scales.codes_of(values, edges)
    assert len(np.unique(codes)) == 101
    assert np.abs(edges[codes] - values).max() <= 1 / scales.STEPS + 1e-3


def test_where_there_is_no_row_there_is_no_value() -> None:
    values = np.array([[np.nan, 0.25], [1, np.nan]], np.float32)
    codes = scales.codes_of(values, scales.edges_of("f", 0, 1, 1))
    assert codes.tolist() == [[255, 62], [249, 255]]  # 0.25 is in 0.248 to 0.252


def test_arrays_are_read_from_the_blob_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {
        "a": rng.integers(0, 255, (3, 5), np.uint8),
        "b/c": rng.normal(size=(2, 2, 2)).astype(np.float32),
        "d": rng.integers(0, 65_535, 7, np.uint16),
        "e": rng.integers(-9, 9, (4, 1), np.int32)[::2],
    }
    made = blob.Blob()
    for name, values in given.items():
        made.add(name, values)
    found = opened_blob(made.text, made.directory)
    for name, values in given.items():
        np.testing.assert_array_equal(found[name], values)
        assert made.directory[name]["at"] % 8 == 0


# What is read from the states


@pytest.mark.parametrize("parts", [1, 2, 6])
def test_the_sequences_that_drive_a_unit_are_those_with_its_extreme_values(
    tmp_path: Path, parts: int
) -> None:
    recorded = extracted(tmp_path, parts=parts)
    found = read(Wanted(open_signal(recorded, "lstm", "c"), extremes=True))
    assert found.counts is None
    assert found.extremes is not None
    rows = states.read_states(recorded, "c")
    for unit in range(3):
        for ends, largest in ((found.extremes.most, True), (found.extremes.least, False)):
            order = rows.sort_values(f"c_{unit:03d}", ascending=not largest)
            expected = order.drop_duplicates("sequence").head(peaks.KEPT)
            assert ends.sequence[unit].tolist() == expected["sequence"].tolist()
            assert ends.timestep[unit].tolist() == expected["timestep"].tolist()
            assert ends.value[unit].tolist() == expected[f"c_{unit:03d}"].tolist()


def test_of_equal_values_the_first_sequence_and_timestep_count() -> None:
    keys = states.row_keys(0, np.array([2, 2, 3, 1, 2, 2]), None)
    same = np.ones((1, len(keys.sequence)), np.float32)
    found = peaks.extremes(keys, same)
    for ends in (found.most, found.least):
        assert ends.sequence.tolist() == [[0, 1, 2, 3]]
        assert ends.timestep.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(("labelled", "k"), [(True, 3), (True, 1), (False, 1)])
def test_histograms_count_each_sequence_once_at_its_final_step(
    tmp_path: Path, labelled: bool, k: int
) -> None:
    recorded = extracted(tmp_path, labelled=labelled)
    rows = states.read_states(recorded, "h")
    values = rows.filter(like="h_").to_numpy(np.float64)
    bins = histograms.Bins(values.min(axis=0), values.max(axis=0), k)
    found = read(Wanted(open_signal(recorded, "lstm", "h"), bins=bins)).counts
    assert found is not None
    final = rows.groupby("sequence").tail(1)
    for unit in range(3):
        for label in range(bins.classes):
            of = final[final["label"] == label] if k > 1 else final
            edges = bins.low[unit], bins.high[unit]
            expected, _ = np.histogram(of[f"h_{unit:03d}"], histograms.BINS, edges)
            np.testing.assert_array_equal(found[unit, label], expected)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_states_of_some_sequences_are_those_that_pandas_reads(
    tmp_path: Path, parts: int
) -> None:
    recorded = extracted(tmp_path, parts=parts)
    dense = states.read_states(recorded, "f", as_array=True)
    chosen = np.array([0, 3, 4], np.int32)
    found = read(Wanted(open_signal(recorded, "lstm", "f"), sequences=chosen, timesteps=4))
    assert found.states is not None
    np.testing.assert_array_equal(found.states, dense[chosen, :4].transpose(0, 2, 1))


# Which sequences


def test_every_class_is_there_with_wrong_and_right_sequences(tmp_path: Path) -> None:
    n = 1000
    label = np.repeat([0, 1, 2, 3], [900, 60, 30, 10])
    correct = np.arange(n) % 10 > 0
    frame = pd.DataFrame({"sequence": np.arange(n), "label": label, "correct": correct})
    frame.to_parquet(tmp_path / states.SEQUENCES, index=False)
    chosen = choosing.choose(tmp_path, 40, [])
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(label[chosen]).tolist() == [10, 10, 10, 10]
    for k in (0, 1):
        assert 5 <= (~correct[chosen])[label[chosen] == k].sum() <= 6
    assert chosen[label[chosen] == 0].max() > 450  # not merely the first ones


def test_sequences_without_a_label_are_drawn_too(tmp_path: Path) -> None:
    label = pd.array([0, None] * 20, dtype="Int32")
    frame = pd.DataFrame({"sequence": np.arange(40), "label": label})
    frame.to_parquet(tmp_path / states.SEQUENCES, index=False)
    chosen = choosing.choose(tmp_path, 10, [])
    assert np.bincount(chosen % 2).tolist() == [5, 5]


def test_those_that_drive_units_are_at_most_half(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sequence": np.arange(100)})
    frame.to_parquet(tmp_path / states.SEQUENCES, index=False)
    sequence = np.array([[7, 8], [7, 9], [50, 51]], np.int32)
    ends = peaks.Peaks(sequence, sequence, sequence.astype(np.float32))
    extremes = peaks.Extremes(ends, ends)
    assert {7, 8, 9, 50, 51} <= set(choosing.choose(tmp_path, 20, [extremes]).tolist())
    few = choosing.choose(tmp_path, 4, [extremes]).tolist()
    assert len(few) == 4
    assert {7, 50} <= set(few)  # the first of most units come first
    assert len(choosing.choose(tmp_path, 500, [extremes])) == 100


@pytest.mark.parametrize(
    ("timesteps", "units", "expected"),
    [(28, 128, (186, 28, 6)), (28, 4, (300, 28, 6)), (4000, 64, (8, 3906, 2))],
)
def test_the_plan_fits_the_page(
    tmp_path: Path, timesteps: int, units: int, expected: tuple[int, int, int]
) -> None:
    recorded = extracted(tmp_path)
    signals = [open_signal(recorded, "lstm", name) for name in "hcifog"]
    for signal in signals:
        object.__setattr__(signal, "units", tuple(range(units)))
        object.__setattr__(signal, "timesteps", timesteps)
    found = plan.planned({"lstm": signals}, 10_000)
    count, shown, kept = expected
    assert (found.count, found.timesteps, len(found.shown["lstm"])) == (count, shown, kept)
    assert found.count * found.timesteps * units * kept <= plan.CODES


# Tables


def test_class_means_are_those_of_the_tuning_table(tmp_path: Path) -> None:
    folders = inputs_in(tmp_path, history=None)
    found = curves.class_means(folders["units"], "lstm", "c", 5, 20)
    assert found is not None
    assert found.classes == [0, 1, 2]
    table = pd.read_parquet(folders["units"] / "tuning.parquet")
    rows = table[(table["layer"] == "lstm") & (table["signal"] == "c")]
    width = (found.high - found.low).astype(float)
    assert len(rows)
    for row in rows.itertuples():
        unit, at = row.unit, (row.unit, row.label, row.timestep)
        mean = found.low[unit] + found.mean[at] / curves.LEVELS * width[unit]
        assert mean == pytest.approx(row.mean, abs=float(width[unit]) / curves.LEVELS)
        if not np.isnan(row.standard_error):
            most = float(found.most[unit])
            error = found.error[at] / curves.LEVELS * most
            assert error == pytest.approx(row.standard_error, abs=most / curves.LEVELS)
    there = {(row.unit, row.label, row.timestep) for row in rows.itertuples()}
    missing = np.argwhere(found.mean == curves.LEVELS + 1)
    assert all(tuple(at) not in there for at in missing.tolist())


def test_the_means_of_many_classes_are_over_all_sequences(tmp_path: Path) -> None:
    n, t, u, k = 60, 4, 3, 25
    random = np.random.default_rng(0)
    values = random.normal(size=(n, t, u))
    values[:7, -1] = np.nan
    label = np.concatenate([np.arange(k), random.integers(0, k, n - k)])
    long = pd.DataFrame(
        {
            "unit": np.tile(np.arange(u), n * t),
            "timestep": np.tile(np.repeat(np.arange(t), u), n),
            "label": np.repeat(label, t * u),
            "x": values.ravel(),
        }
    ).dropna()
    by_class = long.groupby(["unit", "label", "timestep"])["x"].agg(["count", "mean", "sem"])
    rows = by_class.reset_index().rename(columns={"sem": "standard_error"})
    rows.assign(layer="lstm", signal="c").to_parquet(tmp_path / "tuning.parquet")
    found = curves.class_means(tmp_path, "lstm", "c", t, 20)
    assert found is not None
    assert found.classes == [-1]
    assert found.mean.shape == (u, 1, t)
    every = long.groupby(["unit", "timestep"])["x"].agg(["mean", "sem"])
    low, width = found.low[:, None], (found.high - found.low)[:, None]
    mean = low + found.mean[:, 0] / curves.LEVELS * width
    error = found.error[:, 0] / curves.LEVELS * found.most[:, None]
    np.testing.assert_allclose(mean, every["mean"].to_numpy().reshape(mean.shape), atol=1e-4)
    np.testing.assert_allclose(error, every["sem"].to_numpy().reshape(mean.shape), atol=1e-4)


def test_the_closest_units_are_those_that_correlate_most() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(200, 2))
    values = np.column_stack(
        [shared[:, 0], shared[:, 0], -shared[:, 0], shared[:, 1], shared[:, 1]]
    )
    values += 0.3 * rng.normal(size=values.shape)
    r: NDArray[np.float64] = np.asarray(np.corrcoef(values.T))
    places, sizes = correlated.closest(r)
    for unit in range(5):
        others = [each for each in range(5) if each != unit]
        expected = sorted(others, key=lambda each: -abs(r[unit, each]))
        assert places[unit].tolist() == expected
    np.testing.assert_allclose(sizes, np.take_along_axis(r, places, axis=1), rtol=1e-6)


# The whole


def test_the_page_carries_the_states_of_its_sequences(tmp_path: Path) -> None:
    folders = inputs_in(tmp_path, history=None)
    manifest = store.read_manifest(folders["extract"])
    found = contents.gather(composed(tmp_path), folders, manifest)
    arrays = opened_blob(found.blob, found.meta["arrays"])
    assert found.meta["sequences"]["sequence"] == [0, 1, 2, 3, 4, 5]
    assert found.meta["sequences"]["label"] == LABELS.tolist()
    assert found.meta["sequences"]["prediction"] == PREDICTIONS.tolist()
    assert found.meta["sequences"]["length"] == LENGTHS.tolist()
    assert "earlier version" in found.meta["input"]["why"]
    for signal in "hcifog":
        dense = states.read_states(folders["extract"], signal, as_array=True)
        codes = np.cumsum(arrays[f"codes/lstm/{signal}"], axis=2, dtype=np.uint8)
        edges = arrays[f"edges/lstm/{signal}"]
        values = dense.transpose(0, 2, 1)
        there = np.isfinite(values)
        assert (codes[~there] == 255).all()
        assert (edges[codes[there]] <= values[there]).all()
        assert (values[there] <= edges[codes[there] + 1]).all()


def test_inputs_of_other_data_than_was_recorded_are_not_shown(tmp_path: Path) -> None:
    recorded = extracted(tmp_path)
    chosen = [np.array([0, 1], np.int32)]
    manifest = store.read_manifest(recorded) | {"inputs": None}
    file = recorded / states.SEQUENCES
    rows = pd.read_parquet(file)
    for changed, why in (
        (rows.assign(length=9), "the recorded sequences are longer than those of the data"),
        (pd.concat([rows] * 60), "the data now has 359 sequences, and 360 were recorded"),
    ):
        changed.to_parquet(file, index=False)
        found = inputs.read(composed(tmp_path), manifest, recorded, chosen, 8)
        assert isinstance(found, inputs.Hidden)
        assert found.why == why


def test_inputs_are_those_of_the_data(tmp_path: Path) -> None:
    config = composed(tmp_path)
    recorded = extracted(tmp_path)
    pd.DataFrame({"sequence": range(359), "length": 8}).to_parquet(recorded / states.SEQUENCES)
    manifest = store.read_manifest(recorded) | {"inputs": None}
    wanted = [np.array([3, 5], np.int32), np.array([358, 3], np.int32)]
    found = inputs.read(config, manifest, recorded, wanted, 6)
    assert isinstance(found, inputs.Shown)
    assert (found.kind, found.sequences.tolist(), found.timesteps) == ("picture", [3, 5, 358], 8)
    images = data.load(config.data).test.x[[3, 5, 358], :6]
    np.testing.assert_allclose(found.cells / 254, images, atol=0.5 / 254)


def test_paths_of_any_size_keep_their_digits(tmp_path: Path) -> None:
    places = np.random.default_rng(0).normal(size=(6, 3))
    for size in (1e-6, 1.0, 1e6):
        table = pd.DataFrame(places * size, columns=["component_1", "component_2", "component_3"])
        known = {"layer": "lstm", "signal": "c", "label": [0, 0, 0, 1, 1, 1]}
        table.assign(**known).to_parquet(tmp_path / "trajectories.parquet")
        lines = analyses.paths(tmp_path, ["a", "b"], [])["lstm"]["lines"]
        points = np.concatenate([line["points"] for line in lines])
        np.testing.assert_allclose(points, places * size, atol=2e-4 * size)
