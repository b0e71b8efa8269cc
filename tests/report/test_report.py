"""The report: right means, right counts, one page that holds everything and trusts no text."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import states, store
from rnnscope.analysis.ablation.columns import IMPORTANCE
from rnnscope.analysis.ablation.importance import rank_correlations
from rnnscope.analysis.statistics.testing import with_q_values
from rnnscope.figures import heat_maps
from rnnscope.report import (
    ablation,
    analyses,
    outcome,
    over_time,
    page,
    provenance,
    table,
    timescales,
)
from rnnscope.report.stage import run as run_stage
from rnnscope.stages import STAGES
from rnnscope.stages.summary import summary
from rnnscope.states.signals import Signal, open_signal
from rnnscope.store.inputs import Inputs
from tests import forks
from tests.compose import composed
from tests.crashes import tree

PROJECT = Path(__file__).resolve().parents[2]
LENGTHS = np.array([3, 5, 1, 5, 2, 4])
LABELS = np.array([0, 1, 2, 0, 1, 2], np.int32)
PREDICTIONS = np.array([0, 1, 2, 1, 1, 0], np.int32)
PLACE = {"signal": "h", "sequence": 3, "timestep": 2, "unit": 1}
CLASSES = ["<b>", "b & c", "third"]
SVG = "http://www.w3.org/2000/svg"
SLUG = "<i>odd-lstm3-s0"
Values = NDArray[np.float32]


def signals(units: int, seed: int = 0) -> dict[str, Values]:
    """Made-up signals of all rows, [U, R] each."""
    rng = np.random.default_rng(seed)
    shape = (units, int(LENGTHS.sum()))
    gates = {gate: rng.uniform(0, 1, shape).astype(np.float32) for gate in "ifo"}
    return {name: rng.normal(size=shape).astype(np.float32) for name in "hcg"} | gates


def made(stage: str, slice_: dict[str, Any], **figures: Any) -> dict[str, Any]:
    """A manifest as ``stages`` writes it."""
    return {
        "stage": stage,
        "version": 1,
        "key": stage.encode().hex().ljust(64, "0"),
        "upstream": {},
        "slice": slice_,
        "files": {},
        "seconds": 1.5,
        "peak_memory_bytes": 2_000_000,
        "bytes": 3_000,
        "host": "host",
        "finished": "2020-01-01T00:00:00+0000",
        "packages": {"keras": "3.0", "numpy": "2.0"},
        "git_commit": "0123456789abcdef",
        "git_dirty": True,
        **figures,
    }


def finish(folder: Path, manifest: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / store.MANIFEST).write_text(json.dumps(manifest))
    return folder


def extracted(
    root: Path, *, labelled: bool = True, layers: tuple[str, ...] = ("lstm",), parts: int = 2
) -> Path:
    """An extract stage's output, cut into parts of consecutive sequences."""
    key = b"extract".hex()
    folder = root / "extract" / f"{SLUG}-{key[:8]}"
    labels = LABELS if labelled else None
    columns = {layer: signals(3, seed) for seed, layer in enumerate(layers)}
    for part, chosen in enumerate(np.array_split(np.arange(len(LENGTHS)), parts)):
        lengths = LENGTHS[chosen]
        rows = states.row_keys(int(chosen[0]), lengths, None if labels is None else labels[chosen])
        start = int(LENGTHS[: chosen[0]].sum())
        for layer, by_name in columns.items():
            for signal, values in by_name.items():
                cut = np.ascontiguousarray(values[:, start : start + len(rows.sequence)])
                file = states.part_file(folder, layer, signal, part)
                states.write_part(file, signal, cut, rows, "lz4")
    known = {"label": LABELS} if labelled else {}
    frame = pd.DataFrame(
        {"sequence": np.arange(6), "length": LENGTHS, **known, "prediction": PREDICTIONS}
        | {f"p_{k}": np.full(6, 1 / 3, np.float32) for k in range(3)}
    )
    frame.to_parquet(folder / states.SEQUENCES, index=False)
    scores = {"accuracy": 4 / 6, "loss": 0.5} if labelled else {}
    manifest = made(
        "extract",
        {
            "data": {"name": "files", "path": {"sha256": "ab" * 32}},
            "model": {"name": "lstm", "units": 3},
            "extract": {"tolerance": 1e-5},
        },
        files={"data.path": "/home/<someone>/data.npz"},
        rows=int(LENGTHS.sum()),
        states_bytes=4_321_000,
        residuals={layer: {"step_h": 2.5e-7, "step_c": 0.0, "drift": 3e-3} for layer in layers},
        worst={layer: dict.fromkeys(("step_h", "step_c", "drift"), PLACE) for layer in layers},
        layers={layer: list("hcifog") for layer in layers},
        classes=CLASSES if labelled else [],
        proved=4,
        headline={**scores, "sequences": 6, "rows": int(LENGTHS.sum())},
    )
    return finish(folder, manifest)


ANALYSED: dict[str, dict[str, bytes]] = {}
"""What the analyses gave for states, by the content of these: many tests have the same."""


def analysed(root: Path, recorded: Path) -> dict[str, Path]:
    """The analysis stages' own output for those states; ablation's, of a model, by hand."""
    folders = {stage: root / stage / "made-up" for stage in (*MEASURED, "ablation", "fixed_points")}
    key = repr(tree(recorded))
    if key not in ANALYSED:
        analyse(root, recorded, folders)
        files = [file for folder in folders.values() for file in folder.rglob("*")]
        ANALYSED[key] = {
            str(file.relative_to(root)): file.read_bytes() for file in files if file.is_file()
        }
    for name, content in ANALYSED[key].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return folders


