"""What a change must leave as it is, whatever the numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from rnnscope import data
from rnnscope.analysis.ablation.rerun import Given, given_batches
from rnnscope.analysis.intervention.changes import ADD, SET
from rnnscope.analysis.intervention.passes import Held, Passes
from rnnscope.data import Dataset, Split
from rnnscope.errors import UserError
from rnnscope.trace.places import places
from tests.analysis.ablation import test_ablation
from tests.analysis.intervention import held
from tests.analysis.intervention.held import CLASSES, COUNT, FEATURES, TIMESTEPS, UNITS

pytestmark = pytest.mark.tensorflow

UNIT_2 = np.arange(UNITS)[np.newaxis] == 2


def prepared(model: keras.Model, *states: str) -> tuple[Passes, Given]:
    """The passes of a model with one recurrent layer, named r, and its sequences."""
    given = held.arrays()
    dataset = Dataset(Split(given["x_test"], given["y_test"]), classes=tuple("abc"))
    place = places(model)["r"]
    passes = Passes(model, {"r": place}, {"r": states}, dataset)
    (batch,) = given_batches(model, dataset.test, COUNT, COUNT)
    return passes, batch


def setting(state: str, value: Any, start: int, stop: int, along: Any = None) -> Held:
    along = np.ones((1, UNITS), bool) if along is None else along
    shift = np.zeros(along.shape)
    return Held("r", state, SET, along, value[start:stop], shift, start, stop)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("state", ["h", "c", "f"])
def test_a_state_set_to_its_own_value_changes_nothing(fused: bool, state: str) -> None:
    """Bit for bit in Keras' loop; the LSTM from the window on rounds otherwise."""
    activation = "tanh" if fused else "softsign"
    model = held.network(keras.layers.LSTM(UNITS, activation=activation, name="r"))
    passes, given = prepared(model, state)
    recorded = passes.recorded(given)
    for start, stop in ((0, 1), (2, 4), (0, TIMESTEPS)):
        own = setting(state, recorded.signals["r"][state], start, stop)
        made = passes.changed(given, recorded.kept, own)
        if fused:
            np.testing.assert_allclose(made.outputs[0], recorded.made.outputs[0], 0, 1e-6)
        else:
            np.testing.assert_array_equal(made.outputs[0], recorded.made.outputs[0])


def test_a_change_leaves_all_before_it_untouched_and_the_weights() -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    model = held.drawn(keras.Model(x, keras.layers.LSTM(UNITS, return_sequences=True, name="r")(x)))
    weights = model.get_weights()
    passes, given = prepared(model, "h", "c")
    recorded = passes.recorded(given)
    for state in "hc":
        for start in range(TIMESTEPS):
            zero = setting(state, np.zeros((TIMESTEPS, 1, UNITS)), start, start + 1)
            found, own = passes.changed(given, recorded.kept, zero).outputs[0], recorded.made
            np.testing.assert_array_equal(found[:, :start], own.outputs[0][:, :start])
            assert (found[:, start] != own.outputs[0][:, start]).all()
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_several_targets_in_a_pass_are_those_of_passes_of_their_own() -> None:
    passes, given = prepared(held.network(keras.layers.GRU(UNITS, name="r")), "h")
    recorded = passes.recorded(given)
    value = np.full((TIMESTEPS, 1, UNITS), 0.3)
    every = np.eye(UNITS, dtype=bool)
    whole = passes.changed(given, recorded.kept, setting("h", value, 1, 3, every))
    assert len(whole.loss) == UNITS * COUNT
    for unit in range(UNITS):
        one = passes.changed(given, recorded.kept, setting("h", value, 1, 3, every[[unit]]))
        np.testing.assert_allclose(whole.loss.reshape(UNITS, COUNT)[unit], one.loss, 0, 1e-6)


