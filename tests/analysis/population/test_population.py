"""Stage population, from states on disk to its four tables."""

import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from rnnscope import states
from rnnscope.analysis.population import stage as population
from rnnscope.config import Population
from rnnscope.errors import UserError
from rnnscope.stages import STAGES
from rnnscope.store.tables import table_file
from tests.compose import analysed
from tests.recordings import Recording, drawn, write

OPTIONS = Population(layers=None, signals=None, timesteps="all", components=3, redundant=0.9)
NAMES = STAGES["population"].tables

Tables = dict[str, pd.DataFrame]


def measured(
    folder: Path, recording: Recording, options: Population = OPTIONS, **laid: Any
) -> tuple[Tables, dict[str, Any]]:
    """The tables that the stage writes, and its figures."""
    folder.mkdir(exist_ok=True)
    recorded = write(folder / f"states{len(list(folder.iterdir()))}", recording, **laid)
    return tables_of(folder, recorded, options)


def tables_of(
    folder: Path, recorded: Path, options: Population = OPTIONS, workers: int = 1
) -> tuple[Tables, dict[str, Any]]:
    figures = analysed("population", options, recorded, folder, workers)
    json.dumps(figures, allow_nan=False)
    return {name: pd.read_parquet(table_file(folder, name)) for name in NAMES}, figures


def assert_same(got: Tables, expected: Tables, names: Iterable[str] = NAMES) -> None:
    for name in names:
        pd.testing.assert_frame_equal(got[name], expected[name], rtol=1e-10, atol=1e-10)


def of(table: pd.DataFrame, signal: str) -> pd.DataFrame:
    return table[table["signal"] == signal]


def at(recording: Recording, signal: str, timestep: int) -> NDArray[np.float64]:
    """The states of the sequences that reach a timestep [n, U]."""
    values = recording.signals["lstm"][signal]
    return values[recording.lengths > timestep, timestep].astype(np.float64)


def steps(recording: Recording, signal: str, timestep: int) -> NDArray[np.float64]:
    """|x_t - x_(t-1)| of the sequences that reach a timestep [n]."""
    values = recording.signals["lstm"][signal][recording.lengths > timestep].astype(np.float64)
    return np.linalg.norm(values[:, timestep] - values[:, timestep - 1], axis=1)


def test_each_table_has_its_rows_and_types(tmp_path: Path) -> None:
    recording = drawn(signals="hc")
    recording.signals["second"] = drawn(1, u=2, signals="ch").signals["lstm"]
    tables, figures = measured(tmp_path, recording)
    pairs = [("lstm", "h"), ("lstm", "c"), ("second", "h"), ("second", "c")]
    units = {"lstm": 7, "second": 2}
    expected: dict[str, list[tuple[Any, ...]]] = {
        "population": [(*pair, t) for pair in pairs for t in range(6)],
        "components": [
            (*pair, k, unit)
            for pair in pairs
            for k in range(1, min(3, units[pair[0]]) + 1)
            for unit in range(units[pair[0]])
        ],
        "trajectories": [(*pair, k, t) for pair in pairs for k in range(3) for t in range(6)],
        "correlation": [
            (*pair, *both)
            for pair in pairs
            for both in itertools.combinations(range(units[pair[0]]), 2)
        ],
    }
    for name, rows in expected.items():
        keys = tables[name][list(tables[name])[: len(rows[0])]]
        assert list(keys.astype(object).itertuples(index=False, name=None)) == rows, name
    types = {
        "layer": "category",
        "signal": "category",
        "unit": "int32",
        "other": "int32",
        "timestep": "int32",
        "component": "int32",
        "sequences": "int64",
        "label": "Int32",
        "cluster": "Int32",
        "components_90": "Int32",
        "marginalisation": "category",
        "classes": "int64",
        "timesteps": "int64",
    }
    for table in tables.values():
        for column, kind in table.dtypes.astype(str).items():
            assert kind == types.get(column, "float64"), column
    assert list(tables["population"])[3:] == [
        "sequences",
        "participation_ratio",
        "participation_ratio_low",
        "participation_ratio_high",
        "participation_ratio_naive",
        "components_90",
        "norm",
        "speed",
        "population_sparseness",
    ]
    second = tables["trajectories"]["layer"] == "second"
    assert tables["trajectories"].loc[second, "component_3"].isna().all()
    assert figures["rows"] == figures["headline"]["rows"] == 24
    assert figures["reads"] == dict.fromkeys(["lstm/h", "lstm/c", "second/h", "second/c"], 3)