MEASURED = ("units", "population", "decoding")


def analyse(root: Path, recorded: Path, folders: dict[str, Path]) -> None:
    few = "decoding.folds=2", "decoding.max_timesteps=2", "decoding.together=false"
    config = composed(Path("unused"), *few, "engine.workers=1")
    for stage in MEASURED:
        folders[stage].mkdir(parents=True)
        found = STAGES[stage].run(config, Inputs({"extract": recorded}), folders[stage])
        slice_ = {"gate_cuts": [0.1, 0.9], "redundant": 0.9}
        finish(folders[stage], made(stage, {stage: slice_}, **found))
    assert ablated(root, folders["units"]) == folders["ablation"]
    assert pointed(root, folders["population"]) == folders["fixed_points"]


def ablated(root: Path, units: Path) -> Path:
    """What stage ablation might have found: unit 0 costs most."""
    folder = root / "ablation" / "made-up"
    folder.mkdir(parents=True)
    measured = pd.read_parquet(units / "units.parquet")
    cells = measured[["layer", "unit"]].drop_duplicates()
    rows = cells.merge(pd.DataFrame({"method": ["h_zero", "c_mean"]}), how="cross")
    change = 1 / (1 + rows["unit"])
    changes = {"loss_change": change, "accuracy_change": -change / 10, "output_change": change}
    ends = {"loss_change_low": change - 0.1, "loss_change_high": change + 0.1}
    q = np.where(rows["unit"] == 0, 0.01, 0.5)
    table = rows.assign(sequences=6, loss=1 + change, accuracy=0.5, q_value=q, **changes, **ends)
    table.to_parquet(folder / "ablation.parquet", index=False)
    rows = list(rank_correlations(table, measured, "loss_change"))
    IMPORTANCE.write(with_q_values(IMPORTANCE, IMPORTANCE.frame(rows), ()), folder)
    slice_ = {"ablation": {"max_sequences": 6}}
    same = {layer: {"c_zero": "h_zero"} for layer in cells["layer"].unique()}
    return finish(folder, made("ablation", slice_, same_as=same, sources=None))


def pointed(root: Path, population: Path) -> Path:
    """What stage fixed_points might have found: of each layer a stable point and a saddle."""
    folder = root / "fixed_points" / "made-up"
    folder.mkdir(parents=True)
    paths = pd.read_parquet(population / "trajectories.parquet")
    layers = list(paths["layer"].unique())
    rows = pd.DataFrame({"layer": layers}).merge(pd.DataFrame({"point": [0, 1]}), how="cross")
    rows = rows.assign(input="mean")
    along = {f"{state}_pc_{n}": rows["point"] - 0.5 for state in "hc" for n in (1, 2, 3)}
    labelled = bool(paths["label"].notna().any())
    rows.assign(
        kind="fixed",
        stability=np.where(rows["point"] == 0, "stable", "saddle"),
        index=rows["point"],
        spectral_radius=0.9 + 0.25 * rows["point"],
        time_constant=np.where(rows["point"] == 0, 9.49, -7.16),
        nearest_class=pd.array([1 if labelled else pd.NA] * len(rows), "Int32"),
        visited_distance=0.125,
        starts=40,
        **along,
    ).to_parquet(folder / "fixed_points.parquet", index=False)
    rows.assign(modulus=1.15, **along).to_parquet(folder / "modes.parquet", index=False)
    said = {"starts": 128, "fixed": 80, "slow": 0, "neither": 48, "points": 2, "points_left_out": 0}
    search = {str(layer): {"mean": said, "class_1": {"points": 0}} for layer in layers}
    slice_ = {"fixed_points": {"slow_tolerance": 1e-6}}
    left_out = {"<odd>": "its cell is no LSTM"}
    return finish(folder, made("fixed_points", slice_, search=search, left_out=left_out))


def trained(root: Path, history: pd.DataFrame) -> Path:
    folder = finish(
        root / "train" / "made-up",
        made("train", {"train": {"steps": 20, "batch_size": 64, "patience": None}, "seed": 0}),
    )
    history.to_parquet(folder / "history.parquet", index=False)
    return folder


HISTORY = pd.DataFrame(
    {"step": [10, 20], "loss": [2.0, 1.0], "accuracy": [0.3, 0.6]}
    | {"val_loss": [1.8, 1.1], "val_accuracy": [0.4, 0.5]}
)


def inputs_in(
    root: Path, history: pd.DataFrame | None = HISTORY, **options: Any
) -> dict[str, Path]:
    recorded = extracted(root, **options)
    inputs = {"extract": recorded, **analysed(root, recorded)}
    return inputs if history is None else {"train": trained(root, history), **inputs}


def page_of(root: Path, inputs: dict[str, Path]) -> str:
    folder = root / "report"
    folder.mkdir(exist_ok=True)
    assert run_stage(composed(root), Inputs(inputs), folder)["page"] == "report.html"
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a labelled run."""
    root = tmp_path_factory.mktemp("drawn")
    return page_of(root, inputs_in(root))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run without labels."""
    root = tmp_path_factory.mktemp("unlabelled")
    return page_of(root, inputs_in(root, labelled=False))


