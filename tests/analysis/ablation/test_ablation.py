"""Stage ablation, from a model and a test set to what each unit is worth."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from rnnscope import data, models
from rnnscope.analysis.ablation import rerun
from rnnscope.analysis.ablation import stage as ablation
from rnnscope.analysis.ablation.columns import ABLATION, IMPORTANCE, METHODS, Clamped, Reruns
from rnnscope.analysis.ablation.rerun import Given, Rerun, given_batches
from rnnscope.analysis.ablation.sums import SUMMED, summed
from rnnscope.config import Config
from rnnscope.data import Batch, Dataset, Split
from rnnscope.errors import UserError
from rnnscope.stages.table import STAGES
from rnnscope.store.inputs import Inputs
from rnnscope.trace.places import places
from tests import reference
from tests.analysis.ablation.test_clamping import drawn, expected, translator
from tests.compose import composed
from tests.trace.test_architectures import Leaky

pytestmark = pytest.mark.tensorflow

COUNT, TIMESTEPS, FEATURES, CLASSES = 23, 6, 2, 3
OF_LOSS = ("loss", "accuracy", "p_value", "q_value")


def table_of_units(units: int, layer: str = "lstm") -> pd.DataFrame:
    """What stage units writes, as far as it matters here: random statistics of c."""
    random = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "layer": pd.Categorical([layer] * units),
            "signal": pd.Categorical(["c"] * units),
            "unit": np.arange(units, dtype=np.int32),
            "std": random.random(units),
            "p_value": random.random(units),
        }
    )


def arrays(padded: bool = False, labels: bool = True) -> dict[str, Any]:
    random = np.random.default_rng(5)
    made: dict[str, Any] = {
        "x": random.normal(size=(COUNT, TIMESTEPS, FEATURES)).astype(np.float32),
        "y": random.integers(0, CLASSES, COUNT),
        "lengths": random.integers(1, TIMESTEPS + 1, COUNT),
    }
    kept = ("x", *(["y"] if labels else []), *(["lengths"] if padded else []))
    test = {f"{name}_test": made[name] for name in kept}
    return {f"{name}_train": made[name] for name in kept} | {"x_train": -made["x"]} | test


def run(
    folder: Path,
    model: keras.Model,
    given: dict[str, Any],
    *overrides: str,
    units: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Both tables and the figures of the stage, for a model from a file and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data.npz", **given)
    model.save(folder / "model.keras")
    (table_of_units(6) if units is None else units).to_parquet(folder / "units.parquet")
    figures = ablation.run(config(folder, *overrides), Inputs({"units": folder}), folder)
    table, joined = map(
        pd.read_parquet, (folder / "ablation.parquet", folder / "importance.parquet")
    )
    return table, joined, figures


def config(folder: Path, *overrides: str) -> Config:
    return composed(
        folder / "outputs",
        "stage=ablation",
        "model=file",
        f"model.path={folder / 'model.keras'}",
        "data=files",
        f"data.path={folder / 'data.npz'}",
        *overrides,
    )


def network(padded: bool = False, units: int = 6, kind: Any = keras.layers.LSTM) -> keras.Model:
    """A recurrent layer and logits without a bias, so that predictions differ."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    mask = keras.Input((TIMESTEPS,), dtype="bool", name="mask") if padded else None
    y = keras.layers.Dense(CLASSES, use_bias=False)(kind(units, name="lstm")(x, mask=mask))
    return drawn(keras.Model({"x": x, "mask": mask} if padded else x, y))


def losses(logits: Any, labels: Any) -> NDArray[np.float64]:
    """Cross-entropy of each sequence, in float64."""
    logits = np.asarray(logits, np.float64)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model, Any]:
    """A random network of sequences of unequal lengths, and what the stage says of it."""
    folder = tmp_path_factory.mktemp("measured")
    model = network(padded=True)
    return folder, model, run(folder, model, arrays(padded=True), "ablation.batch_size=10")


def test_there_is_one_row_per_layer_unit_and_method_with_its_types(measured: Any) -> None:
    _, _, (table, _, figures) = measured
    keys = table[["layer", "unit", "method"]].astype(str).agg("/".join, axis=1).tolist()
    run_once = [method for method in METHODS if method != "c_zero"]  # which is h at zero
    assert keys == [f"lstm/{unit}/{method}" for unit in range(6) for method in run_once]
    assert figures["same_as"] == {"lstm": {"c_zero": "h_zero"}}
    types = table.dtypes.astype(str).to_dict()
    assert (types.pop("layer"), types.pop("method")) == ("category", "category")
    assert (types.pop("unit"), types.pop("sequences")) == ("int32", "int64")
    assert set(types.values()) == {"float64"}
    assert figures["rows"] == len(table) == 18
    assert (table["sequences"] == COUNT).all()
    assert table.notna().all(axis=None)


