"""Stage intervention, from a model and a test set to its table and its manifest."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnscope import data, models
from rnnscope.analysis.intervention import stage
from rnnscope.analysis.intervention.choosing import USUAL, chosen
from rnnscope.analysis.intervention.columns import INTERVENTION
from rnnscope.analysis.intervention.losses import losses
from rnnscope.data import Batch
from rnnscope.errors import UserError
from rnnscope.extract.outcome import outcomes
from rnnscope.models.scores import LOGITS, PROBABILITIES, SIGMOID, VALUES
from rnnscope.stages.table import STAGES
from tests.analysis.intervention import held
from tests.analysis.intervention.held import COUNT, FEATURES, TIMESTEPS, UNITS
from tests.compose import composed
from tests.trace.test_architectures import Leaky

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A random network, and what the stage says of it."""
    model = held.network(keras.layers.LSTM(UNITS, name="lstm"))
    given = held.classified(model, held.arrays())
    return model, given, held.run(tmp_path_factory.mktemp("measured"), model, given)


def test_there_is_a_row_for_each_state_method_window_and_unit(measured: Any) -> None:
    _, _, (table, figures) = measured
    assert len(table) == figures["rows"] == 2 * 4 * TIMESTEPS * UNITS
    names = ["layer", "state", "method", "start", "target"]
    assert not table.duplicated(names).any()
    assert (table["stop"] == table["start"] + 1).all()
    assert table["method"].unique().tolist() == ["zero", "mean", "patch", "patch_same"]
    assert list(table) == [column.name for column in INTERVENTION.columns]
    assert STAGES["intervention"].tables == tuple(each.name for each in stage.TABLES)
    assert (table["target"].astype(int) == table["unit"]).all()
    types = table.dtypes.astype(str)
    assert types[["unit", "start", "stop"]].tolist() == ["Int32", "int32", "int32"]
    nulls = figures["null"]["intervention"]
    assert set(nulls) == {"decoder_timestep", "recovery", "recovery_low", "recovery_high"}
    assert figures["donors"] == {"patch": COUNT, "patch_same": COUNT}
    assert figures["left_out"] == {}


def test_batches_and_targets_of_a_pass_change_nothing(measured: Any, tmp_path: Path) -> None:
    model, given, (table, _) = measured
    again, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.batch_size=5",
        "intervention.rows=15",
        "engine.workers=1",
    )
    pd.testing.assert_frame_equal(again, table, rtol=1e-4, atol=1e-6)


def test_the_estimate_is_the_exact_change_of_small_ones(tmp_path: Path) -> None:
    """In float64, where a change of 1e-3 standard deviations is far above rounding."""
    layer = keras.layers.LSTM(UNITS, name="lstm", dtype="float64")
    x = keras.Input((TIMESTEPS, FEATURES), name="x", dtype="float64")
    y = keras.layers.Dense(3, dtype="float64")(layer(x))
    model = held.drawn(keras.Model(x, y))
    np.save(tmp_path / "directions.npy", [[1.0, -2, 0, 1]])
    table, figures = held.run(
        tmp_path,
        model,
        held.arrays(),
        "intervention.methods=[add]",
        "intervention.add=1e-3",
        "intervention.states=[c,f]",
        "intervention.windows=[0:1,2:3,3:4,1:4]",
        "intervention.groups=[0+2]",
        f"intervention.directions_path={tmp_path / 'directions.npy'}",
    )
    assert len(table) == 2 * 4 * (UNITS + 2)
    large = table[table["loss_change"].abs() > 1e-6]
    assert len(large) > 0.7 * len(table)
    np.testing.assert_allclose(large["estimate"] / large["loss_change"], 1, atol=0.01)
    assert figures["estimate_agrees"]["add"] > 0.999


def test_estimates_are_of_every_method_at_single_timesteps(measured: Any) -> None:
    """They have the sign and the order of the exact changes, where these are not large."""
    _, _, (table, figures) = measured
    assert table["estimate"].notna().all()
    assert all(rho > 0.8 for rho in figures["estimate_agrees"].values())
    assert set(figures["estimate_agrees"]) == {"zero", "mean", "patch", "patch_same"}