def table_in(page: str) -> dict[str, Any]:
    """The unit table that a page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    contents: dict[str, Any] = json.loads(found[1])
    return contents


# Means over time


@pytest.mark.parametrize("parts", [1, 2, 6])
def test_means_over_time_are_those_of_the_sequences_that_reach_each_timestep(
    tmp_path: Path, parts: int
) -> None:
    recorded = extracted(tmp_path, parts=parts)
    found = over_time.from_states(open_signal(recorded, "lstm", "c"), int(LENGTHS.max()))
    dense = states.read_states(recorded, "c", as_array=True)  # [N, T, U], NaN past the end
    np.testing.assert_array_equal(found.count, [6, 5, 4, 3, 2])
    np.testing.assert_allclose(found.mean, np.nanmean(dense, axis=0).T, rtol=1e-6)


@pytest.mark.parametrize("labelled", [True, False])
def test_means_over_time_from_tuning_are_those_of_the_states(
    tmp_path: Path, labelled: bool
) -> None:
    recorded = extracted(tmp_path, labelled=labelled, layers=("first", "second"))
    units = analysed(tmp_path, recorded)["units"]
    for layer in ("first", "second"):
        for signal in "hcifog":
            expected = over_time.from_states(open_signal(recorded, layer, signal), 7)
            found = over_time.from_tuning(units, layer, signal, 7)
            assert found.units == expected.units == (0, 1, 2)
            np.testing.assert_array_equal(found.count, expected.count)
            np.testing.assert_allclose(found.mean, expected.mean, 1e-6, 1e-6)


@pytest.mark.slow
def test_the_page_reads_the_states_of_those_signals_alone_that_were_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = inputs_in(tmp_path)
    whole = page_of(tmp_path, inputs)
    read = []

    def noted(signal: Signal, timesteps: int) -> over_time.OverTime:
        read.append(signal.name)
        return sums(signal, timesteps)

    sums = over_time.from_states
    monkeypatch.setattr(over_time, "from_states", noted)
    page_of(tmp_path, inputs)
    assert read == []
    path = inputs["units"] / "units.parquet"
    table = pd.read_parquet(path)
    table[~table["signal"].isin(["c", "f"])].to_parquet(path, index=False)
    page = page_of(tmp_path, inputs)
    assert read == ["c", "f"]
    one, other = (
        re.findall('<section id="over-time">.*?</section>', text, re.DOTALL)
        for text in (whole, page)
    )
    assert one == other
    assert len(one) == 1


def test_means_over_time_by_hand() -> None:
    parts = [
        (np.array([0, 1, 2, 0]), np.array([[1.0, 2, 3, 5], [0, 0, 0, 4]])),
        (np.array([1, 0]), np.array([[4.0, 0], [2, 2]])),
    ]
    found = over_time.sum_over_time(parts, (0, 1), 4)
    np.testing.assert_array_equal(found.count, [3, 2, 1, 0])
    np.testing.assert_array_equal(found.mean, [[2, 3, 3, np.nan], [2, 1, 0, np.nan]])


def test_coarse_means_weigh_every_row_alike() -> None:
    sums = over_time.OverTime((0,), np.array([[6.0, 1.0, 4.0]]), np.array([3, 1, 2]))
    coarse, width = over_time.coarsen(sums, 2)
    assert width == 2
    np.testing.assert_array_equal(coarse.mean, [[7 / 4, 2]])
    same, one = over_time.coarsen(sums, 3)
    assert one == 1
    np.testing.assert_array_equal(same.mean, sums.mean)


def test_units_are_ordered_by_the_time_of_their_peak_then_by_its_value() -> None:
    mean = np.array([[0, 0, 1.0], [0, -3, 1], [0, 0, -2], [0, 2, 1]])
    assert over_time.by_peak(mean).tolist() == [1, 3, 2, 0]


def test_colours_end_where_one_loud_unit_does_not_hide_the_rest() -> None:
    mean = np.ones((100, 10))
    mean[0, 0] = -1000
    assert heat_maps.limit(mean) == 1
    assert heat_maps.limit(np.zeros((2, 2))) == 1


@pytest.mark.slow
def test_each_layer_has_its_own_scale_of_colours(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path, layers=("loud", "quiet"))
    path = inputs["units"] / "tuning.parquet"
    tuning = pd.read_parquet(path)
    tuning.loc[tuning["layer"] == "loud", "mean"] *= 1000
    tuning.to_parquet(path, index=False)
    loud, quiet = page.gather(composed(tmp_path), inputs)["over_time"]["layers"]
    for layer, least, most in ((loud, 100, 10_000), (quiet, 0.1, 10)):
        (end,) = re.findall(r"≥ ([\d.e+]+)", layer["heat_map"])
        assert least < float(end) < most, layer["layer"]


# What the model made of the sequences


def test_counts_do_not_depend_on_how_many_rows_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = extracted(tmp_path)
    whole = outcome.read(recorded)
    monkeypatch.setattr(outcome, "BATCH", 2)
    pieces = outcome.read(recorded)
    assert whole.lengths.to_dict() == pieces.lengths.to_dict() == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2}
    assert whole.pairs is not None
    assert pieces.pairs is not None
    assert whole.pairs.to_dict() == pieces.pairs.to_dict()
    expected = [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    np.testing.assert_array_equal(outcome.confusion(pieces.pairs, 3), expected)


@pytest.mark.parametrize(
    "missing",
    [["label"], ["prediction"], ["label", "prediction", "p_0", "p_1", "p_2"]],
    ids=["unlabelled", "unscored", "of timesteps"],
)
def test_sequences_without_a_class_or_a_prediction_are_counted_by_length_alone(
    missing: list[str], tmp_path: Path
) -> None:
    recorded = extracted(tmp_path)
    path = recorded / states.SEQUENCES
    pd.read_parquet(path).drop(columns=missing).to_parquet(path, index=False)
    found = outcome.read(recorded)
    assert found.pairs is None
    assert found.lengths.sum() == 6


def test_classes_are_counted_with_their_worst_mix_up(tmp_path: Path) -> None:
    pairs = outcome.read(extracted(tmp_path)).pairs
    assert pairs is not None
    found = outcome.accuracy(pairs, CLASSES)
    assert (found["n"], found["correct"], found["left_out"]) == (6, 4, 0)
    assert [row["accuracy"] for row in found["classes"]] == [0.5, 1, 0.5]
    assert [row["taken_for"] for row in found["classes"]] == ["b & c", None, "<b>"]


def test_the_worst_mix_up_is_the_most_frequent_one() -> None:
    frame = pd.DataFrame({"label": [0] * 6, "prediction": [0, 1, 2, 2, 3, 3]})
    found = outcome.by_class(frame.groupby(["label", "prediction"]).size())
    assert found[["taken_for", "taken"]].to_numpy().tolist() == [[2, 2]]


def test_of_many_classes_the_least_accurate_are_listed() -> None:
    numbers = np.repeat(np.arange(50), 2)
    guesses = numbers.copy()
    guesses[[60, 80]] = 0
    frame = pd.DataFrame({"label": numbers, "prediction": guesses})
    found = outcome.accuracy(frame.groupby(["label", "prediction"]).size(), [])
    assert found["matrix"] is None
    assert [row["name"] for row in found["classes"][:3]] == ["30", "40", "0"]
    assert found["left_out"] == 50 - outcome.MATRIX_CLASSES


@pytest.mark.parametrize(("correct", "n"), [(0, 5), (4, 6), (336, 359), (10, 10)])
def test_the_interval_is_wilsons(correct: int, n: int) -> None:
    pairs = pd.Series({(1, 1): correct, (1, 0): n - correct})
    pairs = pairs[pairs > 0].rename_axis(["label", "prediction"])
    low, high = outcome.accuracy(pairs, [])["interval"]
    # Its ends are the shares p that lie z standard errors of p from the one observed.
    z = 1.959963984540054
    for end, side in ((low, 1), (high, -1)):
        assert correct / n - end == pytest.approx(side * z * math.sqrt(end * (1 - end) / n))


# The unit table


def is_end(name: str, columns: Collection[str]) -> bool:
    """Whether a column is the end of another's interval."""
    return name.endswith(("_low", "_high")) and name.rpartition("_")[0] in columns