def test_the_tables_are_those_declared_with_their_columns_in_order(measured: Any) -> None:
    _, _, (table, joined, _) = measured
    assert ablation.TABLES == (ABLATION, IMPORTANCE)
    assert STAGES["ablation"].tables == tuple(each.name for each in ablation.TABLES)
    for declared, found in ((ABLATION, table), (IMPORTANCE, joined)):
        assert list(found) == [column.name for column in declared.columns]
        assert all(column.meaning for column in declared.columns)


def test_a_single_sequence_has_no_interval() -> None:
    clamped = [Clamped("lstm", unit, "h_zero", 0.0) for unit in range(3)]
    random = np.random.default_rng(0)
    sums = [summed(random.normal(size=(len(SUMMED), 1)), None, 1) for _ in clamped]
    reruns = Reruns(clamped, sums, labelled=True)
    table = ABLATION.frame(reruns)
    null = [f"{name}_change_{end}" for name in ("loss", "accuracy") for end in ("low", "high")]
    null.append("p_value")
    assert table[null].isna().all(axis=None)
    assert table.drop(columns=null).notna().all(axis=None)
    counts = {(name, "a single sequence, or source of sequences"): 3 for name in null}
    counts |= {("q_value", "a single sequence, or source of sequences"): 3}
    assert dict(ABLATION.nulls(reruns, table)) == counts


def test_the_declarations_cost_no_tensorflow() -> None:
    code = "import sys, rnnscope.analysis.ablation.columns; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_number_agrees_with_the_held_equations_in_float64(measured: Any) -> None:
    _, model, (table, _, _) = measured
    given = arrays(padded=True)
    x, labels, lengths = given["x_test"], given["y_test"], given["lengths_test"]
    valid = np.arange(TIMESTEPS) < lengths[:, np.newaxis]
    cell, (kernel,) = model.get_layer("lstm").cell, model.layers[-1].get_weights()
    free = reference.cell(cell, x, valid, None, False)

    def logits(h: Any) -> Any:
        return h[np.arange(COUNT), lengths - 1] @ kernel.astype(np.float64)

    base = logits(free["h"])
    for row in table.itertuples():
        state, _, at = row.method.partition("_")
        value = 0.0 if at == "zero" else free[state][valid][:, row.unit].mean()
        assert row.value == pytest.approx(value, abs=1e-6)
        held = expected(cell, x, valid, None, False, state, row.unit, value)
        found = logits(held["h"])
        assert row.loss == pytest.approx(losses(found, labels).mean(), abs=1e-5)
        right = (found.argmax(axis=1) == labels).astype(float)
        assert row.accuracy == pytest.approx(right.mean())
        changes = {
            "loss_change": losses(found, labels) - losses(base, labels),
            "accuracy_change": right - (base.argmax(axis=1) == labels),
        }
        for name, change in changes.items():
            assert getattr(row, name) == pytest.approx(change.mean(), abs=1e-5)
            if np.ptp(change) == 0:
                assert getattr(row, f"{name}_low") == getattr(row, f"{name}_high") == change[0]
                continue
            interval = scipy.stats.ttest_1samp(change, 0).confidence_interval(0.95)
            assert getattr(row, f"{name}_low") == pytest.approx(interval.low, abs=1e-5)
            assert getattr(row, f"{name}_high") == pytest.approx(interval.high, abs=1e-5)
        with_it, without = losses(base, labels), losses(found, labels)
        paired = scipy.stats.ttest_rel(without, with_it, alternative="greater")
        assert row.p_value == pytest.approx(paired.pvalue, abs=1e-4)
        moved = np.sqrt(((found - base) ** 2).sum(axis=1)).mean()
        assert row.output_change == pytest.approx(moved, abs=1e-5)
    assert table["accuracy_change"].abs().max() > 0
    for _, rows in table.groupby("method", observed=True):
        q = scipy.stats.false_discovery_control(rows["p_value"])
        np.testing.assert_allclose(rows["q_value"], q)


