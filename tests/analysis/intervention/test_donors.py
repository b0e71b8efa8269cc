"""From which sequences stage intervention draws donors, of what a model reads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnscope import data
from rnnscope.analysis.intervention.gathering import donors_of
from rnnscope.data import Dataset, Split
from tests.analysis.intervention import held
from tests.analysis.intervention.held import CLASSES, COUNT, FEATURES, TIMESTEPS, UNITS
from tests.compose import composed

pytestmark = pytest.mark.tensorflow


def test_donors_are_of_another_source_of_the_data() -> None:
    """Named by texts, as data.groups may be."""
    options = composed(Path(), "stage=intervention").intervention
    labels = (np.arange(60) % 3).astype(np.int32)
    groups = np.array(list("abcde"))[np.arange(60) // 12]
    x = np.zeros((60, TIMESTEPS, FEATURES), np.float32)
    for y in (labels, None):
        found = donors_of(options, Split(x, y, groups=groups), 60)
        for donors in found.values():
            assert (groups[donors] != groups).all()


@pytest.mark.parametrize("front", [False, True])
def test_donors_are_as_long_as_what_a_masking_layer_leaves(front: bool, tmp_path: Path) -> None:
    """Every sequence that has a donor has one that the model reads as long, and is counted."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    h = keras.layers.LSTM(UNITS, name="r")(keras.layers.Masking()(x))
    model = held.drawn(keras.Model(x, keras.layers.Dense(CLASSES)(h)))
    given, lengths = held.arrays(), np.arange(COUNT) % TIMESTEPS + 1
    time = np.arange(TIMESTEPS)[::-1] if front else np.arange(TIMESTEPS)
    for name in ("x_test", "x_train"):
        given[name] = given[name] * (time < lengths[:, np.newaxis])[..., np.newaxis]
    at = TIMESTEPS - 1 if front else 0
    table, figures = held.run(
        tmp_path,
        model,
        given,
        "intervention.methods=[patch]",
        "intervention.states=[h]",
        "intervention.units=[0]",
        f"intervention.windows=[{at}:{at + 1},0:{TIMESTEPS}]",
    )
    labels = given["y_test"]
    for name, rows in table.groupby("method", observed=True):
        same = name == "patch_same"
        fits = (labels == labels[:, np.newaxis]) == same
        fits &= (lengths >= lengths[:, np.newaxis]) & ~np.eye(COUNT, dtype=bool)
        assert 0 < fits.any(axis=1).sum() < COUNT if same else fits.any(axis=1).sum() > COUNT / 2
        assert rows["sequences"].tolist() == [fits.any(axis=1).sum()] * 2
        assert figures["donors"][name] == fits.any(axis=1).sum()


def test_of_classes_of_timesteps_the_control_is_not_said_to_lack_classes(tmp_path: Path) -> None:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    h = keras.layers.SimpleRNN(UNITS, return_sequences=True, name="r")(x)
    model = held.drawn(keras.Model(x, keras.layers.Dense(CLASSES)(h)))
    given = held.arrays()
    y = np.random.default_rng(2).integers(0, CLASSES, (COUNT, TIMESTEPS)).astype(np.int32)
    _, figures = held.run(
        tmp_path,
        model,
        given | {"y_test": y, "y_train": y},
        "intervention.methods=[patch]",
        "intervention.units=[0]",
        "intervention.windows=[1:2]",
    )
    why = "classes are of timesteps, not of whole sequences"
    assert figures["left_out"] == {"patch_same": why}


def test_sequences_of_the_same_source_are_left_out_in_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all of a class are of one source, its control has to come from it."""
    model, given, load = held.network(keras.layers.GRU(UNITS, name="r")), held.arrays(), data.load

    def loaded(*asked: Any) -> Dataset:
        found = load(*asked)
        return replace(found, test=replace(found.test, groups=np.asarray(given["y_test"])))

    monkeypatch.setattr(data, "load", loaded)
    options = ("intervention.methods=[patch]", "intervention.windows=[1:2]")
    _, figures = held.run(tmp_path, model, given, *options, "intervention.units=[0]")
    assert figures["donors"] == {"patch": COUNT, "patch_same": COUNT}
    assert figures["left_out"] == {}
