"""Models as the config describes them, and as they come back from a file."""

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline import config, models
from pipeline.data import Batch, Dataset, Split
from pipeline.errors import UserError

CLASSES = ("a", "b", "c")


def dataset(lengths: bool = False) -> Dataset:
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    some = np.array([5, 2, 1], np.int32) if lengths else None
    return Dataset(Split(x, np.arange(3, dtype=np.int32), some), classes=CLASSES)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("lstm", 4 * (2 * 6 + 6 * 6 + 6)), ("gru", 3 * (2 * 6 + 6 * 6 + 2 * 6)), ("simple_rnn", 54)],
)
def test_each_kind_has_its_number_of_parameters(kind: str, parameters: int) -> None:
    model = models.build(config.Recurrent(kind, 6, 1, False, 0.0), dataset())
    assert model.count_params() == parameters + 6 * 3 + 3
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_are_stacked_and_named(bidirectional: bool) -> None:
    model = models.build(config.Recurrent("gru", 4, 2, bidirectional, 0.1), dataset())
    assert [layer.name for layer in model.layers[1:]] == ["gru_1", "gru_2", "readout"]
    width = 8 if bidirectional else 4
    assert model.get_layer("gru_1").output.shape == (None, 5, width)
    assert model.get_layer("gru_2").output.shape == (None, width)


@pytest.mark.parametrize("bias", [1.0, -2.5])
def test_the_forget_bias_is_what_was_asked_for_in_every_layer(bias: float) -> None:
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, bias), dataset())
    for name in ("lstm_1", "lstm_2"):
        both = model.get_layer(name)
        for layer in (both.forward_layer, both.backward_layer):
            want = np.repeat([0, bias, 0, 0], 3)
            np.testing.assert_array_equal(layer.cell.bias.numpy(), want)


def test_a_mask_is_an_input_only_where_lengths_differ() -> None:
    options = config.Lstm("lstm", 3, 1, False, 0.0, 1.0)
    assert len(models.build(options, dataset()).inputs) == 1
    assert len(models.build(options, dataset(lengths=True)).inputs) == 2


@pytest.mark.parametrize("lengths", [False, True])
def test_a_saved_model_predicts_the_same(tmp_path: Path, lengths: bool) -> None:
    data = dataset(lengths)
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, 1.0), data)
    model.save(tmp_path / "model.keras")
    again = models.load(tmp_path / "model.keras")
    batch = data.test.take(slice(None))
    np.testing.assert_array_equal(
        model.predict(models.inputs(model, batch), verbose=0),
        again.predict(models.inputs(again, batch), verbose=0),
    )
    assert models.sequence_shape(again) == models.sequence_shape(model)


def test_padding_does_not_change_a_prediction() -> None:
    data = dataset(lengths=True)
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, 1.0), data)
    padded = data.test.take(slice(None))
    whole = model.predict(models.inputs(model, padded), verbose=0)
    for number, length in enumerate((5, 2, 1)):
        alone = Batch(padded.x[[number], :length], None, None)
        one = model.predict(models.inputs(model, alone), verbose=0)
        np.testing.assert_allclose(one[0], whole[number], rtol=1e-5, atol=1e-6)


def test_code_in_a_model_file_is_not_run(tmp_path: Path) -> None:
    x = keras.Input((5, 2))
    model = keras.Model(x, keras.layers.Lambda(lambda y: y + 1)(x))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(UserError, match="Keras cannot load it"):
        models.load(tmp_path / "lambda.keras")
