"""Labels and annotations of timesteps go to layers whose timesteps they are, and to no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnscope
from rnnscope.errors import UserError
from rnnscope.models.keeping import keeps_time
from tests.compose import analysed, composed

pytestmark = pytest.mark.tensorflow

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(40, 12, 3)).astype(np.float32)
KNOWN = X[..., 0] + 0.1 * DRAW.normal(size=(40, 12))
FEW = {"permutations": 0, "lags": 3}
ELSEWHERE: dict[str, Callable[[Any], Any]] = {
    "flipped": lambda x: keras.ops.flip(x, axis=1),
    "below a layer that reads backwards": keras.layers.LSTM(
        3, go_backwards=True, return_sequences=True
    ),
    "shifted": lambda x: keras.ops.pad(x, [[0, 0], [4, 0], [0, 0]])[:, :-4],
    "every second": keras.layers.MaxPooling1D(1, strides=2),
    "strides": keras.layers.Conv1D(3, 2, strides=2),
    "padded": keras.layers.ZeroPadding1D((5, 0)),
    "cropped": keras.layers.Cropping1D((5, 0)),
}
IN_PLACE: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda x: x,
    "dense": keras.layers.Dense(3),
    "convolution": keras.layers.Conv1D(3, 3, padding="same"),
    "causal": keras.layers.Conv1D(3, 3, padding="causal"),
    "both directions": keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True)),
}


def recorded(way: Callable[[Any], Any], **known: Any) -> rnnscope.States:
    keras.utils.set_random_seed(0)
    x = keras.Input((12, 3))
    model = keras.Model(x, keras.layers.LSTM(4, name="last")(way(x)))
    return rnnscope.record(model, X, **known, layers="last", signals="h")


@pytest.mark.filterwarnings("ignore:no accuracy and no loss")
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_layer_of_other_timesteps_has_none(name: str) -> None:
    labels = (KNOWN > 0).astype(int)
    with pytest.warns(UserWarning, match="layer last: the model moves or pools time on the way"):
        states = recorded(ELSEWHERE[name], annotations={"known": KNOWN}, labels=labels)
    assert "label" not in states.frame("last", "h")
    units = rnnscope.measure(states, **FEW)
    assert units["best_correlation"].isna().all()
    assert units["eta2"].isna().all()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_labels_of_timesteps_that_come_later_are_refused(name: str) -> None:
    labels = (KNOWN > 0).astype(int)
    with pytest.raises(UserError, match=r"those of last: give labels|labels has shape"):
        rnnscope.measure(recorded(ELSEWHERE[name]), labels=labels, **FEW)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_graph_shows_no_kept_timesteps_where_they_are_others(name: str) -> None:
    x = keras.Input((12, 3))
    assert not keeps_time(keras.Model(x, keras.layers.LSTM(4)(ELSEWHERE[name](x))))


def test_the_graph_shows_kept_timesteps_behind_layers_that_work_one_by_one() -> None:
    x = keras.Input((12,), dtype="int32")
    y = keras.layers.Embedding(5, 3, mask_zero=True)(x)
    y = keras.layers.LayerNormalization()(keras.layers.Dense(3, "relu")(y))
    y = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True))(y)
    y = keras.layers.LSTM(3, return_sequences=True)(keras.layers.Dropout(0.5)(y))
    backwards = keras.layers.LSTM(2, go_backwards=True)
    model = keras.Model(x, keras.layers.Dense(2)(backwards(y)))
    assert keeps_time(model)
    assert keeps_time(keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(2)]))
    inner = keras.Model(x, backwards(y))
    assert not keeps_time(keras.Model(x, keras.layers.Dense(2)(inner(x))))  # it is not known


@pytest.mark.filterwarnings("ignore:no accuracy and no loss")
@pytest.mark.parametrize("name", IN_PLACE)
def test_a_layer_of_the_same_timesteps_has_them(name: str) -> None:
    labels = (KNOWN > 0).astype(int)
    states = recorded(IN_PLACE[name], annotations={"known": KNOWN}, labels=labels)
    frame = states.frame("last", "h")
    assert (frame["label"] == labels[frame["sequence"], frame["timestep"]]).all()
    assert rnnscope.measure(states, **FEW)["best_correlation"].notna().all()


UNTOLD: dict[str, Callable[[Any], Any]] = {
    "taken": lambda x: keras.ops.take(x, np.arange(12), axis=1),
    "stacked": lambda x: keras.ops.stack(keras.ops.unstack(x, axis=1), axis=1),
    "reshaped": lambda x: keras.ops.reshape(keras.ops.reshape(x, (-1, 36)), (-1, 12, 3)),
    "einsum": lambda x: keras.ops.einsum("btf,ts->bsf", x, np.eye(12, dtype="float32")),
}


@pytest.mark.filterwarnings("ignore:no accuracy and no loss")
@pytest.mark.parametrize("name", UNTOLD)
def test_a_layer_of_untold_timesteps_has_none_and_is_named(name: str) -> None:
    with pytest.warns(UserWarning, match="layer last: the model's graph does not tell of which"):
        states = recorded(UNTOLD[name], annotations={"known": KNOWN})
    assert rnnscope.measure(states, **FEW)["best_correlation"].isna().all()


@pytest.mark.filterwarnings("ignore:no accuracy and no loss")
@pytest.mark.parametrize("known", ["labels", "annotations"])
def test_decoding_says_why_such_a_layer_has_no_rows(known: str, tmp_path: Path) -> None:
    given = {"labels": (KNOWN > 0).astype(int), "annotations": {"known": KNOWN}}[known]
    with pytest.warns(UserWarning, match="it is given none"):
        states = recorded(UNTOLD["taken"], **{known: given})
    written = states.write(tmp_path / "states")
    found = analysed("decoding", composed(tmp_path).decoding, written, tmp_path)
    place = {"labels": "last", "annotations": "last/known"}[known]
    assert list(found["why"]) == [place]
    assert "its timesteps are others" in found["why"][place]
