"""Every row of the table against the equations in float64 with the same state held."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from rnnscope.analysis.intervention.donors import NONE
from rnnscope.analysis.intervention.gathering import donors_of
from rnnscope.data import Split
from tests.analysis.intervention import held
from tests.analysis.intervention.held import CLASSES, FEATURES, TIMESTEPS, UNITS, Float
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

ADD = 0.8


def change_of(row: Any, along: Any, free: Any, donors: Any, options: Any) -> Any:
    """What a row's method does to a state [B, U], by ``held.within``; None if it cannot be done."""
    state = free[row.state]
    at = row.start
    match row.method:
        case "zero":
            return lambda t, now, before: held.onto(along, np.zeros_like(now), now)
        case "mean":
            return lambda t, now, before: held.onto(along, state[t].mean(axis=0), now)
        case "freeze" if row.state in "hc":
            return lambda t, now, before: held.onto(along, before, now)
        case "freeze":
            return lambda t, now, before: held.onto(along, state[at - 1], now)
        case "add":
            rows = state.reshape(-1, state.shape[2])
            if along.dtype == bool:
                step = ADD * rows.std(axis=0, ddof=1) * along
            else:
                step = ADD * (rows @ along).std(ddof=1) * along
            return lambda t, now, before: now + step
    donor = state[:, donors[row.method]]
    return lambda t, now, before: held.onto(along, donor[t], now)


def assert_rows(
    table: pd.DataFrame, simulate: Any, readout: Any, labels: Any, along: dict[str, Any]
) -> None:
    """Each row as the float64 equations have it.

    Args:
        table: the stage's.
        simulate: from a hold to signals [T, B, U].
        readout: from signals to logits [B, K].
        labels: classes [B].
        along: target -> what is in it.
    """
    options = composed(Path(), "stage=intervention").intervention
    count = len(labels)
    split = Split(np.zeros((count, TIMESTEPS, FEATURES), np.float32), labels)
    donors = donors_of(options, split, count)
    free = simulate(held.free)
    clean = readout(free)
    base, right = held.losses(clean, labels), clean.argmax(axis=1) == labels
    every = np.arange(count)
    other = labels[donors["patch"]]

    def difference(logits: Float) -> Float:
        return logits[every, other] - logits[every, labels]

    way = difference(clean[donors["patch"]]) - difference(clean)
    assert way.mean() > 0.1 or not table["method"].eq("patch").any()  # or its ratio says nothing
    for row in table.itertuples():
        change = change_of(row, along[row.target], free, donors, options)
        found = readout(simulate(held.within((row.start, row.stop), row.state, change)))
        loss = held.losses(found, labels)
        said = f"{row.state} {row.target} {row.method} {row.start}:{row.stop}"
        assert row.sequences == count, said
        assert row.loss == pytest.approx(loss.mean(), abs=1e-5), said
        assert row.loss_change == pytest.approx((loss - base).mean(), abs=1e-5), said
        if np.ptp(loss - base) > 1e-6:
            interval = scipy.stats.ttest_1samp(loss - base, 0).confidence_interval(0.95)
            assert row.loss_change_low == pytest.approx(interval.low, abs=1e-5), said
            assert row.loss_change_high == pytest.approx(interval.high, abs=1e-5), said
        now = found.argmax(axis=1) == labels
        assert row.accuracy_change == pytest.approx((1.0 * now - right).mean()), said
        moved = np.linalg.norm(found - clean, axis=1).mean()
        assert row.output_change == pytest.approx(moved, abs=1e-5), said
        if row.method.startswith("patch"):
            reached = (difference(found) - difference(clean)).mean()
            assert row.recovery * way.mean() == pytest.approx(reached, abs=1e-5), said
        else:
            assert np.isnan(row.recovery), said


def test_units_and_windows_of_an_lstm(tmp_path: Path) -> None:
    """As ``lstm`` computes it from the window on, several targets in a pass."""
    model = held.network(keras.layers.LSTM(UNITS, name="r"))
    given = held.classified(model, held.arrays())
    table, figures = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[zero,mean,patch]",
        "intervention.windows=[each,1:3,2:5]",
    )
    assert len(table) == figures["rows"] == 2 * 4 * UNITS * (TIMESTEPS + 2)
    *weights, kernel = model.get_weights()
    assert_rows(
        table,
        lambda hold: held.lstm(weights, given["x_test"], hold),
        lambda signals: signals["h"][-1] @ kernel,
        given["y_test"],
        {str(unit): np.arange(UNITS) == unit for unit in range(UNITS)},
    )


def test_sets_and_directions_by_every_method(tmp_path: Path) -> None:
    model = held.network(keras.layers.LSTM(UNITS, name="r"))
    given = held.classified(model, held.arrays())
    direction = np.random.default_rng(3).normal(size=(1, UNITS))
    np.save(tmp_path / "directions.npy", direction)
    table, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.states=[c]",
        "intervention.methods=[zero,mean,freeze,add,patch]",
        "intervention.units=[1]",
        "intervention.groups=[0+2+3]",
        f"intervention.directions_path={tmp_path / 'directions.npy'}",
        "intervention.windows=[0:1,1:4]",
        f"intervention.add={ADD}",
    )
    along = {"1": np.arange(UNITS) == 1, "0+2+3": np.array([True, False, True, True])}
    along["direction 0"] = direction[0] / np.linalg.norm(direction)
    assert len(table) == 6 * len(along) * 2
    assert table["unit"].isna().sum() == len(table) * 2 / 3
    *weights, kernel = model.get_weights()
    assert_rows(
        table,
        lambda hold: held.lstm(weights, given["x_test"], hold),
        lambda signals: signals["h"][-1] @ kernel,
        given["y_test"],
        along,
    )


