"""Stage units, from states on disk to one row per unit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import scipy.stats
from numpy.typing import NDArray
from sklearn.feature_selection import f_classif, mutual_info_classif
from sklearn.metrics import roc_auc_score

from rnnscope import states
from rnnscope.analysis.units import blocks as unit_blocks
from rnnscope.analysis.units import class_columns, covariate_columns, sampling
from rnnscope.analysis.units.blocks import cut, open_recording
from rnnscope.analysis.units.quantiles import LEVELS
from rnnscope.analysis.units.stage import TABLES as DECLARED
from rnnscope.config import Engine, Units
from rnnscope.errors import UserError
from rnnscope.stages.table import STAGES
from rnnscope.states.signals import open_signal
from rnnscope.store.tables import UNKNOWN, table_file
from tests.compose import analysed, composed
from tests.recordings import Recording, drawn, write

CONFIG = composed(Path())
OPTIONS = replace(CONFIG.units, permutations=20)
ONE = Engine("local", 1)
EFFECT = ("eta2", "eta2_low", "eta2_high", "omega2", "omega2_low", "omega2_high")
TESTED = ("f_statistic", "p_value", "log10_p", "q_value")
PREFERRING = ("preferred_class", "dprime", "auc")
ANNOTATED = [column.name for column in covariate_columns.COVARIATE_COLUMNS]
GROUPED = ("eta2_low", "eta2_high", "omega2_low", "omega2_high")
"""Intervals, from groups of sequences by their numbers."""
MUCH = 10**9
"""Bytes to rank a sequence, past any memory: sequences are counted then."""
TIMED = ("timescale", "timescale_low", "timescale_high", "timescale_r2", "persistent_share")
"""Columns that are null for units whose states have no memory, as those drawn here."""
TABLES = tuple(table.name for table in DECLARED)
CLASS_COLUMNS = [column.name for column in class_columns.CLASS_COLUMNS]

Float = NDArray[np.float64]
Tables = dict[str, pd.DataFrame]
Counts = dict[str, dict[str, int]]


def measured(
    folder: Path, recording: Recording, options: Units = OPTIONS, **laid: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table that the stage writes, and its figures."""
    tables, figures = all_tables(folder, recording, options, **laid)
    return tables["units"], figures


def all_tables(
    folder: Path, recording: Recording, options: Units = OPTIONS, **laid: Any
) -> tuple[Tables, dict[str, Any]]:
    """All tables that the stage writes, and its figures."""
    folder.mkdir(exist_ok=True, parents=True)
    recorded = write(folder / f"states{len(list(folder.iterdir()))}", recording, **laid)
    figures = analysed("units", options, recorded, folder)
    json.dumps(figures, allow_nan=False)
    return {name: read(folder, name) for name in TABLES}, figures


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(table_file(folder, name))


def one_signal(table: pd.DataFrame, signal: str) -> pd.DataFrame:
    return table[table["signal"] == signal].set_index("unit")


def assert_same(got: Tables, expected: Tables, but: tuple[str, ...] = ()) -> None:
    for name in TABLES:
        one, other = (each[name].drop(columns=[*but], errors="ignore") for each in (got, expected))
        pd.testing.assert_frame_equal(one, other, rtol=1e-10, atol=1e-10)


def assert_counted(tables: Tables, figures: dict[str, Any]) -> None:
    """All that is null in the tables is counted among the figures, with its reason."""
    assert list(figures["null"]) == list(tables)
    for name, table in tables.items():
        reasons = figures["null"][name]
        counted = {column: sum(counts.values()) for column, counts in reasons.items()}
        assert counted == {str(column): n for column, n in table.isna().sum().items() if n}, name
        assert UNKNOWN not in set().union(*reasons.values())


def noted(recording: Recording, seed: int = 0) -> Recording:
    """The recording with two annotations, some of them missing."""
    random = np.random.default_rng(seed)
    sequence, timestep = np.nonzero(recording.valid)
    depth = recording.signals["lstm"]["c"][sequence, timestep, 2] + random.normal(
        size=sequence.size
    )
    frame = pd.DataFrame({"sequence": sequence, "timestep": timestep, "depth": depth})
    frame["count"] = random.integers(0, 9, len(frame)).astype(float)
    frame.loc[random.random(len(frame)) < 0.1, "count"] = np.nan
    return replace(recording, steps=frame.astype({"sequence": "int32", "timestep": "int32"}))