def test_the_baseline_is_what_keras_evaluates(measured: Any) -> None:
    folder, _, (_, _, figures) = measured
    model = models.load(folder / "model.keras")
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    batch = data.load(config(folder).data).test.take(slice(None))
    loss, accuracy = model.evaluate(models.inputs(model, batch), batch.y, verbose=0)
    assert figures["baseline"]["loss"] == pytest.approx(loss, abs=1e-5)
    assert figures["baseline"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("overrides", ["ablation.batch_size=1", "ablation.batch_size=100"])
def test_the_batch_size_changes_nothing(measured: Any, tmp_path: Path, overrides: str) -> None:
    _, model, (table, joined, _) = measured
    given = arrays(padded=True)
    again, importances, _ = run(tmp_path, model, given, overrides, "engine.workers=1")
    pd.testing.assert_frame_equal(again, table, rtol=1e-5, atol=1e-6)
    pd.testing.assert_frame_equal(importances, joined, rtol=1e-6)


def test_the_first_sequences_the_chosen_units_and_methods(measured: Any, tmp_path: Path) -> None:
    _, model, (whole, _, _) = measured
    table, _, figures = run(
        tmp_path,
        model,
        arrays(padded=True),
        "ablation.units=[4,1]",
        "ablation.methods=[c_zero,h_mean]",
        "ablation.max_sequences=7",
    )
    assert table[["unit", "method"]].astype(str).agg("/".join, axis=1).tolist() == [
        *("1/h_mean", "1/c_zero", "4/h_mean", "4/c_zero")
    ]
    assert figures["sequences"] == 7
    first = {name: values[:7] for name, values in arrays(padded=True).items()}
    alone, _, _ = run(tmp_path / "alone", model, first)
    same = alone["method"].astype(str).replace("h_zero", "c_zero")  # which it is by algebra
    alone = table[["unit", "method"]].astype({"method": str}).merge(alone.assign(method=same))
    columns = ["value", "loss", "loss_change_low", "accuracy", "output_change"]
    np.testing.assert_allclose(table[columns], alone[columns], 1e-6, 1e-7)
    means = table[table["method"] == "h_mean"]
    assert not np.allclose(means["value"], whole.merge(means[["unit", "method"]])["value"])


def counter() -> tuple[keras.Model, dict[str, Any]]:
    """A network by hand: unit 2 alone sums the input, and alone is read for its sign."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.LSTM(5, name="lstm")(x)))
    random = np.random.default_rng(6)
    kernel, recurrent, bias, readout, offset = (
        random.normal(0, 0.5, each.shape) for each in model.get_weights()
    )
    own = np.arange(20) % 5 == 2
    kernel[:, own], recurrent[:, own], recurrent[2], readout[:], offset[:] = 0, 0, 0, 0, 0
    bias[own] = [20, 20, 0, 20]  # i, f and o are open: c is the sum of g
    kernel[0, 10 + 2] = 1
    readout[2] = [-40, 40]
    model.set_weights([kernel, recurrent, bias, readout, offset])
    values = random.normal(size=(40, TIMESTEPS, FEATURES)).astype(np.float32)
    values[20:, :, 0] = -values[:20, :, 0]
    labels = (np.tanh(values[:, :, 0]).sum(axis=1) > 0).astype(np.int32)
    train = {"x_train": -values, "y_train": 1 - labels}
    return model, train | {"x_test": values, "y_test": labels}


def test_without_the_one_unit_that_carries_the_class_accuracy_is_chance(tmp_path: Path) -> None:
    model, given = counter()
    units = table_of_units(5)
    units["std"] = [0.1, 0.2, 0.9, 0.3, 0.4]
    table, joined, figures = run(tmp_path, model, given, units=units)
    assert figures["baseline"]["accuracy"] == 1
    assert figures["baseline"]["loss"] < 0.1
    carries = table["unit"] == 2
    assert (table[carries]["accuracy"] == 0.5).all()
    assert (table[carries]["accuracy_change"] == -0.5).all()
    assert (table[carries]["accuracy_change_high"] < -0.3).all()
    at_zero = table[carries & table["method"].isin(["h_zero", "c_zero"])]
    np.testing.assert_allclose(at_zero["loss"], np.log(2), 1e-6)
    for name in ("loss_change", "loss_change_low", "loss_change_high", "accuracy_change"):
        assert (table[~carries][name] == 0).all(), name
    assert (table[~carries]["output_change"] == 0).all()
    assert figures["headline"]["needed by every method"] == 1
    assert figures["needed"] == {"h_zero": 1, "h_mean": 1, "c_mean": 1}
    assert (table[~carries]["p_value"] == 1).all()
    assert (table[~carries]["q_value"] == 1).all()
    assert (table[carries]["p_value"] < 1e-6).all()
    # Importances 0 0 1 0 0 against ranks 1 2 5 3 4.
    assert joined["spearman"].tolist() == pytest.approx([1 / np.sqrt(2)] * 3)


def test_changes_of_sequences_that_share_a_source_are_tested_by_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = data.load
    groups = np.arange(COUNT - 3) // 4  # the last three are a source of their own each
    groups = np.concatenate([groups, [90, 91, 92]]).astype(str)

    def loaded(*given: Any) -> Dataset:
        found = load(*given)
        return dataclasses.replace(found, test=dataclasses.replace(found.test, groups=groups))

    monkeypatch.setattr(data, "load", loaded)
    model = network()
    table, _, figures = run(tmp_path, model, arrays(), "ablation.batch_size=7")
    assert figures["sources"] == 8
    monkeypatch.setattr(data, "load", load)
    alone, _, other = run(tmp_path / "alone", model, arrays(), "ablation.batch_size=7")
    assert other["sources"] is None
    same = ["loss", "accuracy", "loss_change", "accuracy_change", "output_change"]
    pd.testing.assert_frame_equal(table[same], alone[same])
    given = arrays()
    cell, (kernel,) = model.get_layer("lstm").cell, model.layers[-1].get_weights()
    everywhere = np.ones((COUNT, TIMESTEPS), bool)
    base = reference.cell(cell, given["x_test"], everywhere, None, False)["h"][:, -1] @ kernel
    for row in table[table["method"] == "h_zero"].itertuples():
        held = expected(cell, given["x_test"], everywhere, None, False, "h", row.unit, 0.0)
        of_unit = held["h"][:, -1] @ kernel
        change = losses(of_unit, given["y_test"]) - losses(base, given["y_test"])
        p, low = by_source(change, groups)
        assert row.p_value == pytest.approx(p, abs=1e-4)
        assert row.loss_change_low == pytest.approx(low, abs=1e-5)


def by_source(change: NDArray[np.float64], groups: NDArray[Any]) -> tuple[float, float]:
    """One-sided p and lower bound by statsmodels' formula of clustered errors, written out."""
    residual = pd.Series(change - change.mean()).groupby(groups).sum()
    count = len(residual)
    error = np.sqrt(count / (count - 1) * (residual**2).sum()) / len(change)
    p = scipy.stats.t.sf(change.mean() / error, count - 1)
    return float(p), float(change.mean() - scipy.stats.t.ppf(0.975, count - 1) * error)


@pytest.mark.parametrize("kind", [keras.layers.GRU, keras.layers.SimpleRNN])
def test_a_cell_without_c_has_h_alone(tmp_path: Path, kind: Any) -> None:
    table, _, figures = run(tmp_path, network(kind=kind), arrays())
    assert table["method"].astype(str).unique().tolist() == ["h_zero", "h_mean"]
    assert len(table) == 12
    assert figures["left_out"] == {"lstm": "c_mean, c_zero: the cell has no such state"}


def test_without_labels_the_change_of_the_output_is_left(tmp_path: Path) -> None:
    table, joined, figures = run(tmp_path, network(), arrays(labels=False))
    known, _, _ = run(tmp_path / "known", network(), arrays())
    null = [name for name in table if name.startswith(OF_LOSS)]
    assert len(null) == 10
    assert table[null].isna().all(axis=None)
    np.testing.assert_array_equal(table["output_change"], known["output_change"])
    assert (table["output_change"] > 0).all()
    assert figures["baseline"] == {}
    assert "needed" not in figures
    assert figures["headline"] == {"units": 6}
    reason = {"the data has no labels": 18}
    assert figures["null"] == {"ablation": dict.fromkeys(null, reason), "importance": {}}
    assert set(joined["change"]) == {"output_change"}
    assert joined["spearman"].notna().all()


def test_outputs_that_are_no_scores_have_no_loss(tmp_path: Path) -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    model = drawn(keras.Model(x, keras.layers.LSTM(6, name="lstm")(x)))
    table, _, figures = run(tmp_path, model, arrays())
    assert table["loss"].isna().all()
    # The output is h itself: with unit 3 of it at 0, it moves at least by what h of unit 3 was.
    row = table[(table["unit"] == 3) & (table["method"] == "h_zero")].iloc[0]
    h = np.asarray(model(arrays()["x_test"], training=False))[:, 3]
    assert row["output_change"] > np.abs(h).mean()
    assert figures["importance_of"] == "output_change"
    reason = {"the model's output is no score of the labels": 18}
    null = [name for name in table if name.startswith(OF_LOSS)]
    assert figures["null"]["ablation"] == dict.fromkeys(null, reason)


def test_of_numeric_targets_the_loss_is_the_squared_error(tmp_path: Path) -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    model = drawn(keras.Model(x, keras.layers.Dense(1)(keras.layers.LSTM(6, name="lstm")(x))))
    given = arrays() | dict.fromkeys(("y_train", "y_test"), np.linspace(-1, 1, COUNT))
    table, joined, figures = run(tmp_path, model, given)
    error = (np.asarray(model(given["x_test"], training=False))[:, 0] - given["y_test"]) ** 2
    assert figures["baseline"] == {"loss": pytest.approx(error.mean(), abs=1e-5)}
    change = table["loss"] - error.mean()
    np.testing.assert_allclose(table["loss_change"], change, 0, 1e-5)
    null = [name for name in table if name.startswith("accuracy")]
    assert table[null].isna().all(axis=None)
    assert table.drop(columns=null).notna().all(axis=None)
    assert set(joined["change"]) == {"loss_change"}
    reason = {"the labels are numbers, not classes": 18}
    assert figures["null"]["ablation"] == dict.fromkeys(null, reason)


@pytest.mark.slow
def test_a_cell_of_unknown_kind_is_left_out_and_refused_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    model = keras.Sequential(
        [
            keras.Input((TIMESTEPS, FEATURES)),
            keras.layers.GRU(3, return_sequences=True, name="known"),
            keras.layers.RNN(Leaky(), name="own"),
        ]
    )
    held = {("known", "h"): places(model)["known"]}
    with Rerun(model, held, Dataset(NUMBERS)) as again:
        assert set(again.means(batches(model))) == {"known"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "of_run", lambda *given: (model, data.load(given[2])))
        table, _, figures = run(tmp_path, network(), arrays())
        assert set(table["layer"]) == {"known"}
        assert figures["left_out"]["own"].startswith("all: states whose place")
        with pytest.raises(UserError, match=r"ablation\.layers=\['own'\]: own has states whose"):
            run(tmp_path, network(), arrays(), "ablation.layers=[own]")
        only = keras.Sequential(
            [
                keras.Input((TIMESTEPS, FEATURES)),
                keras.layers.Dense(3),
                keras.layers.RNN(Leaky(), name="own"),
            ]
        )
        patch.setattr(models, "of_run", lambda *given: (only, data.load(given[2])))
        table, joined, figures = run(tmp_path, network(), arrays())
        assert (len(table), len(joined), figures["rows"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ablation.layers=[gru]", r"ablation.layers: no 'gru'; there is lstm"),
        ("ablation.units=[6,7]", r"ablation.units=\[6, 7\]: there are 6, from 0 to 5"),
        ("ablation.units=[3,500]", r"ablation.units=\[3, 500\]: there are 6, from 0 to 5"),
        ("ablation.units=[]", r"ablation.units=\[\]: must be a list of 1 to "),
        ("ablation.layers=[]", r"ablation.layers=\[\]: must be a list of 1 to "),
        ("ablation.methods=[]", r"ablation.methods=\[\]: must be a list of 1 to 4 "),
    ],
)
def test_what_is_not_there_is_said_in_one_line(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(tmp_path, network(), arrays(), override)


NUMBERS = Split(
    np.random.default_rng(7).normal(size=(COUNT, TIMESTEPS, FEATURES)).astype(np.float32)
)


def batches(model: keras.Model, count: int = COUNT, size: int = 10) -> list[Given]:
    """The test sequences, unlabelled, in batches."""
    return list(given_batches(model, NUMBERS, count, size))


def test_the_weights_are_bit_for_bit_as_before_also_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    weights = [each.copy() for each in model.get_weights()]
    monkeypatch.setattr(models, "of_run", lambda *given: (model, data.load(given[2])))
    run(tmp_path, model, arrays())

    def failing(*_: Any) -> Any:
        raise RuntimeError("inside")

    monkeypatch.setattr(rerun, "outcomes", failing)
    with pytest.raises(RuntimeError, match="inside"):
        run(tmp_path, model, arrays())
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert "inner_loop" not in vars(model.get_layer("lstm"))


def stateful() -> keras.Model:
    x = keras.Input(batch_shape=(4, TIMESTEPS, FEATURES))
    layer = keras.layers.LSTM(6, stateful=True, name="lstm")
    return drawn(keras.Model(x, keras.layers.Dense(CLASSES)(layer(x))))


def test_a_stateful_model_goes_on_from_batch_to_batch_and_has_its_states_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = stateful()
    layer = model.get_layer("lstm")
    layer.states[0].assign(np.full((4, 6), 0.5, np.float32))
    monkeypatch.setattr(models, "of_run", lambda *given: (model, data.load(given[2])))
    table, _, figures = run(tmp_path, network(), arrays(), "ablation.methods=[c_mean,c_zero]")
    np.testing.assert_array_equal(layer.states[0], np.full((4, 6), 0.5))
    np.testing.assert_array_equal(layer.states[1], np.zeros((4, 6)))
    # Sequence n of each batch is one long sequence with those of the same place before it.
    x, labels = arrays()["x_test"], arrays()["y_test"]
    batches = np.concatenate([x, x[-1:]]).reshape(6, 4, TIMESTEPS, FEATURES)
    long = batches.transpose(1, 0, 2, 3).reshape(4, 6 * TIMESTEPS, FEATURES)
    everywhere = np.ones(long.shape[:2], bool)
    kernel, bias = model.layers[-1].get_weights()

    def loss(h: Any) -> float:
        last = h[:, TIMESTEPS - 1 :: TIMESTEPS].transpose(1, 0, 2).reshape(24, 6)[:COUNT]
        return float(losses(last @ kernel + bias, labels).mean())

    free = reference.cell(layer.cell, long, everywhere, None, False)
    assert figures["baseline"]["loss"] == pytest.approx(loss(free["h"]), abs=1e-5)
    for row in table.itertuples():
        held = expected(
            layer.cell, long, everywhere, None, False, row.method[0], row.unit, row.value
        )
        assert row.loss == pytest.approx(loss(held["h"]), abs=1e-5)
    c = free["c"].reshape(4, 6, TIMESTEPS, 6).transpose(1, 0, 2, 3).reshape(24, TIMESTEPS, 6)
    means = table[table["method"] == "c_mean"]["value"]
    np.testing.assert_allclose(means, c[:COUNT].mean(axis=(0, 1)), 0, 1e-6)


class AlwaysDropout(keras.layers.Dropout):
    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=True)


def test_a_model_that_draws_at_random_draws_alike_with_and_without_a_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = keras.Input((TIMESTEPS, FEATURES))
    h = keras.layers.LSTM(6, name="lstm")(AlwaysDropout(0.5, seed=1)(x))
    model = drawn(keras.Model(x, keras.layers.Dense(CLASSES)(h)))
    kernel, bias = model.layers[-1].get_weights()
    kernel[2] = 0  # nothing reads unit 2: neither the outputs, nor the gates
    recurrent = model.get_layer("lstm").cell.recurrent_kernel
    recurrent.assign(np.where(np.arange(6)[:, np.newaxis] == 2, 0, recurrent))
    model.layers[-1].set_weights([kernel, bias])
    streams = model.layers[1].seed_generator.state
    before = np.array(streams)
    monkeypatch.setattr(models, "of_run", lambda *given: (model, data.load(given[2])))
    table, _, _ = run(tmp_path, network(), arrays(), "ablation.methods=[h_zero,c_zero]")
    silent = table["unit"] == 2
    np.testing.assert_allclose(table["loss_change"][silent], 0, atol=1e-7)
    assert (table["loss_change"][~silent].abs() > 1e-5).all()
    np.testing.assert_array_equal(streams, before)


def test_the_means_are_over_valid_rows_of_all_calls_of_a_layer() -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    mask = keras.Input((TIMESTEPS,), dtype="bool", name="mask")
    layer = keras.layers.LSTM(3, name="shared")
    model = drawn(
        keras.Model({"x": x, "mask": mask}, layer(x, mask=mask) + layer(2 * x, mask=mask))
    )
    place = places(model)["shared"]
    given = arrays(padded=True)
    split = Split(given["x_test"], lengths=given["lengths_test"].astype(np.int32))
    with Rerun(model, {("shared", "h"): place, ("shared", "c"): place}, Dataset(split)) as again:
        means = again.means(given_batches(model, split, COUNT, 10))
    valid = np.arange(TIMESTEPS) < given["lengths_test"][:, np.newaxis]
    values = split.take(slice(None)).x
    calls = [reference.cell(layer.cell, n * values, valid, None, False) for n in (1, 2)]
    for state in "hc":
        rows = np.concatenate([call[state][valid] for call in calls])
        np.testing.assert_allclose(means["shared"][state], rows.mean(axis=0), 0, 1e-6)


def test_without_a_mask_the_means_end_at_each_sequences_length() -> None:
    model, given = network(), arrays(padded=True)
    split = Split(given["x_test"], lengths=given["lengths_test"].astype(np.int32))
    with Rerun(model, {("lstm", "h"): places(model)["lstm"]}, Dataset(split)) as again:
        means = again.means(given_batches(model, split, COUNT, 10))
    everywhere = np.ones((COUNT, TIMESTEPS), bool)
    cell = model.get_layer("lstm").cell
    h = reference.cell(cell, split.take(slice(None)).x, everywhere, None, False)["h"]
    valid = np.arange(TIMESTEPS) < given["lengths_test"][:, np.newaxis]
    np.testing.assert_allclose(means["lstm"]["h"], h[valid].mean(axis=0), 0, 1e-6)


def test_of_several_inputs_the_means_end_at_the_lengths_of_what_a_layer_reads() -> None:
    one, two = (keras.Input((TIMESTEPS, FEATURES), name=name) for name in ("one", "two"))
    ends = [keras.layers.LSTM(3, name=f"of_{each.name}")(each) for each in (one, two)]
    model = drawn(keras.Model([one, two], keras.layers.Concatenate()(ends)))
    given = arrays(padded=True)
    lengths = given["lengths_test"].astype(np.int32)
    of_two = TIMESTEPS + 1 - lengths
    values = np.random.default_rng(5).normal(size=given["x_test"].shape).astype(np.float32)
    split = Split(
        values, None, lengths, others={"two": values}, name="one", other_lengths={"two": of_two}
    )
    held = {(f"of_{name}", "h"): places(model)[f"of_{name}"] for name in ("one", "two")}
    with Rerun(model, held, Dataset(split)) as again:
        means = again.means(given_batches(model, split, COUNT, 10))
    for name, ending in (("of_one", lengths), ("of_two", of_two)):
        valid = np.arange(TIMESTEPS) < ending[:, np.newaxis]
        h = reference.cell(model.get_layer(name).cell, values, valid, None, False)["h"]
        np.testing.assert_allclose(means[name]["h"], h[valid].mean(axis=0), 0, 1e-6)


def test_a_mask_of_the_models_own_counts_too() -> None:
    x = keras.Input((TIMESTEPS, FEATURES))
    layer = keras.layers.GRU(3, name="gru")
    model = drawn(keras.Model(x, layer(keras.layers.Masking(0.0)(x))))
    values = arrays()["x_test"].copy()
    values[::2, 1:3] = 0
    with Rerun(model, {("gru", "h"): places(model)["gru"]}, Dataset(Split(values))) as again:
        means = again.means(given_batches(model, Split(values), COUNT, 10))
    valid = (values != 0).any(axis=2)
    h = reference.cell(layer.cell, values, valid, None, False)["h"]
    np.testing.assert_allclose(means["gru"]["h"], h[valid].mean(axis=0), 0, 1e-6)


def test_labels_per_timestep_give_each_sequence_its_mean_over_valid_timesteps() -> None:
    x = keras.Input((TIMESTEPS, FEATURES))
    y = keras.layers.LSTM(4, return_sequences=True, name="lstm")(x)
    model = drawn(keras.Model(x, keras.layers.Dense(CLASSES)(y)))
    random = np.random.default_rng(8)
    values = random.normal(size=(5, TIMESTEPS, FEATURES)).astype(np.float32)
    labels = random.integers(0, CLASSES, (5, TIMESTEPS))
    valid = np.arange(TIMESTEPS) < np.array([6, 1, 3, 2, 6])[:, np.newaxis]
    given = Given(
        values, Batch(values, labels, valid.sum(axis=1, dtype=np.int32)), np.arange(len(labels))
    )
    dataset = Dataset(Split(values, labels), classes=tuple("abc"[:CLASSES]))
    with Rerun(model, {("lstm", "h"): places(model)["lstm"]}, dataset) as again:
        whole = again.made(given)
        without = again.made_without(given, "lstm", "h", 1, 0.5)
    logits = np.asarray(model(values, training=False))
    for n in range(5):
        rows, classes = logits[n][valid[n]], labels[n][valid[n]]
        assert whole.loss[n] == pytest.approx(losses(rows, classes).mean(), abs=1e-5)
        assert whole.accuracy[n] == (rows.argmax(axis=1) == classes).mean()
    other = [each[valid[1]] for each in (without.outputs[0][1], whole.outputs[0][1])]
    moved = np.linalg.norm(other[0] - other[1])
    assert without.distance(whole, valid)[1] == pytest.approx(moved, rel=1e-6)


def test_several_outputs_count_together_in_the_distance() -> None:
    model, (x, later) = translator()
    both = keras.Model(model.inputs, [model.output, model.get_layer("encoder").output[0]])
    held = {("encoder", "h"): places(both)["encoder"]}
    inputs = {each.name: values for each, values in zip(both.inputs, [x, later], strict=True)}
    given = Given(inputs, Batch(x, None, None), np.arange(len(x)))
    with Rerun(both, held, Dataset(Split(x))) as again:
        whole, without = again.made(given), again.made_without(given, "encoder", "h", 0, 0.9)
    parts = [
        np.square(a - b).reshape(2, -1).sum(axis=1)
        for a, b in zip(whole.outputs, without.outputs, strict=True)
    ]
    assert len(parts) == 2
    assert min(part.min() for part in parts) > 0
    np.testing.assert_allclose(
        without.distance(whole, given.batch.valid), np.sqrt(sum(parts)), 1e-5
    )


def test_each_call_of_a_layer_has_its_statistics_set_against_the_units_importance(
    tmp_path: Path,
) -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    layer = keras.layers.LSTM(5, return_sequences=True, name="twice")
    once = layer(x)
    again = layer(keras.layers.Dense(FEATURES)(once))
    y = keras.layers.Dense(CLASSES)(keras.layers.GlobalAveragePooling1D()(again))
    first, second = table_of_units(5, "twice"), table_of_units(5, "twice.call1")
    second["std"] = first["std"].to_numpy()[[1, 0, 3, 2, 4]]
    units = pd.concat([each.astype({"layer": str}) for each in (first, second)])
    given = arrays()
    table, joined, figures = run(tmp_path, drawn(keras.Model(x, y)), given, units=units)
    assert set(table["layer"]) == {"twice"}
    assert joined["layer"].cat.categories.tolist() == ["twice", "twice.call1"]
    assert figures["statistics_of"] == {"twice": ["twice", "twice.call1"]}
    changes = table[table["method"] == "h_mean"]["loss_change"].to_numpy()
    for name, std in (("twice", first["std"]), ("twice.call1", second["std"])):
        row = joined[(joined["layer"] == name) & (joined["method"] == "h_mean")]
        want = scipy.stats.spearmanr(std, changes).statistic
        assert row["spearman"].item() == pytest.approx(want)
        assert row["units"].item() == 5


def test_units_that_only_the_larger_of_two_layers_has_are_clamped_there(tmp_path: Path) -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    h = keras.layers.GRU(3, return_sequences=True, name="small")(x)
    y = keras.layers.Dense(CLASSES)(keras.layers.GRU(6, name="large")(h))
    model = drawn(keras.Model(x, y))
    table, _, _ = run(tmp_path, model, arrays(), "ablation.units=[1,5]")
    made = table.drop_duplicates(["layer", "unit"])[["layer", "unit"]].astype(object)
    assert made.to_numpy().tolist() == [["small", 1], ["large", 1], ["large", 5]]


def test_a_trained_model_is_found_where_stage_train_left_it(tmp_path: Path) -> None:
    given = composed(tmp_path, "stage=ablation", "ablation.max_sequences=20", "ablation.units=[0]")
    x = keras.Input((8, 8), name="x")
    model = drawn(keras.Model(x, keras.layers.Dense(10)(keras.layers.LSTM(4, name="lstm")(x))))
    model.save(tmp_path / "model.keras")
    table_of_units(4).to_parquet(tmp_path / "units.parquet")
    figures = ablation.run(given, Inputs({"train": tmp_path, "units": tmp_path}), tmp_path)
    test = data.load(given.data).test.take(slice(0, 20))
    want = losses(np.asarray(model(test.x, training=False)), test.y).mean()
    assert figures["baseline"]["loss"] == pytest.approx(want, abs=1e-5)
    assert figures["sequences"] == 20
