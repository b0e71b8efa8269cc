"""Stage units, from states on disk to one row per unit."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from pipeline import states
from pipeline.analysis import units
from pipeline.config import Engine, Units

OPTIONS = Units([0.1, 0.9], [-0.9, 0.9], 1e-8, 512)
ONE = Engine("local", 1)
CLASS_COLUMNS = ["selectivity", "eta2", "omega2", "f_statistic", "p_value", "q_value"]

Float = NDArray[np.float32]


@dataclass
class Recording:
    """What a network did: signals [N, T, U] by layer and letter, and labels."""

    signals: dict[str, dict[str, Float]]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int32] | None = None
    k: int = 0

    def rows(self, layer: str, signal: str) -> Float:
        """The valid rows [R, U]."""
        values = self.signals[layer][signal]
        return values[np.arange(values.shape[1]) < self.lengths[:, np.newaxis]]

    def last(self, layer: str, signal: str) -> Float:
        """The last valid timestep of each sequence [N, U]."""
        return self.signals[layer][signal][np.arange(len(self.lengths)), self.lengths - 1]


def drawn(
    seed: int = 0, n: int = 120, t: int = 6, u: int = 7, signals: str = "hcf", k: int = 3
) -> Recording:
    """Random states in (0, 1), some of them depending on the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n).astype(np.int32)
    effect = np.linspace(0, 1, u) * labels[:, np.newaxis, np.newaxis]
    made = {}
    for signal in signals:
        values = random.normal(size=(n, t, u)) + effect
        made[signal] = (1 / (1 + np.exp(-values))).astype(np.float32)
    return Recording({"lstm": made}, random.integers(1, t + 1, n), labels, k)


def write(folder: Path, recording: Recording, parts: int = 1, seed: int | None = None) -> Path:
    """Lay a recording down as stage extract does; with a seed, its parts in another order."""
    folder.mkdir()
    n = len(recording.lengths)
    pieces = np.array_split(np.arange(n), parts)
    numbers = list(range(parts))
    if seed is not None:
        np.random.default_rng(seed).shuffle(numbers)
    for number, piece in zip(numbers, pieces, strict=True):
        lengths = recording.lengths[piece]
        labels = None if recording.labels is None else recording.labels[piece]
        rows = states.rows_of(int(piece[0]), lengths, labels)
        for layer, signals in recording.signals.items():
            for signal, values in signals.items():
                valid = np.arange(values.shape[1]) < lengths[:, np.newaxis]
                lines = np.ascontiguousarray(values[piece][valid].T)
                path = states.part_file(folder, layer, signal, number)
                states.write_part(path, signal, lines, rows, "lz4")
    frame = pd.DataFrame({"sequence": np.arange(n, dtype=np.int32), "length": recording.lengths})
    if recording.labels is not None:
        frame["label"] = recording.labels
        frame[[f"p_{k}" for k in range(recording.k)]] = 1 / recording.k
    frame.to_parquet(folder / states.SEQUENCES, index=False)
    return folder