def per_timestep(recording: Recording, seed: int = 0) -> Recording:
    """The recording with labels that change within sequences."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, recording.k, recording.valid.shape).astype(np.int32)
    return replace(recording, labels=labels)


# the tables


def test_there_is_one_row_per_layer_signal_and_unit(tmp_path: Path) -> None:
    recording = drawn(signals="hcifog")
    recording.signals["second"] = drawn(1, u=2, signals="ch").signals["lstm"]
    tables, figures = all_tables(tmp_path, recording)
    table = tables["units"]
    rows = table[["layer", "signal", "unit"]].astype(str).agg("/".join, axis=1)
    expected = [f"lstm/{signal}/{unit}" for signal in "hcifog" for unit in range(7)]
    expected += [f"second/{signal}/{unit}" for signal in "hc" for unit in range(2)]
    assert rows.tolist() == expected
    assert figures["rows"] == figures["headline"]["rows"] == 46
    assert set(figures["quantiles"].values()) == {"exact"}
    keys = tables["timesteps"][["layer", "signal", "unit", "timestep"]].astype(str)
    assert keys.agg("/".join, axis=1).tolist() == [
        f"{row}/{t}" for row in expected for t in range(6)
    ]
    keys = tables["tuning"][["layer", "signal", "unit", "label", "timestep"]].astype(str)
    assert keys.agg("/".join, axis=1).tolist() == [
        f"{row}/{k}/{t}" for row in expected for k in range(3) for t in range(6)
    ]


def test_the_tables_are_those_declared_with_their_columns_in_order(tmp_path: Path) -> None:
    tables, _ = all_tables(tmp_path, drawn())
    assert STAGES["units"].tables == TABLES
    for table in DECLARED:
        assert list(tables[table.name]) == [column.name for column in table.columns]
        for column in table.columns:
            assert column.meaning
            assert not column.meaning.endswith(".")
            assert {column.beside, column.adjusts} <= {"", *tables[table.name]}


@pytest.mark.parametrize("known", ["all", "nothing"])
def test_the_columns_have_their_types_whatever_is_known(known: str, tmp_path: Path) -> None:
    recording = noted(drawn()) if known == "all" else replace(drawn(), labels=None)
    tables, _ = all_tables(tmp_path, recording)
    types = {
        "layer": "category",
        "signal": "category",
        "unit": "int32",
        "timestep": "int32",
        "count": "int64",
        "dead": "boolean",
        "label": "Int32",
        "preferred_class": "Int32",
        "eta2_peak_timestep": "Int32",
        "best_covariate": "str",
        "task_of": "str",
        "task": "int64",
        "sequences": "int64",
        "cluster": "Int32",
        "timescale_fit": "category",
    }
    for name, table in tables.items():
        for column, kind in table.dtypes.astype(str).items():
            assert kind == types.get(str(column), "float64"), (name, column)


@pytest.mark.parametrize("signal", ["h", "c", "f"])
def test_each_column_is_what_its_library_says(signal: str, tmp_path: Path) -> None:
    recording = drawn()
    rows = recording.rows("lstm", signal).astype(np.float64)
    last = recording.last("lstm", signal).astype(np.float64)
    got = one_signal(measured(tmp_path, recording, parts=4)[0], signal)
    quantiles = pd.DataFrame(rows).quantile(list(LEVELS.values())).to_numpy()
    labels = recording.labels
    assert labels is not None
    groups = [last[labels == label] for label in range(3)]
    variance = scipy.stats.f_oneway(*groups, axis=0, equal_var=False)
    f, _ = f_classif(last, labels)
    means = np.array([group.mean(axis=0) for group in groups])
    sides = [(groups[label], last[labels != label]) for label in range(3)]
    distances = np.array(
        [
            (a.mean(axis=0) - b.mean(axis=0))
            / np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
            for a, b in sides
        ]
    )
    preferred = np.abs(distances).argmax(axis=0)
    information = mutual_info_classif(last, labels, random_state=0) / np.log(2)
    size, power = np.abs(rows).mean(axis=0), (rows**2).mean(axis=0)
    n = len(rows)
    expected = {
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0, ddof=1),
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "skewness": scipy.stats.skew(rows),
        "kurtosis": scipy.stats.kurtosis(rows),
        **dict(zip(LEVELS, quantiles, strict=True)),
        "hoyer": (np.sqrt(n) - np.sqrt(n) * size / np.sqrt(power)) / (np.sqrt(n) - 1),
        "lifetime_sparseness": (1 - size**2 / power) / (1 - 1 / n),
        "eta2": 2 * f / (2 * f + len(last) - 3),
        "omega2": 2 * (f - 1) / (2 * (f - 1) + len(last)),
        "f_statistic": variance.statistic,
        "p_value": variance.pvalue,
        "log10_p": np.log10(variance.pvalue),
        "q_value": scipy.stats.false_discovery_control(variance.pvalue),
        "dprime": distances[preferred, np.arange(7)],
        "auc": [
            roc_auc_score(labels == label, last[:, unit]) for unit, label in enumerate(preferred)
        ],
        "mi_q": scipy.stats.false_discovery_control(got["mi_p"]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-6, atol=1e-9, err_msg=name)
    assert (got["count"] == n).all()
    assert got["preferred_class"].tolist() == preferred.tolist()
    np.testing.assert_allclose(got["mutual_information"].clip(0), information, atol=2e-6)
    assert (got["mutual_information"] > -0.2).all()
    top = np.sort(means, axis=0)  # the values are positive
    others = top[:-1].mean(axis=0)
    np.testing.assert_allclose(got["selectivity"], (top[-1] - others) / (top[-1] + others))


def test_a_unit_that_is_low_for_a_class_is_seen_in_preferred_class_dprime_and_auc(
    tmp_path: Path,
) -> None:
    recording = drawn(n=300, signals="c", k=5)
    values = recording.signals["lstm"]["c"]
    assert recording.labels is not None
    noise = np.random.default_rng(0).normal(size=values.shape[:2])
    values[..., 0] = noise - 3 * (recording.labels == 3)[:, np.newaxis]
    row = measured(tmp_path, recording)[0].iloc[0]
    assert row["preferred_class"] == 3
    assert row["dprime"] < -2
    assert row["auc"] < 0.2


def test_the_final_step_of_a_layer_that_reads_backwards_is_its_first_row(tmp_path: Path) -> None:
    recording = drawn(n=300, t=6, signals="h")
    values, labels = recording.signals["lstm"]["h"], recording.labels
    assert labels is not None
    # It tells of the class where it ends, at timestep 0, and has not read anything at the last.
    values[:, 0] += 3 * labels[:, np.newaxis]
    recorded = write(tmp_path / "states", recording, parts=2)
    tables = []
    for backward in (False, True):
        for path in sorted((recorded / "lstm" / "h").iterdir()):
            rows, lines = states.read_part(path)
            states.write_part(path, "h", lines, replace(rows, backward=backward), "lz4")
        analysed("units", OPTIONS, recorded, tmp_path)
        tables.append(read(tmp_path, "units"))
    first, last = values[:, 0].astype(np.float64), recording.last("lstm", "h").astype(np.float64)
    for table, final in zip(tables, (last, first), strict=True):
        f, _ = f_classif(final, labels)
        np.testing.assert_allclose(table["eta2"], 2 * f / (2 * f + 297), rtol=1e-6)
        information = mutual_info_classif(final, labels, random_state=0) / np.log(2)
        np.testing.assert_allclose(table["mutual_information"].clip(0), information, atol=2e-6)
        area = [
            roc_auc_score(labels == label, final[:, unit])
            for unit, label in enumerate(table["preferred_class"])
        ]
        np.testing.assert_allclose(table["auc"], area)
    assert (tables[1]["eta2"] > 0.9).all()
    assert (tables[1]["eta2_peak_timestep"] == 0).all()


def test_saturation_counts_rows_beyond_the_cuts_of_bounded_signals_alone(tmp_path: Path) -> None:
    recording = drawn(signals="hcifogzr")
    recording.signals["lstm"] = {
        signal: values if signal in "ifozr" else 2 * values - 1
        for signal, values in recording.signals["lstm"].items()
    }
    options = replace(OPTIONS, gate_cuts=[0.2, 0.7], tanh_cuts=[-0.5, 0.4], permutations=0)
    table, _ = measured(tmp_path, recording, options, parts=3)
    for signal in "hgifozr":
        low, high = (0.2, 0.7) if signal in "ifozr" else (-0.5, 0.4)
        rows = recording.rows("lstm", signal)
        got = one_signal(table, signal)
        np.testing.assert_allclose(got["left_saturated"], (rows < low).mean(axis=0))
        np.testing.assert_allclose(got["right_saturated"], (rows > high).mean(axis=0))
        assert (got["left_saturated"] > 0).all()
    assert one_signal(table, "c")[["left_saturated", "right_saturated"]].isna().all(axis=None)


def test_means_by_class_and_timestep_are_those_of_pandas(tmp_path: Path) -> None:
    recording = drawn(signals="hc")
    tables, _ = all_tables(tmp_path, recording, parts=4, seed=1)
    for signal in "hc":
        frame = states.read_states(tmp_path / "states0", signal)
        assert recording.labels is not None
        long = frame.melt(["sequence", "timestep", "label"], var_name="name", value_name="x")
        long["unit"] = long["name"].str[2:].astype(int)
        groups = long.astype({"x": float}).groupby(["unit", "label", "timestep"])["x"]
        expected = groups.agg(["count", "mean", "sem"]).reset_index()
        got = tables["tuning"].query("signal == @signal").reset_index(drop=True)
        for name in ("unit", "label", "timestep", "count"):
            assert got[name].tolist() == expected[name].tolist()
        np.testing.assert_allclose(got["mean"], expected["mean"], rtol=1e-10)
        np.testing.assert_allclose(got["standard_error"], expected["sem"], rtol=1e-8)


@pytest.mark.parametrize("make", [drawn, lambda: per_timestep(drawn())])
def test_what_the_class_explains_at_each_timestep_is_that_of_scipy(
    make: Any, tmp_path: Path
) -> None:
    recording = make()
    tables, _ = all_tables(tmp_path, recording, parts=4, seed=1)
    got = tables["timesteps"].query("signal == 'c'").set_index(["timestep", "unit"])
    for t in range(6):
        reached = recording.lengths > t
        x = recording.signals["lstm"]["c"][reached, t].astype(np.float64)
        labels = recording.labels if recording.labels.ndim == 1 else recording.labels[:, t]
        f = scipy.stats.f_oneway(*(x[labels[reached] == k] for k in range(3)), axis=0).statistic
        eta2 = 2 * f / (2 * f + len(x) - 3)
        np.testing.assert_allclose(got.loc[t]["eta2"], eta2, rtol=1e-8)
        assert (got.loc[t]["count"] == reached.sum()).all()


# merging


@pytest.mark.slow
@pytest.mark.parametrize("make", [drawn, per_timestep])
@pytest.mark.parametrize(("parts", "seed"), [(2, 0), (7, 1), (120, 3)])
def test_any_number_of_parts_in_any_order_gives_the_same_tables(
    parts: int, seed: int, make: Any, tmp_path: Path
) -> None:
    recording = noted(drawn() if make is drawn else make(drawn()))
    # States that are held all along, or nearly: rounding must not look like a decay.
    recording.signals["lstm"]["c"][..., 4] = recording.signals["lstm"]["c"][:, :1, 4]
    expected, said = all_tables(tmp_path / "whole", recording)
    got, figures = all_tables(tmp_path / "parts", recording, parts=parts, seed=seed)
    assert_same(got, expected)
    assert figures == said


def test_the_timescales_of_any_parts_are_the_same(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(60, 40, 7))
    made = [scipy.signal.lfilter([1], [1, -0.1 * unit], noise[..., unit]) for unit in range(7)]
    c = np.stack(made, axis=2).astype(np.float32)
    recording = Recording({"lstm": {"c": c}}, np.full(60, 40))
    expected, _ = measured(tmp_path / "whole", recording)
    assert expected["timescale"].notna().sum() > 3
    got, _ = measured(tmp_path / "parts", recording, parts=11, seed=0)
    pd.testing.assert_frame_equal(got, expected, rtol=1e-10, atol=1e-10)


def test_the_number_of_workers_does_not_change_the_tables(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(), parts=5)
    found = []
    for workers in (1, 4):
        analysed("units", OPTIONS, recorded, tmp_path, workers)
        found.append([read(tmp_path, name) for name in TABLES])
    for one, other in zip(*found, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_the_order_of_sequences_does_not_change_the_tables(tmp_path: Path) -> None:
    recording = drawn()
    order = np.random.default_rng(0).permutation(len(recording.lengths))
    assert recording.labels is not None
    moved = replace(
        recording,
        signals={"lstm": {name: x[order] for name, x in recording.signals["lstm"].items()}},
        lengths=recording.lengths[order],
        labels=recording.labels[order],
    )
    expected, _ = all_tables(tmp_path / "one", recording, parts=3)
    # Which sequences share a group, and so the errors, goes by their numbers.
    by_group = (*GROUPED, "lag1_low", "lag1_high", "timescale_fit", *TIMED)
    assert_same(all_tables(tmp_path / "other", moved, parts=3)[0], expected, but=by_group)


def test_the_order_of_units_is_the_order_of_rows_and_nothing_else(tmp_path: Path) -> None:
    recording = drawn(signals="c")
    order = np.random.default_rng(0).permutation(7)
    moved = replace(recording, signals={"lstm": {"c": recording.signals["lstm"]["c"][..., order]}})
    one, other = (
        all_tables(tmp_path / name, each)[0] for name, each in (("a", recording), ("b", moved))
    )
    for name in TABLES:
        expected = pd.concat([one[name][one[name]["unit"] == unit] for unit in order])
        keys = ["unit", "cluster"]
        pd.testing.assert_frame_equal(
            other[name].drop(columns=keys, errors="ignore"),
            expected.drop(columns=keys, errors="ignore").reset_index(drop=True),
            rtol=1e-12,
        )


def test_units_keep_the_numbers_that_they_were_recorded_under(tmp_path: Path) -> None:
    recording, numbers = drawn(signals="c"), [5, 40, 7]
    recorded = write(tmp_path / "states", recording)
    expected = all_tables(tmp_path / "all", recording)[0]
    path = states.part_file(recorded, "lstm", "c", 0)
    rows, values = states.read_part(path, [1, 3, 4])
    states.write_part(path, "c", np.ascontiguousarray(values), rows, "lz4", numbers)
    analysed("units", OPTIONS, recorded, tmp_path)
    for name in TABLES:
        got = read(tmp_path, name)
        assert got["unit"].drop_duplicates().tolist() == numbers
        was = pd.concat([expected[name][expected[name]["unit"] == unit] for unit in (1, 3, 4)])
        adjusted = {"unit", "q_value", "mi_q", "cluster"}
        chosen = [column for column in was if column not in adjusted]
        pd.testing.assert_frame_equal(got[chosen], was[chosen].reset_index(drop=True))


# memory


def test_units_are_taken_in_even_blocks_that_fit_the_memory(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(n=400, t=20, u=64, signals="c"))
    recording, signal = open_recording(recorded), open_signal(recorded, "lstm", "c")
    for memory in (0, 1, 100):
        blocks = list(cut(recording, signal, memory, 50))
        sizes = [len(block.lines) for block in blocks]
        assert [line for block in blocks for line in block.lines] == list(range(64))
        assert max(sizes) - min(sizes) <= 1
        assert len(blocks) == {0: 64, 1: 3, 100: 1}[memory]
        assert all(block.exact == (memory > 0) for block in blocks)
        assert all(block.ranked for block in blocks)  # as cheap as to count them


def test_of_very_many_sequences_nothing_is_held(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(n=400, t=20, u=64, signals="c"))
    recording = replace(open_recording(recorded), sequences=100_000_000)
    signal = replace(open_signal(recorded, "lstm", "c"), rows=2_000_000_000)
    blocks = list(cut(recording, signal, 80, 50))
    assert [len(block.lines) for block in blocks] == [8] * 8
    assert not any(block.exact or block.ranked for block in blocks)


@pytest.mark.slow
def test_blocks_change_nothing_and_samples_no_more_than_the_quantiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = noted(drawn(n=400, t=20, u=64, signals="c"))
    whole, said = all_tables(tmp_path / "whole", recording, parts=2)
    blocks, said_blocks = all_tables(
        tmp_path / "blocks", recording, replace(OPTIONS, memory_mb=1), parts=3
    )
    monkeypatch.setattr(unit_blocks, "RANKING", MUCH)
    monkeypatch.setattr(sampling, "SAMPLE", 1000)
    binned, said_binned = all_tables(
        tmp_path / "binned", recording, replace(OPTIONS, memory_mb=0), parts=3, seed=1
    )
    for name, other in (("quantiles", "sample"), ("ranks", "sample")):
        assert said[name] == said_blocks[name] == {"lstm/c": "exact"}
        assert said_binned[name] == {"lstm/c": other}
    assert_same(blocks, whole)
    in_one, _ = all_tables(tmp_path / "one", recording, replace(OPTIONS, memory_mb=0), parts=1)
    assert_same(binned, in_one)
    assert_same(binned, whole, but=tuple(LEVELS))
    exact, near = whole["units"], binned["units"]
    for unit, line in enumerate(recording.rows("lstm", "c").T):
        ranks = scipy.stats.percentileofscore(line, near.loc[unit, [*LEVELS]], "mean") / 100
        np.testing.assert_allclose(ranks, list(LEVELS.values()), atol=5e-3)
    assert np.abs(near[[*LEVELS]] - exact[[*LEVELS]]).max(axis=None) > 0


def constant(recording: Recording) -> Recording:
    """The recording with a unit that never varies, one that is always 0, and an absent class."""
    values = recording.signals["lstm"]["c"]
    values[..., 1], values[..., 2] = 0.3, 0.0
    assert recording.labels is not None
    return replace(recording, labels=np.where(recording.labels == 1, 2, recording.labels))


@pytest.mark.parametrize(
    "of",
    [
        per_timestep,
        constant,
        lambda recording: replace(recording, labels=None),
        lambda recording: replace(recording, labels=np.zeros_like(recording.labels)),
    ],
    ids=["labels per timestep", "constant", "no labels", "one class"],
)
def test_whatever_is_known_what_is_counted_is_as_what_is_held(
    of: Callable[[Recording], Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = of(drawn(n=200, u=4, signals="c"))
    held, said = all_tables(tmp_path / "held", recording)
    monkeypatch.setattr(unit_blocks, "RANKING", MUCH)
    counted, said_counted = all_tables(
        tmp_path / "counted", recording, replace(OPTIONS, memory_mb=0), parts=3, seed=1
    )
    assert said_counted["ranks"] == {"lstm/c": "sample"}
    assert said_counted["null"] == said["null"]
    assert_same(counted, held, but=tuple(LEVELS))


def test_an_outlier_past_the_memory_does_not_move_the_quantiles(tmp_path: Path) -> None:
    """N(0, 1) and one value of 1e4, which ruins bins of equal width."""
    recording = drawn(n=4000, t=50, u=3, signals="c")
    recording.lengths[:] = 50
    values = np.random.default_rng(0).normal(size=(4000, 50, 3))
    values[17, 3] = 1e4
    recording.signals["lstm"]["c"] = values.astype(np.float32)
    table, said = measured(tmp_path, recording, replace(OPTIONS, memory_mb=0), parts=3)
    assert said["quantiles"] == {"lstm/c": "sample"}
    assert (table["max"] == 1e4).all()
    np.testing.assert_allclose(table["q95"], scipy.stats.norm.ppf(0.95), atol=0.03)
    np.testing.assert_allclose(table["q05"], scipy.stats.norm.ppf(0.05), atol=0.03)


def test_past_its_memory_several_units_share_a_block_of_counts(tmp_path: Path) -> None:
    recording = drawn(n=3000, t=90, u=3, signals="c")
    recording.lengths[:] = 90
    exact, said = measured(tmp_path / "exact", recording)
    small = replace(OPTIONS, memory_mb=1)
    binned, said_binned = measured(tmp_path / "binned", recording, small, parts=4)
    recorded = tmp_path / "exact" / "states0"
    blocks = list(cut(open_recording(recorded), open_signal(recorded, "lstm", "c"), 1, 50))
    assert [(block.lines, block.exact) for block in blocks] == [(range(3), False)]
    assert (said["quantiles"], said_binned["quantiles"]) == (
        {"lstm/c": "exact"},
        {"lstm/c": "sample"},
    )
    assert said_binned["ranks"] == {"lstm/c": "exact"}
    for unit, line in enumerate(recording.rows("lstm", "c").T):
        ranks = scipy.stats.percentileofscore(line, binned.loc[unit, [*LEVELS]]) / 100
        np.testing.assert_allclose(ranks, list(LEVELS.values()), atol=1e-3)
    rest = exact.drop(columns=[*LEVELS])
    pd.testing.assert_frame_equal(binned[[*rest]], rest, rtol=1e-10, atol=1e-10)


# a null


@pytest.mark.slow
def test_shuffled_labels_are_seldom_found_to_mean_something(tmp_path: Path) -> None:
    """States that do carry the class, each unit in its own way; then their labels shuffled."""
    recording = drawn(n=150, t=2, u=100, signals="c", k=5)
    labels, random = recording.labels, np.random.default_rng(0)
    assert labels is not None
    values = random.normal(size=recording.signals["lstm"]["c"].shape)
    values += 0.5 * random.normal(size=(5, 100))[labels, np.newaxis]
    recording.signals["lstm"]["c"] = values.astype(np.float32)
    options = replace(OPTIONS, permutations=500)
    true, figures = measured(tmp_path / "true", recording, options)
    assert figures["class_dependent"]["c"] == (true["q_value"] < 0.05).sum() > 80
    assert (true["mi_q"] < 0.05).sum() > 30
    found = []
    for seed in range(20):
        shuffled = np.random.default_rng(seed).permutation(labels)
        table, figures = measured(
            tmp_path / str(seed), replace(recording, labels=shuffled), replace(options, seed=seed)
        )
        assert figures["class_dependent"]["c"] == (table["q_value"] < 0.05).sum()
        found.append(table)
    whole = pd.concat(found)
    # Units share each shuffle, so that strong effects would make their p-values go together.
    for p, q in (("p_value", "q_value"), ("mi_p", "mi_q")):
        assert (whole[q] < 0.05).mean() <= 0.05, q
        assert scipy.stats.kstest(whole[p], "uniform").pvalue > 0.05, p
    assert whole["eta2"].mean() == pytest.approx(4 / 149, rel=0.1)
    assert whole["omega2"].mean() == pytest.approx(0, abs=0.002)
    assert whole["mutual_information"].mean() == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("permutations", [200, 599, 600])
def test_the_shuffles_bound_the_q_value_of_a_unit_that_alone_tells_of_the_class(
    permutations: int, tmp_path: Path
) -> None:
    recording = drawn(n=300, u=30, signals="c")
    values = np.random.default_rng(0).normal(size=recording.signals["lstm"]["c"].shape)
    assert recording.labels is not None
    values[..., 4] += 9 * recording.labels[:, np.newaxis]
    recording.signals["lstm"]["c"] = values.astype(np.float32)
    options = replace(OPTIONS, permutations=permutations)
    table, figures = measured(tmp_path, recording, options)
    bound = 30 / (permutations + 1)
    assert figures["smallest_lone_mi_q"] == {"lstm/c": pytest.approx(bound)}
    assert table["mi_q"].idxmin() == 4
    assert table["mi_q"].min() == pytest.approx(bound)
    assert (table["mi_q"].min() < 0.05) == (permutations >= 20 * 30)


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
    assert row["dprime"] > 7
    assert row["auc"] > 0.999
    assert row["mutual_information"] > 0.8
    others = table.drop(index=2)
    assert (others["eta2"] < 0.1).all()
    assert (others["q_value"] > 0.001).all()
    assert (others["mutual_information"] < 0.2).all()
    assert figures["class_dependent"]["c"] == (table["q_value"] < 0.05).sum()


def test_q_values_are_of_one_layer_and_signal_at_a_time(tmp_path: Path) -> None:
    recording = drawn(signals="ch")
    recording.signals["second"] = drawn(1, signals="c").signals["lstm"]
    both, _ = measured(tmp_path / "both", recording)
    only_c = replace(recording, signals={"lstm": {"c": recording.signals["lstm"]["c"]}})
    alone, _ = measured(tmp_path / "alone", only_c)
    first = both[both["layer"] == "lstm"]
    for name in ("q_value", "mi_q"):
        np.testing.assert_array_equal(one_signal(first, "c")[name], alone[name])


# sequences.parquet and steps.parquet


def test_labels_of_timesteps_count_where_they_stand(tmp_path: Path) -> None:
    recording = per_timestep(drawn(n=300, signals="c"))
    labels = recording.labels
    assert labels is not None
    values = recording.signals["lstm"]["c"]
    values[..., 3] += 5 * labels  # of its own timestep
    values[:, 1:, 4] += 5 * labels[:, :-1]  # of the one before
    tables, _ = all_tables(tmp_path, recording, parts=3)
    table = tables["units"].set_index("unit")
    last = recording.last("lstm", "c").astype(np.float64)
    at_last = labels[np.arange(300), recording.lengths - 1]
    f = scipy.stats.f_oneway(*(last[at_last == k] for k in range(3)), axis=0, equal_var=False)
    np.testing.assert_allclose(table["f_statistic"], f.statistic, rtol=1e-8)
    assert table.loc[3, "eta2"] > 0.9
    assert (table["eta2"].drop(3) < 0.1).all()
    assert (tables["timesteps"].query("unit == 3")["eta2"] > 0.9).all()
    counts = tables["tuning"].query("unit == 0").groupby("label")["count"].sum()
    assert counts.tolist() == np.bincount(labels[recording.valid]).tolist()


@pytest.mark.parametrize("known", ["nothing", "numbers"])
def test_without_labels_what_needs_them_is_null_and_keeps_its_type(
    known: str, tmp_path: Path
) -> None:
    labelled, _ = all_tables(tmp_path / "labelled", drawn())
    target = np.arange(120.0) if known == "numbers" else None
    bare, figures = all_tables(
        tmp_path / "bare", replace(drawn(), labels=None, target=target), parts=3
    )
    table = bare["units"]
    assert table[[*CLASS_COLUMNS]].isna().all(axis=None)
    assert bare["timesteps"]["eta2"].isna().all()
    assert bare["tuning"]["label"].isna().all()
    for name in TABLES:
        types = [each[name].dtypes for each in (bare, labelled)]
        if name == "task_variance":  # without rows its file has no categories
            types = [each.astype(str) for each in types]
        pd.testing.assert_series_equal(*types)
    others = [name for name in table if name not in CLASS_COLUMNS]
    expected = labelled["units"][others]
    pd.testing.assert_frame_equal(table[others], expected, rtol=1e-10, atol=1e-10)
    rows = bare["tuning"].groupby(["signal", "unit", "timestep"], observed=True)["count"]
    assert (rows.size() == 1).all()
    assert figures["headline"] == {"rows": 21, "dead": 0}
    assert figures["class_dependent"] is figures["smallest_lone_mi_q"] is None
    null = figures["null"]["units"]
    assert {name: null[name] for name in CLASS_COLUMNS} == {
        name: {"no class labels": 21} for name in CLASS_COLUMNS
    }
    assert_counted(bare, figures)


def test_scores_without_labels_are_no_classes(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", replace(drawn(), labels=None))
    path = recorded / states.SEQUENCES
    pd.read_parquet(path).assign(p_0=0.5, p_1=0.5).to_parquet(path, index=False)
    analysed("units", OPTIONS, recorded, tmp_path)
    expected, _ = all_tables(tmp_path / "bare", replace(drawn(), labels=None))
    assert_same({name: read(tmp_path, name) for name in TABLES}, expected)


def test_what_is_null_is_counted_by_column_and_reason(tmp_path: Path) -> None:
    def nulls(name: str, recording: Recording, options: Units = OPTIONS) -> Counts:
        tables, figures = all_tables(tmp_path / name, recording, options)
        assert_counted(tables, figures)
        found: Counts = figures["null"]["units"]
        return {each: found[each] for each in found if each not in TIMED}

    unbounded = {"not a gate, h or g": 7}
    usual = {
        "left_saturated": unbounded,  # of c
        "right_saturated": unbounded,
        "forget_timescale": {"not a forget gate": 14},  # of h and c
        "forget_timescale_log": {"not a forget gate": 14},
    }
    assert nulls("all", noted(drawn())) == usual
    unnoted = {"no annotations of timesteps": 21}
    without = dict.fromkeys(ANNOTATED, unnoted)
    assert nulls("none", drawn()) == usual | without
    shuffles = {name: {"units.permutations=0": 21} for name in ("mi_p", "mi_q")}
    found = nulls("shuffles", noted(drawn()), replace(OPTIONS, permutations=0))
    assert found == usual | shuffles
    only_f = noted(drawn(signals="cf"))
    del only_f.signals["lstm"]["c"]
    assert nulls("f", only_f) == {}
    short = nulls("short", noted(drawn(t=1)))
    lag1 = ("lag1", "lag1_low", "lag1_high")
    unlagged = (*lag1, "timescale_fit", "autocorrelation_time")
    assert short == usual | {key: {"a single timestep": 21} for key in unlagged}
    few = nulls("few", noted(drawn(n=39)))
    bounds = ("lag1", "eta2", "omega2", "best_correlation")
    lone = {"fewer than 40 independent sequences": 21}
    assert few == usual | {f"{name}_{end}": lone for name in bounds for end in ("low", "high")}
    gaps = nulls("gaps", replace(noted(drawn()), recorded=slice(None, None, 2)))
    apart = {key: {"no two consecutive timesteps that vary": 21} for key in lag1}
    apart["autocorrelation_time"] = {"timesteps between were not recorded": 21}
    assert gaps == usual | apart
    alone = nulls("alone", noted(drawn(n=3, t=1, k=9)))
    few = {key: {"as many classes as sequences": 21} for key in (*EFFECT, "mutual_information")}
    few |= {key: {"fewer than two classes of two sequences": 21} for key in TESTED}
    few |= {key: {"no class of two sequences against two others": 21} for key in PREFERRING}
    few |= {"eta2_peak": {"no timestep with so many sequences": 21}}
    few |= {"eta2_peak_timestep": {"no eta2_peak": 21}}
    assert {name: alone[name] for name in few} == few


def test_intervals_need_forty_sequences(tmp_path: Path) -> None:
    for n in (39, 40):
        recording = noted(drawn(n=n, t=2, signals="c"))
        recording.lengths[:] = 2
        tables, figures = all_tables(tmp_path / str(n), recording)
        assert_counted(tables, figures)
        intervals = tables["units"].filter(regex="^(eta2|omega2|best_correlation)_(low|high)$")
        assert intervals.shape[1] == 6
        assert intervals.isna().all(axis=None) == (n < 40)
        assert intervals.notna().all(axis=None) == (n >= 40)


def test_sequences_of_one_source_are_left_out_together(tmp_path: Path) -> None:
    recording = noted(drawn(n=120, t=2, signals="c"))
    recorded, labels = write(tmp_path / "states", recording), recording.labels
    assert labels is not None
    found = {}
    for size in (1, 2, 6):
        frame = pd.read_parquet(recorded / states.SEQUENCES)
        frame.assign(group=np.arange(120) // size).to_parquet(recorded / states.SEQUENCES)
        analysed("units", OPTIONS, recorded, tmp_path)
        found[size] = read(tmp_path, "units")
    intervals = [*GROUPED, "best_correlation_low", "best_correlation_high"]
    assert found[6][intervals].isna().all(axis=None)  # 20 sources
    assert found[1][intervals].notna().all(axis=None)
    in_time = ("lag1_low", "lag1_high", "timescale_fit", *TIMED)
    others = found[1].columns.drop([*intervals, *in_time])
    pd.testing.assert_frame_equal(found[2][others], found[1][others])
    last = recording.last("lstm", "c").astype(np.float64)
    rest = []
    for group in range(20):
        kept = np.arange(120) // 2 % 20 != group
        f, _ = f_classif(last[kept], labels[kept])
        rest.append(2 * f / (2 * f + kept.sum() - 3))
    error = np.sqrt(19 / 20 * ((rest - np.mean(rest, axis=0)) ** 2).sum(axis=0))
    low = found[2]["eta2"] - scipy.stats.t.ppf(0.975, 19) * error
    np.testing.assert_allclose(found[2]["eta2_low"], low, rtol=1e-6)


def test_single_units_that_are_null_are_counted_apart(tmp_path: Path) -> None:
    recording = noted(drawn(signals="ch"))
    made, last = recording.signals["lstm"], recording.lengths - 1
    made["c"][..., 1] = 0.1
    made["h"][..., :2] = 0
    made["h"][np.arange(120), last, 4] = 0.5
    tables, figures = all_tables(tmp_path, recording, parts=3)
    assert_counted(tables, figures)
    found = figures["null"]["units"]
    for name in (*EFFECT, *TESTED, *PREFERRING):
        assert found[name] == {"constant at the final step": 4}
    assert found["selectivity"] == {"0 at the final step": 2}
    assert found["skewness"] == found["kurtosis"] == {"the unit is constant": 3}
    assert found["hoyer"] == found["lifetime_sparseness"] == {"the unit is always 0": 2}
    assert found["lag1"] == {"the unit does not fluctuate": 3}
    assert found["best_covariate"] == {"the unit or the annotations are constant": 3}
    assert found["timescale"]["the unit does not fluctuate"] == 3
    explained = figures["null"]["timesteps"]["eta2"]
    assert explained == {"constant at that timestep": 3 * 6 + 1}  # the longest end at 0.5 too


def test_timesteps_with_too_few_classes_or_sequences_are_counted_apart(tmp_path: Path) -> None:
    recording = drawn(n=5, t=4, signals="c", k=3)
    recording = replace(
        recording, lengths=np.array([1, 2, 3, 4, 4]), labels=np.array([0, 0, 2, 1, 1], np.int32)
    )
    tables, figures = all_tables(tmp_path, recording)
    assert_counted(tables, figures)
    # Of the sequences that reach timestep 3 all have class 1.
    assert figures["null"]["timesteps"] == {"eta2": {"a single class occurs": 7}}
    few = replace(recording, labels=np.array([0, 0, 2, 1, 0], np.int32))
    figures = all_tables(tmp_path / "few", few)[1]
    assert figures["null"]["timesteps"] == {"eta2": {"as many classes as sequences": 2 * 7}}
    alone = {"a single sequence": 7 * (2 + 2 + 3 + 2)}
    assert figures["null"]["tuning"] == {"standard_error": alone}


def test_a_layer_without_classes_is_counted_beside_one_with_them(tmp_path: Path) -> None:
    recording = per_timestep(drawn(signals="c"))
    recording.signals["second"] = drawn(1, u=2, signals="h").signals["lstm"]
    recorded = write(tmp_path / "states", recording)
    path = states.part_file(recorded, "second", "h", 0)
    rows, values = states.read_part(path)
    states.write_part(path, "h", values, replace(rows, label=None), "lz4")
    figures = analysed("units", OPTIONS, recorded, tmp_path)
    assert_counted({name: read(tmp_path, name) for name in TABLES}, figures)
    for name in CLASS_COLUMNS:
        assert figures["null"]["units"][name] == {"no class labels": 2}
    assert figures["null"]["timesteps"]["eta2"]["no class labels"] == 2 * 6
    assert figures["null"]["tuning"]["label"] == {"no class labels": 2 * 6}
    assert set(figures["class_dependent"]) == {"c"}
    assert set(figures["smallest_lone_mi_q"]) == {"lstm/c"}
    assert figures["headline"]["with q < 0.05"] == figures["class_dependent"]["c"]


def test_of_a_single_class_there_is_nothing_to_tell(tmp_path: Path) -> None:
    same = replace(drawn(), labels=np.ones(120, np.int32))
    tables, figures = all_tables(tmp_path, same)
    table = tables["units"]
    assert table[[*CLASS_COLUMNS]].isna().all(axis=None)
    for name in CLASS_COLUMNS:
        why = "no eta2_peak" if name == "eta2_peak_timestep" else "a single class occurs"
        assert figures["null"]["units"][name] == {why: 21}
    assert figures["null"]["timesteps"] == {"eta2": {"a single class occurs": 21 * 6}}
    assert figures["headline"] == {"rows": 21, "dead": 0}
    assert figures["class_dependent"] is None
    assert tables["tuning"]["label"].unique().tolist() == [1]


def test_units_without_a_timescale_are_counted_by_reason(tmp_path: Path) -> None:
    recording = drawn(n=50, t=30, signals="ch", u=4)
    recording.lengths[:] = 30
    random, made = np.random.default_rng(0), recording.signals["lstm"]
    made["c"][..., 0] = 0.5
    made["h"][..., :2] = np.arange(30)[:, np.newaxis]
    made["h"][..., 2] = random.normal(size=(50, 1))
    made["h"][..., 3] = random.normal(size=(50, 30))
    table, figures = measured(tmp_path, recording)
    assert one_signal(table, "h")["timescale_fit"][2:].tolist() == ["persists", "none"]
    none = int((table["timescale_fit"] == "none").sum())
    persists = int((table["timescale_fit"] == "persists").sum())
    reasons = figures["null"]["units"]
    usual = {"the unit does not fluctuate": 3, "R(1) is not above 0": none}
    assert reasons["timescale_fit"] == {"the unit does not fluctuate": 3}
    for name in ("timescale", "timescale_low", "timescale_high", "persistent_share"):
        assert reasons[name] == usual
        assert table[name].isna().sum() == 3 + none
    assert reasons["timescale_r2"] == usual | {"R persists": persists}
    few, figures = measured(tmp_path / "few", replace(recording, recorded=slice(2)))
    reasons = figures["null"]["units"]["timescale_fit"]
    assert reasons == {
        "the unit does not fluctuate": 3,
        "the unit varies at fewer than 2 lags": 5,
    }
    assert few["timescale"].isna().all()


def test_copies_of_a_sequence_are_one_source(tmp_path: Path) -> None:
    """The interval of copies is that of one of each, and not of as many independent sequences."""
    noise = np.random.default_rng(0).normal(size=(50, 30, 3))
    c = scipy.signal.lfilter([1], [1, -0.8], noise, axis=1).astype(np.float32)
    one = Recording({"lstm": {"c": c}}, np.full(50, 30))
    many = Recording({"lstm": {"c": np.tile(c, (3, 1, 1))}}, np.full(150, 30))
    expected, _ = measured(tmp_path / "one", one)
    recorded = write(tmp_path / "many", many, parts=4, seed=0)
    path = recorded / states.SEQUENCES
    frame = pd.read_parquet(path)
    frame.assign(group=np.tile(np.arange(50), 3)).to_parquet(path, index=False)
    analysed("units", OPTIONS, recorded, tmp_path)
    got = read(tmp_path, "units")
    for name in ("lag1", "lag1_low", "lag1_high", "timescale", "timescale_low", "timescale_high"):
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-9)


def test_the_best_covariate_is_the_one_with_the_largest_correlation(tmp_path: Path) -> None:
    recording = noted(drawn())
    steps = recording.steps
    assert steps is not None
    table, _ = measured(tmp_path, recording, parts=4, seed=1)
    for signal in "hcf":
        rows = pd.DataFrame(recording.rows("lstm", signal).astype(np.float64))
        r = pd.DataFrame({name: rows.corrwith(steps[name]) for name in ("depth", "count")})
        got = one_signal(table, signal)
        best = r.abs().idxmax(axis=1)
        assert got["best_covariate"].tolist() == best.tolist()
        expected = [r.loc[unit, name] for unit, name in best.items()]
        np.testing.assert_allclose(got["best_correlation"], expected, rtol=1e-9)
    assert one_signal(table, "c").loc[2, "best_covariate"] == "depth"


@pytest.mark.parametrize("chosen", [slice(2, 5), slice(None, None, 2), slice(3, 4)])
def test_annotations_find_the_timesteps_that_were_recorded(chosen: slice, tmp_path: Path) -> None:
    recording = noted(drawn(signals="c"))
    steps = recording.steps
    assert steps is not None
    some = replace(recording, recorded=chosen)
    table, _ = measured(tmp_path, some, parts=4)
    sequence, timestep = np.nonzero(some.valid)
    keys = pd.DataFrame({"sequence": sequence, "timestep": timestep})
    depth = keys.merge(steps, on=["sequence", "timestep"])["depth"]
    rows = some.rows("lstm", "c").astype(np.float64)
    r = np.corrcoef(rows[:, 2], depth)[0, 1]
    assert table.loc[2, "best_covariate"] == "depth"
    assert table.loc[2, "best_correlation"] == pytest.approx(r, rel=1e-9)


def test_a_unit_that_does_not_vary_has_no_covariate(tmp_path: Path) -> None:
    recording = noted(drawn(signals="c"))
    recording.signals["lstm"]["c"][..., 1] = 0.1
    table, _ = measured(tmp_path, recording, parts=3)
    assert table["best_covariate"].isna().tolist() == [unit == 1 for unit in range(7)]
    assert np.isnan(table.loc[1, "best_correlation"])


# what was recorded


@pytest.mark.parametrize("chosen", [slice(1, 4), slice(None, None, 3), slice(5, 6)])
def test_some_timesteps_are_measured_as_they_are(chosen: slice, tmp_path: Path) -> None:
    """Also where a part's sequences all end before them."""
    recording = replace(drawn(), recorded=chosen)
    recording.lengths[:20] = 1
    tables, _ = all_tables(tmp_path, recording, parts=6)
    table = one_signal(tables["units"], "c")
    rows = recording.rows("lstm", "c").astype(np.float64)
    assert (table["count"] == len(rows)).all()
    np.testing.assert_allclose(table["mean"], rows.mean(axis=0))
    steps = set(range(6)[chosen])
    assert set(tables["timesteps"]["timestep"]) == set(tables["tuning"]["timestep"]) == steps
    assert table["lag1"].notna().all() == (chosen == slice(1, 4))