def test_every_column_of_the_units_stage_has_its_meaning(tmp_path: Path) -> None:
    folders = analysed(tmp_path, extracted(tmp_path))
    units = pd.read_parquet(folders["units"] / "units.parquet")
    manifest = store.read_manifest(folders["ablation"])
    units = ablation.with_changes(units, folders["ablation"], manifest)
    assert set(units) == set(table.COLUMNS)
    columns = {column["name"]: column for column in table.contents(units, CLASSES)["columns"]}
    assert list(columns) == [name for name in table.ORDER if name in columns]
    for name, column in columns.items():
        declared = table.COLUMNS[name]
        assert column["help"].startswith(declared.meaning.replace("`", ""))
        assert declared.source in column["help"]
        assert column["main"] == (declared.main and name != "layer" and not is_end(name, columns))
    kinds = {name: column["kind"] for name, column in columns.items()}
    expected = {"signal": "text", "preferred_class": "class", "mi_q": "p", "dead": "truth"}
    expected |= {"forget_timescale": "large", "count": "count", "eta2": "number"}
    expected |= {"f_statistic": "large", "timescale_fit": "text"}
    assert {name: kinds[name] for name in expected} == expected


def test_selectivity_stands_beside_eta2_and_p_only_with_q(tmp_path: Path) -> None:
    recorded = extracted(tmp_path)
    units = pd.read_parquet(analysed(tmp_path, recorded)["units"] / "units.parquet")
    names = [column["name"] for column in table.contents(units, CLASSES)["columns"]]
    assert names.index("selectivity") == names.index("eta2") + 1
    lone = table.contents(units.drop(columns=["eta2", "q_value"]), CLASSES)
    assert not {"selectivity", "p_value"} & {column["name"] for column in lone["columns"]}


def test_the_table_holds_every_row_and_says_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = extracted(tmp_path)
    units = pd.read_parquet(analysed(tmp_path, recorded)["units"] / "units.parquet")
    whole = table.contents(units, CLASSES)
    assert (whole["rows"], whole["left_out"]) == (18, 0)
    values = {column["name"]: column["values"] for column in whole["columns"]}
    assert values["eta2"] == sorted(values["eta2"], reverse=True)
    assert values["forget_timescale"].count(None) == 15
    at = next(row for row in range(18) if (values["signal"][row], values["unit"][row]) == ("c", 2))
    expected = units.set_index(["signal", "unit"]).loc[("c", 2), "mean"]
    assert values["mean"][at] == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(table, "ROWS", 5)
    assert table.contents(units, CLASSES)["left_out"] == 13


