"""Which decoders and which memory of earlier inputs the page shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnscope.report.analyses import _of_class, _score_of, decoding, memory
from rnnscope.report.page import template
from tests.report.test_report import decoded


@pytest.mark.parametrize(
    ("targets", "task", "shown", "said"),
    [
        (["label", "depth"], "classification", "label", "accuracy"),
        (["depth", "target"], "regression", "target", "R²"),
        (["target_0", "target_1", "memory"], "regression", "target_0", "R² of target_0"),
    ],
)
def test_decoders_of_what_the_network_is_trained_for_are_shown(
    targets: list[str], task: str, shown: str, said: str
) -> None:
    rows = _of_class(pd.DataFrame({"target": targets, "task": task}))
    assert rows["target"].tolist() == [shown]
    assert _score_of(rows) == said


def test_of_annotations_alone_none_are_shown() -> None:
    assert not len(_of_class(pd.DataFrame({"target": ["depth"], "task": "regression"})))


def written(folder: Path, features: int, constant: int) -> Path:
    """Tables of memory of so many features of the input, of which the last few do not vary."""
    lags = pd.DataFrame({"lag": [0, 1, 2]})
    rows = pd.DataFrame({"layer": "rnn", "signal": "h", "feature": range(features)})
    varies = rows["feature"] < features - constant
    sums = rows.assign(units=4, capacity=1.0, shuffled=0.0, from_input=0.5)
    sums.loc[~varies, ["capacity", "shuffled", "from_input"]] = np.nan
    sums.to_parquet(folder / "memory_capacity.parquet")
    table = rows.merge(lags, how="cross").assign(sequences=30, from_input=0.0, shuffled=0.0)
    r2 = np.where(table["feature"] < features - constant, 0.25, np.nan)
    table.assign(r2=r2, r2_low=r2, r2_high=r2).to_parquet(folder / "memory.parquet")
    return folder


@pytest.mark.parametrize(
    ("features", "constant", "of", "said"),
    [
        (1, 0, 1, ""),
        (3, 0, 3, "3 features"),
        (3, 1, 3, "2 of 3 features (constant: 1)"),
        (64, 0, 784, "64 of 784 features (measured: 64, evenly spread)"),
        (64, 4, 784, "60 of 784 features (measured: 64, evenly spread; constant: 4)"),
    ],
)
def test_a_capacity_says_over_how_many_features_of_how_many_it_is(
    features: int, constant: int, of: int, said: str, tmp_path: Path
) -> None:
    noted = {"input_features": of, "one_hot": False, "why": {}}
    (layer,) = memory(written(tmp_path, features, constant), {"memory": noted})["layers"]
    assert layer["over"] == said
    assert layer["capacities"][0]["capacity"] == features - constant


def test_of_symbols_no_capacity_is_shown(tmp_path: Path) -> None:
    noted = {"input_features": 65, "one_hot": True, "why": {}}
    found = memory(written(tmp_path, 64, 0), {"memory": noted})
    assert found == {"layers": [], "why": "", "symbols": 65}
    sections = template().environment
    given: dict[str, Any] = {"decoding": {"layers": [], "why": ""}, "effects": [], "memory": found}
    given["changes"] = None
    page = sections.get_template("sections/decoding.html.j2").render(**given)
    assert "the input is one-hot, one of 65 symbols" in page
    assert "<table" not in page


def test_a_map_lies_below_its_timesteps_of_the_scores(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "made")  # at timesteps 0 and 1
    (plain,) = decoding(folder, {})["layers"]
    assert plain["axis"] is None
    layer = plain["layer"]
    wide, half, far = (decoding(folder, {}, {layer: t})["layers"][0]["axis"] for t in (2, 1, 40))
    assert 0 < wide["left"] < wide["left"] + wide["width"] < 100
    assert half == {"left": wide["left"], "width": pytest.approx(wide["width"] / 2, abs=1e-3)}
    assert far == wide
    alone = decoded(tmp_path / "last", train_timestep=-1, test_timestep=-1)
    (final,) = decoding(alone, {}, {layer: 2})["layers"]
    assert final["axis"] == {"left": 0, "width": 100}