@pytest.mark.parametrize("signal", ["h", "c", "f"])
def test_each_timestep_is_what_numpy_says_of_the_sequences_that_reach_it(
    signal: str, tmp_path: Path
) -> None:
    recording = drawn(n=60)
    table = of(measured(tmp_path, recording, parts=4)[0]["population"], signal).set_index(
        "timestep"
    )
    for timestep, row in table.iterrows():
        x = at(recording, signal, timestep)
        values = np.linalg.eigvalsh(np.cov(x.T))[::-1]
        sizes = np.abs(x)
        activity = sizes.mean(axis=1) ** 2 / (sizes**2).mean(axis=1)
        assert row["sequences"] == len(x) == (recording.lengths > timestep).sum()
        first, second, n = values.sum(), (values**2).sum(), len(x) - 1
        assert row["participation_ratio_naive"] == pytest.approx(first**2 / second)
        corrected = ((n + 1) * first**2 - 2 * second) / (n * (second - first**2 / n))
        assert row["participation_ratio"] == pytest.approx(corrected)
        known = row[["participation_ratio_low", "participation_ratio_high"]].notna()
        assert known.all() == known.any() == (len(x) >= 40)
        reached = values.cumsum() >= 0.9 * values.sum()
        assert row["components_90"] == 1 + reached.argmax()
        assert row["norm"] == pytest.approx(np.linalg.norm(x, axis=1).mean())
        assert row["population_sparseness"] == pytest.approx(((1 - activity) / (1 - 1 / 7)).mean())
        if timestep:
            assert row["speed"] == pytest.approx(steps(recording, signal, timestep).mean())
    assert table["speed"].isna().tolist() == [True] + [False] * 5


def test_components_and_correlations_are_those_of_all_rows(tmp_path: Path) -> None:
    recording = drawn()
    tables, _ = measured(tmp_path, recording, parts=3)
    for signal in "hcf":
        rows = recording.rows("lstm", signal).astype(np.float64)
        expected = PCA(3, svd_solver="full").fit(rows)
        found = of(tables["components"], signal)
        loading = found["loading"].to_numpy().reshape(3, 7)
        signs = np.sign(loading[:, 0] / expected.components_[:, 0])[:, np.newaxis]
        np.testing.assert_allclose(loading, signs * expected.components_, atol=1e-7)
        variance = found["variance"].to_numpy().reshape(3, 7)
        np.testing.assert_allclose(variance.T, np.tile(expected.explained_variance_, (7, 1)))
        share = found["variance_share"].to_numpy()[::7]
        np.testing.assert_allclose(share, expected.explained_variance_ratio_)
        means = np.stack([at(recording, signal, t).mean(axis=0) for t in range(6)])
        within = rows - means[np.nonzero(recording.valid)[1]]
        pairs = of(tables["correlation"], signal)
        for column, values in (("raw_correlation", rows), ("correlation", within)):
            r = np.asarray(np.corrcoef(values.T))[np.triu_indices(7, 1)]
            np.testing.assert_allclose(pairs[column], r, rtol=1e-8)


def test_trajectories_are_the_classes_means_projected(tmp_path: Path) -> None:
    recording = drawn()
    tables, _ = measured(tmp_path, recording, parts=3)
    rows = recording.rows("lstm", "c").astype(np.float64)
    loading = of(tables["components"], "c")["loading"].to_numpy().reshape(3, 7)
    assert recording.labels is not None
    for _, row in of(tables["trajectories"], "c").iterrows():
        reach = recording.lengths > row["timestep"]
        x = at(recording, "c", row["timestep"])[recording.labels[reach] == row["label"]]
        assert row["sequences"] == len(x)
        expected = loading @ (x.mean(axis=0) - rows.mean(axis=0))
        got = row[["component_1", "component_2", "component_3"]].astype(float)
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("parts", "seed"), [(1, None), (2, 0), (7, 1), (40, 2), (120, 3)])
def test_any_number_of_parts_in_any_order_gives_the_same_tables(
    parts: int, seed: int | None, tmp_path: Path
) -> None:
    recording = planted()
    expected, _ = measured(tmp_path / "whole", recording)
    got, _ = measured(tmp_path / "parts", recording, parts=parts, seed=seed)
    assert_same(got, expected)