def test_infinity_is_no_missing_value_and_no_invalid_json(tmp_path: Path) -> None:
    units = analysed(tmp_path, extracted(tmp_path))["units"]
    known = pd.read_parquet(units / "units.parquet")
    tau = np.array([np.inf, -np.inf, np.nan, *np.arange(len(known) - 3)])
    ends = {"timescale_low": tau / 2, "timescale_high": tau}
    contents = table.contents(known.assign(timescale=tau, eta2=-tau, **ends), CLASSES)
    text = json.dumps(contents, allow_nan=False)
    columns = {column["name"]: column for column in json.loads(text)["columns"]}
    assert columns["timescale"]["interval"]
    values = set(columns["timescale"]["values"])
    assert {"∞", "−∞", None, 1.0} <= values


def test_a_preferred_class_has_the_sign_of_its_dprime(tmp_path: Path) -> None:
    units = analysed(tmp_path, extracted(tmp_path))["units"]
    known = pd.read_parquet(units / "units.parquet").head(4)
    made = known.assign(
        preferred_class=pd.array([1, 1, None, 2], dtype="Int32"),
        dprime=[2.0, -0.5, np.nan, 0.1],
        eta2=[0.4, 0.3, 0.2, 0.1],
    )
    columns = {each["name"]: each for each in table.contents(made, CLASSES)["columns"]}
    assert columns["preferred_class"]["values"] == [1, 1, None, 2]
    assert columns["preferred_class"]["signs"] == [1, -1, None, 1]
    assert columns["eta2"]["signs"] is None
    assert "↓ low for it" in columns["preferred_class"]["help"]


# The page


def test_the_page_asks_the_network_nothing(drawn: str) -> None:
    links = re.findall(r"""(?:src|href|srcset|action)\s*=\s*["']?([^"'\s>]*)""", drawn)
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    page = drawn.replace(f'"{SVG}"', "")  # a namespace, which nobody loads
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", page))
    assert "default-src 'none'" in page


def test_text_of_users_is_escaped(drawn: str) -> None:
    assert "<title>&lt;i&gt;odd-lstm3-s0 ·" in drawn
    assert "&lt;b&gt;" in drawn
    assert "&lt;someone&gt;" in drawn
    for raw in ("<b>", "<i>", "<someone>"):
        assert raw not in drawn
    assert table_in(drawn)["classes"] == CLASSES


def test_the_page_shows_headline_proof_and_provenance(drawn: str) -> None:
    page = re.sub(r"\s+", " ", drawn)
    for text in (
        "66.7 <small>%</small>",
        "0.500 <small>nats</small>",
        "20 <small>timesteps</small>",
        "1 to 5 timesteps each",
        "4.32 <small>MB</small>",
        "4 of 6 sequences were proved",
        "Every residual is within the tolerance",
        "2.5e-07",
        "sequence 3, timestep 2, h of unit 1",
        "3.0e-03",
        "not judged",
        "0123456789, with changes",
        "SHA-256 abababababab",
        "train.patience",
        "keras",
    ):
        assert text in page, text


@pytest.mark.slow
def test_the_page_shows_what_each_analysis_found(drawn: str) -> None:
    for section in ("population", "decoding", "ablation", "timescales"):
        assert f'<section id="{section}">' in drawn
    for words in (
        *("dimension (participation ratio)", "accuracy of a linear decoder", "h at 0", ">chance<"),
        "Accuracy at the final step",
    ):
        assert words in drawn, words
    columns = {column["name"]: column["values"] for column in table_in(drawn)["columns"]}
    rows = zip(columns["signal"], columns["unit"], columns["loss_change"], strict=True)
    for signal, unit, change in rows:
        # h was clamped to 0, and c at 0 is that by algebra.
        assert change == (pytest.approx(1 / (1 + unit), rel=1e-5) if signal in "hc" else None)


# Each analysis


def test_units_that_are_needed_are_counted_by_method(tmp_path: Path) -> None:
    folder = ablated(tmp_path, analysed_units(tmp_path))
    (layer,) = ablation.section(folder, store.read_manifest(folder))["layers"]
    assert layer["needed"] == [
        {"method": "h at 0", "units": 1},
        {"method": "c at mean", "units": 1},
    ]
    assert (layer["units"], layer["same"]) == (3, [("c at 0", "h at 0")])


@pytest.mark.slow
def test_a_layer_whose_c_is_not_h_by_algebra_says_nothing_of_it(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path)
    assert "o·tanh c" in page_of(tmp_path, inputs)
    finish(inputs["ablation"], {**store.read_manifest(inputs["ablation"]), "same_as": {}})
    assert "o·tanh c" not in page_of(tmp_path, inputs)


def analysed_units(root: Path) -> Path:
    """A folder with a table of three units, as much of it as ablation reads."""
    units = pd.DataFrame({"layer": "lstm", "signal": "h", "unit": range(3), "std": [1.0, 2, 3]})
    units.to_parquet(root / "units.parquet", index=False)
    return root


