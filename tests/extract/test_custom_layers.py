"""The user's own layers that raise, through the whole of extract: one line, with the place."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from rnnscope import stages
from rnnscope.errors import UserError
from rnnscope.models import custom
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

RAISING = {
    "called": "call(self, x)",
    "built": "build(self, shape)",
    "made": "__init__(self, **kwargs)",
    "read": "from_config(cls, config)",
}
"""The method that raises, by when."""


class Plain(keras.layers.Layer):
    """What the model is saved with."""

    def call(self, x: object) -> object:
        return x


Plain.__module__, Plain.__name__, Plain.__qualname__ = "ownlayer", "Own", "Own"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    custom._FINDER.known.clear()
    sys.modules.pop("ownlayer", None)


@pytest.mark.parametrize("case", RAISING)
def test_a_layer_that_raises_is_one_line(here: Path, case: str) -> None:
    (here / "ownlayer.py").write_text(
        "import keras\n\n\nclass Own(keras.layers.Layer):\n"
        + ("    @classmethod\n" if case == "read" else "    # no more than this\n")
        + f"    def {RAISING[case]}:\n        raise KeyError('no\\nkey')\n"
        + "    def compute_output_shape(self, shape):\n        return shape\n"
    )
    given = keras.Input((5, 3))
    model = keras.Model(given, keras.layers.LSTM(2)(Plain()(given)))
    model.save(here / "mine.keras")
    np.savez(here / "data.npz", x_test=np.random.default_rng(0).normal(size=(4, 5, 3)))
    words = ["data=files", f"data.path={here / 'data.npz'}", "model=file"]
    own = [f"model.path={here / 'mine.keras'}", "model.custom_objects=ownlayer"]
    with pytest.raises(UserError) as caught:
        stages.run(composed(here / "root", "stage=extract", *words, *own))
    said = str(caught.value)
    assert re.fullmatch(
        r"model\.custom_objects.*: KeyError: .*no.*key.*, ownlayer\.py line 7", said
    )
    assert not list((here / "root").rglob("_manifest.json"))