def test_of_an_encoder_the_decoder_sees_the_change() -> None:
    """Its states start from those that the encoder ends with."""
    x, later = keras.Input((TIMESTEPS, FEATURES), name="x"), keras.Input((3, 1), name="later")
    _, *states = keras.layers.LSTM(UNITS, return_state=True, name="r")(x)
    h = keras.layers.LSTM(UNITS, name="decoder")(later, initial_state=states)
    model = held.drawn(keras.Model({"x": x, "later": later}, h))
    given = held.arrays()
    same = {"later": np.ones((COUNT, 3, 1), np.float32)}
    split = Split(given["x_test"], None, others=same, name="x")
    passes = Passes(model, {"r": places(model)["r"]}, {"r": "hc"}, Dataset(split))
    (batch,) = given_batches(model, split, COUNT, COUNT)
    recorded = passes.recorded(batch)
    encoder, decoder = (model.get_layer(name).get_weights() for name in ("r", "decoder"))
    for state in "hc":
        for start, stop in ((1, 3), (TIMESTEPS - 1, TIMESTEPS)):
            zero = setting(state, np.zeros((TIMESTEPS, 1, UNITS)), start, stop, UNIT_2)
            found = passes.changed(batch, recorded.kept, zero).outputs[0]
            change = held.within((start, stop), state, lambda t, now, _: np.where(UNIT_2, 0, now))
            ended = held.lstm(encoder, given["x_test"], change)
            initial = {name: ended[name][-1] for name in "hc"}
            want = held.lstm(decoder, same["later"], initial=initial)["h"][-1]
            np.testing.assert_allclose(found, want, 0, 1e-5)


def test_of_stacked_cells_each_can_be_changed() -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    stack = [keras.layers.LSTMCell(UNITS), keras.layers.GRUCell(UNITS)]
    model = held.drawn(keras.Model(x, keras.layers.RNN(stack, name="r")(x)))
    given = held.arrays()
    split = Split(given["x_test"])
    found = places(model)
    passes = Passes(model, found, {"r.cell0": "c", "r.cell1": "h"}, Dataset(split))
    (batch,) = given_batches(model, split, COUNT, COUNT)
    recorded = passes.recorded(batch)
    lower, upper = (each.get_weights() for each in stack)
    for number, state in enumerate("ch"):
        zero = setting(state, np.zeros((TIMESTEPS, 1, UNITS)), 1, 3, UNIT_2)
        outputs = passes.changed(batch, recorded.kept, replace(zero, place=f"r.cell{number}"))
        change = held.within((1, 3), state, lambda t, now, _: np.where(UNIT_2, 0, now))
        h = held.lstm(lower, given["x_test"], held.free if number else change)["h"]
        above = change if number else held.free
        want = held.gru(upper, np.swapaxes(h, 0, 1), above, reset_after=True)["h"][-1]
        np.testing.assert_allclose(outputs.outputs[0], want, 0, 1e-5)


