"""Stage compare, from recordings laid down by hand, and through the stages."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import data, stages, states, store
from rnnscope.analysis.compare import dynamics, held
from rnnscope.analysis.compare import stage as compare
from rnnscope.analysis.compare.pairs import paired
from rnnscope.analysis.compare.sums import MEASURES
from rnnscope.config import Compare, Engine
from rnnscope.errors import UserError
from rnnscope.store.artefacts import Artefact
from rnnscope.store.inputs import Inputs
from rnnscope.store.lineage import Finished
from rnnscope.store.runs import Run, Survey
from tests.analysis.compare.test_similarity import measured
from tests.analysis.compare.test_timestep import textbook_cka
from tests.compose import composed
from tests.recordings import Recording, drawn, write

OPTIONS = Compare(
    layers=None,
    signals=None,
    timesteps="all",
    variance=0.99,
    dsa=False,
    dsa_delays=5,
    dsa_rank=10,
    runs=None,
)
ONE = Engine("local", 1)
EVERY = [f"{name}{of}" for name in MEASURES for of in ("", "_null", "_low", "_high")]
DATA = {"name": "digits", "validation_fraction": 0.1, "split_seed": 0, "test_fraction": 0.2}


def no_dsa(rows: int) -> dict[str, dict[str, int]]:
    """What the figures say of dynamical similarity where it was not asked for."""
    return {name: {dynamics.OFF: rows} for name in ("dsa", "dsa_floor")}


def laid(root: Path, name: str, recording: Recording, /, **how: Any) -> Run:
    """A run whose states are a recording's."""
    options = {"max_sequences": how.pop("most", None), "timesteps": how.pop("timesteps", "all")}
    slices = {"data": how.pop("data", DATA), "extract": options}
    files = how.pop("files", {})
    root.mkdir(exist_ok=True)
    folder = write(root / f"{name}-{len(list(root.iterdir()))}", recording, **how)
    extract = Finished(Artefact("extract", name, folder), {"slice": slices, "files": files})
    return Run(name, {"extract": extract})


