"""Models whose layers have odd names, or whose numbers are none, through the whole of extract."""

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from rnnscope import stages, states, store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.trace.names import refuse_names
from tests.compose import composed

pytestmark = pytest.mark.tensorflow


def config_of(folder: Path, model: keras.Model, *options: str, kind: str = "keras") -> Config:
    path = folder / f"mine.{kind}"
    model.save(path)
    words = ("stage=extract", "model=file", f"model.path={path}", "extract.max_sequences=20")
    return composed(folder / "root", *words, *options)


def refused(config: Config) -> str:
    """The line in which a run is refused."""
    with pytest.raises(UserError) as raised:
        stages.run(config)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def stack(*names: str) -> keras.Model:
    """Recurrent layers one upon another."""
    x = y = keras.Input((8, 8))
    for name in names:
        y = keras.layers.SimpleRNN(2, return_sequences=True, name=name)(y)
    return keras.Model(x, keras.layers.Dense(10)(keras.layers.GlobalMaxPooling1D()(y)))


RUNS = ("sequences.parquet", "_lstm", "lstm", "LSTM", "x" * 300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_layers_of_odd_names_are_recorded_under_them(kind: str, tmp_path: Path) -> None:
    model = stack(*RUNS)
    config = config_of(tmp_path, model, kind=kind)
    folder = stages.run(config)[-1].artefact.folder
    assert set(states.layers(folder)) == set(RUNS)
    assert set(json.loads((folder / store.MANIFEST).read_text())["layers"]) == set(RUNS)
    for name in RUNS:
        (layer,) = [each for each in model.layers if each.name == name]
        weights = [np.asarray(each) for each in layer.get_weights()]
        given = states.read_states(folder, "h", layer=name, as_array=True)
        # h of the layer above is tanh(x W + h U + b) of the h below.
        below = RUNS.index(name) - 1
        if below >= 0:
            x = states.read_states(folder, "h", layer=RUNS[below], as_array=True)
            before = np.concatenate([np.zeros_like(given[:, :1]), given[:, :-1]], axis=1)
            want = np.tanh(x @ weights[0] + before @ weights[1] + weights[2])
            np.testing.assert_allclose(given, want, atol=1e-5)


REFUSED = ("a b", "<b>", "a&b", "名前", "a\\b", "a\nb", "x\x1b[31m", "%2F", "lstm.call1", "a.cell0")


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_cannot_be_run_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"layer {name!r}: ")) as raised:
        refuse_names(stack(name))
    assert "rename the layer" in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.slow
def test_renaming_the_layer_as_it_is_said_helps(tmp_path: Path) -> None:
    model = stack("<b> x")
    says = refused(config_of(tmp_path, model))
    remedy = re.search(r"rename the layer: (model\.get_layer\(.*\)\.name = 'lstm'), then", says)
    assert remedy is not None
    exec(remedy[1], {"model": model})
    folder = stages.run(config_of(tmp_path, model))[-1].artefact.folder
    assert list(states.layers(folder)) == ["lstm"]


def test_a_layer_that_is_not_recurrent_and_the_model_are_named_too(tmp_path: Path) -> None:
    x = keras.Input((8, 8))
    y = keras.layers.Dense(10, name="a b")(keras.layers.LSTM(2)(x))
    assert refused(config_of(tmp_path, keras.Model(x, y))).startswith("layer 'a b': ")
    y = keras.layers.Dense(10)(keras.layers.LSTM(2)(x))
    says = refused(config_of(tmp_path, keras.Model(x, y, name="my model")))
    assert says.startswith("model 'my model': ")


