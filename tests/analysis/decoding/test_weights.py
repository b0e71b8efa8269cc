"""The weights of the decoders: a direction in the space of states, not of standardised ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnnscope import states
from tests.analysis.decoding.test_decoding import OPTIONS, fold_of, noise
from tests.compose import analysed
from tests.recordings import Recording, write

KEYS = ["layer", "signal", "target", "timestep", "label", "unit"]
SCALES = np.array([1.0, 100.0, 0.01, 5.0])
"""Standard deviations of units."""


def weights(folder: Path, recording: Recording) -> tuple[pd.DataFrame, dict[str, Any], Path]:
    """The table, the stage's figures, and the recording's folder."""
    recorded = write(folder / "states", recording)
    figures = analysed("decoding", OPTIONS, recorded, folder)
    return pd.read_parquet(folder / "decoder_weights.parquet"), figures, recorded


def scaled(k: int) -> Recording:
    """Units of unequal scale and mean, of which the first two tell the class."""
    recording = noise(n=200, t=2, u=len(SCALES), k=k)
    assert recording.labels is not None
    for values in recording.signals["lstm"].values():
        values[:, :, :2] += 0.7 * recording.labels[:, np.newaxis, np.newaxis]
        values *= SCALES
        values += 3 * SCALES
    return recording


@pytest.mark.parametrize("k", [2, 3])
def test_along_the_weights_scores_change_as_those_of_scikit_learn(k: int, tmp_path: Path) -> None:
    recording = scaled(k)
    table, figures, recorded = weights(tmp_path, recording)
    assert not table.duplicated(KEYS).any()
    assert len(table) == 2 * 2 * k * len(SCALES)  # no row of h+c
    assert set(table["signal"]) == {"h", "c"}
    assert figures["null"]["decoder_weights"] == {}
    assert recording.labels is not None
    fold = fold_of(states.read_sequences(recorded), OPTIONS)
    one, other = np.random.default_rng(1).normal(size=(2, 10, len(SCALES))) * SCALES
    for (signal, t), rows in table.groupby(["signal", "timestep"], observed=True):
        x = recording.signals["lstm"][str(signal)][:, t].astype(np.float64)
        moved = []
        for each in range(OPTIONS.folds):
            probe = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=1000))
            probe.fit(x[fold != each], recording.labels[fold != each])
            moved.append(probe.decision_function(other) - probe.decision_function(one))
        want = np.mean(moved, axis=0)
        found = (other - one) @ rows["weight"].to_numpy().reshape(k, -1).T
        if k == 2:  # scikit-learn has the difference of both scores
            np.testing.assert_allclose(found[:, 1] - found[:, 0], want, 5e-3, 1e-3)
        else:
            want -= want.mean(axis=1, keepdims=True)
            np.testing.assert_allclose(found, want, 5e-3, 1e-3)
        np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-4)
        assert rows["label"].tolist() == np.repeat(range(k), len(SCALES)).tolist()
        assert rows["unit"].tolist() == k * [*range(len(SCALES))]


def test_of_a_number_the_weights_are_those_it_was_made_of(tmp_path: Path) -> None:
    """Whatever the scale of the units; one that is constant has none."""
    recording = replace(scaled(2), labels=None)
    states_of = recording.signals["lstm"]["c"]
    states_of[..., 3] = 7
    sequence, timestep = np.nonzero(recording.valid)
    made = states_of[..., 0] * 2.0 - 0.03 * states_of[..., 1] + 11
    known = {"sequence": sequence, "timestep": timestep, "value": made[sequence, timestep]}
    recording.steps = pd.DataFrame(known).astype({"value": "float32"})
    table, figures, _ = weights(tmp_path, recording)
    assert table["target"].unique().tolist() == ["value"]
    assert figures["null"]["decoder_weights"] == {"label": {"the target is a number": len(table)}}
    found = table[table["signal"] == "c"].pivot_table("weight", "timestep", "unit")
    assert found.shape == (2, 4)
    for _, row in found.iterrows():
        np.testing.assert_allclose(row[[0, 1]], [2, -0.03], 1e-4)
        assert abs(row[2] * SCALES[2]) < 1e-4
        assert row[3] == 0


def test_patterns_are_how_states_vary_with_what_is_read(tmp_path: Path) -> None:
    """Of two units with one disturbance, one tells the value: the other has a weight alone.

    It is the first example of Haufe et al. (2014).
    """
    recording = replace(noise(n=2000, t=1, u=3, signals="c"), labels=None)
    c = recording.signals["lstm"]["c"]
    value, disturbance = np.random.default_rng(2).normal(size=(2, 2000))
    c[:, 0, 0], c[:, 0, 1] = 5 * value + disturbance, disturbance
    recording.target = value
    table, _, _ = weights(tmp_path, recording)
    rows = table.set_index("unit")
    assert rows.index.tolist() == [0, 1, 2]
    np.testing.assert_allclose(rows["weight"], [0.2, -0.2, 0], atol=1e-4)
    own = [np.cov(c[:, 0, unit], value)[0, 1] / value.var(ddof=1) for unit in range(3)]
    np.testing.assert_allclose(rows["pattern"], own, atol=1e-3)
    np.testing.assert_allclose(own, [5, 0, 0], atol=0.07)


@pytest.mark.parametrize("k", [2, 3])
def test_patterns_of_classes_are_regressions_on_their_scores(k: int, tmp_path: Path) -> None:
    recording = scaled(k)
    table, _, recorded = weights(tmp_path, recording)
    fold = fold_of(states.read_sequences(recorded), OPTIONS)
    x = recording.signals["lstm"]["c"][:, 1].astype(np.float64)
    rows = table[(table["signal"] == "c") & (table["timestep"] == 1)]
    slopes = []
    for each in range(OPTIONS.folds):
        probe = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=1000))
        assert recording.labels is not None
        inside = x[fold != each]
        score = probe.fit(inside, recording.labels[fold != each]).decision_function(inside)
        score = np.stack([-score / 2, score / 2], axis=1) if k == 2 else score
        score = score - score.mean(axis=1, keepdims=True)
        slopes.append([np.linalg.lstsq(with_one(of), inside, rcond=None)[0][0] for of in score.T])
    found = rows["pattern"].to_numpy().reshape(k, -1)
    np.testing.assert_allclose(found, np.mean(slopes, axis=0), 2e-2, 2e-3)


def with_one(score: Any) -> Any:
    return np.stack([score, np.ones_like(score)], axis=1)


def test_of_some_recorded_units_each_weight_has_the_unit_s_own_number(tmp_path: Path) -> None:
    folder = write(tmp_path / "states", noise(n=60, t=1, u=6))
    for path in folder.glob("*/*/part-*.parquet"):
        rows, values = states.read_part(path)
        states.write_part(path, path.parent.name, values[1::2], rows, "lz4", [1, 3, 5])
    analysed("decoding", OPTIONS, folder, tmp_path)
    table = pd.read_parquet(tmp_path / "decoder_weights.parquet")
    assert table["unit"].unique().tolist() == [1, 3, 5]