def test_every_other_timestep_has_the_timescale_of_all(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(1500, 300))
    x = scipy.signal.lfilter([1], [1, -0.9], noise)[:, 200:, np.newaxis].astype(np.float32)
    recording = Recording({"lstm": {"c": x}}, np.full(1500, 100))
    options = replace(OPTIONS, lags=40)
    for name, chosen in (("all", slice(None)), ("other", slice(None, None, 2))):
        table, _ = measured(tmp_path / name, replace(recording, recorded=chosen), options)
        assert table.loc[0, "timescale"] == pytest.approx(-1 / np.log(0.9), rel=0.08)
    assert np.isnan(table.loc[0, "lag1"])


def test_layers_and_signals_are_those_asked_for(tmp_path: Path) -> None:
    recording = drawn(signals="hcf")
    recording.signals["second"] = drawn(1, u=2, signals="ch").signals["lstm"]
    keys = ["layer", "signal", "unit"]
    whole = measured(tmp_path / "whole", recording)[0].astype({"layer": str, "signal": str})

    def pairs(**asked: Any) -> list[str]:
        options = replace(OPTIONS, **asked)
        table, figures = measured(tmp_path / "some", recording, options)
        table = table.astype({"layer": str, "signal": str}).set_index(keys)
        found: list[str] = (
            (table.index.get_level_values(0) + "/" + table.index.get_level_values(1))
            .unique()
            .tolist()
        )
        assert list(figures["quantiles"]) == found
        # Nothing but the choice of rows has changed.
        pd.testing.assert_frame_equal(table, whole.set_index(keys).loc[table.index])
        return found

    assert pairs(signals=["c", "f"]) == ["lstm/c", "lstm/f", "second/c"]
    assert pairs(layers=["second"]) == ["second/h", "second/c"]
    assert pairs(layers=["lstm"], signals=["f"]) == ["lstm/f"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"layers": ["third"]}, "units.layers: no 'third'; there is lstm, second"),
        ({"signals": ["c", "z"]}, "units.signals: no 'z'; there is h, c, f"),
        ({"layers": ["second"], "signals": ["f"]}, "units.signals: no 'f'; there is h, c"),
        ({"layers": []}, "units.layers=\\[\\], units.signals=None: no rows"),
    ],
)
def test_layers_and_signals_that_were_not_recorded_are_refused(
    asked: dict[str, Any], says: str, tmp_path: Path
) -> None:
    recording = drawn(signals="hcf")
    recording.signals["second"] = drawn(1, u=2, signals="ch").signals["lstm"]
    with pytest.raises(UserError, match=says):
        measured(tmp_path, recording, replace(OPTIONS, **asked))


