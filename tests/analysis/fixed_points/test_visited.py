"""States that were visited: drawn alike from any parts, and the nearest of them to a point."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.fixed_points.visited import Nearest, Visited, annotations, drawn, nearest
from rnnscope.states.signals import open_signal

LENGTHS = np.array([3, 5, 1, 5, 2, 4, 6])
LABELS = np.array([0, 1, 0, 1, 2, 2, 1], np.int32)
U = 3


def recorded(folder: Path, parts: int, backward: bool = False) -> Path:
    values = np.random.default_rng(0).normal(size=(2 * U, LENGTHS.sum())).astype(np.float32)
    values[2] = 7  # a unit that never changes
    for part, chosen in enumerate(np.array_split(np.arange(len(LENGTHS)), parts)):
        rows = states.row_keys(int(chosen[0]), LENGTHS[chosen], LABELS[chosen])
        if backward:
            rows = states.RowKeys(rows.sequence, rows.timestep, rows.label, True)
        start = int(LENGTHS[: chosen[0]].sum())
        for number, name in enumerate("hc"):
            cut = values[number * U : (number + 1) * U, start : start + len(rows.sequence)]
            file = states.part_file(folder, "lstm", name, part)
            states.write_part(file, name, np.ascontiguousarray(cut), rows, "lz4")
    sequences = pd.DataFrame({"sequence": np.arange(7), "length": LENGTHS, "label": LABELS})
    sequences.to_parquet(folder / states.SEQUENCES)
    steps = pd.DataFrame(
        {
            "sequence": np.repeat(np.arange(7), LENGTHS).astype(np.int32),
            "timestep": np.concatenate([np.arange(n) for n in LENGTHS]).astype(np.int32),
            "count": np.arange(LENGTHS.sum(), dtype=np.float32),
        }
    )
    steps.loc[4, "count"] = np.nan
    steps.to_parquet(folder / states.STEPS)
    return folder


def visited(folder: Path, sequences: int = 99) -> Visited:
    return Visited(tuple(open_signal(folder, "lstm", name) for name in "hc"), sequences)


def every(folder: Path) -> NDArray[np.float64]:
    return np.concatenate([values for _, _, values in visited(folder).read()])


@pytest.mark.parametrize("parts", [2, 7])
def test_what_is_drawn_does_not_depend_on_parts(tmp_path: Path, parts: int) -> None:
    one, many = recorded(tmp_path / "one", 1), recorded(tmp_path / "many", parts)
    (a, means), (b, others) = (drawn(visited(each), 9, 0.5, 3) for each in (one, many))
    np.testing.assert_array_equal(a, b)
    assert means is not None
    assert others is not None
    np.testing.assert_allclose(means.mean, others.mean, rtol=1e-12)
    points = a[:4]
    for name in ("distance", "sequence", "timestep"):
        found = [getattr(nearest(visited(each), points), name) for each in (one, many)]
        np.testing.assert_array_equal(*found)


def test_starts_are_different_rows_and_noise_has_the_size_of_their_spread(tmp_path: Path) -> None:
    folder = recorded(tmp_path, 3)
    plain, _ = drawn(visited(folder), 20, 0, 1)
    rows = every(folder)
    assert all((rows == each).all(axis=1).any() for each in plain)
    assert len(np.unique(plain, axis=0)) == 20
    noisy, _ = drawn(visited(folder), 20, 0.01, 1)
    ratio = (noisy - plain) / (0.01 * np.where(plain.std(axis=0), plain.std(axis=0), 1))
    assert (ratio[:, 2] == 0).all()
    assert 0.8 < ratio[:, [0, 1, 3, 4, 5]].std() < 1.2
    assert not np.array_equal(drawn(visited(folder), 20, 0, 2)[0], plain)
    assert len(drawn(visited(folder), 1000, 0, 1)[0]) == LENGTHS.sum()


@pytest.mark.parametrize("backward", [False, True])
def test_class_means_are_of_the_final_step_of_the_first_sequences(
    tmp_path: Path, backward: bool
) -> None:
    folder = recorded(tmp_path, 2, backward)
    _, means = drawn(visited(folder, 6), 5, 0, 0)
    assert means is not None
    assert means.label.tolist() == [0, 1, 2]
    rows, ends = every(folder), np.cumsum(LENGTHS)
    final = rows[ends - LENGTHS if backward else ends - 1][:6]
    for label, mean in zip(means.label, means.mean, strict=True):
        np.testing.assert_allclose(mean, final[LABELS[:6] == label].mean(axis=0), rtol=1e-12)


def test_the_nearest_visited_state_is_that_of_all_distances(tmp_path: Path) -> None:
    folder = recorded(tmp_path, 3)
    rows = every(folder)
    points = np.concatenate([rows[[4, 11]], np.random.default_rng(1).normal(size=(5, 2 * U))])
    found = nearest(visited(folder), points)
    distance = np.linalg.norm(points[:, np.newaxis] - rows, axis=2)
    np.testing.assert_allclose(found.distance, distance.min(axis=1), atol=1e-12)
    assert (found.distance[:2] == 0).all()
    row = np.cumsum(LENGTHS)[found.sequence] - LENGTHS[found.sequence] + found.timestep
    np.testing.assert_array_equal(row, distance.argmin(axis=1))
    notes = annotations(folder, "lstm", found)["count"]
    np.testing.assert_array_equal(notes, np.where(row == 4, np.nan, row))
    first = nearest(visited(folder, 2), points)
    np.testing.assert_allclose(first.distance, distance[:, :8].min(axis=1), atol=1e-12)


def test_without_points_nothing_is_near(tmp_path: Path) -> None:
    folder = recorded(tmp_path, 1)
    found = nearest(visited(folder), np.empty((0, 2 * U)))
    assert found.distance.shape == (0,)
    empty = Nearest(np.empty(0), *np.empty((2, 0), np.int32))
    assert annotations(folder, "lstm", empty)["count"].shape == (0,)