def test_the_statistics_that_go_with_importance_most_surely_come_first(tmp_path: Path) -> None:
    folder = ablated(tmp_path, analysed_units(tmp_path))
    made_up = pd.DataFrame(
        {
            "layer": "lstm",
            "method": ["h_zero", "h_zero", "c_mean", "h_zero", "h_zero"],
            "signal": "h",
            "statistic": ["few", "std", "std", "same_ranks", "mean"],
            "change": "loss_change",
            "units": [5, 64, 64, 64, 64],
            "spearman": [0.9, -0.6, 0.5, -0.6, np.nan],
            "p_value": [0.08, 1e-7, 1e-5, 1e-7, np.nan],
            "q_value": [0.08, 1e-6, 1e-4, 1e-6, np.nan],
        }
    )
    made_up.to_parquet(folder / "importance.parquet", index=False)
    found = ablation.section(folder, store.read_manifest(folder))
    (layer,) = found["layers"]
    shown = [(row["statistic"], row["units"]) for row in layer["statistics"]]
    assert shown == [("std", 64), ("few", 5)]
    assert found["tests"] == 4


def test_of_three_units_no_statistic_is_ranked(drawn: str) -> None:
    assert "that takes five units" in drawn


def decoded(folder: Path, **columns: Any) -> Path:
    """A table of decoding at two timesteps, both of which sequences may end at."""
    folder.mkdir()
    rows = {
        "layer": "lstm",
        "signal": ["h", "h", "c", "c"],
        "target": "label",
        "train_timestep": [0, 1, 0, 1],
        "test_timestep": [0, 1, 0, 1],
        "task": "classification",
        "sequences": 9,
        "score": [0.2, 0.95, 0.1, 0.9],
        "score_low": [-0.1, 0.8, 0.0, 0.7],
        "score_high": [0.5, 1.1, 0.2, 1.02],
        "chance": 0.1,
        "shuffled": [np.nan, 0.12, np.nan, 0.11],
        "shuffled_low": [np.nan, 0.05, np.nan, 0.06],
        "shuffled_high": [np.nan, 0.2, np.nan, 0.19],
        "p_value": [np.nan, 1 / 21, np.nan, 1 / 21],
    }
    pd.DataFrame(rows | columns).to_parquet(folder / "decoding.parquet", index=False)
    return folder


def test_scores_at_the_final_step_stand_beside_chance_within_what_they_can_be(
    tmp_path: Path,
) -> None:
    (layer,) = analyses.decoding(decoded(tmp_path / "made"), {})["layers"]
    rows = [
        [row[name] for name in ("signal", "score", "score_low", "score_high", "chance", "shuffled")]
        for row in layer["final"]
    ]
    assert rows == [["h", 0.95, 0.8, 1, 0.1, 0.12], ["c", 0.9, 0.7, 1, 0.1, 0.11]]
    for label in ("h", "c", "chance", "shuffled"):
        assert f">{label}<" in layer["scores"]


def test_where_sequences_end_at_different_timesteps_the_final_step_has_its_own_rows(
    tmp_path: Path,
) -> None:
    steps = {"train_timestep": [0, 1, 0, -1], "test_timestep": [0, 1, 0, -1], "signal": "h"}
    (layer,) = analyses.decoding(decoded(tmp_path / "made", **steps), {})["layers"]
    assert [row["score"] for row in layer["final"]] == [0.9]
    assert ">shuffled<" not in layer["scores"]  # it is at no timestep of the figure


def test_of_final_steps_alone_there_is_no_curve(tmp_path: Path) -> None:
    steps = dict.fromkeys(("train_timestep", "test_timestep"), -1)
    folder = decoded(tmp_path / "made", **steps, signal=["h", "c", "h+c", "o"])
    (layer,) = analyses.decoding(folder, {})["layers"]
    assert layer["scores"] is layer["across"] is None
    assert [row["signal"] for row in layer["final"]] == ["h", "c", "h+c", "o"]


def test_of_a_layer_that_reads_backwards_the_final_step_is_the_first(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "made", shuffled=[0.1, np.nan] * 2)
    (layer,) = analyses.decoding(folder, {})["layers"]
    assert [row["score"] for row in layer["final"]] == [0.2, 0.1]


def timed(tau: list[float], kinds: list[str], signal: str = "c") -> pd.DataFrame:
    fit = pd.Categorical(kinds, categories=["decays", "censored", "persists", "none"])
    ends = {"timescale_low": np.array(tau) / 2, "timescale_high": np.array(tau) * 2}
    return pd.DataFrame(
        {"layer": "lstm", "signal": signal, "timescale": tau, "timescale_fit": fit, **ends}
    )


def test_units_that_persist_count_in_the_median() -> None:
    kinds = ["decays", "persists", "persists", "decays", "none", "persists"]
    units = timed([2.0, np.inf, np.inf, 4.0, np.nan, np.inf], kinds)
    found = timescales.summary(units)
    assert found["kinds"] == ["decays", "persists", "none"]
    (layer,) = found["layers"]
    (row,) = layer["rows"]
    assert (row["low"], row["median"], row["high"]) == (4, math.inf, math.inf)
    assert row["counts"] == [2, 3, 1]
    assert "∞" in layer["figure"]


def test_medians_and_quartiles_are_those_of_pandas() -> None:
    random = np.random.default_rng(0)
    for n in (1, 2, 5, 64):
        tau = random.exponential(size=n)
        expected = pd.Series(tau).quantile([0.25, 0.5, 0.75])
        np.testing.assert_allclose(timescales.quartiles(tau), expected, rtol=1e-12)
    endless = np.array([1.0, 2, np.inf, np.inf])
    assert timescales.quartiles(endless)[1:] == (pd.Series(endless).median(), np.inf)
    assert np.isnan(timescales.quartiles(np.array([np.nan]))).all()