def test_one_sequence_of_one_timestep_is_measured_as_far_as_it_goes(tmp_path: Path) -> None:
    tables, figures = all_tables(tmp_path, drawn(n=1, t=1))
    table = tables["units"]
    assert_counted(tables, figures)
    assert (table["count"] == 1).all()
    pd.testing.assert_series_equal(table["mean"], table["median"], check_names=False)
    null = ["std", "skewness", "kurtosis", "hoyer", "lifetime_sparseness", "lag1", "timescale"]
    assert table[[*null, *CLASS_COLUMNS, "dead"]].isna().all(axis=None)
    for name in ("std", "dead", "hoyer"):
        assert figures["null"]["units"][name] == {"a single timestep": 21}
    assert figures["null"]["tuning"] == {"standard_error": {"a single sequence": 21}}
    assert int(table["dead"].sum()) == figures["headline"]["dead"] == 0


# single columns


def test_a_dead_unit_is_found_and_has_no_shape(tmp_path: Path) -> None:
    recording = drawn(signals="ch")
    recording.signals["lstm"]["c"][..., 3] = 0.1
    table, figures = measured(tmp_path, recording, parts=3)
    dead = table[table["dead"]]
    assert dead[["signal", "unit"]].astype(str).to_numpy().tolist() == [["c", "3"]]
    assert figures["headline"]["dead"] == 1
    row = dead.iloc[0]
    constant = np.float64(np.float32(0.1))
    assert (row[["mean", "min", "max", *LEVELS]] == constant).all()
    assert row["std"] == 0
    assert row[["skewness", "kurtosis", "eta2", "omega2", "p_value", "q_value"]].isna().all()
    alive = measured(tmp_path, recording, replace(OPTIONS, dead_variance=0))[1]
    assert alive["headline"]["dead"] == 0