CASES: dict[str, Any] = {
    "gates of an LSTM": ("LSTM", {}, "i,f,o,g", held.lstm),
    "GRU": ("GRU", {}, "h,z,r,g", held.gru),
    "GRU, reset first": ("GRU", {"reset_after": False}, "z,r", held.gru),
    "simple RNN": ("SimpleRNN", {}, "h", held.simple),
    "LSTM in float64": ("LSTM", {"dtype": "float64"}, "c", held.lstm),
}


@pytest.mark.parametrize("case", CASES)
def test_states_and_gates_of_every_cell(case: str, tmp_path: Path) -> None:
    kind, options, states, equations = CASES[case]
    layer = getattr(keras.layers, kind)(UNITS, name="r", **options)
    model, given = held.network(layer), held.arrays()
    table, _ = held.run(
        tmp_path,
        model,
        given,
        f"intervention.states=[{states}]",
        "intervention.methods=[zero,freeze]",
        "intervention.units=[0,2]",
        "intervention.windows=[1:2,1:4]",
    )
    assert len(table) == len(states.split(",")) * 2 * 2 * 2
    *weights, kernel = model.get_weights()
    assert_rows(
        table,
        lambda hold: equations(
            weights, given["x_test"], hold, reset_after=options.get("reset_after", True)
        ),
        lambda signals: signals["h"][-1] @ kernel,
        given["y_test"],
        {str(unit): np.arange(UNITS) == unit for unit in (0, 2)},
    )


def test_windows_of_a_backward_layer_are_in_input_time(tmp_path: Path) -> None:
    model = held.drawn(held.network(keras.layers.LSTM(UNITS, go_backwards=True, name="r")), 3)
    given = held.classified(model, held.arrays())
    table, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[zero,patch]",
        "intervention.states=[c]",
        "intervention.units=[1]",
        "intervention.windows=[each,0:2,2:4]",
    )
    *weights, kernel = model.get_weights()
    reverse = table.assign(start=TIMESTEPS - table["stop"], stop=TIMESTEPS - table["start"])
    assert_rows(
        reverse,
        lambda hold: held.lstm(weights, given["x_test"][:, ::-1], hold),
        lambda signals: signals["h"][-1] @ kernel,
        given["y_test"],
        {"1": np.arange(UNITS) == 1},
    )


def test_layers_above_and_other_ways_on_see_the_change(tmp_path: Path) -> None:
    """Of two layers, of which the output reads both; below the changed one all is as recorded."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    low = keras.layers.LSTM(UNITS, return_sequences=True, name="low")(x)
    high = keras.layers.GRU(3, name="high")(low)
    both = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling1D()(low), high])
    model = held.drawn(keras.Model(x, keras.layers.Dense(CLASSES, use_bias=False)(both)))
    given = held.classified(model, held.arrays())
    table, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[zero,patch]",
        "intervention.states=[h]",
        "intervention.units=[2]",
        "intervention.windows=[1:3]",
    )
    assert table["layer"].cat.categories.tolist() == ["low", "high"]
    lower, upper = (model.get_layer(name).get_weights() for name in ("low", "high"))
    kernel = model.layers[-1].get_weights()[0]
    for layer in ("low", "high"):

        def simulate(hold: Any, layer: str = layer) -> dict[str, Float]:
            h = held.lstm(lower, given["x_test"], hold if layer == "low" else held.free)["h"]
            given_on = np.swapaxes(h, 0, 1)
            above = held.gru(
                upper, given_on, hold if layer == "high" else held.free, reset_after=True
            )
            return {"h": h if layer == "low" else above["h"], "low": h, "high": above["h"]}

        def readout(signals: Any) -> Float:
            both = [signals["low"].mean(axis=0), signals["high"][-1]]
            return np.asarray(np.concatenate(both, axis=1) @ kernel)

        units = UNITS if layer == "low" else 3
        rows = table[table["layer"] == layer]
        assert_rows(rows, simulate, readout, given["y_test"], {"2": np.arange(units) == 2})


def test_sequences_of_unequal_lengths_count_where_they_have_the_timestep(tmp_path: Path) -> None:
    model = held.network(keras.layers.LSTM(UNITS, name="r"), padded=True)
    lengths = np.array([5, 1, 3, 2, 5, 4, 4, 3, 2, 1, 5, 5], np.int32)
    given = held.arrays(lengths=lengths)
    table, _ = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[zero,freeze,patch]",
        "intervention.states=[c]",
        "intervention.units=[1]",
        "intervention.windows=[0:1,2:3,1:4]",
    )
    *weights, kernel = model.get_weights()
    labels, last = given["y_test"], (lengths - 1, np.arange(len(lengths)))

    def logits(hold: Any) -> Float:
        return np.asarray(held.lstm(weights, given["x_test"], hold)["h"][last] @ kernel)

    base = held.losses(logits(held.free), labels)
    free = held.lstm(weights, given["x_test"])
    options = composed(Path(), "stage=intervention").intervention
    donors = donors_of(options, Split(given["x_test"], labels, lengths), len(labels))
    assert any((each == NONE).any() for each in donors.values())
    for row in table.itertuples():
        change = change_of(row, np.arange(UNITS) == 1, free, donors, None)
        loss = held.losses(logits(held.within((row.start, row.stop), row.state, change)), labels)
        there = lengths > row.start
        if row.method in donors:
            there &= donors[row.method] != NONE
        assert row.sequences == there.sum()
        assert row.loss_change == pytest.approx((loss - base)[there].mean(), abs=1e-5)