def test_without_infinite_timescales_their_line_is_not_drawn() -> None:
    units = pd.concat([timed([3.0, 0.5], ["decays"] * 2, signal) for signal in "hc"])
    (layer,) = timescales.summary(units)["layers"]
    assert "∞" not in layer["figure"]
    assert ">h<" in layer["figure"]
    assert ">c<" in layer["figure"]


def test_layers_without_timescales_are_left_out() -> None:
    units = timed([np.nan, np.nan], [None, None])  # type: ignore[list-item]
    assert timescales.summary(units)["layers"] == []


def test_without_labels_the_page_says_why_nothing_is_read_out(unlabelled: str) -> None:
    assert "Not decoded: lstm: no labels and no targets" in unlabelled


@pytest.mark.slow
def test_of_several_layers_each_residual_is_shown_where_it_is_largest(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path, layers=("first", "second"))
    manifest = store.read_manifest(inputs["extract"])
    manifest["residuals"]["second"]["step_h"] = 9e-6
    finish(inputs["extract"], manifest)
    kinds = provenance.proof(manifest)["kinds"]
    shown = [(row["kind"], row["layer"]) for row in kinds]
    assert shown == [("step_h", "second"), ("step_c", "first"), ("drift", "first")]
    text = page_of(tmp_path, inputs)
    assert text.count('<td class="prose">') == 3
    assert "The largest of each layer" in text
    manifest["residuals"]["first"]["step_h"] = math.nan
    assert provenance.proof(manifest)["kinds"][0]["layer"] == "first"


@pytest.mark.slow
def test_the_proof_says_where_no_mask_reaches_a_layer(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path)
    assert "No mask reaches" not in page_of(tmp_path, inputs)
    finish(inputs["extract"], {**store.read_manifest(inputs["extract"]), "without_mask": ["lstm"]})
    text = re.sub(r"\s+", " ", page_of(tmp_path, inputs))
    assert "No mask reaches <code>lstm</code>: the model reads padding as zeros" in text


@pytest.mark.parametrize(
    ("signals", "note"),
    [
        (["hcifog"], "1 layer × 6 signals"),
        (["hcifog", "hcifog"], "2 layers × 6 signals"),
        (["hcifog", "hzrg", "h"], "3 layers of 6 + 4 + 1 signals"),
        (["hcifog", "hzrg", "h", "h"], "4 layers of 1 to 6 signals"),
    ],
)
def test_layers_may_differ_in_their_signals(signals: list[str], note: str) -> None:
    rows = [(layer, name) for layer, names in enumerate(signals) for name in names]
    assert page._of_layers(pd.DataFrame(rows, columns=["layer", "signal"])) == note


def test_a_residual_past_the_tolerance_is_not_called_a_proof(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path)
    manifest = store.read_manifest(inputs["extract"])
    manifest["residuals"]["lstm"]["step_h"] = math.nan
    finish(inputs["extract"], manifest)
    page = page_of(tmp_path, inputs)
    assert "Every residual is within" not in page
    assert "do not trust these states" in page


@pytest.mark.parametrize(
    ("kinds", "formulas"),
    [
        (("step_h", "step_c"), ["h − cell(x, h′, c′)", "c − cell(x, h′, c′)"]),
        (("step_h", "gates"), ["h − cell(x, h′)", "gates − σ(x W + h′ U + b)"]),
        (("step_s1",), ["s1 − cell(x, states′)"]),
    ],
)
def test_the_states_have_the_formula_of_their_cell(
    kinds: tuple[str, ...], formulas: list[str]
) -> None:
    manifest = {
        "residuals": {"rnn": dict.fromkeys(kinds, 0.0)},
        "slice": {"extract": {"tolerance": 1e-5}},
    }
    assert [row["formula"] for row in provenance.proof(manifest)["rows"]] == formulas


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path, layers=("first", "second"))
    assert page_of(tmp_path, inputs) == page_of(tmp_path, inputs)


@pytest.mark.slow
def test_every_layer_has_its_figures(tmp_path: Path) -> None:
    page = page_of(tmp_path, inputs_in(tmp_path, layers=("first", "second")))
    assert page.count("Heat map of the mean c of 3 units over 5 steps") == 2
    assert page.count("mean gate (0 closed, 1 open) over timestep") == 2
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_model_from_a_file_has_no_training(tmp_path: Path) -> None:
    page = page_of(tmp_path, inputs_in(tmp_path, history=None))
    assert "The model came from a file" in page
    assert "over training steps" not in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "history", [pd.DataFrame({"step": pd.Series(dtype="int64")}), HISTORY.head(0)]
)
def test_an_untrained_network_has_no_curves(tmp_path: Path, history: pd.DataFrame) -> None:
    page = page_of(tmp_path, inputs_in(tmp_path, history=history))
    assert "no optimizer steps were taken" in page
    assert "over training steps" not in page


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2])
def test_training_without_validation_is_drawn(tmp_path: Path, rows: int) -> None:
    history = HISTORY[["step", "loss", "accuracy"]].head(rows)
    page = page_of(tmp_path, inputs_in(tmp_path, history=history))
    assert page.count("over training steps") == 2
    assert ">validation<" not in page
    assert "validation values are" not in page


