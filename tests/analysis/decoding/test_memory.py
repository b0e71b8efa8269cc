"""Memory of earlier inputs, from networks whose memory follows from their equations."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from rnnscope import data, stages, states
from rnnscope.analysis.decoding import memory, own_time, products, readout
from rnnscope.analysis.decoding.memory_columns import MEMORY
from rnnscope.states import RowKeys
from tests.compose import composed

Float = NDArray[np.float64]
QUICK = ("decoding.folds=4", "decoding.together=false", "data=files", "model=states")


def noise(n: int = 200, t: int = 50, f: int = 1, seed: int = 0) -> Float:
    return np.random.default_rng(seed).normal(size=(n, t, f))


def delayed(u: Float, steps: int) -> Float:
    """States of a linear delay line with u of 0 to ``steps`` timesteps before, turned at random."""
    units = steps + 1
    shift, into = np.eye(units, k=-1), np.eye(units)[:1]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(units, units)))[0]
    h = np.zeros((len(u), u.shape[1], units))
    for t in range(u.shape[1]):
        h[:, t] = h[:, t - 1] @ shift.T * (t > 0) + u[:, t] @ into
    return h @ turn


def leaking(u: Float, a: float) -> Float:
    """A unit for each feature with h_t = a h_{t-1} + u_t."""
    h = np.array(u)
    for t in range(1, u.shape[1]):
        h[:, t] += a * h[:, t - 1]
    return h


def remembered(
    folder: Path, h: Float, x: NDArray[Any], *overrides: str, **arrays: Any
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Both tables of states [N, T, U] of inputs [N, T, F], and what the manifest says."""
    folder.mkdir(exist_ok=True)
    states_: dict[str, Any] = {"rnn/h": h.astype(np.float32)}
    np.savez(folder / "states.npz", **states_)
    np.savez(folder / "x.npz", x_test=x, **arrays)
    paths = f"data.path={folder / 'x.npz'}", f"model.path={folder / 'states.npz'}"
    made = stages.run(composed(folder / "out", "stage=decoding", *QUICK, *paths, *overrides))
    found = made[-1].artefact.folder
    manifest = json.loads((found / "_manifest.json").read_text())
    tables = [pd.read_parquet(found / f"{name}.parquet") for name in ("memory", "memory_capacity")]
    return tables[0], tables[1], manifest


def test_a_delay_line_has_the_capacity_of_its_steps(tmp_path: Path) -> None:
    u = noise()
    table, sums, manifest = remembered(tmp_path, delayed(u, 7), u)
    assert table["lag"].tolist() == list(range(21))
    np.testing.assert_allclose(table["r2"][:8], 1, atol=1e-6)
    np.testing.assert_allclose(table["r2"][8:], 0, atol=0.02)
    (row,) = sums.to_dict("records")
    assert row["capacity"] == pytest.approx(7, abs=0.05)
    assert row["capacity_low"] < 7 < row["capacity_high"]
    assert (row["lags"], row["units"], row["sequences"]) == (20, 8, 200)
    assert abs(row["shuffled"]) < 0.05
    assert abs(row["from_input"]) < 0.05
    assert table["from_input"][0] == pytest.approx(1, abs=1e-6)
    said = manifest["memory"]
    assert (said["lags"], said["features"], said["why"]) == ({"rnn": 20}, {"rnn": [0]}, {})
    assert (said["input_features"], said["one_hot"]) == (1, False)
    assert said["capacity_over_features"] == {"rnn/h": pytest.approx(7, abs=0.05)}


def test_a_leaking_unit_forgets_by_its_formula(tmp_path: Path) -> None:
    a, u = 0.8, noise(300, 60, 2)
    h = leaking(u, a) * [1, 0]
    table, sums, _ = remembered(tmp_path, h + 1e4, u, "decoding.memory_lags=12")
    known = a ** (2 * np.arange(13)) * (1 - a**2)
    of = [rows.set_index("lag")["r2"] for _, rows in table.groupby("feature")]
    np.testing.assert_allclose(of[0], known, atol=0.02)
    np.testing.assert_allclose(of[1], 0, atol=0.01)
    assert sums["capacity"].tolist() == pytest.approx([known[1:].sum(), 0], abs=0.04)
    inside = (table["r2_low"] <= table["r2"]) & (table["r2"] <= table["r2_high"])
    assert inside.all()