def model_of(fault: str) -> keras.Model:
    """A model whose states or outputs are not finite, and why."""
    activation: Any = "tanh"
    if fault == "exploding":
        activation = "linear"
    x = keras.Input((8, 8))
    layer = keras.layers.SimpleRNN(3, return_sequences=True, activation=activation, name="rnn")
    y = layer(x)[:, -1]
    out = keras.layers.Dense(10)
    model = keras.Model(x, out(keras.layers.Dense(10, kernel_initializer="ones")(y)))
    random = np.random.default_rng(0)  # of some weights the outputs of sequence 0 stay finite
    kernel, recurrent, bias = (random.normal(size=each.shape) for each in layer.get_weights())
    match fault:
        case "outputs":
            out.set_weights([np.full((10, 10), 3e38, np.float32), np.zeros(10)])
        case "weights":
            kernel[2, 1] = np.nan
        case "frozen":
            bias[1] = np.inf
            layer.trainable = False
        case "exploding":
            recurrent = np.eye(3, dtype=np.float32) * 1e30
    layer.set_weights([kernel, recurrent, bias])
    return model


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("weights", r"1 of its 7 variables hold NaN or an infinity \(rnn/\S*/kernel\)"),
        ("frozen", r"1 of its 7 variables hold NaN or an infinity \(rnn/\S*/bias\)"),
        ("exploding", r"layer 'rnn': h of unit \d at sequence 0, timestep [12], is -?(inf|nan)"),
        ("outputs", r"output for sequence 0 of the test split is -?(inf|nan), not a finite"),
    ],
)
def test_what_is_no_finite_number_is_refused(fault: str, says: str, tmp_path: Path) -> None:
    config = config_of(tmp_path, model_of(fault), "extract.dtype=float16")
    assert re.search(says, refused(config))
    assert not list((tmp_path / "root" / "extract").glob("*/_manifest.json"))


def test_values_that_are_finite_but_for_their_sum_are_recorded() -> None:
    from rnnscope.extract import finite

    assert finite.all_finite(np.full((2, 3), np.finfo(np.float32).max, np.float32))
    assert finite.all_finite(np.array([[1e-45, -1e-45, 0]], np.float32))
    for value in (np.nan, np.inf, -np.inf):
        values = np.zeros((3, 5), np.float32)
        values[1, 2] = value
        assert not finite.all_finite(values)
        values[2, 4] = -value
        assert not finite.all_finite(values)


def test_denormals_in_float16_are_the_nearest_that_it_has(tmp_path: Path) -> None:
    rows = states.row_keys(0, np.array([4]), None)
    values = np.array([[6e-8, 1e-8, 6.1e-5, -2048]], np.float32).astype(np.float16)
    path = states.part_file(tmp_path, "lstm", "c", 0)
    states.write_part(path, "c", values, rows, "lz4")
    want = [2.0**-24, 0, 6.1e-5, -2048]
    np.testing.assert_allclose(pd.read_parquet(path)["c_000"].astype(float), want, rtol=1e-3)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("made", ["c is infinite", "only o is no number", "of one sequence's last"])
def test_the_last_h_and_c_of_an_lstm_tell_what_is_not_finite(made: str, backwards: bool) -> None:
    """Of a loop in NumPy in which one pre-activation goes wrong at one timestep of one sequence."""
    from rnnscope.extract import finite

    random = np.random.default_rng(0)
    steps, sequences, units = 6, 4, 3
    lengths = np.array([6, 4, 5, 6])
    at = 3 if made == "of one sequence's last" else 2
    kernel = random.normal(size=(units, 4 * units))
    z = random.normal(size=(steps, sequences, 4 * units))
    gate = {"c is infinite": 3, "only o is no number": 2}.get(made, 2)
    kept = np.arange(steps) < lengths[:, np.newaxis]

    def ran(wrong: bool) -> dict[str, np.ndarray]:
        h = c = np.zeros((sequences, units))
        found = {name: np.zeros((steps, sequences, units)) for name in "hcifog"}
        for step in range(steps):
            each = z[step] + h @ kernel
            if wrong and step == at:
                each[1, gate * units] = np.nan
            i, f, o = (1 / (1 + np.exp(-each[:, n * units : (n + 1) * units])) for n in range(3))
            g = np.tanh(each[:, 3 * units :])
            c = f * c + i * g
            if wrong and step == at and made == "c is infinite":
                c[1] = np.inf
            h = o * np.tanh(c)
            for name, values in zip("hcifog", (h, c, i, f, o, g), strict=True):
                found[name][step] = values
        return found

    def turned(signals: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: values[::-1] for name, values in signals.items()} if backwards else signals

    rows = kept[:, ::-1] if backwards else kept
    assert finite.known_finite(turned(ran(False)), rows, backwards=backwards)
    assert not finite.known_finite(turned(ran(True)), rows, backwards=backwards)
