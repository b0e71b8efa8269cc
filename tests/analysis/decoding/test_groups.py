"""Folds of whole groups: what follows the source alone is not decoded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import stages, states
from rnnscope.analysis.decoding import gathering
from tests.analysis.decoding.test_decoding import OPTIONS, decoded
from tests.compose import composed
from tests.recordings import Recording, write


def of_sources(seed: int) -> tuple[Recording, NDArray[np.intp]]:
    """States that tell the source of a sequence, and labels that follow the source alone."""
    random = np.random.default_rng(seed)
    source = np.repeat(np.arange(24), 10)
    labels = random.permutation(np.arange(24) % 2)[source].astype(np.int32)
    marks = 2 * random.normal(size=(24, 40))[source, np.newaxis]
    states_ = (marks + random.normal(size=(240, 1, 40))).astype(np.float32)
    return Recording({"lstm": {"c": states_}}, np.full(240, 1), labels, 2), source


def grouped(folder: Path, source: NDArray[np.intp]) -> Path:
    """Give each sequence its source [N], as stage extract does of data.groups."""
    path = folder / states.SEQUENCES
    names = [f"patient {number}" for number in source]
    pd.read_parquet(path).assign(group=names).to_parquet(path, index=False)
    return folder


def test_labels_that_follow_the_source_are_decoded_without_groups_and_not_with_them(
    tmp_path: Path,
) -> None:
    without, among = [], []
    for seed in range(6):
        recording, source = of_sources(seed)
        recorded = write(tmp_path / str(seed), recording)
        (plain, _), _ = decoded(tmp_path, recorded)
        (whole, few), _ = decoded(tmp_path, grouped(recorded, source))
        without.append(plain.iloc[0])
        among.append(whole.iloc[0])
        assert few["score"].iloc[-1] == whole["score"].iloc[0]
    assert all(row["above_chance_low"] > 0.2 for row in without)
    assert all(row["p_value"] == 1 / 21 for row in without)
    assert abs(np.mean([row["above_chance"] for row in among])) < 0.12
    assert sum(row["above_chance_low"] > 0 for row in among) <= 1
    assert np.mean([row["p_value"] for row in among]) > 0.15


def test_folds_of_drawn_sequences_hold_whole_groups(tmp_path: Path) -> None:
    recording, source = of_sources(0)
    recorded = grouped(
        write(tmp_path / "states", recording), np.random.default_rng(0).permutation(source)
    )
    sequences = states.read_sequences(recorded)
    chosen = gathering.drawn(
        sequences, states.sources(recorded), replace(OPTIONS, max_sequences=150)
    )
    assert len(chosen) == 150
    names = sequences["group"].to_numpy()[chosen["sequence"]]
    pairs = chosen.assign(name=names).drop_duplicates(["name", "source", "fold"])
    assert len(pairs) == len(set(names)) == 24


def test_fewer_groups_than_folds_give_no_row_and_a_reason(tmp_path: Path) -> None:
    recording, _ = of_sources(0)
    recorded = grouped(write(tmp_path / "states", recording), np.arange(240) // 80)
    (table, _), figures = decoded(tmp_path, recorded)
    assert len(table) == 0
    assert "4 folds of whole groups" in figures["why"]["lstm"]


@pytest.mark.tensorflow
def test_groups_of_a_file_reach_the_folds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "sequence": np.repeat(np.arange(90), 4),
            "timestep": np.tile(np.arange(4), 90),
            "value": random.normal(size=360),
            "label": np.repeat(np.arange(90) % 2, 4),
            "patient": np.repeat([f"p{number % 12:02d}" for number in range(90)], 4),
        }
    )
    frame.to_csv(tmp_path / "mine.csv", index=False)
    config = composed(
        tmp_path,
        "stage=decoding",
        "data=files",
        f"data.path={tmp_path / 'mine.csv'}",
        "data.groups=patient",
        "data.test_fraction=0.5",
        "model.units=4",
        "train.steps=0",
        "extract.part_rows=20",
        "decoding.folds=3",
    )
    steps = {step.stage.name: step.artefact.folder for step in stages.run(config)}
    sequences = states.read_sequences(steps["extract"])
    assert sequences.columns[:4].tolist() == ["sequence", "id", "group", "length"]
    expected = [f"p{int(name) % 12:02d}" for name in sequences["id"]]
    assert sequences["group"].tolist() == expected
    assert sequences["group"].nunique() == 6  # of 12, whole ones
    number = states.sources(steps["extract"])
    assert len(set(zip(number, expected, strict=True))) == len(set(number)) == 6
    table = pd.read_parquet(steps["decoding"] / "decoding.parquet")
    assert (table["sequences"] == len(sequences)).all()