def test_what_inputs_tell_of_those_before_them_is_no_memory(tmp_path: Path) -> None:
    phi = 0.7
    x = leaking(noise(300, 60), phi)
    table, _, _ = remembered(tmp_path, noise(300, 60, 3, 5), x, "decoding.memory_lags=5")
    np.testing.assert_allclose(table["r2"], 0, atol=0.01)
    np.testing.assert_allclose(table["from_input"], phi ** (2 * np.arange(6)), atol=0.03)


def test_a_clock_is_no_memory(tmp_path: Path) -> None:
    """States that say what time it is tell the mean input of a time, and nothing that came in."""
    t = np.arange(40)
    clock = np.stack([np.sin(t), t / 40], axis=1) + np.zeros((100, 1, 1))
    table, _, _ = remembered(tmp_path, clock, noise(100, 40) + np.sin(t)[:, np.newaxis])
    np.testing.assert_allclose(table["r2"], 0, atol=1e-12)


def test_lags_are_in_the_layers_own_time(tmp_path: Path) -> None:
    """A delay line that reads backwards, of sequences of different lengths."""
    u, lengths = noise(160), np.random.default_rng(2).integers(30, 51, 160)
    h = np.zeros((160, 50, 6))
    for number, length in enumerate(lengths):
        h[number, :length] = delayed(u[number : number + 1, :length][:, ::-1], 5)[0, ::-1]
    extra = {"lengths_test": lengths}
    _, sums, _ = remembered(tmp_path, h, u, "model.backward=[rnn]", **extra)
    assert sums["lags"].item() == 20
    assert sums["capacity"].item() == pytest.approx(5, abs=0.05)
    _, sums, _ = remembered(tmp_path / "forward", h, u, **extra)
    assert sums["capacity"].item() == pytest.approx(0, abs=0.05)


def test_parts_and_workers_change_nothing_and_two_folds_are_enough(tmp_path: Path) -> None:
    u = noise(60, 20, 3)
    h, fewer = delayed(u[:, :, :1], 3), ("decoding.folds=2", "decoding.max_sequences=50")
    one, whole, _ = remembered(tmp_path, h, u, *fewer)
    few, sums, _ = remembered(tmp_path, h, u, *fewer, "extract.part_rows=90", "engine.workers=2")
    pd.testing.assert_frame_equal(few, one, rtol=1e-10, atol=1e-10)
    pd.testing.assert_frame_equal(sums, whole, rtol=1e-10, atol=1e-10)
    last, _, _ = remembered(tmp_path, h, u, *fewer, "decoding.timesteps=last")
    pd.testing.assert_frame_equal(last, one)  # as the reference says
    rows = MEMORY.column("rows")
    assert rows is not None
    assert "decoding.timesteps has no effect on this table" in rows.meaning
    assert sums["sequences"].tolist() == [50] * 3
    assert sums["lags"].tolist() == [10] * 3
    assert sums["capacity"][0] == pytest.approx(3, abs=0.2)


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    u = noise(40, 12)
    table, sums, manifest = remembered(tmp_path, delayed(u, 2), np.arange(480).reshape(40, 12) % 5)
    assert len(table) == len(sums) == 0
    assert "tokens" in manifest["memory"]["why"]["rnn"]
    names = ["layer", "signal", "feature", "lag", "sequences", "rows", "r2", "r2_low", "r2_high"]
    assert list(table) == [*names, "shuffled", "from_input"]
    _, _, manifest = remembered(tmp_path, delayed(u, 2), u, "extract.timesteps='0:9'")
    assert "only some timesteps" in manifest["memory"]["why"]["rnn"]
    _, _, manifest = remembered(tmp_path, delayed(u, 2)[:, :1], u[:, :1])
    assert "two timesteps" in manifest["memory"]["why"]["rnn"]
    _, _, manifest = remembered(tmp_path, delayed(u, 2), u, "decoding.memory_lags=null")
    assert manifest["memory"]["why"]["rnn"] == "decoding.memory_lags is null"
    assert "memory_lags" not in manifest["slice"]["decoding"]
    still = np.concatenate([u, np.full_like(u, 0.1)], axis=2)
    table, sums, manifest = remembered(tmp_path, delayed(u, 2), still)
    assert table["r2"].isna().tolist() == [False] * 7 + [True] * 7
    assert sums["capacity"].isna().tolist() == [False, True]
    reason = {"the input does not vary": 7}
    assert manifest["null"]["memory"] == dict.fromkeys(
        [*names[6:], "shuffled", "from_input"], reason
    )


