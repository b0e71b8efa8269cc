"""Whole runs on each form of what is known: labels or numbers of timesteps, numbers, nothing."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from rnnscope import stages
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

N, T = 90, 6


def written(folder: Path, form: str) -> list[str]:
    """Random sequences with labels or targets, and the overrides that select them."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2, N, T, 2)).astype(np.float32)
    lengths = random.integers(2, T + 1, (2, N))
    sums = x[..., 0].cumsum(axis=2)
    y = {
        "classes of timesteps": (sums > 0).astype(np.int32),
        "numbers of timesteps": sums,
        "numbers": sums[:, :, -1],
    }.get(form)
    arrays: dict[str, NDArray[Any]] = {"x": x, "lengths": lengths, "depth": sums}
    arrays |= {} if y is None else {"y": y}
    named = {
        f"{name}_{split}": values[number]
        for name, values in arrays.items()
        for number, split in enumerate(("train", "test"))
    }
    np.savez(folder / "mine.npz", **named)
    words = ["data=files", f"data.path={folder / 'mine.npz'}", "data.annotations=[depth]"]
    return [*words, "data.labels=timestep"] if "timesteps" in form else words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "fact"),
    [
        ("classes of timesteps", "of timesteps, mean over sequences"),
        ("numbers of timesteps", "mean squared error"),
        ("numbers", "mean squared error"),
        ("nothing", "Test set"),
    ],
)
def test_a_whole_run_ends_with_a_page_that_says_what_was_measured(
    form: str, fact: str, tmp_path: Path
) -> None:
    words = written(tmp_path, form)
    if form == "nothing":  # is not trained on
        x = keras.Input((None, 2))
        y = keras.layers.LSTM(4)(keras.layers.Masking()(x))
        keras.Model(x, y).save(tmp_path / "mine.keras")
        words += ["model=file", f"model.path={tmp_path / 'mine.keras'}"]
    else:
        words += ["model.units=4", "train.steps=5"]
    words += ["decoding.folds=2", "decoding.max_timesteps=2", "units.permutations=20"]
    report = stages.run(composed(tmp_path / "outputs", *words))[-1].artefact.folder
    page = (report / "report.html").read_text()
    assert fact in page
    assert ("cross-entropy" in page) == (form == "classes of timesteps")