def test_zero_over_all_timesteps_gives_the_rows_of_stage_ablation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where sequences share a source."""
    model, given = held.network(keras.layers.LSTM(UNITS, name="lstm")), held.arrays()
    load = data.load

    def loaded(*asked: Any) -> Dataset:
        found = load(*asked)
        return replace(found, test=replace(found.test, groups=np.arange(COUNT) // 2))

    monkeypatch.setattr(data, "load", loaded)
    table, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[zero]",
        f"intervention.windows=[0:{TIMESTEPS}]",
    )
    ablated, _, _ = test_ablation.run(
        tmp_path,
        model,
        given,
        "ablation.methods=[h_zero]",
        units=test_ablation.table_of_units(UNITS),
    )
    names = ["loss", "loss_change", "loss_change_low", "loss_change_high", "p_value"]
    names += ["accuracy", "accuracy_change", "output_change", "sequences"]
    for state in "hc":  # h at zero is c at zero here
        rows = table[table["state"] == state]
        assert rows["target"].tolist() == ablated["unit"].astype(str).tolist()
        np.testing.assert_allclose(rows[names], ablated[names], 1e-5, 1e-6)


def test_a_patch_from_the_sequence_itself_changes_nothing(tmp_path: Path) -> None:
    """All sequences of a class are one: the donor of the control is the same to the last bit."""
    model = held.drawn(held.network(keras.layers.LSTM(UNITS, name="lstm")), 3)
    given = held.classified(model, held.arrays())
    first = [np.flatnonzero(given["y_test"] == label)[0] for label in range(CLASSES)]
    given["x_test"] = given["x_test"][first][given["y_test"]]
    np.save(tmp_path / "directions.npy", [[1.0, -2, 0, 1]])
    table, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[patch]",
        "intervention.states=[h,c,f]",
        "intervention.groups=[0+2]",
        f"intervention.directions_path={tmp_path / 'directions.npy'}",
        "intervention.windows=[each,1:4]",
    )
    of_itself, of_another = (table[table["method"] == name] for name in ("patch_same", "patch"))
    assert (of_itself["sequences"] == COUNT).all()
    np.testing.assert_allclose(of_itself[["loss_change", "output_change", "recovery"]], 0, 0, 1e-6)
    assert (of_another["output_change"] > 1e-4).mean() > 0.9


def counter() -> tuple[keras.Model, dict[str, Any]]:
    """By hand: unit 3 holds the class from timestep 5 to 9, unit 4 takes it over at 10.

    Gates are exactly open or closed. Of an input [class, at 5, at 10] the class is ±1 at 5.
    """
    units, timesteps, count = 6, 14, 24
    x = keras.Input((timesteps, 3), name="x")
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.LSTM(units, name="lstm")(x)))
    shapes = [each.shape for each in model.get_weights()]
    kernel, recurrent, bias, readout, offset = map(np.zeros, shapes)
    i, f, g, o = (gate * units for gate in range(4))
    bias[[i + 3, i + 4]], bias[[f + 3, f + 4]], bias[[o + 3, o + 4]] = -200, 200, 200
    kernel[1, i + 3] = kernel[2, i + 4] = 400  # each is written once
    kernel[2, f + 3] = -400  # and unit 3 is erased as unit 4 takes over
    kernel[0, g + 3], recurrent[3, g + 4] = 2, 3
    readout[4] = [-4, 4]
    model.set_weights([kernel, recurrent, bias, readout, offset])
    labels = (np.arange(count) % 2).astype(np.int32)
    values = np.zeros((count, timesteps, 3), np.float32)
    values[:, 5, 0], values[:, 5, 1], values[:, 10, 2] = 2 * labels - 1, 1, 1
    given = {"x_test": values, "y_test": labels, "x_train": -values, "y_train": 1 - labels}
    return model, given


def test_the_map_shows_which_unit_carries_the_class_and_when(tmp_path: Path) -> None:
    model, given = counter()
    table, figures = held.run(
        tmp_path, model, given, "intervention.states=[c]", "intervention.methods=[zero,patch]"
    )
    assert figures["baseline"]["accuracy"] == 1
    carries = {(3, t) for t in range(5, 10)} | {(4, t) for t in range(10, 14)}
    here = [(unit, t) in carries for unit, t in zip(table["unit"], table["start"], strict=True)]
    there = pd.Series(here, table.index)
    zero, patch, same = (table["method"] == name for name in ("zero", "patch", "patch_same"))
    assert (table[zero & there]["accuracy_change"] == -0.5).all()
    assert (table[zero & there]["q_value"] < 1e-6).all()
    np.testing.assert_allclose(table[zero & ~there]["loss_change"], 0, atol=1e-6)
    np.testing.assert_allclose(table[patch & there]["recovery"], 1, atol=1e-4)
    np.testing.assert_allclose(table[patch & ~there]["recovery"], 0, atol=1e-4)
    np.testing.assert_allclose(table[same]["recovery"], 0, atol=1e-4)
    one = table[patch & (table["unit"] == 3)].set_index("start")["recovery"]
    assert one[7] == pytest.approx(1, abs=1e-4)
    assert one[11] == pytest.approx(0, abs=1e-4)


def test_what_is_added_is_added_at_every_timestep_of_the_window() -> None:
    """A unit of c that only sums: f = 1, and its o is 1; 0.5 for 3 timesteps is 1.5 more."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    model = keras.Model(x, keras.layers.LSTM(1, return_state=True, name="r")(x)[2])
    model.set_weights([np.zeros((FEATURES, 4)), np.zeros((1, 4)), np.array([-30.0, 30, 0, 30])])
    passes, given = prepared(model, "c")
    recorded = passes.recorded(given)
    along, shift = np.ones((1, 1), bool), np.full((1, 1), 0.5)
    change = Held("r", "c", ADD, along, np.zeros((3, 1, 1)), shift, 1, 4)
    found = passes.changed(given, recorded.kept, change).outputs[0]
    np.testing.assert_allclose(found - recorded.made.outputs[0], 1.5, 1e-6)


class Noise(keras.layers.Layer):
    """Draws in inference too."""

    def __init__(self) -> None:
        super().__init__()
        self.seed = keras.random.SeedGenerator(0)

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"batch_size": 4}, "takes exactly 4 sequences"), ({}, "draws at random")],
)
def test_models_whose_passes_are_not_alike_are_refused(options: Any, says: str) -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x", **options)
    noisy = x if options else Noise()(x)
    model = keras.Model(x, keras.layers.Dense(CLASSES)(keras.layers.LSTM(UNITS, name="r")(noisy)))
    with pytest.raises(UserError, match=says):
        prepared(model, "h")