def test_of_many_features_some_are_measured_and_symbols_are_told_from_numbers(
    tmp_path: Path,
) -> None:
    codes = np.random.default_rng(0).integers(0, 70, (30, 6))
    x = np.eye(70, dtype=np.float32)[codes]
    lengths = np.arange(30) % 3 + 4
    h = noise(30, 6, 2) * (np.arange(6) < lengths[:, np.newaxis])[..., np.newaxis]
    table, _, manifest = remembered(tmp_path / "a", h, x, lengths_test=lengths)
    said = manifest["memory"]
    assert (said["input_features"], said["one_hot"]) == (70, True)
    assert table["feature"].nunique() == len(said["features"]["rnn"]) == 64
    assert table["feature"].min() == 0
    assert table["feature"].max() == 69
    every = np.arange(30)
    assert memory.one_hot(data.Split(x, None, lengths.astype(np.int32)), every)
    for other in (0.5, 1):  # a value that no symbol has; two symbols at a timestep
        x[29, 1, (codes[29, 1] + 1) % 70] = other
        assert not memory.one_hot(data.Split(x, None, lengths.astype(np.int32)), every)
        assert memory.one_hot(data.Split(x, None, lengths.astype(np.int32)), every[:29])


def test_scores_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "PENALTIES", np.array([0.01]))
    random = np.random.default_rng(0)
    groups, steps = np.repeat(np.arange(4), 90), np.tile(np.arange(3), 120)
    x = random.normal(size=(360, 5)) * [1, 10, 0.1, 1, 0] + 50
    y = x[:, :2] @ [[1.0], [0.1]] + random.normal(size=(360, 2)) + steps[:, np.newaxis]
    sums = products.empty(4, np.full((3, 5), 49.5), np.full((3, 2), 50.0))
    for part in np.array_split(random.permutation(360), 3):
        sums.add(x[part], y[part], groups[part], steps[part])
    got = readout.held_out(sums, np.arange(4))
    left, whole = [], []
    for fold in range(4):
        train, test = groups != fold, groups == fold
        centred = []
        for values in (x, y):
            means = np.array([values[train & (steps == step)].mean(axis=0) for step in range(3)])
            centred.append(values - means[steps])
        scale = np.where(centred[0][train].std(axis=0) > 0, centred[0][train].std(axis=0), 1)
        z = centred[0] / scale
        ridge = Ridge(alpha=0.01 * train.sum(), fit_intercept=False)
        predicted = ridge.fit(z[train], centred[1][train]).predict(z[test])
        left.append(((centred[1][test] - predicted) ** 2).sum(axis=0))
        whole.append((centred[1][test] ** 2).sum(axis=0))
    np.testing.assert_allclose(got.mean(axis=0), 1 - np.sum(left, axis=0) / np.sum(whole, axis=0))
    # The parts deviate as the ratio does when folds count a little more or less.
    more = np.eye(4) * 1e-6 + 1
    ratio = 1 - (more @ np.array(left)) / (more @ np.array(whole))
    slope = (ratio - got.mean(axis=0)) / 1e-6 * 4
    np.testing.assert_allclose(got - got.mean(axis=0), slope, atol=1e-5)