def compared(
    root: Path, *runs: Run, options: Compare = OPTIONS, engine: Engine = ONE
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Both tables and the figures."""
    folder = root / f"compared{len(list(root.iterdir()))}"
    folder.mkdir()
    config = replace(composed(root), compare=options, engine=engine)
    figures = compare.run(config, Inputs(survey=Survey(list(runs), [])), folder)
    json.dumps(figures, allow_nan=False)
    return (
        pd.read_parquet(folder / "compare.parquet"),
        pd.read_parquet(folder / "matching.parquet"),
        figures,
    )


def refused(root: Path, *runs: Run, options: Compare = OPTIONS) -> str:
    with pytest.raises(UserError) as caught:
        compared(root, *runs, options=options)
    return str(caught.value)


def mixed(recording: Recording, seed: int = 0, units: int = 5) -> Recording:
    """Another network of the same sequences, whose units are mixtures of these."""
    random = np.random.default_rng(seed)
    signals = {
        layer: {
            name: (values @ random.normal(size=(values.shape[2], units))).astype(np.float32)
            + random.normal(size=(*values.shape[:2], units)).astype(np.float32)
            for name, values in each.items()
        }
        for layer, each in recording.signals.items()
    }
    return replace(recording, signals=signals)


def renamed(recording: Recording, **layers: str) -> Recording:
    """The same with other names of layers."""
    return replace(
        recording, signals={layers.get(name, name): v for name, v in recording.signals.items()}
    )


def assert_same(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(got, expected, rtol=1e-10, atol=1e-10)


def test_each_pair_layer_and_signal_has_a_row_and_each_unit_a_partner(tmp_path: Path) -> None:
    first = drawn(signals="hcf")
    first.signals["second"] = drawn(1, u=3, signals="hc").signals["lstm"]
    runs = [
        laid(tmp_path, "a", first),
        laid(tmp_path, "b", mixed(first)),
        laid(tmp_path, "c", mixed(first, 1, 9)),
    ]
    table, matching, figures = compared(tmp_path, *runs)
    keys = ["run_a", "run_b", "layer", "signal"]
    expected = [
        (*pair, layer, signal)
        for pair in (("a", "b"), ("a", "c"), ("b", "c"))
        for layer in ("lstm", "second")
        for signal in "hc"
    ]
    rows = table[keys].astype(object).itertuples(index=False, name=None)
    assert list(rows) == expected
    assert list(table) == [*keys, "rows", "sequences", "timesteps", *EVERY, "dsa", "dsa_floor"]
    types = ["category"] * 4 + ["int64"] * 3 + ["float64"] * 18
    assert table.dtypes.astype(str).tolist() == types
    assert set(table["rows"]) == {int(first.lengths.sum())}
    assert set(table["sequences"]) == {120}
    enough = sum((first.lengths > step).sum() >= 20 for step in range(6))
    assert set(table["timesteps"]) == {enough}
    assert list(matching) == [*keys, "unit_a", "unit_b", "correlation"]
    assert matching.dtypes.astype(str).tolist() == ["category"] * 4 + ["int32"] * 2 + ["float64"]
    pairs = matching.groupby(keys, observed=True, sort=False).size()
    assert list(pairs.index) == expected
    assert pairs.tolist() == [5, 5, 3, 3, 7, 7, 3, 3, 5, 5, 5, 5]
    assert figures["rows"] == figures["headline"]["rows"] == 12
    assert figures["headline"]["runs"] == 3
    assert figures["null"] == {"compare": no_dsa(12), "matching": {}}


def by_hand(
    one: Recording, other: Recording, signal: str, steps: list[NDArray[np.intp]]
) -> dict[str, float]:
    """The measures, from the timestep of each sequence [N] in turn; -1 where it has none."""
    pairs = []
    for step in steps:
        at = np.flatnonzero(step >= 0), step[step >= 0]
        pairs.append([r.signals["lstm"][signal][at].T.astype(np.float64) for r in (one, other)])
    x, y = (
        np.concatenate([values - values.mean(axis=1, keepdims=True) for values in each], axis=1)
        for each in zip(*pairs, strict=True)
    )
    cka = np.mean([textbook_cka(*each) for each in pairs if each[0].shape[1] >= 20])
    return {"cka": float(cka)} | measured(x, y)


def numbered(recording: Recording, steps: range) -> list[NDArray[np.intp]]:
    return [np.where(recording.lengths > step, step, -1) for step in steps]


def test_the_measures_are_those_of_each_timestep_or_less_its_mean(tmp_path: Path) -> None:
    one = drawn()
    other = mixed(one)
    runs = laid(tmp_path, "a", one, parts=4), laid(tmp_path, "b", other, parts=3)
    table, matching, figures = compared(tmp_path, *runs)
    for signal in "hc":
        row = table[table["signal"] == signal].iloc[0]
        expected = by_hand(one, other, signal, numbered(one, range(6)))
        assert row[list(MEASURES)].to_dict() == pytest.approx(expected, rel=1e-9)
        pairs = matching[matching["signal"] == signal]
        assert row["matched_correlation"] == pytest.approx(pairs["correlation"].abs().mean())
        for name in MEASURES:
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert figures["sequences"] == {"compared": 120, "recorded": 120}


@pytest.mark.parametrize(
    ("timesteps", "chosen"),
    [("0:2", range(2)), ("::3", range(0, 6, 3)), ("-2:", range(4, 6)), ("last", None)],
)
def test_timesteps_can_be_chosen(timesteps: str, chosen: range | None, tmp_path: Path) -> None:
    one = drawn()
    other = mixed(one)
    options = replace(OPTIONS, timesteps=timesteps, signals=["f"])
    runs = laid(tmp_path, "a", one, parts=4), laid(tmp_path, "b", other, parts=3)
    table, _, _ = compared(tmp_path, *runs, options=options)
    steps = [one.lengths - 1] if chosen is None else numbered(one, chosen)
    assert table["rows"].tolist() == [sum(int((step >= 0).sum()) for step in steps)]
    expected = by_hand(one, other, "f", steps)
    assert table.iloc[0][list(MEASURES)].to_dict() == pytest.approx(expected, rel=1e-9)


def test_the_final_step_of_a_layer_that_reads_backwards_is_its_first(tmp_path: Path) -> None:
    one = drawn(signals="h")
    other = mixed(one)
    runs = laid(tmp_path, "a", one, parts=2), laid(tmp_path, "b", renamed(other, lstm="back"))
    path = states.part_file(folder_of(runs[1]), "back", "h", 0)
    rows, values = states.read_part(path)
    states.write_part(path, "h", values, replace(rows, backward=True), "lz4")
    table, _, _ = compared(tmp_path, *runs, options=replace(OPTIONS, timesteps="last"))
    x = one.last("lstm", "h").T.astype(np.float64)
    y = other.signals["lstm"]["h"][:, 0].T.astype(np.float64)
    expected = {"cka": textbook_cka(x, y)} | measured(x, y)
    assert table.iloc[0][list(MEASURES)].to_dict() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("parts", "seed"), [(2, None), (7, 1), (40, 2), (120, 3)])
def test_parts_of_any_number_in_any_order_give_the_same_tables(
    parts: int, seed: int | None, tmp_path: Path
) -> None:
    one, other = drawn(), mixed(drawn())
    whole = compared(tmp_path, laid(tmp_path, "a", one), laid(tmp_path, "b", other))
    cut = laid(tmp_path, "a", one, parts=parts, seed=seed), laid(tmp_path, "b", other, parts=5)
    for got, expected in zip(compared(tmp_path, *cut)[:2], whole[:2], strict=True):
        assert_same(got, expected)


@pytest.mark.parametrize("timesteps", [1, 2, 5])
def test_past_its_memory_a_pair_is_read_in_blocks_to_the_same_tables(
    timesteps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = drawn()
    runs = laid(tmp_path, "a", one, parts=3), laid(tmp_path, "b", mixed(one), parts=4)
    expected = compared(tmp_path, *runs)
    monkeypatch.setattr(held, "MEMORY", 4 * 120 * (7 + 5) * timesteps + 7)
    read, count = held.read, []

    def counted(*given: Any) -> held.Block:
        count.append(given[2])
        return read(*given)

    monkeypatch.setattr(held, "read", counted)
    for engine in (ONE, Engine("local", 4)):
        for got, table in zip(compared(tmp_path, *runs, engine=engine)[:2], expected, strict=False):
            assert_same(got, table)
    assert max(map(len, count)) == timesteps
    assert len(count) == 2 * 2 * 2 * -(-6 // timesteps)


def test_of_many_sequences_some_are_compared_and_the_figures_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = drawn()
    other = mixed(one)
    runs = laid(tmp_path, "a", one, parts=3), laid(tmp_path, "b", other, parts=4)
    monkeypatch.setattr(held, "SEQUENCES", 70)
    table, _, figures = compared(tmp_path, *runs)
    assert figures["sequences"] == {"compared": 70, "recorded": 120}
    some = held.drawn(120)
    assert len(np.unique(some)) == len(some) == 70
    steps = [np.where(np.isin(np.arange(120), some), step, -1) for step in numbered(one, range(6))]
    expected = by_hand(one, other, "c", steps)
    row = table[table["signal"] == "c"].iloc[0]
    assert row[list(MEASURES)].to_dict() == pytest.approx(expected, rel=1e-9)
    assert row["sequences"] == 70


def test_sequences_of_one_source_are_left_out_together(tmp_path: Path) -> None:
    one = drawn()
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", mixed(one))
    alone, _, _ = compared(tmp_path, *runs)
    for each in runs:
        path = folder_of(each) / states.SEQUENCES
        frame = pd.read_parquet(path)
        frame.assign(group=np.arange(120) // 2).to_parquet(path, index=False)
    paired_up, _, _ = compared(tmp_path, *runs)
    np.testing.assert_allclose(paired_up["cka"], alone["cka"], rtol=1e-9)
    assert (paired_up["cka_low"] != alone["cka_low"]).all()
    for each in runs:
        path = folder_of(each) / states.SEQUENCES
        frame = pd.read_parquet(path)
        frame.assign(group=np.arange(120) // 4).to_parquet(path, index=False)
    few, _, figures = compared(tmp_path, *runs)
    assert few["cka_low"].isna().all()
    reasons = figures["null"]["compare"]
    assert reasons["svcca_high"] == {"fewer than 40 independent sequences": 2}


def test_no_table_tells_one_run_from_the_other(tmp_path: Path) -> None:
    one = drawn()
    a, b = laid(tmp_path, "a", one), laid(tmp_path, "b", mixed(one))
    table, matching, _ = compared(tmp_path, a, b)
    turned, turned_matching, _ = compared(tmp_path, b, a)
    assert turned["run_a"].tolist() == ["b", "b"]
    np.testing.assert_allclose(turned[list(MEASURES)], table[list(MEASURES)], rtol=1e-9)
    pairs = matching[["signal", "unit_a", "unit_b"]].astype(str).to_numpy().tolist()
    other = turned_matching[["signal", "unit_b", "unit_a"]].astype(str).to_numpy().tolist()
    assert sorted(pairs) == sorted(other)


def test_the_same_states_are_the_same_by_every_measure(tmp_path: Path) -> None:
    one = drawn()
    table, matching, _ = compared(tmp_path, laid(tmp_path, "a", one), laid(tmp_path, "b", one))
    expected = {"cka": 1, "procrustes": 0, "svcca": 1, "matched_correlation": 1}
    for _, row in table.iterrows():
        assert row[list(MEASURES)].to_dict() == pytest.approx(expected, abs=1e-9)
    assert (matching["unit_a"] == matching["unit_b"]).all()


def test_units_go_by_their_own_numbers(tmp_path: Path) -> None:
    one = drawn()
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", one)
    for name, path in (("h", states.part_file(folder_of(runs[1]), "lstm", "h", 0)),):
        rows, values = states.read_part(path)
        states.write_part(path, name, values[[4, 1]], rows, "lz4", units=[40, 7])
    _, matching, _ = compared(tmp_path, *runs, options=replace(OPTIONS, signals=["h"]))
    assert matching[["unit_a", "unit_b"]].to_numpy().tolist() == [[1, 7], [4, 40]]


def folder_of(run: Run) -> Path:
    return run.stages["extract"].artefact.folder


def test_without_signals_the_states_alone_are_compared(tmp_path: Path) -> None:
    one = drawn(signals="hcifog")
    one.signals["lstm"]["s0"] = one.signals["lstm"]["g"]
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", one)
    assert compared(tmp_path, *runs)[0]["signal"].tolist() == ["h", "c", "s0"]
    options = replace(OPTIONS, signals=["f", "i"])
    assert compared(tmp_path, *runs, options=options)[0]["signal"].tolist() == ["i", "f"]


def test_layers_go_together_by_name_and_the_rest_in_order_if_there_are_as_many() -> None:
    layers = {
        "a": {"lstm": ["h", "c"], "top": ["h", "c"], "more": ["h"]},
        "b": {"first": ["h", "c"], "top": ["h"], "last": ["h", "c"]},
        "c": {"top": ["c"], "gru": ["h"]},
        "d": {"other": ["h"]},
    }

    def names(one: str, other: str) -> list[tuple[str, str]]:
        return [(pair.layer, pair.a[2]) for pair in paired(layers, one, other)]

    expected = [("lstm/first", "h"), ("lstm/first", "c"), ("top", "h"), ("more/last", "h")]
    assert names("a", "b") == expected
    assert names("a", "c") == [("top", "c")]
    assert names("a", "d") == []
    assert names("c", "d") == []


def test_layers_of_other_names_are_compared(tmp_path: Path) -> None:
    one = drawn()
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", renamed(mixed(one), lstm="gru"))
    table, _, _ = compared(tmp_path, *runs)
    assert table["layer"].tolist() == ["lstm/gru"] * 2
    options = replace(OPTIONS, layers=["lstm"])
    assert "no two runs recorded the same signal" in refused(tmp_path, *runs, options=options)


def test_what_was_recorded_by_none_is_named(tmp_path: Path) -> None:
    one = drawn()
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", one)
    options = replace(OPTIONS, layers=["lstm2"])
    said = refused(tmp_path, *runs, options=options)
    assert said == "compare.layers: no 'lstm2'; there is lstm"
    said = refused(tmp_path, *runs, options=replace(OPTIONS, signals=["z"]))
    assert said == "compare.signals: no 'z'; there is h, c, f"
    said = refused(tmp_path, *runs, options=replace(OPTIONS, timesteps="20:"))
    assert said == "compare.timesteps=20:: none of these was recorded of lstm/h in run a"


def test_a_signal_that_never_varies_has_no_measure_and_the_figures_say_why(tmp_path: Path) -> None:
    one = drawn()
    other = mixed(one)
    other.signals["lstm"]["h"][:] = 0.5
    other.signals["lstm"]["c"][..., 2] = 0.5
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", other)
    table, matching, figures = compared(tmp_path, *runs)
    assert table[list(MEASURES)].isna().all(axis=1).tolist() == [True, False]
    assert table[EVERY].iloc[1].notna().all()
    assert set(matching["signal"]) == {"c"}
    assert 2 not in matching["unit_b"].tolist()
    reasons = {name: {"no unit of one of them varies": 1} for name in EVERY}
    assert figures["null"] == {"compare": reasons | no_dsa(2), "matching": {}}


def test_few_sequences_have_no_cka(tmp_path: Path) -> None:
    one = drawn(n=19)
    options = replace(OPTIONS, timesteps="last", signals=["h"])
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", mixed(one))
    table, _, figures = compared(tmp_path, *runs, options=options)
    assert table[list(MEASURES)].isna().iloc[0].tolist() == [True, False, False, False]
    reasons = figures["null"]["compare"]
    assert reasons["cka"] == {"no timestep with 20 sequences, of which 10 vary": 1}
    assert reasons["procrustes_low"] == {"fewer than 40 independent sequences": 1}
    assert "procrustes_null" not in reasons


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"data": DATA | {"test_fraction": 0.3}}, "data.test_fraction is 0.2 and 0.3"),
        ({"data": DATA | {"name": "mnist"}}, "data.name is digits and mnist"),
        ({"data": DATA | {"split_seed": 1}}, "data.split_seed is 0 and 1"),
        ({"data": DATA | {"annotations": ["depth"]}}, "data.annotations is None and ['depth']"),
        (
            {"data": DATA | {"path": {"sha256": "abc"}}, "files": {"data.path": "/x"}},
            "data.path.sha256 is None and abc",
        ),
    ],
)
def test_runs_of_different_data_are_refused(how: dict[str, Any], said: str, tmp_path: Path) -> None:
    one = drawn()
    runs = [laid(tmp_path, name, one) for name in "ab"] + [laid(tmp_path, "c", one, **how)]
    assert refused(tmp_path, *runs) == (
        f"stage=compare: runs a and c have different data, {said}: "
        "choose runs of the same data with compare.runs=..."
    )


def test_runs_of_other_sequences_of_a_generated_task_are_refused(tmp_path: Path) -> None:
    one = drawn()
    task = {"name": "lagged", "test_sequences": 120, "split_seed": 0}
    runs = [laid(tmp_path, name, one, data=task) for name in "ab"]
    assert len(compared(tmp_path, *runs)[0]) == 2
    runs.append(laid(tmp_path, "c", one, data=task | {"split_seed": 1}))
    assert "different data, data.split_seed is 0 and 1:" in refused(tmp_path, *runs)


def test_a_file_may_lie_elsewhere(tmp_path: Path) -> None:
    data = DATA | {"path": {"sha256": "abc"}}
    runs = [
        laid(tmp_path, name, drawn(), data=data, files={"data.path": f"/{name}.npz"})
        for name in "ab"
    ]
    assert len(compared(tmp_path, *runs)[0]) == 2


def test_runs_of_sequences_of_other_lengths_are_refused(tmp_path: Path) -> None:
    one = drawn()
    shorter = replace(one, lengths=np.maximum(one.lengths - 1, 1))
    fewer = drawn(n=100)
    reasons = "the lengths of their sequences differ", "the number of sequences is 120 and 100"
    for other, why in zip((shorter, fewer), reasons, strict=True):
        said = refused(tmp_path, laid(tmp_path, "a", one), laid(tmp_path, "b", other))
        assert f"runs a and b have different data, {why}:" in said


def test_a_limit_that_leaves_all_sequences_makes_no_other_data(tmp_path: Path) -> None:
    one = drawn(n=100)
    runs = [
        laid(tmp_path, name, one, most=most) for name, most in (("a", None), ("b", 100), ("c", 999))
    ]
    assert len(compared(tmp_path, *runs)[0]) == 2 * 3
    fewer = laid(tmp_path, "d", drawn(n=99), most=99)
    assert "the number of sequences is 100 and 99" in refused(tmp_path, *runs, fewer)


def test_what_shapes_the_validation_split_alone_makes_no_other_data(tmp_path: Path) -> None:
    one = drawn()
    own: dict[str, Any] = {"name": "files", "path": {"sha256": "abc"}, "labels": "sequence"}
    own = own | {"validation_fraction": 0.1, "split_seed": 0}
    for base, other in (
        (DATA, {"validation_fraction": 0.2}),
        (own, {"validation_fraction": 0.2, "split_seed": 1}),
    ):
        runs = laid(tmp_path, "a", one, data=base), laid(tmp_path, "b", one, data=base | other)
        assert len(compared(tmp_path, *runs)[0]) == 2


def test_labels_of_sequences_or_timesteps_make_no_other_data(tmp_path: Path) -> None:
    one = drawn()
    runs = laid(tmp_path, "a", one), laid(tmp_path, "b", one, data=DATA | {"labels": "timestep"})
    assert len(compared(tmp_path, *runs)[0]) == 2


@pytest.mark.parametrize("kind", ["digits", "mnist", "files"])
def test_the_test_sequences_are_the_same_whatever_shapes_the_validation_split(
    kind: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    file = tmp_path / "mine.npz"
    x = random.integers(0, 255, (30, 28, 28)).astype(np.uint8)
    np.savez(
        file, x_train=x, y_train=np.arange(30) % 3, x_test=255 - x[:9], y_test=np.arange(9) % 3
    )
    path = () if kind == "digits" else (f"data.path={file}",)

    def inputs(*options: str) -> NDArray[Any]:
        test = data.load(composed(tmp_path, f"data={kind}", *path, *options).data).test
        return test.take(slice(None)).x

    first = inputs()
    for fraction in ("0", "0.3"):
        assert np.array_equal(inputs(f"data.validation_fraction={fraction}"), first)
    same = np.array_equal(inputs("data.split_seed=1"), first)
    assert same == (kind != "digits")


def test_runs_that_recorded_other_timesteps_are_compared_where_both_did(tmp_path: Path) -> None:
    one = drawn()
    runs = (
        laid(tmp_path, "a", one, parts=3),
        laid(tmp_path, "b", replace(mixed(one), recorded=slice(0, 3)), parts=2),
    )
    said = refused(tmp_path, *runs)
    assert said == (
        "compare.timesteps=all: runs a and b recorded different timesteps of lstm/h; "
        "choose some that both have"
    )
    options = replace(OPTIONS, timesteps="0:3")
    table, _, _ = compared(tmp_path, *runs, options=options)
    assert set(table["rows"]) == {int(np.minimum(one.lengths, 3).sum())}


@pytest.mark.parametrize("other", ["0:3", "::2"])
def test_last_timesteps_that_are_not_the_same_ones_are_refused(tmp_path: Path, other: str) -> None:
    one, last = drawn(), replace(OPTIONS, timesteps="last")
    whole, final, part = (
        laid(tmp_path, name, one, timesteps=recorded)
        for name, recorded in (("a", "all"), ("b", "last"), ("c", other))
    )
    assert len(compared(tmp_path, whole, final, options=last)[0])
    assert len(compared(tmp_path, whole, part)[0])
    assert refused(tmp_path, whole, final, part, options=last) == (
        f"compare.timesteps=last: runs a and c recorded extract.timesteps=all and {other}, of "
        "which the last are others: choose runs that recorded the same with compare.runs=..., or "
        "timesteps that all have"
    )


@pytest.mark.slow
@pytest.mark.tensorflow
def test_two_real_runs_are_compared_and_another_asks_for_more(
    tmp_path: Path, tensorflow: None
) -> None:
    small = ("train.steps=0", "extract.signals=[h,c]", "units.permutations=0")
    stages.run(composed(tmp_path, "stage=units", "model.units=4", *small))
    with pytest.raises(UserError) as caught:
        stages.run(composed(tmp_path, "stage=compare"))
    assert str(caught.value) == (
        f"stage=compare: needs 2 finished runs, there is 1 in {tmp_path}; "
        "a sweep makes some: rnnscope -m stage=units seed=0,1"
    )
    stages.run(composed(tmp_path, "stage=units", "model.units=3", "model=gru", *small))
    (step,) = stages.run(composed(tmp_path, "stage=compare"))
    table = pd.read_parquet(step.artefact.folder / "compare.parquet")
    assert table[["run_a", "run_b", "layer", "signal"]].to_numpy().tolist() == [
        ["digits-gru3-s0", "digits-lstm4-s0", "gru/lstm", "h"]
    ]
    assert table["rows"].tolist() == [359 * 8]
    assert store.latest(tmp_path, "compare").resolve() == step.artefact.folder
    assert set(step.artefact.manifest()["upstream"]) == {
        "digits-gru3-s0/extract",
        "digits-lstm4-s0/extract",
    }
    # What is not compared changes nothing.
    stages.run(composed(tmp_path, "stage=population", "model.units=4", *small))
    assert stages.chain(composed(tmp_path, "stage=compare"))[0].artefact == step.artefact
    # Of runs that differ outside their slug, those can be chosen that the refusal names.
    stages.run(composed(tmp_path, "stage=units", "model.units=4", "data.test_fraction=0.5", *small))
    other = ("extract.max_sequences=50", "model.units=4", *small)
    stages.run(composed(tmp_path, "stage=units", *other, "extract.batch_size=16"))
    stages.run(composed(tmp_path, "stage=units", *other, "extract.batch_size=32"))
    with pytest.raises(UserError, match=r"have different data, .* with compare\.runs=\.\.\."):
        stages.run(composed(tmp_path, "stage=compare", "compare.runs=digits-lstm4-s0"))
    (every,) = stages.chain(composed(tmp_path, "stage=collect", "collect.runs=digits-lstm4-s0"))
    assert every.survey is not None
    names = [
        run.name for run in every.survey.runs if run.config["extract.max_sequences"] is not None
    ]
    (step,) = stages.run(composed(tmp_path, "stage=compare", f"compare.runs=[{','.join(names)}]"))
    table = pd.read_parquet(step.artefact.folder / "compare.parquet")
    assert table[["run_a", "run_b"]].drop_duplicates().to_numpy().tolist() == [names]
    with pytest.raises(UserError, match=r"needs 2 finished runs named \*gru\*, there is 1"):
        stages.run(composed(tmp_path, "stage=compare", "compare.runs=*gru*"))
