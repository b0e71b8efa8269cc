"""From files as people keep them to states: each against a loop over the raw weights."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from numpy.typing import NDArray

from rnnscope import stages, states, store
from rnnscope.errors import UserError
from tests import reference
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

N, T = 20, 12


def recorded(root: Path, model: keras.Model, path: Path, *overrides: str) -> Path:
    """The states of a model over the data of a file."""
    model.save(root / "mine.keras")
    config = composed(
        root,
        "stage=extract",
        "model=file",
        f"model.path={root / 'mine.keras'}",
        "data=files",
        f"data.path={path}",
        *overrides,
    )
    return {step.stage.name: step.artefact.folder for step in stages.run(config)}["extract"]


def network(features: int, outputs: int, steps: int = T) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((steps, features))
    head = layers.Dense(outputs, "softmax" if outputs > 1 else None)
    return keras.Model(x, head(layers.LSTM(5, name="lstm")(x)))


def assert_recorded(
    folder: Path, model: keras.Model, x: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> None:
    """The states are those of the layer from the model's weights, in float64."""
    valid = np.ones(x.shape[:2], bool) if valid is None else valid
    want = reference.layer(model.get_layer("lstm"), x, valid, None)
    for signal in "hcifog":
        frame = states.read_states(folder, signal)
        number, timestep = np.nonzero(valid)
        np.testing.assert_array_equal(frame["sequence"], number)
        np.testing.assert_array_equal(frame["timestep"], timestep)
        values = frame.filter(regex=rf"^{signal}_\d+$").to_numpy()
        np.testing.assert_allclose(values, want[signal][valid], rtol=0, atol=1e-5)


def wide(folder: Path, y: NDArray[Any]) -> tuple[Path, NDArray[Any]]:
    """A file as the UCR archive keeps them: label and values in spaces."""
    x = np.random.default_rng(0).normal(size=(N, T))
    path = folder / "ECG_TEST.txt"
    np.savetxt(path, np.column_stack([y, x]), fmt="%16.9e")
    return path, x[:, :, np.newaxis]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "outputs", "numbers"),
    [((1, 2, 3), 3, (0, 1, 2)), ((1, 2, 3), 4, (1, 2, 3)), ((-1, 1), 2, (0, 1))],
)
def test_a_wide_file_with_labels_as_its_model_has_them(
    values: tuple[int, ...], outputs: int, numbers: tuple[int, ...], tmp_path: Path
) -> None:
    y = np.resize(values, N)
    path, x = wide(tmp_path, y)
    model = network(1, outputs)
    folder = recorded(tmp_path, model, path)
    assert_recorded(folder, model, x)
    table = states.read_sequences(folder)
    want = np.resize(numbers, N)
    np.testing.assert_array_equal(table["label"], want)
    scores = np.asarray(model(x, training=False))
    np.testing.assert_array_equal(table["correct"], scores.argmax(axis=1) == want)
    np.testing.assert_allclose(table["loss"], -np.log(scores[range(N), want]), rtol=1e-4)
    names = store.read_manifest(folder)["classes"]
    assert [names[number] for number in numbers] == list(map(str, values))


def test_labels_that_fit_no_model_are_refused(tmp_path: Path) -> None:
    path, _ = wide(tmp_path, np.resize([1, 2, 7], N))
    with pytest.raises(UserError, match="has 4 outputs; the data has a class 7"):
        recorded(tmp_path, network(1, 4), path)


@pytest.mark.parametrize("horizon", [None, 3])
def test_windows_of_a_sensor(horizon: int | None, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(100, 2)).round(5)
    frame = pd.DataFrame(values, columns=["flow", "rain"])
    frame.insert(0, "date", pd.date_range("2016-01-11 17:00", periods=100, freq="h"))
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "sensor.csv", index=False)
    model = network(2, 1)
    chosen = ["data.label_column=rain", f"data.horizon={horizon}"] if horizon else []
    folder = recorded(
        tmp_path, model, tmp_path / "sensor.csv", "data.window=12", "data.stride=5", *chosen
    )
    starts = np.arange(0, 100 - 12 - (horizon or 0) + 1, 5)
    assert_recorded(folder, model, np.stack([values[n : n + 12] for n in starts]))
    table = states.read_sequences(folder)
    assert table["id"].tolist()[1] == "2016-01-11 22:00:00"
    if horizon:
        np.testing.assert_allclose(table["target"], values[starts + 11 + horizon, 1], rtol=1e-6)


def test_tokens_padded_on_the_left(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = [random.integers(1, 30, length).tolist() for length in random.integers(3, T + 1, N)]
    tokens = keras.utils.pad_sequences(texts, maxlen=T)
    np.savez(tmp_path / "reviews.npz", x_test=tokens, y_test=np.arange(N) % 2)
    keras.utils.set_random_seed(0)
    given = keras.Input((T,))
    embedding = layers.Embedding(30, 3, mask_zero=True)
    y = layers.LSTM(5, name="lstm")(embedding(given))
    model = keras.Model(given, layers.Dense(2, "softmax")(y))
    folder = recorded(tmp_path, model, tmp_path / "reviews.npz")
    table = embedding.get_weights()[0]
    assert_recorded(folder, model, table[tokens], tokens != 0)


@pytest.mark.parametrize("clock", ["{}:30", "04/03/2016 {}:30", "2016-03-04 {:02d}:30"])
def test_a_csv_of_rows_by_the_clock(clock: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(N, T, 2)).round(5)
    frame = pd.DataFrame(x.reshape(-1, 2), columns=["flow", "rain"])
    frame["sequence"] = np.repeat(np.arange(N), T)
    frame["timestep"] = [clock.format(hour) for hour in range(T)] * N
    frame = frame.sample(frac=1, random_state=0)
    if clock == "{}:30":  # in any order, a clock alone may also be that of the next day
        frame = frame.iloc[np.argsort(frame.index % T, kind="stable")]
    frame.to_csv(tmp_path / "days.csv", index=False)
    model = network(2, 1)
    assert_recorded(recorded(tmp_path, model, tmp_path / "days.csv"), model, x)
