"""Task variance, from units of which is known in which tasks they vary."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from rnnscope.analysis.units import tasks
from tests.analysis.units.test_units import OPTIONS, all_tables, assert_counted
from tests.recordings import Recording

N, T = 80, 9
SERVE = ((0, 1), (0,), (2,))
"""The phases in which the units of each kind vary."""


def phased(u: int = 4, seed: int = 0, lengths: bool = False) -> Recording:
    """Phases 5, 6, 8 of three timesteps each; of each kind u units that vary in some of them."""
    random = np.random.default_rng(seed)
    phase = np.repeat([0, 1, 2], 3)
    values = 5 + np.sin(np.arange(T))[:, np.newaxis] * np.ones(u * len(SERVE))
    values = np.tile(values, (N, 1, 1))
    for kind, serves in enumerate(SERVE):
        here = np.isin(phase, serves)[:, np.newaxis] & (np.arange(u * len(SERVE)) // u == kind)
        values[:, here] += 0.5 * random.normal(size=(N, here.sum()))
    steps = pd.DataFrame({"sequence": np.repeat(np.arange(N), T), "timestep": np.tile(range(T), N)})
    steps["phase"] = np.tile(np.array([5.0, 6.0, 8.0])[phase], N)
    steps["many"] = np.arange(len(steps))
    steps["half"] = 0.5 * (steps["timestep"] % 2)
    reach = random.integers(2, T + 1, N) if lengths else np.full(N, T)
    steps = steps[steps["timestep"] < reach[steps["sequence"]]]
    made = {"lstm": {"h": values.astype(np.float32)}}
    return Recording(made, reach, steps=steps.astype({"sequence": "int32", "timestep": "int32"}))


def test_units_vary_in_the_tasks_that_they_serve(tmp_path: Path) -> None:
    tables, figures = all_tables(tmp_path, phased())
    table = tables["task_variance"]
    assert_counted(tables, figures)
    assert figures["tasks"] == {"phase": [5, 6, 8]}
    assert table["task_of"].unique().tolist() == ["phase"]
    assert table["task"].tolist() == [5, 6, 8] * 12
    assert (table["sequences"] == N).all()
    known = np.array([[p in serves for p in range(3)] for serves in SERVE for _ in range(4)])
    np.testing.assert_allclose(table["variance"], 0.25 * known.ravel(), atol=0.05)
    assert (table["variance"][~known.ravel()] == 0).all()
    relative = table["relative"].to_numpy().reshape(12, 3)
    assert (relative.max(axis=1) == 1).all()
    of_unit = table.groupby("unit")["cluster"].first()
    assert adjusted_rand_score(of_unit.tolist(), np.repeat([0, 1, 2], 4)) == 1


def test_it_is_the_mean_over_time_of_the_variance_over_sequences(tmp_path: Path) -> None:
    recording = phased(2, lengths=True)
    table = all_tables(tmp_path / "whole", recording)[0]["task_variance"]
    values = recording.signals["lstm"]["h"].astype(np.float64)
    for row in table.to_dict("records"):
        variance, weight = [], []
        for t in {5: (0, 1, 2), 6: (3, 4, 5), 8: (6, 7, 8)}[row["task"]]:
            there = values[recording.lengths > t, t, row["unit"]]
            variance.append(there.var(ddof=1))
            weight.append(len(there) - 1)
        assert row["variance"] == pytest.approx(np.average(variance, weights=weight), abs=1e-10)
    parts = all_tables(
        tmp_path / "parts", recording, replace(OPTIONS, memory_mb=1), parts=7, seed=1
    )
    pd.testing.assert_frame_equal(parts[0]["task_variance"], table, rtol=1e-10, atol=1e-10)


def test_classes_are_tasks_and_a_single_one_is_none(tmp_path: Path) -> None:
    recording = phased(1)
    labels = np.arange(N) % 2
    values = recording.signals["lstm"]["h"].copy()
    values[labels == 1] = 3
    made = replace(recording, signals={"lstm": {"h": values}}, labels=labels.astype(np.int32), k=3)
    table = all_tables(tmp_path / "two", replace(made, steps=None))[0]["task_variance"]
    assert table["task_of"].unique().tolist() == ["label"]
    assert table["task"].tolist() == [0, 1] * 3
    of = table.set_index("task")["variance"]
    np.testing.assert_allclose(of[0], [0.25 * 6 / 9, 0.25 / 3, 0.25 / 3], atol=0.04)
    assert (of[1] == 0).all()
    alone = replace(made, labels=np.zeros(N, np.int32), steps=None)
    tables, figures = all_tables(tmp_path / "one", alone)
    assert len(tables["task_variance"]) == 0
    assert_counted(tables, figures)


def test_tasks_of_a_single_sequence_and_units_that_never_vary_are_null(tmp_path: Path) -> None:
    recording = phased(1)
    labels = np.append(np.zeros(N - 1), 2).astype(np.int32)
    values = recording.signals["lstm"]["h"].copy()
    values[..., 0] = 1e6
    made = replace(recording, signals={"lstm": {"h": values}}, labels=labels, k=3, steps=None)
    tables, figures = all_tables(tmp_path, made)
    assert_counted(tables, figures)
    table = tables["task_variance"]
    assert table["task"].tolist() == [0, 2] * 3
    assert table["variance"].isna().tolist() == [False, True] * 3
    assert table["relative"].isna().tolist() == [True, True, False, True, False, True]
    assert table["cluster"].isna().all()  # a single task tells no units apart


def test_clusters_are_those_that_were_planted() -> None:
    random = np.random.default_rng(0)
    centres = np.eye(4)[random.integers(0, 4, 60)]
    relative = np.clip(centres + 0.05 * random.normal(size=(60, 4)), 0, 1).T
    relative[:, 5] = np.nan
    found = tasks.clusters(relative, np.nan_to_num(relative), 1e-8)
    there = np.arange(60) != 5
    assert found[5] == tasks.NONE
    assert adjusted_rand_score(found[there], centres.argmax(axis=1)[there]) == 1
    assert np.bincount(found[there]).tolist() == sorted(np.bincount(found[there]), reverse=True)
    assert (tasks.clusters(np.ones((3, 8)), np.ones((3, 8)), 0) == tasks.NONE).all()


def test_annotations_past_whole_numbers_tell_no_tasks(tmp_path: Path) -> None:
    """1e20 and its like are floats that count nothing, and fit no integer."""
    folder = tmp_path / "extract"
    folder.mkdir()
    huge = np.repeat([1e20, 2e20, 3e20], 4)
    frame = pd.DataFrame({"sequence": range(12), "timestep": 0, "huge": huge, "few": huge / 1e20})
    frame.to_parquet(folder / "steps.parquet")
    assert {
        name: each.tolist() for name, each in tasks.values_of(folder, ["huge", "few"]).items()
    } == {"few": [1, 2, 3]}
