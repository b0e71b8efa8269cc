"""Files that tf_keras writes, which is Keras 2: .h5, .keras and weights alone, as it predicts."""

import sys
from pathlib import Path

import pytest

from rnnscope import models
from rnnscope.errors import UserError
from tests.models.keras2 import agrees, by_tf_keras

pytestmark = [pytest.mark.tensorflow, pytest.mark.process]

WRITE = """
import numpy as np, tensorflow as tf, tf_keras as keras
from tf_keras import backend as K, layers as L

def model(build, *shape):
    x = keras.Input(shape or (6, 3))
    return keras.Model(x, build(x))

def lstm(x, units=4, **options):
    return L.LSTM(units, return_sequences=True, **options)(x)

def encoder_decoder(wrap):
    a, b = keras.Input((None, 3)), keras.Input((None, 2))
    states = wrap(L.LSTM(4, return_state=True))(a)[1:]
    return keras.Model([a, b], wrap(L.LSTM(4, return_sequences=True))(b, initial_state=states))

def twins():
    inner = model(lambda x: L.Dense(2)(L.GRU(4)(x)))
    a, b = keras.Input((6, 3)), keras.Input((6, 3))
    return keras.Model([a, b], L.Concatenate()([inner(a), L.Subtract()([inner(b), inner(a)])]))

def frozen():
    inner = keras.Sequential(
        [L.LSTM(4, return_sequences=True, input_shape=(6, 3)), L.BatchNormalization(), L.LSTM(4)]
    )
    inner.layers[0].trainable = False
    return model(lambda x: L.Dense(4)(inner(x)))

def parallel(x):
    found = {name: L.LSTM(4, name=name)(x) for name in ("z", "a", "m")}
    return L.Concatenate()([found["m"], found["z"], found["a"]])

def shared(x):
    gru = L.GRU(3, return_sequences=True)
    return L.Add()([gru(x), gru(gru(x))])

def cell_states():
    x, a, b, c = keras.Input((6, 3)), *(keras.Input((4,)) for _ in range(3))
    cells = [L.LSTMCell(4), L.GRUCell(4, recurrent_activation="hard_sigmoid")]
    y = L.RNN(cells, return_sequences=True)(x, initial_state=[[a, b], c])
    return keras.Model([x, a, b, c], y)

def started(x):
    zero = tf.zeros([tf.shape(x)[0], 4])
    return L.LSTM(4)(x, initial_state=[zero, zero + 1.0])

def functions(x):
    y = lstm(x)
    return tf.stack([
        tf.nn.softmax(y, axis=1) * y, tf.reverse(y, [1]), tf.where(y > 0.0, y, tf.zeros_like(y)),
        tf.tile(tf.reduce_sum(y, 1, keepdims=True), [1, 6, 1]), tf.clip_by_value(y, -0.1, 0.1),
        tf.cast(tf.cast(y > 0, "int32"), "float32"), tf.gather(y, [0, 1, 2, 3, 4, 5], axis=1),
        tf.pad(y[:, 1:], [[0, 0], [1, 0], [0, 0]]), K.batch_dot(y @ tf.transpose(y, [0, 2, 1]), y),
        tf.cumsum(y, axis=1), K.permute_dimensions(K.permute_dimensions(y, (0, 2, 1)), (0, 2, 1)),
        y**2, -y, abs(y), tf.math.log(tf.abs(y) + 1.0), 1.0 / (y * y + 1.0), 1.0 - y, y / 2.0,
        tf.unstack(y, axis=1)[1][:, None] + y, tf.split(y, 2, axis=1)[1][:, :1] + y,
        keras.activations.tanh(y), tf.linalg.l2_normalize(y, -1),
    ], axis=1)

def slices(x):
    y = lstm(x)
    return tf.concat([y[:, -1, :], y[:, 0], y[:, ::-1][:, 2], y[:, 1:3, 2], y[:, -1:, 0]], axis=-1)

def attention(x, layer, **options):
    y = lstm(L.Masking()(x))
    return layer([y, lstm(x)], **options)

def layers(x):
    y = L.BatchNormalization()(lstm(x))
    for layer in (
        L.LeakyReLU(0.2), L.PReLU(), L.ThresholdedReLU(0.01), L.LayerNormalization(),
        L.GaussianNoise(0.1), L.Conv1D(4, 3, padding="causal", activation="hard_sigmoid"),
        L.SeparableConv1D(4, 2), L.ELU(0.5), L.ReLU(6.0), L.Softmax(), L.Permute((2, 1)),
        L.Permute((2, 1)), L.ZeroPadding1D(1), L.Cropping1D(1), L.UpSampling1D(2),
        L.MaxPooling1D(2), L.SpatialDropout1D(0.1), L.Dropout(0.2, noise_shape=(None, 1, 4)),
        L.TimeDistributed(L.Dense(4, activation="selu", kernel_regularizer="l2")),
        L.Reshape((-1, 4)), L.Activation("swish"), L.Flatten(), L.RepeatVector(3),
        L.SimpleRNN(3, activation="relu", bias_constraint="non_neg"),
    ):
        y = layer(y)
    return L.Multiply()([y, L.Average()([y, L.Maximum()([y, y])])])

def normalised(x):
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, size=(50, 6, 3)))
    return L.LSTM(4)(layer(x))

cells = [L.GRUCell(3, recurrent_activation="hard_sigmoid"), L.LSTMCell(2)]
pair = lambda: L.SimpleRNN(3, return_sequences=True)
back = L.SimpleRNN(3, return_sequences=True, go_backwards=True, activation="relu")
made = {
    "encoder_decoder": encoder_decoder(lambda layer: layer),
    "both_ways_from_states": encoder_decoder(L.Bidirectional),
    "twins": twins(),
    "frozen": frozen(),
    "parallel": model(parallel),
    "shared": model(shared),
    "cell_states": cell_states(),
    "started": model(started),
    "functions": model(functions),
    "slices": model(slices),
    "attention": model(lambda x: attention(x, L.Attention(use_scale=True))),
    "attention_concat": model(lambda x: attention(x, L.Attention(score_mode="concat"))),
    "attention_causal": model(lambda x: attention(x, L.Attention(), use_causal_mask=True)),
    "additive": model(lambda x: attention(x, L.AdditiveAttention())),
    "heads": model(lambda x: (lambda y: L.MultiHeadAttention(2, 3)(y, y))(lstm(x))),
    "layers": model(layers),
    "normalised": model(normalised),
    "cells_both_ways": model(lambda x: L.Bidirectional(L.RNN(cells))(x)),
    "own_way_back": model(lambda x: L.Bidirectional(pair(), "sum", backward_layer=back)(x)),
    "conv_lstm": model(lambda x: L.ConvLSTM2D(2, 3)(x), 4, 5, 5, 2),
    "frames": model(lambda x: L.TimeDistributed(L.Bidirectional(L.LSTM(3)))(x), 3, 6, 2),
    "masked": model(lambda x: L.LSTM(4)(lstm(L.Masking()(x)) * 2.0)),
    "half": model(lambda x: L.GRU(4, dtype="mixed_float16")(x)),
    "slash": model(lambda x: L.LSTM(4, name="block/lstm")(x)),
    "function": model(lambda x: L.Lambda(lambda y: y[:, -1] * 2)(lstm(x))),
    "stateful": keras.Sequential(
        [L.LSTM(4, stateful=True, batch_input_shape=(4, 6, 3)), L.Dense(2)]
    ),
    "embedded": keras.Sequential([
        L.Embedding(20, 5, mask_zero=True, input_length=6), L.SpatialDropout1D(0.2),
        L.Bidirectional(L.GRU(3, reset_after=False, recurrent_activation="hard_sigmoid")),
    ]),
}
rng = np.random.default_rng(0)
values = {}
for name, each in made.items():
    each.build((None, 6)) if name == "embedded" else None
    weights = [w + np.abs(rng.normal(scale=0.3, size=w.shape)) for w in each.get_weights()]
    each.set_weights([w.astype(o.dtype) for w, o in zip(weights, each.get_weights())])
    for form in ("h5", "keras"):
        each.save(f"{name}.{form}")
    x = [rng.normal(size=[4, *(size or 7 for size in i.shape[1:])]) for i in each.inputs]
    x = [rng.integers(0, 20, size=(4, 6))] if name == "embedded" else x
    for part in x:
        part[:, 5:] = 0
    x = [part.astype("float32") for part in x]
    values[f"{name}/y"] = each(x if len(x) > 1 else x[0], training=False).numpy()
    values |= {f"{name}/x{number}": part for number, part in enumerate(x)}
np.savez("values.npz", **values)
for name in ("frozen", "cells_both_ways", "layers"):
    made[name].save_weights(f"{name}_old.h5")
    made[name].save_weights(f"{name}.weights.h5")
    open(f"{name}.json", "w").write(made[name].to_json())
made["frozen"].save_weights("checkpoint_of_weights")
for name, layer in {"unlisted": tf.random.shuffle, "local": L.LocallyConnected1D(2, 3)}.items():
    model(lambda x: layer(lstm(x))).save(f"{name}.h5")
"""
NAMES = (
    *("encoder_decoder", "both_ways_from_states", "twins", "frozen", "parallel", "shared"),
    *("cell_states", "started", "functions", "slices", "attention", "attention_concat"),
    *("attention_causal", "additive", "heads", "layers", "normalised", "cells_both_ways"),
    *("own_way_back", "conv_lstm", "frames", "masked", "half", "slash", "stateful", "embedded"),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, and what Keras 2 predicts: <name>/x0, <name>/y in values.npz."""
    return by_tf_keras(tmp_path_factory.mktemp("tf_keras"), WRITE)


@pytest.mark.parametrize("form", ["h5", "keras"])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_keras_2_predicts_as_it_did(written: Path, name: str, form: str) -> None:
    agrees(written, name, f"{name}.{form}")


@pytest.mark.parametrize("form", ["_old.h5", ".weights.h5"])
@pytest.mark.parametrize("name", ["frozen", "cells_both_ways", "layers"])
def test_weights_alone_with_their_architecture_predict_as_it_did(
    written: Path, name: str, form: str
) -> None:
    agrees(written, name, f"{name}{form}", architecture=written / f"{name}.json")


@pytest.mark.parametrize("form", ["h5", "keras"])
def test_a_lambda_layer_takes_a_function_of_the_user(
    written: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the refusal says to do works; "lambda" is no name for a function."""
    monkeypatch.chdir(written)
    monkeypatch.setattr("sys.path", sys.path.copy())
    (written / "last_steps.py").write_text("def lambda_(y):\n    return y[:, -1] * 2\n")
    with pytest.raises(UserError, match=r"layer 'lambda' is a Lambda.*a function lambda_\(x\)"):
        models.load(written / f"function.{form}")
    agrees(written, "function", f"function.{form}", custom_objects="last_steps")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unlisted", "calls tf.random.shuffle"),
        ("local", "is a LocallyConnected1D of Keras 2, which Keras 3 does not have"),
    ],
)
def test_what_is_not_loaded_is_named(written: Path, name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        models.load(written / f"{name}.h5")
    assert words in str(caught.value)
    assert "give the module" not in str(caught.value)


def test_a_checkpoint_of_weights_says_what_to_save_instead(written: Path) -> None:
    for name in ("checkpoint_of_weights", "checkpoint_of_weights.index"):
        with pytest.raises(UserError, match=r"model\.load_weights\('checkpoint_of_weights'\)"):
            models.load(written / name)
