"""Layers that read backwards: their final step is the first timestep in input time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnnscope import stages, states
from tests.analysis.decoding.test_decoding import OPTIONS, decoded, noise
from tests.compose import composed
from tests.recordings import write


def backwards(folder: Path, layer: str = "lstm") -> Path:
    """Say of a layer that it reads backwards."""
    for path in folder.glob(f"{layer}/*/part-*.parquet"):
        rows, values = states.read_part(path)
        states.write_part(path, path.parent.name, values, replace(rows, backward=True), "lz4")
    return folder


def test_a_layer_that_reads_backwards_is_read_at_its_first_timestep(tmp_path: Path) -> None:
    recording = noise(n=150, t=4, u=3, signals="c")
    recording.lengths = np.random.default_rng(0).integers(2, 5, 150)
    assert recording.labels is not None
    recording.signals["lstm"]["c"][:, 0, 1] += 6 * recording.labels
    recorded = backwards(write(tmp_path / "states", recording, parts=2))
    (table, few), figures = decoded(tmp_path, recorded)
    assert (few["timestep"] == 0).all()
    assert (few["score"] > 0.95).all()
    assert (table["train_timestep"] >= 0).all()
    final = table[table["shuffled"].notna()]
    assert final[["train_timestep", "test_timestep", "sequences"]].to_numpy().tolist() == [
        [0, 0, 150]
    ]
    assert figures["at_final_step"]["lstm/c"]["score"] == final["score"].item()
    (one, _), _ = decoded(tmp_path, recorded, replace(OPTIONS, max_timesteps=1))
    assert one["train_timestep"].tolist() == [0]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_of_a_bidirectional_network_the_backward_states_are_judged_at_the_first_timestep(
    tmp_path: Path,
) -> None:
    network = ["model.bidirectional=true", "model.units=16", "train.steps=400"]
    network.append("decoding.timesteps=last")
    steps = {
        step.stage.name: step.artefact.folder
        for stage in ("decoding", "units")
        for step in stages.run(composed(tmp_path, f"stage={stage}", *network))
    }
    few = pd.read_parquet(steps["decoding"] / "decoding_units.parquet")
    label = states.read_sequences(steps["extract"])["label"].to_numpy()
    rows = states.read_states(steps["extract"], "h", layer="lstm.backward")
    ends = {t: rows[rows["timestep"] == t].filter(regex=r"^h_\d+").to_numpy() for t in (0, 7)}
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=9000))
    folds_ = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = {t: cross_val_score(model, x, label, cv=folds_).mean() for t, x in ends.items()}
    here = (few["layer"] == "lstm.backward") & (few["signal"] == "h")
    whole = few[here].set_index("units")["score"][16]
    assert whole == pytest.approx(0.83, abs=0.04)
    assert whole == pytest.approx(scores[0], abs=0.03)
    assert scores[7] == pytest.approx(0.496, abs=0.06)
    eta2 = {t: [eta_squared(values, label) for values in x.T] for t, x in ends.items()}
    assert np.mean(eta2[0]) == pytest.approx(0.61, abs=0.02)
    assert np.mean(eta2[7]) == pytest.approx(0.42, abs=0.02)
    units = pd.read_parquet(steps["units"] / "units.parquet")
    found = units[(units["layer"] == "lstm.backward") & (units["signal"] == "h")]["eta2"]
    np.testing.assert_allclose(found, eta2[0], rtol=1e-6)


def eta_squared(values: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """The share of the variance between classes, from scikit-learn's F."""
    (f,), _ = f_classif(values[:, np.newaxis], label)
    between, within = len(np.unique(label)) - 1, len(label) - len(np.unique(label))
    return float(f * between / (f * between + within))
