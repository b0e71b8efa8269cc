"""One run from end to end: what the stages leave behind, and that it hangs together."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnscope import read_sequences, read_states, stages
from rnnscope.stages import STAGES
from rnnscope.store import MANIFEST
from tests.compose import FINISHED, OF_THE_PAGE, composed

pytestmark = pytest.mark.tensorflow

SEQUENCES, TIMESTEPS, UNITS = 36, 8, 4
"""Of the test set, of digits and of the model, in ``FINISHED``."""


@pytest.fixture
def latest(finished_root: Path) -> Path:
    return finished_root / "latest"


def test_states_have_a_row_for_every_sequence_and_timestep(latest: Path) -> None:
    for signal in "hcifog":
        found = pd.read_parquet(latest / "extract" / "lstm" / signal)
        assert found.shape == (SEQUENCES * TIMESTEPS, 3 + UNITS)
        np.testing.assert_array_equal(found["sequence"], np.repeat(range(SEQUENCES), TIMESTEPS))
        np.testing.assert_array_equal(found["timestep"], np.tile(range(TIMESTEPS), SEQUENCES))
    assert len(read_sequences(latest / "extract")) == SEQUENCES


def test_every_unit_of_every_signal_has_a_row_with_its_own_mean(latest: Path) -> None:
    units = pd.read_parquet(latest / "units" / "units.parquet").set_index(["signal", "unit"])
    assert len(units) == 6 * UNITS
    c = read_states(latest / "extract", "c")
    for unit in range(UNITS):
        assert units.loc[("c", unit), "mean"] == pytest.approx(c[f"c_{unit:03d}"].mean(), rel=1e-5)


def test_the_page_stands_alone(latest: Path) -> None:
    assert (latest / "report" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("stage", OF_THE_PAGE)
def test_a_manifest_says_where_a_number_came_from(latest: Path, stage: str) -> None:
    manifest = json.loads((latest / stage / MANIFEST).read_text())
    assert manifest["stage"] == stage
    wanted = {"key", "upstream", "slice", "packages", "git_commit", "git_dirty", "host"}
    wanted |= {"seconds", "peak_memory_bytes", "bytes", "headline"}
    assert wanted <= set(manifest)
    assert set(manifest["upstream"]) == set(STAGES[stage].needs)
    for name, key in manifest["upstream"].items():
        assert json.loads((latest / name / MANIFEST).read_text())["key"] == key
    assert manifest["packages"]["tensorflow"]


def test_every_stage_is_up_to_date(finished_root: Path) -> None:
    for step in stages.chain(composed(finished_root, *FINISHED)):
        assert step.artefact.finished
        assert (finished_root / "latest" / step.stage.name).resolve() == step.artefact.folder


@pytest.mark.slow
def test_several_targets_of_timesteps_of_unequal_sequences_go_through_every_stage(
    tmp_path: Path,
) -> None:
    """Two bits that are to be held, from a file: what lies beyond sequences counts nowhere."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 60), ("test", 40)):
        x = random.choice([-1, 0, 1], (count, 9, 2)).astype(np.float32)
        y = x.copy()
        for t in range(1, 9):
            y[:, t] = np.where(x[:, t] == 0, y[:, t - 1], x[:, t])
        lengths = random.integers(3, 10, count)
        beyond = np.arange(9) >= lengths[:, np.newaxis]
        x[beyond] = y[beyond] = 1000
        arrays |= {f"x_{part}": x, f"y_{part}": y, f"lengths_{part}": lengths}
    np.savez(tmp_path / "bits.npz", **arrays)
    few = (
        *("model=gru", "model.units=3", "train.steps=4", "units.permutations=20"),
        *("decoding.folds=2", "decoding.memory_lags=2", "fixed_points.starts=8"),
    )
    made = stages.run(
        composed(tmp_path / "root", "data=files", f"data.path={tmp_path / 'bits.npz'}", *few)
    )
    folders = {step.stage.name: step.artefact.folder for step in made}
    assert list(folders) == OF_THE_PAGE

    def table(stage: str, name: str) -> pd.DataFrame:
        return pd.read_parquet(folders[stage] / f"{name}.parquet")

    lengths, y = arrays["lengths_test"], arrays["y_test"]
    valid = np.arange(9) < lengths[:, np.newaxis]
    steps, sequences = table("extract", "steps"), table("extract", "sequences")
    targets, predictions = (
        [f"{name}_{bit}" for bit in (0, 1)] for name in ("target", "prediction")
    )
    np.testing.assert_array_equal(steps[targets], y[valid])
    error = ((steps[predictions].to_numpy() - y[valid]) ** 2).mean(axis=1)
    np.testing.assert_allclose(steps["loss"], error, rtol=1e-4)
    of_sequences = pd.Series(error).groupby(steps["sequence"].to_numpy()).mean()
    np.testing.assert_allclose(sequences["loss"], of_sequences, rtol=1e-4)

    assert set(table("units", "units")["count"]) == {lengths.sum()}
    scores = table("decoding", "decoding")
    assert set(targets) <= set(scores["target"])
    at_last = scores[scores["test_timestep"] >= 0].groupby("test_timestep")["sequences"].first()
    assert all(count == (lengths > t).sum() for t, count in at_last.items())
    assert table("decoding", "memory")["feature"].unique().tolist() == [0, 1]
    clamped = table("ablation", "ablation")
    whole = clamped["loss"] - clamped["loss_change"]
    np.testing.assert_allclose(whole, of_sequences.mean(), rtol=1e-4)
    points = table("fixed_points", "fixed_points")
    assert len(points)
    assert (points["visited_timestep"] < lengths[points["visited_sequence"]]).all()
    assert points["nearest_class"].isna().all()
    assert points[[f"nearest_{target}" for target in targets]].isin([-1, 0, 1]).all(axis=None)
    assert "R² of target_0" in (folders["report"] / "report.html").read_text("utf-8")