@pytest.mark.parametrize("timescale", [0.5, 3.0, 40.0, 1000.0])
def test_a_forget_gate_of_known_mean_has_its_timescale(timescale: float, tmp_path: Path) -> None:
    recording = drawn(signals="cf")
    random = np.random.default_rng(0)
    mean = np.exp(-1 / timescale)
    steady = np.full(recording.signals["lstm"]["f"].shape, mean)
    steady[..., 1] += min(mean, 1 - mean) * np.sign(random.normal(size=steady.shape[:2]))
    recording.signals["lstm"]["f"] = steady.astype(np.float32)
    table, _ = measured(tmp_path, recording, parts=3)
    got = one_signal(table, "f")
    assert got["forget_timescale"].drop(1).to_numpy() == pytest.approx(timescale, rel=1e-3)
    varying = recording.rows("lstm", "f")[:, 1].astype(np.float64).mean()
    assert got["forget_timescale"][1] == pytest.approx(-1 / np.log(varying), rel=1e-6)
    with np.errstate(divide="ignore"):
        logarithms = np.log(recording.rows("lstm", "f").astype(np.float64)).mean(axis=0)
    np.testing.assert_allclose(got["forget_timescale_log"], -1 / logarithms, rtol=1e-9)
    assert (got["forget_timescale_log"] <= got["forget_timescale"] * (1 + 1e-12)).all()
    assert one_signal(table, "c")["forget_timescale"].isna().all()