def test_without_labels_nothing_is_said_of_classes(unlabelled: str) -> None:
    assert 'id="accuracy"' not in unlabelled
    assert "Test accuracy" not in unlabelled
    contents = table_in(unlabelled)
    names = {column["name"] for column in contents["columns"]}
    assert not {"eta2", "selectivity", "preferred_class", "p_value", "q_value"} & names
    assert contents["sorted"] == "std"


def test_options_are_grouped_by_the_stages_that_read_them() -> None:
    shared = {"data": {"name": "digits", "cuts": [0.1, 0.9]}, "model": {"units": 3}}
    manifests = {
        "train": made("train", {**shared, "train": {"patience": None, "restore_best": False}}),
        "extract": made("extract", shared),
    }
    assert provenance.options(manifests) == [
        {
            "stages": ("train", "extract"),
            "options": [("data.name", "digits"), ("data.cuts", "[0.1, 0.9]"), ("model.units", "3")],
        },
        {
            "stages": ("train",),
            "options": [("train.patience", "null"), ("train.restore_best", "false")],
        },
    ]


# The end of a run on the terminal


def executed(text: str, folder: Path) -> str:
    """What the snippet at the end of a summary prints, run from another folder."""
    code = text.strip().rpartition("\n\n")[2]
    command = [forks.interpreter(), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("labelled", [True, False])
def test_the_summary_says_where_all_is_and_its_code_runs(tmp_path: Path, labelled: bool) -> None:
    inputs = inputs_in(tmp_path / 'a "quoted" folder', labelled=labelled)
    text = summary({**inputs, "report": tmp_path / "report"})
    assert str(inputs["extract"]) in text
    assert str(inputs["units"] / "units.parquet") in text
    assert str(tmp_path / "report" / "report.html") in text
    printed = executed(text, tmp_path)
    assert ("eta2" if labelled else "std") in printed
    assert len(printed.strip().splitlines()) == 6


@pytest.mark.parametrize(
    ("empty", "first"),
    [
        ({"units": ("eta2",)}, "best_correlation"),
        ({"units": ("eta2", "best_correlation")}, "timestep"),
        ({"units": ("eta2", "best_correlation"), "timesteps": ("eta2",)}, "std"),
    ],
)
def test_the_summary_shows_what_is_there_where_all_final_labels_are_the_same(
    empty: dict[str, tuple[str, ...]], first: str, tmp_path: Path
) -> None:
    rows = 8
    keys = {"layer": "lstm", "signal": "c", "unit": range(rows)}
    kept = {"std": 1.0, "mean": 0.5, "best_covariate": "depth", "q_value": 0.1, "selectivity": 0.2}
    tables: dict[str, dict[str, Any]] = {
        "units": keys | kept | {"eta2": 0.5, "best_correlation": 0.5},
        "timesteps": keys | {"timestep": 3, "eta2": 0.5},
    }
    nulls: dict[str, Any] = {}
    for name, columns in tables.items():
        for column in empty.get(name, ()):
            columns[column] = np.nan
            nulls.setdefault(name, {})[column] = {"a single class occurs": rows}
        pd.DataFrame(columns).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "_manifest.json").write_text(json.dumps({"null": nulls}))
    text = summary({"units": tmp_path})
    assert "# eta2 is of the label at the final step, and null: a single class occurs" in text
    printed = executed(text, tmp_path)
    assert first in printed
    assert len(printed.strip().splitlines()) == 6
    assert "NaN" not in printed


def test_the_summary_of_states_or_training_alone(tmp_path: Path) -> None:
    recorded = extracted(tmp_path, layers=("first", "second"))
    folder = trained(tmp_path, HISTORY)
    states_only = summary({"train": folder, "extract": recorded})
    assert 'layer="first"' in states_only
    assert "units.parquet" not in states_only
    assert "c_000" in executed(states_only, tmp_path)
    assert "val_loss" in executed(summary({"train": folder}), tmp_path)


def test_the_summary_costs_no_heavy_import() -> None:
    code = "import sys, rnnscope.stages.summary; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pandas", "matplotlib", "jinja2", "tensorflow", "pyarrow"}
    assert not heavy & set(done.stdout.split())


def test_the_page_lists_points_with_what_each_column_means(drawn: str, unlabelled: str) -> None:
    page = re.sub(r"\s+", " ", drawn)
    section = page.partition('<section id="fixed-points">')[2].partition("</section>")[0]
    assert section.count("<svg") == 1
    assert section.count("<tr>") == 3
    for text in ("saddle", "9.49", "\N{MINUS SIGN}7.16", "1.150", "b &amp; c", "0.125"):
        assert f">{text}</td>" in section, text
    assert "the largest |λ|" in section  # in a tooltip
    assert (
        "Of 128 starts, 80 converged to fixed points and 0 to slow points, 48 to neither."
        in section
    )
    assert "<code>&lt;odd&gt;</code> is left out: its cell is no LSTM." in section
    assert (
        "No fixed or slow point of <code>lstm</code> was found under the mean input of class b "
        "&amp; c: wherever the search ended" in section
    )
    assert ">Class</th>" in section
    plain = unlabelled.partition('<section id="fixed-points">')[2].partition("</section>")[0]
    assert ">Class</th>" not in plain
    assert plain.count("<tr>") == 3