def test_the_order_of_sequences_does_not_matter(tmp_path: Path) -> None:
    recording = drawn()
    order = np.random.default_rng(0).permutation(120)
    assert recording.labels is not None
    other = replace(
        recording,
        signals={"lstm": {s: v[order] for s, v in recording.signals["lstm"].items()}},
        lengths=recording.lengths[order],
        labels=recording.labels[order],
    )
    tables = [
        measured(tmp_path / name, each, parts=3)[0]
        for name, each in (("one", recording), ("other", other))
    ]
    for each in tables:  # whose intervals follow from other groups of sequences
        bounds = ["participation_ratio_low", "participation_ratio_high"]
        each["population"] = each["population"].drop(columns=bounds)
    assert_same(*tables)


def test_the_number_of_workers_does_not_change_the_tables(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(), parts=5)
    one, four = (tables_of(tmp_path, recorded, workers=n)[0] for n in (1, 4))
    assert_same(four, one)


@pytest.mark.parametrize("covariances", [1, 2, 5])
def test_past_its_memory_a_signal_is_read_in_blocks_to_the_same_tables(
    covariances: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = drawn()
    expected, _ = measured(tmp_path / "whole", recording, parts=3)
    monkeypatch.setattr(population, "MEMORY", covariances * 20 * 8 * 7**2 + 5)
    got, figures = measured(tmp_path / "blocks", recording, parts=3)
    assert_same(got, expected)
    assert figures["reads"]["lstm/c"] == {1: 8, 2: 5, 5: 4}[covariances]


def test_turning_all_states_changes_no_dimension_norm_or_speed(tmp_path: Path) -> None:
    recording = drawn(signals="c")
    turn = np.asarray(scipy.stats.ortho_group.rvs(7, random_state=0))
    turned = drawn(signals="c")
    turned.signals["lstm"]["c"] = (turned.signals["lstm"]["c"] @ turn).astype(np.float32)
    one, other = (
        measured(tmp_path / name, each)[0]["population"]
        for name, each in [("one", recording), ("other", turned)]
    )
    same = ["sequences", "participation_ratio", "components_90", "norm", "speed"]
    pd.testing.assert_frame_equal(one[same], other[same], rtol=1e-5)
    assert not np.allclose(one["population_sparseness"], other["population_sparseness"], rtol=0.1)


def planted() -> Recording:
    """States in which unit 4 copies unit 1, unit 6 is its opposite, and unit 2 is constant."""
    recording = drawn(signals="c")
    values = recording.signals["lstm"]["c"]
    values[..., 4] = values[..., 1]
    values[..., 6] = 1 - values[..., 1]
    values[..., 2] = 0.1
    return recording


@pytest.mark.parametrize("redundant", [0.9, 1.0])
def test_copies_and_opposites_are_redundant(redundant: float, tmp_path: Path) -> None:
    options = replace(OPTIONS, redundant=redundant)
    tables, figures = measured(tmp_path, planted(), options, parts=3)
    table = tables["correlation"].set_index(["unit", "other"])
    joined = table.dropna(subset="cluster")
    assert joined.index.tolist() == [(1, 4), (1, 6), (4, 6)]
    assert joined["cluster"].tolist() == [0, 0, 0]
    np.testing.assert_allclose(joined["correlation"], [1, -1, -1], rtol=1e-6)
    assert table["correlation"].isna().tolist() == [2 in pair for pair in table.index]
    assert figures["redundant_units"] == {"lstm/c": 3}
    assert figures["headline"]["redundant units"] == 3
    assert figures["null"]["correlation"] == {
        "correlation": {"one of the units varies across the sequences at no timestep": 6},
        "raw_correlation": {"one of the units is constant": 6},
        "cluster": {"the units are not in the same cluster": 18},
    }


def test_units_that_rise_together_in_every_sequence_are_not_redundant(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 4, 20)[:, np.newaxis]
    values = random.normal(size=(400, 20, 4)) / 3 + ramp * np.array([1, -2, 0, 0])
    values[..., 1] += random.normal(size=(400, 20)) / 3
    values[..., 3] = values[..., 2] + 0.1 * values[..., 3]  # alike at each timestep
    recording = Recording({"lstm": {"c": values.astype(np.float32)}}, np.full(400, 20))
    tables, _ = measured(tmp_path, recording, parts=3)
    table = tables["correlation"].set_index(["unit", "other"])
    assert abs(table["raw_correlation"][0, 1]) >= 0.8
    assert table["correlation"][0, 1] == pytest.approx(0, abs=0.05)
    assert table["correlation"][2, 3] > 0.98
    assert table.dropna(subset="cluster").index.tolist() == [(2, 3)]


def test_noise_of_a_tenth_about_a_million_has_dimensions_and_correlations(tmp_path: Path) -> None:
    recording = drawn(n=300, signals="c")
    near = np.random.default_rng(0).normal(size=(300, 6, 7)) * 0.1
    near[..., 1] = near[..., 0]
    recording.signals["lstm"]["c"] = (1e6 + near).astype(np.float32)
    tables, _ = measured(tmp_path, recording, parts=4)
    first = tables["population"].iloc[0]
    # Six independent dimensions, of which one is twice as wide: (2 + 5)^2 / (4 + 5)
    assert first["participation_ratio"] == pytest.approx(49 / 9, rel=0.05)
    table = tables["correlation"].set_index(["unit", "other"])
    assert table.drop(columns="cluster").notna().all(axis=None)
    assert table["correlation"][0, 1] == pytest.approx(1)
    assert table["correlation"].drop((0, 1)).abs().max() < 0.15


def test_sequences_of_one_source_are_left_out_together(tmp_path: Path) -> None:
    recorded = write(tmp_path / "states", drawn(signals="c"), parts=3)
    alone, _ = tables_of(tmp_path, recorded)
    path = recorded / states.SEQUENCES
    frame = pd.read_parquet(path)
    bounds = ["participation_ratio_low", "participation_ratio_high"]
    for together, known in ((2, True), (4, False)):
        frame.assign(group=np.arange(120) // together).to_parquet(path, index=False)
        shared, figures = tables_of(tmp_path, recorded)
        same = [column for column in alone["population"] if column not in bounds]
        pd.testing.assert_frame_equal(
            shared["population"][same], alone["population"][same], rtol=1e-10
        )
        assert shared["population"][bounds].iloc[0].notna().all() == known
        assert (shared["population"][bounds].iloc[0] != alone["population"][bounds].iloc[0]).all()
    reasons = figures["null"]["population"]["participation_ratio_low"]
    assert reasons == {"fewer than 40 independent sequences": 6}


def test_chosen_timesteps_alone_count_and_keep_their_speed(tmp_path: Path) -> None:
    recording = drawn(signals="c")
    tables, _ = measured(tmp_path / "all", recording)
    some, _ = measured(tmp_path / "some", recording, replace(OPTIONS, timesteps="1::2"), parts=3)
    expected = tables["population"][tables["population"]["timestep"].isin([1, 3, 5])].reset_index(
        drop=True
    )
    pd.testing.assert_frame_equal(some["population"], expected, rtol=1e-10)
    assert some["trajectories"]["timestep"].unique().tolist() == [1, 3, 5]
    pooled = np.concatenate([at(recording, "c", timestep) for timestep in (1, 3, 5)])
    r = np.asarray(np.corrcoef(pooled.T))[np.triu_indices(7, 1)]
    np.testing.assert_allclose(some["correlation"]["raw_correlation"], r, rtol=1e-8)
    variance = PCA(3).fit(pooled).explained_variance_
    np.testing.assert_allclose(some["components"]["variance"][::7], variance, rtol=1e-8)


def keep(folder: Path, timesteps: list[int], units: list[int]) -> None:
    """Leave only some timesteps and units of a recording, as stage extract may."""
    for layer, signals in states.layers(folder).items():
        for signal in signals:
            for path in states.open_signal(folder, layer, signal).files:
                rows, values = states.read_part(path, units)
                kept = np.isin(rows.timestep, timesteps)
                assert rows.label is not None
                keys = states.RowKeys(rows.sequence[kept], rows.timestep[kept], rows.label[kept])
                lines = np.ascontiguousarray(values[:, kept])
                states.write_part(path, signal, lines, keys, "lz4", units)


def test_what_was_not_recorded_leaves_gaps_and_units_keep_their_numbers(tmp_path: Path) -> None:
    recording = drawn(signals="c")
    recorded = write(tmp_path / "states", recording, parts=2)
    keep(recorded, [0, 2, 3, 5], [1, 4, 6])
    tables, figures = tables_of(tmp_path, recorded)
    table = tables["population"].set_index("timestep")
    assert table.index.tolist() == [0, 2, 3, 5]
    assert table["speed"].isna().tolist() == [True, True, False, True]
    reach = recording.lengths > 3
    moved = np.diff(recording.signals["lstm"]["c"][reach][:, [2, 3]][..., [1, 4, 6]], axis=1)
    expected = np.linalg.norm(moved.astype(np.float64), axis=2).mean()
    assert table["speed"][3] == pytest.approx(expected, rel=1e-6)
    assert figures["null"]["population"]["speed"] == {"the timestep before was not recorded": 3}
    assert tables["components"]["unit"].tolist() == [1, 4, 6] * 3
    pairs = tables["correlation"][["unit", "other"]].to_numpy().tolist()
    assert pairs == [[1, 4], [1, 6], [4, 6]]
    last, _ = tables_of(tmp_path, recorded, replace(OPTIONS, timesteps="-2:"))
    assert last["population"]["timestep"].tolist() == [5]


def test_only_the_layers_and_signals_asked_for_are_measured(tmp_path: Path) -> None:
    recording = drawn(signals="hcf")
    recording.signals["second"] = drawn(1, u=2, signals="hc").signals["lstm"]
    options = replace(OPTIONS, layers=["lstm"], signals=["c", "f"])
    tables, _ = measured(tmp_path, recording, options)
    for table in tables.values():
        assert table["layer"].cat.categories.tolist() == ["lstm"]
        assert table["signal"].cat.categories.tolist() == ["c", "f"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timesteps": "9:"}, r"population\.timesteps=9:: none .* lstm/c has 0 to 5"),
        ({"timesteps": "3:1"}, r"population\.timesteps=3:1: none .* lstm/c has 0 to 5"),
        ({"signals": ["q"]}, r"population\.signals: no 'q'"),
        ({"layers": ["gru"]}, r"population\.layers: no 'gru'"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        measured(tmp_path, drawn(signals="c"), replace(OPTIONS, **change))
    assert "\n" not in str(raised.value)


def test_without_labels_there_is_one_trajectory_without_a_class(tmp_path: Path) -> None:
    recording = drawn()
    labelled, _ = measured(tmp_path / "labelled", recording)
    bare, figures = measured(tmp_path / "bare", replace(recording, labels=None), parts=3)
    assert_same(bare, labelled, ("population", "components", "correlation"))
    paths = bare["trajectories"]
    assert paths["label"].isna().all()
    pd.testing.assert_series_equal(paths.dtypes, labelled["trajectories"].dtypes)
    assert paths["timestep"].tolist() == list(range(6)) * 3
    assert figures["null"]["trajectories"]["label"] == {"the data has no classes": 18}
    by_class = labelled["trajectories"]
    names = ["component_1", "component_2", "component_3"]
    weighted = by_class[names].mul(by_class["sequences"], axis=0)
    keys = [by_class["signal"], by_class["timestep"]]
    mean = weighted.groupby(keys, observed=True).sum().to_numpy()
    np.testing.assert_allclose(
        paths[names].mul(paths["sequences"], axis=0), mean, rtol=1e-8, atol=1e-9
    )


def test_a_single_sequence_has_lengths_but_no_dimensions(tmp_path: Path) -> None:
    recording = drawn(n=1, signals="c")
    recording.lengths[:] = 6
    tables, figures = measured(tmp_path, recording)
    table = tables["population"]
    assert table["sequences"].tolist() == [1] * 6
    ratios = [f"participation_ratio{of}" for of in ("", "_low", "_high", "_naive")]
    assert table[[*ratios, "components_90"]].isna().all(axis=None)
    x = recording.signals["lstm"]["c"][0].astype(np.float64)
    np.testing.assert_allclose(table["norm"], np.linalg.norm(x, axis=1))
    np.testing.assert_allclose(table["speed"][1:], np.linalg.norm(np.diff(x, axis=0), axis=1))
    reasons = figures["null"]["population"]
    for column in ("participation_ratio_naive", "components_90"):
        assert reasons[column] == {"fewer than 2 sequences": 6}
    assert reasons["participation_ratio"] == {"fewer than 3 sequences": 6}
    for column in ("participation_ratio_low", "participation_ratio_high"):
        assert reasons[column] == {"fewer than 40 independent sequences": 6}
    assert figures["headline"]["median participation ratio"] is None
    # Its six timesteps do vary, and so have components and raw correlations.
    assert tables["components"]["loading"].notna().all()
    assert tables["correlation"]["raw_correlation"].notna().all()
    assert tables["correlation"][["correlation", "cluster"]].isna().all(axis=None)
    why = {"one of the units varies across the sequences at no timestep": 21}
    assert figures["null"]["correlation"]["correlation"] == why


def test_one_timestep_of_one_sequence_is_measured_as_far_as_it_goes(tmp_path: Path) -> None:
    tables, figures = measured(tmp_path, drawn(n=1, t=1, u=1))
    assert tables["population"]["norm"].notna().all()
    null = ["participation_ratio", "components_90", "speed", "population_sparseness"]
    assert tables["population"][null].isna().all(axis=None)
    assert tables["components"][["loading", "variance", "variance_share"]].isna().all(axis=None)
    assert tables["trajectories"]["component_1"].isna().all()
    assert len(tables["correlation"]) == 0
    nothing = {"nothing varies along the component": 3}
    assert figures["null"]["components"] == {
        "loading": nothing,
        "variance": nothing,
        "variance_share": nothing,
    }
    reason = "nothing varies along the component, or the layer has fewer units"
    assert figures["null"]["trajectories"] == {"component_1": {reason: 3}}


def test_what_does_not_vary_or_is_silent_is_null_and_said_to_be(tmp_path: Path) -> None:
    recording = drawn(signals="c")
    recording.signals["lstm"]["c"][:, 0] = 0.3
    recording.signals["lstm"]["c"][:, 1] = 0
    recording.signals["lstm"]["c"][:5, 2] = 0
    tables, figures = measured(tmp_path, recording, parts=3)
    rows = tables["population"]
    assert rows["participation_ratio"].isna().tolist() == [True, True] + [False] * 4
    assert rows["population_sparseness"].isna().tolist() == [False, True] + [False] * 4
    assert rows["population_sparseness"][0] == pytest.approx(0, abs=1e-12)
    x = np.abs(at(recording, "c", 2))
    x = x[x.any(axis=1)]
    activity = x.mean(axis=1) ** 2 / (x**2).mean(axis=1)
    assert rows["population_sparseness"][2] == pytest.approx(((1 - activity) / (6 / 7)).mean())
    few = {
        "no variance across sequences, or all of it in one group of them": 2,
        "fewer than 40 independent sequences": 1,
    }
    assert figures["null"]["population"] == {
        "participation_ratio": {"no variance across sequences": 2},
        "participation_ratio_low": few,
        "participation_ratio_high": few,
        "participation_ratio_naive": {"no variance across sequences": 2},
        "components_90": {"no variance across sequences": 2},
        "speed": {"the timestep before was not recorded": 1},
        "population_sparseness": {"all units are 0, or there is but one": 1},
    }
