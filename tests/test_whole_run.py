"""One run from end to end: what the stages leave behind, and that it hangs together."""

import json
from pathlib import Path

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