def test_a_gate_that_never_forgets_lasts_forever_and_a_shut_one_not_at_all(tmp_path: Path) -> None:
    recording = drawn(signals="f")
    recording.signals["lstm"]["f"][..., 0] = 1
    recording.signals["lstm"]["f"][..., 1] = 0
    table, _ = measured(tmp_path, recording)
    for name in ("forget_timescale", "forget_timescale_log"):
        assert table[name][:2].tolist() == [np.inf, 0]


def test_a_gate_beyond_0_and_1_has_no_forget_timescale(tmp_path: Path) -> None:
    recording = drawn(signals="f")
    recording.signals["lstm"]["f"][0, 0, :2] = -0.1, 1.1
    table, figures = measured(tmp_path, recording)
    for name in ("forget_timescale", "forget_timescale_log"):
        assert table[name].isna().tolist() == [True, True] + [False] * 5
        assert figures["null"]["units"][name] == {"the gate leaves 0 to 1": 2}


@pytest.mark.tensorflow
def test_a_forget_bias_made_for_a_timescale_has_that_timescale(
    tmp_path: Path, tensorflow: None
) -> None:
    """A real layer: the bias -ln(e^(1/T) - 1) of the forget gate, its other weights 0."""
    import keras

    from rnnscope import stages

    made = np.array([0.5, 2, 10, 50, 400])
    x = keras.Input((12, 3))
    layer = keras.layers.LSTM(5, return_sequences=True)
    model = keras.Model(x, keras.layers.Dense(2)(layer(x)[:, -1]))
    forget = slice(5, 10)  # Keras' order is i, f, c, o
    weights = layer.get_weights()
    weights[0][:, forget] = weights[1][:, forget] = 0
    weights[2][forget] = -np.log(np.expm1(1 / made))
    layer.set_weights(weights)
    model.save(tmp_path / "made.keras")
    random = np.random.default_rng(0)
    arrays = {f"x_{split}": random.normal(size=(40, 12, 3)).astype("float32") for split in "ab"}
    np.savez(
        tmp_path / "made.npz",
        x_train=arrays["x_a"],
        y_train=np.arange(40) % 2,
        x_test=arrays["x_b"],
        y_test=np.arange(40) % 2,
    )
    config = composed(
        tmp_path / "outputs",
        "stage=units",
        "model=file",
        f"model.path={tmp_path / 'made.keras'}",
        "data=files",
        f"data.path={tmp_path / 'made.npz'}",
    )
    folder = stages.run(config)[-1].artefact.folder
    table = one_signal(read(folder, "units"), "f")
    np.testing.assert_allclose(table["forget_timescale"], made, rtol=1e-4)