def test_the_estimate_alone_is_that_beside_the_exact_change(measured: Any, tmp_path: Path) -> None:
    model, given, (table, _) = measured
    alone, figures = held.run(tmp_path, model, given, "intervention.exact=false")
    np.testing.assert_allclose(alone["estimate"], table["estimate"], 1e-6, 1e-9)
    assert (alone["sequences"] == table["sequences"]).all()
    assert alone[["loss", "loss_change", "q_value", "output_change"]].isna().all(axis=None)
    assert figures["null"]["intervention"]["loss"] == {
        "intervention.exact=false: the model is not run": len(alone)
    }


def test_of_several_timesteps_only_what_is_added_has_an_estimate(tmp_path: Path) -> None:
    table, figures = held.run(
        tmp_path,
        held.network(keras.layers.GRU(UNITS, name="gru")),
        held.arrays(),
        "intervention.methods=[zero,freeze,add]",
        "intervention.states=[h,c,z]",
        "intervention.exact=false",
        "intervention.windows=[sliding:2,0:1]",
    )
    several = table["stop"] - table["start"] > 1
    known = table["estimate"].notna()
    assert (known == (~several | (table["method"] == "add"))).all()
    assert figures["left_out"] == {"gru": "c: the cell has no such state"}
    # Before the first timestep a gate has no value to be frozen at.
    frozen = table[(table["method"] == "freeze") & (table["start"] == 0)]
    assert frozen["state"].unique().tolist() == ["h"]
    assert figures["rows_without_sequences"] == 2 * UNITS


def test_of_numbers_any_other_sequence_is_a_donor_and_there_is_no_control(tmp_path: Path) -> None:
    model = held.network(keras.layers.LSTM(UNITS, name="lstm"), outputs=1)
    given = held.arrays()
    given |= {name: given[name].astype(np.float32) + 0.3 for name in ("y_test", "y_train")}
    table, figures = held.run(
        tmp_path, model, given, "intervention.methods=[patch]", "intervention.groups=[0+1+2+3]"
    )
    assert figures["left_out"] == {"patch_same": "sequences have no classes"}
    assert table["accuracy"].isna().all()
    # All units of h at the last timestep are all that the output reads: it becomes the donor's.
    whole = table[(table["target"] == "0+1+2+3") & (table["start"] == TIMESTEPS - 1)]
    reached = whole.set_index("state")["recovery"]
    assert reached["h"] == pytest.approx(1, abs=1e-5)
    assert 0 < reached["c"] < 1.5


def test_without_labels_the_output_alone_is_compared(tmp_path: Path) -> None:
    given = {name: each for name, each in held.arrays().items() if name.startswith("x")}
    model = held.network(keras.layers.LSTM(UNITS, name="lstm"))
    table, figures = held.run(tmp_path, model, given, "intervention.methods=[zero]")
    assert table[["loss", "estimate", "p_value"]].isna().all(axis=None)
    assert (table["output_change"] > 0).all()
    assert figures["null"]["intervention"]["estimate"] == {"the data has no labels": len(table)}
    assert figures["baseline"] == {}


def test_cells_that_are_not_known_are_left_out_and_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = keras.layers.LSTM(3, return_sequences=True, name="known")
    layers = [keras.Input((TIMESTEPS, FEATURES)), known, keras.layers.RNN(Leaky(), name="own")]
    model = keras.Sequential(layers)
    monkeypatch.setattr(models, "of_run", lambda *given: (model, data.load(given[2])))
    saved = held.network(keras.layers.LSTM(3, name="lstm"))
    options = ("intervention.windows=[1:2]", "intervention.units=[0]")
    table, figures = held.run(tmp_path, saved, held.arrays(), *options)
    assert set(table["layer"]) == {"known"}
    assert "not known" in figures["left_out"]["own"]
    with pytest.raises(UserError, match=r"intervention\.layers: own has states"):
        held.run(tmp_path, saved, held.arrays(), "intervention.layers=[own]")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("intervention.layers=[gru]", "no 'gru'; there is lstm"),
        ("intervention.units=[4]", r"intervention.units=\[4\]: there are 4, from 0 to 3"),
        ("intervention.groups=[1+7]", r"intervention.groups: 1\+7: there are 4, from 0 to 3"),
        ("intervention.windows=[4:9]", "windows=4:9: .*there are 5 timesteps"),
        ("intervention.states=[z]", "there is nothing to change; lstm: z: the cell has no such"),
        ("intervention.hours=1e-9", "intervention.hours=1e-09 is the limit: choose less with"),
    ],
)
def test_what_is_not_there_is_refused(
    measured: Any, tmp_path: Path, override: str, says: str
) -> None:
    model, given, _ = measured
    with pytest.raises(UserError, match=says):
        held.run(
            tmp_path, model, given, "intervention.methods=[zero]", "intervention.rows=12", override
        )


