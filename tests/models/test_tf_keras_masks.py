"""What layers of Keras 3 do otherwise than those of Keras 2: masks, frozen layers, two sizes."""

import sys
from pathlib import Path

import keras
import pytest

from rnnscope import models
from rnnscope.errors import UserError
from tests.models.keras2 import agrees, by_tf_keras

pytestmark = [pytest.mark.tensorflow, pytest.mark.process]

WRITE = """
import numpy as np, tensorflow as tf, tf_keras as keras
from tf_keras import layers as L

T, F = 6, 4
rng = np.random.default_rng(0)
tokens, others = rng.integers(1, 20, (2, 5, T))  # with gaps before, within and after
tokens[0, :2] = tokens[1, 3] = tokens[2, 4:] = others[0, 1:4] = others[2, 5:] = others[3, 0] = 0
features = rng.normal(size=(5, T, F)).astype("float32")
features[1, :3] = features[4, 2:4] = 0
values = {}

def save(name, build):
    a, b = keras.Input((T,), dtype="int32"), keras.Input((T,), dtype="int32")
    c = keras.Input((T, F))
    model = keras.Model([a, b, c], build(masked(a), masked(b), c))
    for w in model.weights:
        if w.dtype == "float32" and "Normalization" not in w.name:
            w.assign(np.abs(rng.normal(scale=0.5, size=w.shape)) if "variance" in w.name
                     else rng.normal(scale=0.5, size=w.shape))
    for form in ("h5", "keras"):
        model.save(f"{name}.{form}")
    if name == "frozen":
        model.save_weights(f"{name}_old.h5")
        open(f"{name}.json", "w").write(model.to_json())
    x = [tokens, others, features]
    values.update({f"{name}/x{number}": part for number, part in enumerate(x)})
    values[f"{name}/y"] = model([tf.constant(tokens, "int32"), tf.constant(others, "int32"), x[2]])

def masked(x):
    return L.Embedding(20, F, mask_zero=True)(x)

def lstm(x, **call):
    return L.LSTM(3, return_sequences=True)(x, **call)

def merged(merge):
    return lambda a, b, c: L.Concatenate(name="ends")([
        lstm(merge([a, b])), lstm(merge([a, c])), lstm(merge([c, b])),
    ])

def joined(a, b, c):
    longer = [L.Concatenate(axis=1)([a, b]), L.Concatenate(axis=1)([c, c])]
    return L.Concatenate(axis=2, name="ends")([lstm(each) for each in longer])

def values_despite_masks(a, b, c):
    pairs = [L.Multiply()([a, c]), L.Maximum()([a, b]), L.Minimum()([c, b])]
    return L.Concatenate()([L.Dense(2)(L.Reshape((T, F))(each)) for each in pairs])

def nested(layers):
    return keras.Sequential([keras.Input((T, F)), *layers])

def in_a_model(a, b, c):
    inner = nested([L.Masking(), L.Dense(F)])
    x, y = keras.Input((T, F)), keras.Input((T, F))
    both = keras.Model([x, y], L.Add()([L.Masking()(x), L.Dense(F)(y)]))
    return lstm(L.Concatenate()([L.Add()([a, inner(c)]), both([c, b])]))

def ended(a, b, c):
    layers = [L.Normalization(mean=[0.1] * F, variance=[2.0] * F), L.Rescaling(0.5), L.Identity()]
    return L.Concatenate()([lstm(each(a)) for each in layers])

def states(a, b, c):
    h = L.LSTM(3, return_state=True)(a)[1:]
    g = L.Bidirectional(L.GRU(3, return_state=True))(b)[1:]
    decoded = [
        lstm(b, initial_state=h), lstm(L.Dense(F)(a), initial_state=h),
        L.Bidirectional(L.GRU(3, return_sequences=True))(L.Add()([a, c]), initial_state=g),
    ]
    return L.Concatenate(name="ends")(decoded)

def heads(a, b, c):
    attended = L.MultiHeadAttention(2, 3)(a, b)
    return L.Concatenate(name="ends")([lstm(attended), lstm(a), lstm(b)])

def attention(a, b, c):
    found = [L.Attention()([a, c]), L.AdditiveAttention()([c, L.Add()([a, b])])]
    return L.Concatenate(name="ends")([lstm(each) for each in found])

def outer_timesteps(a, b, c):
    x = L.Masking()(L.Reshape((3, 2, F))(c))
    each = L.TimeDistributed(L.LSTM(3))(x)
    inner = L.TimeDistributed(L.Masking())(L.Reshape((3, 2, F))(c))
    pair = L.TimeDistributed(L.Bidirectional(L.GRU(2, return_sequences=True)))(inner)
    model = keras.Sequential([keras.Input((2, F)), L.Masking(), L.Dense(F)])
    modelled = L.TimeDistributed(L.SimpleRNN(3))(L.TimeDistributed(model)(L.Reshape((3, 2, F))(c)))
    return L.Concatenate()([
        lstm(each), lstm(L.TimeDistributed(L.GRU(3))(pair)), lstm(modelled),
        lstm(L.TimeDistributed(L.Dense(2))(L.Masking()(each))),
    ])

def frozen(a, b, c):
    off = {"trainable": False}
    both = lambda **more: L.Bidirectional(L.SimpleRNN(2, return_sequences=True), **more)
    inner = nested([both(**off), L.TimeDistributed(L.Dense(F), **off), L.BatchNormalization(),
                    both(), L.Dense(F, **off)])
    deep = nested([nested([L.Dense(F), both(**off), L.BatchNormalization(**off)]), L.Dense(F)])
    x = keras.Input((T, F))
    y = both()(L.BatchNormalization()(L.Dense(F)(x)))
    whole = keras.Model(x, L.BatchNormalization()(y), trainable=False)
    return whole(deep(inner(c)))

def two_sizes(a, b, c):
    back = lambda units: L.GRU(units, return_sequences=True, go_backwards=True)
    joined = L.Bidirectional(L.LSTM(3, return_sequences=True), backward_layer=back(2))(a)
    apart = L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=None,
                            backward_layer=back(2))(joined)
    return L.Concatenate(name="ends")([lstm(joined), *apart])

for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
    save(kind.lower(), merged(getattr(L, kind)()))
for build in (joined, values_despite_masks, in_a_model, ended, states, heads, attention,
              outer_timesteps, frozen, two_sizes):
    save(build.__name__, build)
save("lambda_mask", lambda a, b, c: lstm(L.Lambda(
    lambda x: x * 2, mask=lambda x, mask=None: tf.reduce_any(x > 0.5, -1), name="cut")(c)))
within = lambda: [keras.Input((2, F)), L.Masking(), L.GRU(F, return_sequences=True)]
save("lost_mask", lambda a, b, c: L.TimeDistributed(keras.Sequential(within()))(
    L.Reshape((3, 2, F))(c)))
save("einsum", lambda a, b, c: tf.einsum("btf,bsf->bts", a, c))
np.savez("values.npz", **values)
"""
MERGES = ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate")
OTHERS = (
    *("joined", "values_despite_masks", "in_a_model", "ended", "states", "heads", "attention"),
    *("outer_timesteps", "frozen", "two_sizes"),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, and what Keras 2 predicts."""
    return by_tf_keras(tmp_path_factory.mktemp("masks"), WRITE)


@pytest.mark.parametrize("form", ["h5", "keras"])
@pytest.mark.parametrize("name", [*MERGES, *OTHERS])
def test_a_model_of_keras_2_masks_and_predicts_as_it_did(
    written: Path, name: str, form: str
) -> None:
    """Names are counted from none, as in a new process: a layer may be called ``concatenate``."""
    keras.utils.clear_session()
    agrees(written, name, f"{name}.{form}")


def test_weights_alone_of_frozen_layers(written: Path) -> None:
    agrees(written, "frozen", "frozen_old.h5", architecture=written / "frozen.json")


@pytest.mark.parametrize("form", ["h5", "keras"])
def test_the_mask_of_a_lambda_layer_is_a_function_of_the_user(
    written: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the refusal says to do works."""
    monkeypatch.chdir(written)
    monkeypatch.setattr("sys.path", sys.path.copy())
    (written / f"half_{form}.py").write_text("def cut(x):\n    return x * 2\n")
    with pytest.raises(UserError, match=r"'cut' is a Lambda.*function cut_mask\(x, mask\)"):
        models.load(written / f"lambda_mask.{form}", f"half_{form}")
    (written / f"both_{form}.py").write_text(
        "import keras\n\ndef cut(x):\n    return x * 2\n\n"
        "def cut_mask(x, mask):\n    return keras.ops.any(x > 0.5, -1)\n"
    )
    agrees(written, "lambda_mask", f"lambda_mask.{form}", custom_objects=f"both_{form}")


@pytest.mark.parametrize("form", ["h5", "keras"])
def test_a_function_of_any_number_of_tensors_is_not_in_the_file(written: Path, form: str) -> None:
    with pytest.raises(UserError, match=r"'tf.einsum'.*any number of tensors.*tf.matmul"):
        models.load(written / f"einsum.{form}")


def test_a_mask_that_keras_3_loses_within_a_timedistributed_is_refused(written: Path) -> None:
    with pytest.raises(UserError, match=r"'sequential.*' in a TimeDistributed.*around each"):
        models.load(written / "lost_mask.h5")