def test_the_penalty_is_chosen_among_the_sequences_that_are_fitted() -> None:
    """With as many units as rows, the smallest penalty would fit noise."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(80, 60)), random.normal(size=(80, 30))
    sums = products.empty(4, np.zeros((1, 60)), np.zeros((1, 30)))
    sums.add(x, y, np.arange(80) % 4, np.zeros(80, int))
    assert readout.held_out(sums, np.arange(4)).mean() > -0.1
    own = replace(
        sums, y=sums.x[..., :30], xy=sums.xx[..., :30], yy=np.einsum("gii->gi", sums.xx)[:, :30]
    )
    assert readout.held_out(own, np.arange(4)).mean() > 0.3


def test_steps_end_where_a_timestep_was_passed_over(tmp_path: Path) -> None:
    sequence = np.array([0, 0, 0, 0, 1, 1, 1], np.int32)
    timestep = np.array([2, 3, 5, 6, 0, 1, 2], np.int32)
    for backward, known in ((False, [0, 1, -1, -1, 0, 1, 2]), (True, [-1, -1, 1, 0, 2, 1, 0])):
        rows = RowKeys(sequence, timestep, None, backward)
        path = tmp_path / f"{backward}" / "part-00000.parquet"
        states.write_part(path, "h", np.zeros((1, 7), np.float32), rows, "lz4")
        steps = own_time.read([path], 2)
        assert steps.of(rows).tolist() == known
        there = np.array(known) >= 0
        back = steps.timesteps(sequence[there], np.array(known)[there])
        assert back.tolist() == timestep[there].tolist()


def test_every_partner_is_as_long_where_one_is() -> None:
    reach = np.array([3, 9, 3, 5, 9, 5])
    found = own_time.partners(reach, np.random.default_rng(0))
    assert (found != np.arange(6)).all()
    assert (reach[found] >= reach).all()
    assert own_time.partners(np.array([4]), np.random.default_rng(0)).tolist() == [0]


def shift_register(features: int, steps: int) -> list[Float]:
    """The weights of a linear network whose units hold the inputs of 0 to ``steps`` before."""
    units = features * (steps + 1)
    return [np.eye(features, units), np.eye(units, k=features)]


def keras_memory(folder: Path, model: Any, **arrays: Any) -> tuple[pd.DataFrame, dict[str, str]]:
    """memory.parquet of a Keras model whose layers are shift registers, and why some are not."""
    model.save(folder / "mine.keras")
    np.savez(folder / "mine.npz", **arrays)
    paths = f"data.path={folder / 'mine.npz'}", f"model.path={folder / 'mine.keras'}"
    options = ("stage=decoding", *QUICK[:3], "model=file", "decoding.memory_lags=3")
    made = stages.run(composed(folder / "out", *options, *paths))[-1].artefact
    memory = made.manifest()["memory"]["why"]
    return pd.read_parquet(made.folder / "memory.parquet"), memory


@pytest.mark.tensorflow
@pytest.mark.parametrize("moved", ["as it is", "turned round", "pooled"])
def test_a_layer_of_other_timesteps_has_no_memory_of_the_input(moved: str, tmp_path: Path) -> None:
    import keras

    x = keras.Input((14, 2))
    y = x[:, ::-1] if moved == "turned round" else x
    y = keras.layers.MaxPooling1D(1, strides=2)(x) if moved == "pooled" else y
    layer = keras.layers.SimpleRNN(6, activation="linear", use_bias=False, name="rnn")
    model = keras.Model(x, layer(y))
    layer.set_weights(shift_register(2, 2))
    table, why = keras_memory(tmp_path, model, x_test=noise(120, 14, 2))
    if moved != "as it is":
        assert table.empty
        assert why == {"rnn": "its timesteps are others than those of the network's first input"}
        return
    r2 = table.groupby("lag")["r2"].min()
    assert (r2[[0, 1, 2]] > 0.999).all()
    assert table[table["lag"] == 3]["r2"].max() < 0.1


@pytest.mark.tensorflow
def test_memory_of_one_of_several_inputs_is_not_taken_for_that_of_another(tmp_path: Path) -> None:
    import keras

    inputs = [keras.Input((14, 2), name=name) for name in "ab"]
    layers = [
        keras.layers.SimpleRNN(6, activation="linear", use_bias=False, name=f"of_{each.name}")
        for each in inputs
    ]
    made = [layer(each) for layer, each in zip(layers, inputs, strict=True)]
    model = keras.Model(inputs, keras.layers.Concatenate()(made))
    table, why = keras_memory(
        tmp_path, model, x_a_test=noise(60, 14, 2), x_b_test=noise(60, 14, 2, seed=1)
    )
    assert table.empty
    assert set(why) == {"of_a", "of_b"}
    assert all("several inputs" in each for each in why.values())