@pytest.mark.parametrize("per_pass", [1, 2])
def test_an_output_that_is_no_number_under_a_change_is_told_by_its_sequence(
    per_pass: int, tmp_path: Path
) -> None:
    """Also in a later batch, and in the second copy of it: h of unit 1 times 1e38."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    h = keras.layers.SimpleRNN(2, "linear", use_bias=False, name="rnn")(x)
    factor = keras.layers.Cropping1D((TIMESTEPS - 1, 0))(x)
    factor = keras.layers.Dense(2, use_bias=False)(keras.layers.Flatten()(factor))
    model = keras.Model(x, keras.layers.Dense(3)(keras.layers.Multiply()([h, factor])))
    kernel = np.array([[0.0, 1], [0, 0]])
    of_factor = np.array([[0.0, 0], [1, 1]])
    model.set_weights([kernel, np.zeros((2, 2)), of_factor, np.ones((2, 3)), np.zeros(3)])
    given = held.arrays()
    given["x_test"][:, -1] = [20, 1]
    given["x_test"][7, -1] = [1e-3, 1e38]
    with pytest.raises(UserError) as refused:
        held.run(
            tmp_path,
            model,
            given,
            "intervention.methods=[mean]",
            "intervention.batch_size=5",
            f"intervention.rows={5 * per_pass}",
        )
    says = str(refused.value)
    assert "output for sequence 7 of the test split is inf, not a finite number" in says
    assert f"with h of layer 'rnn' changed at timesteps {TIMESTEPS - 1}:{TIMESTEPS}" in says
    assert "intervention.methods" in says
    assert "learning_rate" not in says
    table, _ = held.run(tmp_path, model, given, "intervention.methods=[zero]")  # what it says to do
    assert len(table)


@pytest.mark.parametrize("kind", [LOGITS, PROBABILITIES, SIGMOID, VALUES, "timesteps", "vectors"])
def test_the_loss_that_has_a_gradient_is_the_loss_of_each_sequence(kind: str) -> None:
    random = np.random.default_rng(6)
    x, lengths = np.zeros((7, 4, 1), np.float32), random.integers(1, 5, 7).astype(np.int32)
    shape: tuple[int, ...] = {SIGMOID: (7, 1), VALUES: (7, 1), "vectors": (7, 4, 2)}.get(
        kind, (7, 3)
    )
    shape = (7, 4, 3) if kind == "timesteps" else shape
    output: Any = random.normal(size=shape).astype(np.float32)
    y: Any = random.integers(0, 2, shape[:-1]).astype(np.int32)
    if kind == PROBABILITIES:
        output = np.exp(output) / np.exp(output).sum(axis=-1, keepdims=True)
    if kind == SIGMOID:
        output = 1 / (1 + np.exp(-output))
    if kind in (VALUES, "vectors"):
        y = random.normal(size=shape[:-1] if kind == VALUES else shape).astype(np.float32)
    of = {"timesteps": LOGITS, "vectors": VALUES}.get(kind, kind)
    batch = Batch(x, y, lengths)
    table, _ = outcomes(output, batch, lengths, 0, of)
    found = losses(tf.constant(output), tf.constant(y), tf.constant(batch.valid), of)
    np.testing.assert_allclose(found, table["loss"], 1e-5)


def test_attributions_are_gradients_times_states(tmp_path: Path) -> None:
    """Against differences of the loss in float64 equations, as each state is moved a little."""
    model, given = held.network(keras.layers.LSTM(UNITS, name="lstm")), held.arrays()
    held.run(tmp_path, model, given, "intervention.exact=false", "intervention.states=[h,c,o]")
    table = pd.read_parquet(tmp_path / "attribution.parquet")
    assert len(table) == 3 * TIMESTEPS * UNITS
    assert table["integrated"].isna().all()
    *weights, kernel = model.get_weights()
    free, labels = held.lstm(weights, given["x_test"]), given["y_test"]

    def logits(state: str, t: int, unit: int, step: float) -> Any:
        moved = step * (np.arange(UNITS) == unit)
        hold = held.within((t, t + 1), state, lambda _, now, __: now + moved)
        return held.lstm(weights, given["x_test"], hold)["h"][-1] @ kernel

    for row in table[table["unit"] % 2 == 0].itertuples():
        place = row.state, row.timestep, row.unit
        up, down = (logits(*place, step) for step in (1e-4, -1e-4))
        own = free[row.state][row.timestep][:, row.unit]
        of_loss = (held.losses(up, labels) - held.losses(down, labels)) / 2e-4 * own
        of_score = (up - down)[np.arange(COUNT), labels] / 2e-4 * own
        assert row.loss == pytest.approx(of_loss.mean(), abs=1e-5)
        assert row.loss_absolute == pytest.approx(np.abs(of_loss).mean(), abs=1e-5)
        assert row.score == pytest.approx(of_score.mean(), abs=1e-5)
        assert row.score_absolute == pytest.approx(np.abs(of_score).mean(), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "state"), [("gru", "h"), ("lstm", "h"), ("lstm", "c")])
def test_integrated_gradients_add_up_to_the_change_from_the_mean_state(
    tmp_path: Path, kind: str, state: str
) -> None:
    made = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[kind]
    model, given = held.network(made(UNITS, name=kind)), held.arrays()
    held.run(
        tmp_path,
        model,
        given,
        "intervention.exact=false",
        f"intervention.states=[{state}]",
        "intervention.integrate=32",
    )
    table = pd.read_parquet(tmp_path / "attribution.parquet")
    by_time = table.groupby("timestep")
    low, high = (getattr(by_time["completeness_error"], each)() for each in ("min", "max"))
    pd.testing.assert_series_equal(low, high)
    assert 0 < high.max() < 2e-5  # the midpoints of 32 pieces
    *weights, kernel = model.get_weights()
    x, labels = given["x_test"], given["y_test"]
    run = {"gru": held.gru, "lstm": held.lstm}[kind]
    free = run(weights, x, reset_after=True)
    base = held.losses(free["h"][-1] @ kernel, labels)
    for t in range(TIMESTEPS):
        mean = free[state][t].mean(axis=0)
        hold = held.within((t, t + 1), state, lambda _, now, __, mean=mean: mean + 0 * now)
        at_mean = held.losses(run(weights, x, hold, reset_after=True)["h"][-1] @ kernel, labels)
        total = table[table["timestep"] == t]["integrated"].sum()
        assert total == pytest.approx((base - at_mean).mean(), abs=1e-3)


def test_what_a_smaller_layer_does_not_have_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.eye(4))
    x = keras.Input((5, 2))
    y = keras.layers.LSTM(4, return_sequences=True, name="large")(x)
    model = keras.Model(x, keras.layers.GRU(3, name="small")(y))
    asked = composed(
        Path(),
        "intervention.units=[1,3]",
        "intervention.groups=[0+1,2+3]",
        "intervention.states=[h,c,f]",
        f"intervention.directions_path={tmp_path / 'd.npy'}",
    )
    assert chosen(model, asked.intervention, {}).left_out == {
        "small": "c, f: the cell has no such state; unit 3, 2+3, directions: there are 3 units"
    }


def test_a_cell_without_c_lacks_nothing_unless_states_are_asked_for() -> None:
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3, name="gru")])
    usual = composed(Path()).intervention
    assert tuple(usual.states) == USUAL
    assert chosen(model, usual, {}).left_out == {}
    asked = composed(Path(), "intervention.states=[h,c,z]").intervention
    assert chosen(model, asked, {}).left_out == {"gru": "c: the cell has no such state"}