def measured(
    folder: Path, recording: Recording, options: Units = OPTIONS, **laid: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table that the stage writes, and its figures."""
    folder.mkdir(exist_ok=True)
    recorded = write(folder / f"states{len(list(folder.iterdir()))}", recording, **laid)
    figures = units.run(options, ONE, recorded, folder)
    return pd.read_parquet(folder / units.TABLE), figures


def one_signal(table: pd.DataFrame, signal: str) -> pd.DataFrame:
    return table[table["signal"] == signal].set_index("unit")


def test_there_is_one_row_per_layer_signal_and_unit(tmp_path: Path) -> None:
    recording = drawn(signals="hcifog")
    recording.signals["second"] = drawn(1, u=2, signals="ch").signals["lstm"]
    table, figures = measured(tmp_path, recording)
    rows = table[["layer", "signal", "unit"]].astype(str).agg("/".join, axis=1)
    expected = [f"lstm/{signal}/{unit}" for signal in "hcifog" for unit in range(7)]
    assert rows.tolist() == expected + [f"second/{s}/{unit}" for s in "hc" for unit in range(2)]
    assert figures["rows"] == figures["headline"]["rows"] == 46
    assert set(figures["quantiles"].values()) == {"exact"}


def test_the_columns_have_their_types(tmp_path: Path) -> None:
    table, _ = measured(tmp_path, drawn())
    types = table.dtypes.astype(str).to_dict()
    special = {
        "layer": "category",
        "signal": "category",
        "unit": "int32",
        "count": "int64",
        "dead": "bool",
        "preferred_class": "Int32",
    }
    assert {name: types[name] for name in special} == special
    assert {kind for name, kind in types.items() if name not in special} == {"float64"}


@pytest.mark.parametrize("signal", ["h", "c", "f"])
def test_each_column_is_what_its_library_says(signal: str, tmp_path: Path) -> None:
    recording = drawn()
    rows = recording.rows("lstm", signal).astype(np.float64)
    last = recording.last("lstm", signal).astype(np.float64)
    got = one_signal(measured(tmp_path, recording, parts=4)[0], signal)
    quantiles = pd.DataFrame(rows).quantile(list(units.LEVELS.values())).to_numpy()
    assert recording.labels is not None
    groups = [last[recording.labels == label] for label in range(3)]
    variance = scipy.stats.f_oneway(*groups, axis=0)
    expected = {
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0, ddof=1),
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "skewness": scipy.stats.skew(rows),
        "kurtosis": scipy.stats.kurtosis(rows),
        **dict(zip(units.LEVELS, quantiles, strict=True)),
        "f_statistic": variance.statistic,
        "p_value": variance.pvalue,
        "q_value": scipy.stats.false_discovery_control(variance.pvalue),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-6, atol=1e-9, err_msg=name)
    assert (got["count"] == len(rows)).all()
    means = np.array([group.mean(axis=0) for group in groups])  # the values are positive
    assert got["preferred_class"].tolist() == means.argmax(axis=0).tolist()


def test_saturation_counts_rows_beyond_the_cuts_of_bounded_signals_alone(tmp_path: Path) -> None:
    recording = drawn(signals="hcifogzr")
    recording.signals["lstm"] = {
        signal: values if signal in "ifozr" else 2 * values - 1
        for signal, values in recording.signals["lstm"].items()
    }
    options = replace(OPTIONS, gate_cuts=[0.2, 0.7], tanh_cuts=[-0.5, 0.4])
    table, _ = measured(tmp_path, recording, options, parts=3)
    for signal in "hgifozr":
        low, high = (0.2, 0.7) if signal in "ifozr" else (-0.5, 0.4)
        rows = recording.rows("lstm", signal)
        got = one_signal(table, signal)
        np.testing.assert_allclose(got["left_saturated"], (rows < low).mean(axis=0))
        np.testing.assert_allclose(got["right_saturated"], (rows > high).mean(axis=0))
        assert (got["left_saturated"] > 0).all()
    assert one_signal(table, "c")[["left_saturated", "right_saturated"]].isna().all(axis=None)


@pytest.mark.parametrize(("parts", "seed"), [(1, None), (2, 0), (7, 1), (40, 2), (120, 3)])
def test_any_number_of_parts_in_any_order_gives_the_same_table(
    parts: int, seed: int | None, tmp_path: Path
) -> None:
    recording = drawn()
    expected, _ = measured(tmp_path / "whole", recording)
    got, _ = measured(tmp_path / "parts", recording, parts=parts, seed=seed)
    pd.testing.assert_frame_equal(got, expected, rtol=1e-10, atol=1e-10)


def test_the_number_of_workers_does_not_change_the_table(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(), parts=5)
    tables = []
    for workers in (1, 4):
        units.run(OPTIONS, Engine("local", workers), recorded, tmp_path)
        tables.append(pd.read_parquet(tmp_path / units.TABLE))
    pd.testing.assert_frame_equal(*tables)


def test_past_its_memory_a_signal_gets_its_quantiles_from_histograms(tmp_path: Path) -> None:
    recording = drawn(n=400, t=20, u=64, signals="c")
    exact, said_exact = measured(tmp_path / "exact", recording)
    binned, said = measured(tmp_path / "binned", recording, replace(OPTIONS, memory_mb=1), parts=3)
    assert recording.rows("lstm", "c").nbytes > 1_000_000
    assert said_exact["quantiles"] == {"lstm/c": "exact"}
    assert said["quantiles"] == {"lstm/c": "histogram"}
    quantiles = list(units.LEVELS)
    width = (exact["max"] - exact["min"]).to_numpy()[:, np.newaxis] / 4096
    ordered = np.sort(recording.rows("lstm", "c").astype(np.float64), axis=0)
    gap = np.diff(ordered, axis=0)[20:-20].max(axis=0)[:, np.newaxis]
    difference = np.abs(binned[quantiles] - exact[quantiles]).to_numpy()
    assert (difference <= width + gap).all()
    assert difference.max() > 0
    kept = [name for name in exact if name not in quantiles]
    pd.testing.assert_frame_equal(binned[kept], exact[kept], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("timescale", [0.5, 3.0, 40.0, 1000.0])
def test_a_forget_gate_of_known_mean_has_its_timescale(timescale: float, tmp_path: Path) -> None:
    recording = drawn(signals="cf")
    random = np.random.default_rng(0)
    mean = np.exp(-1 / timescale)
    steady = np.full(recording.signals["lstm"]["f"].shape, mean)
    steady[..., 1] += min(mean, 1 - mean) * np.sign(random.normal(size=steady.shape[:2]))
    recording.signals["lstm"]["f"] = steady.astype(np.float32)
    table, _ = measured(tmp_path, recording)
    got = one_signal(table, "f")
    assert got["forget_timescale"].drop(1).to_numpy() == pytest.approx(timescale, rel=1e-3)
    varying = recording.rows("lstm", "f")[:, 1].astype(np.float64).mean()
    assert got["forget_timescale"][1] == pytest.approx(-1 / np.log(varying), rel=1e-6)
    assert one_signal(table, "c")["forget_timescale"].isna().all()


def test_a_gate_that_never_forgets_lasts_forever_and_a_shut_one_not_at_all(tmp_path: Path) -> None:
    recording = drawn(signals="f")
    recording.signals["lstm"]["f"][..., 0] = 1
    recording.signals["lstm"]["f"][..., 1] = 0
    table, _ = measured(tmp_path, recording)
    assert table["forget_timescale"][:2].tolist() == [np.inf, 0]


def test_a_dead_unit_is_found_and_has_no_shape(tmp_path: Path) -> None:
    recording = drawn(signals="ch")
    recording.signals["lstm"]["c"][..., 3] = 0.1
    table, figures = measured(tmp_path, recording, parts=3)
    dead = table[table["dead"]]
    assert dead[["signal", "unit"]].astype(str).to_numpy().tolist() == [["c", "3"]]
    assert figures["headline"]["dead"] == 1
    row = dead.iloc[0]
    constant = np.float64(np.float32(0.1))
    assert (row[["mean", "min", "max", *units.LEVELS]] == constant).all()
    assert row["std"] == 0
    assert row[["skewness", "kurtosis", "eta2", "omega2", "p_value", "q_value"]].isna().all()
    assert (
        measured(tmp_path, recording, replace(OPTIONS, dead_variance=0))[1]["headline"]["dead"] == 0
    )


def test_a_unit_that_carries_the_class_at_the_last_timestep_is_found(tmp_path: Path) -> None:
    recording = drawn(0, n=300, signals="c")
    random = np.random.default_rng(1)
    values = random.normal(size=recording.signals["lstm"]["c"].shape)
    assert recording.labels is not None
    here = np.arange(len(recording.lengths))
    values[here, recording.lengths - 1, 2] += 9 * (recording.labels == 1)
    # Telling of the class at any earlier timestep must not count.
    earlier = np.arange(values.shape[1]) < recording.lengths[:, np.newaxis] - 1
    values[..., 5] += earlier * 9 * recording.labels[:, np.newaxis]
    recording.signals["lstm"]["c"] = values.astype(np.float32)
    table, figures = measured(tmp_path, recording, parts=4, seed=0)
    row = table.iloc[2]
    assert row["eta2"] > 0.9
    assert row["q_value"] < 1e-50
    assert row["preferred_class"] == 1
    assert row["selectivity"] > 0.7
    assert (table.drop(index=2)["eta2"] < 0.1).all()
    assert (table.drop(index=2)["q_value"] > 0.001).all()
    assert figures["class_dependent"]["c"] == (table["q_value"] < 0.05).sum()


def test_labels_that_mean_nothing_are_seldom_found_to_mean_something(tmp_path: Path) -> None:
    recording = drawn(n=150, t=2, u=150, signals="c")
    values = np.random.default_rng(0).normal(size=recording.signals["lstm"]["c"].shape)
    recording.signals["lstm"]["c"] = values.astype(np.float32)
    shuffles, found, p_values, eta2 = 20, 0, [], []
    assert recording.labels is not None
    for seed in range(shuffles):
        shuffled = np.random.default_rng(seed).permutation(recording.labels)
        table, figures = measured(tmp_path / str(seed), replace(recording, labels=shuffled))
        found += figures["class_dependent"]["c"]
        p_values.append(table["p_value"])
        eta2.append(table["eta2"])
    assert found / (150 * shuffles) < 0.005
    assert (np.concatenate(p_values) < 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert np.concatenate(eta2).mean() == pytest.approx(2 / 149, rel=0.1)


def test_q_values_are_of_one_signal_at_a_time(tmp_path: Path) -> None:
    recording = drawn(signals="ch")
    both, _ = measured(tmp_path / "both", recording)
    recording.signals["lstm"].pop("h")
    alone, _ = measured(tmp_path / "alone", recording)
    np.testing.assert_array_equal(one_signal(both, "c")["q_value"], alone["q_value"])


def test_without_labels_what_needs_them_is_null_and_keeps_its_type(tmp_path: Path) -> None:
    labelled, _ = measured(tmp_path / "labelled", drawn())
    table, figures = measured(tmp_path / "bare", replace(drawn(), labels=None), parts=3)
    assert table[[*CLASS_COLUMNS, "preferred_class"]].isna().all(axis=None)
    pd.testing.assert_series_equal(table.dtypes, labelled.dtypes)
    others = [name for name in table if name not in {*CLASS_COLUMNS, "preferred_class"}]
    pd.testing.assert_frame_equal(table[others], labelled[others], rtol=1e-10, atol=1e-10)
    assert figures["headline"]["with q < 0.05"] == 0


def test_one_sequence_of_one_timestep_is_measured_as_far_as_it_goes(tmp_path: Path) -> None:
    recording = drawn(n=1, t=1)
    table, _ = measured(tmp_path, recording)
    assert (table["count"] == 1).all()
    pd.testing.assert_series_equal(table["mean"], table["median"], check_names=False)
    assert table[["std", "skewness", "kurtosis", *CLASS_COLUMNS]].isna().all(axis=None)
    assert not table["dead"].any()
