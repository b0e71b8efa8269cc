"""Windows, donors, targets and what is summed: the parts that need no model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from rnnscope.analysis.intervention import donors as drawing
from rnnscope.analysis.intervention import levels, ratios
from rnnscope.analysis.intervention.donors import NONE, any_other, donors
from rnnscope.analysis.intervention.first_order import products
from rnnscope.analysis.intervention.plan import blocks
from rnnscope.analysis.intervention.targets import Target, chunks, directions_of, targets
from rnnscope.analysis.intervention.windows import Window, windows
from rnnscope.config import Intervention
from rnnscope.errors import UserError
from tests.compose import composed


def options(*overrides: str) -> Intervention:
    return composed(Path(), "stage=intervention", *overrides).intervention


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["each"], [(0, 1), (1, 2), (2, 3)]),
        (["onward"], [(0, 3), (1, 3), (2, 3)]),
        (["sliding:2"], [(0, 2), (1, 3)]),
        (["1:3"], [(1, 3)]),
        (["each", "1:2", "0:3", "onward"], [(0, 1), (0, 3), (1, 2), (1, 3), (2, 3)]),
    ],
)
def test_windows_are_those_asked_for_each_once(asked: list[str], found: Any) -> None:
    assert windows(asked, 3) == [Window(*each) for each in found]


@pytest.mark.parametrize("asked", ["2:4", "3:4", "2:2", "sliding:4"])
def test_windows_that_do_not_fit_are_refused(asked: str) -> None:
    with pytest.raises(UserError, match=f"windows={asked}: .*there are 3 timesteps"):
        windows([asked], 3)


@pytest.mark.parametrize("same", [True, False])
def test_a_donor_is_another_sequence_of_the_class_and_at_least_as_long(same: bool) -> None:
    random = np.random.default_rng(0)
    classes, lengths = random.integers(0, 4, 200), random.integers(1, 9, 200)
    found = donors(classes, lengths, random, same=same)
    there = np.flatnonzero(found != NONE)
    assert len(there) > 150
    assert (found[there] != there).all()
    assert ((classes[found[there]] == classes[there]) == same).all()
    assert (lengths[found[there]] >= lengths[there]).all()
    for number in np.flatnonzero(found == NONE):
        fits = (classes == classes[number]) == same
        fits &= (lengths >= lengths[number]) & (np.arange(200) != number)
        assert not fits.any()


@pytest.mark.parametrize("same", [True, False])
def test_donors_are_drawn_evenly(same: bool) -> None:
    random, classes = np.random.default_rng(1), np.array([0, 0, 0, 0, 1, 1, 1])
    lengths = np.full(7, 3)
    drawn = np.array([donors(classes, lengths, random, same=same)[1] for _ in range(3_000)])
    fit = [0, 2, 3] if same else [4, 5, 6]
    counts = [(drawn == each).sum() for each in fit]
    assert sum(counts) == 3_000
    assert scipy.stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("same", [True, False])
def test_a_donor_is_of_another_source_where_one_fits(same: bool) -> None:
    random = np.random.default_rng(7)
    classes, lengths = random.integers(0, 3, 150), random.integers(1, 5, 150)
    sources = random.integers(0, 4, 150)
    found = donors(classes, lengths, random, same=same, sources=sources)
    some = 0
    for number, donor in enumerate(found):
        fits = (classes == classes[number]) == same
        fits &= (lengths >= lengths[number]) & (np.arange(150) != number)
        others = fits & (sources != sources[number])
        wanted = others if others.any() else fits
        assert wanted[donor] if wanted.any() else donor == NONE
        some += others.any()
    assert some > 130


def test_donors_of_other_sources_are_drawn_evenly() -> None:
    random = np.random.default_rng(8)
    classes, sources = np.zeros(9, int), np.array([2, 0, 1, 0, 2, 0, 1, 3, 3])
    lengths = np.array([3, 3, 3, 3, 3, 3, 2, 3, 3])
    drawn = np.array(
        [donors(classes, lengths, random, same=True, sources=sources)[1] for _ in range(3_000)]
    )
    counts = [(drawn == each).sum() for each in (0, 2, 4, 7, 8)]
    assert sum(counts) == 3_000
    assert scipy.stats.chisquare(counts).pvalue > 0.001


def test_of_one_source_a_donor_is_another_sequence_of_it() -> None:
    one, random = np.zeros(5, int), np.random.default_rng(9)
    found = any_other(np.full(5, 3), random, one)
    assert (found != NONE).all()
    assert (found != np.arange(5)).all()


def test_without_another_class_or_sequence_there_is_no_donor() -> None:
    random, one = np.random.default_rng(0), np.zeros(4, np.int64)
    assert (donors(one, np.full(4, 2), random, same=False) == NONE).all()
    assert (donors(np.arange(4), np.full(4, 2), random, same=True) == NONE).all()
    found = any_other(np.array([5, 4, 3]), random)
    assert found[0] == NONE
    assert found[1] == 0
    assert found[2] in (0, 1)
    assert drawing.NONE < 0


def test_targets_are_units_sets_of_them_and_directions(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", [[3, 0, 4], [0, 2, 0]])
    asked = options(
        "intervention.units=[2,0]",
        "intervention.groups=[0+1,2]",
        f"intervention.directions_path={tmp_path / 'd.npy'}",
    )
    found = targets(asked, 3, directions_of(asked))
    assert [each.name for each in found] == ["0", "2", "0+1", "direction 0", "direction 1"]
    assert [each.unit for each in found] == [0, 2, None, None, None]
    np.testing.assert_allclose(found[3].along, [0.6, 0, 0.8])
    np.testing.assert_array_equal(found[2].along, [True, True, False])
    assert [len(some) for some in chunks(found, 2)] == [2, 1, 2]
    assert [each.name for each in targets(asked, 2, directions_of(asked))] == ["0", "0+1"]


@pytest.mark.parametrize("scale", [1e200, 1e-200, 5e307])
def test_the_length_of_a_direction_does_not_matter(scale: float, tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.array([[3.0, 0.0, 4.0], [0.0, -2.0, 0.0]]) / 4 * scale)
    found = directions_of(options(f"intervention.directions_path={tmp_path / 'd.npy'}"))
    assert found is not None
    np.testing.assert_allclose(found, [[0.6, 0.0, 0.8], [0.0, -1.0, 0.0]])


@pytest.mark.parametrize("values", [[1.0, 2.0], [[0.0, 0.0]], [[np.nan, 1.0]]])
def test_a_file_of_something_else_than_directions_is_refused(values: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", values)
    with pytest.raises(UserError, match=r"directions_path=.*d\.npy: "):
        directions_of(options(f"intervention.directions_path={tmp_path / 'd.npy'}"))


def test_rows_are_numbered_as_passes_have_them() -> None:
    some = [Target(str(unit), np.arange(3) == unit) for unit in range(3)]
    planned = blocks(
        {"a": ["h", "c"]},
        ["zero", "mean"],
        {("a", "h"): some, ("a", "c"): some},
        {"a": [Window(0, 1), Window(1, 3)]},
    )
    rows = [row for block in planned for row in block.rows()]
    assert len(rows) == 2 * 2 * 3 * 2
    for block in planned:
        for job in block.jobs(2):
            for place, target in enumerate(job.targets):
                row = rows[job.first + place]
                assert (row.target, row.window, row.method) == (target, job.window, block.method)
                assert (row.layer, row.state) == (block.place, block.state)


def test_means_are_by_timestep_and_deviations_over_all_rows() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(4, 30, 3)) * [1, 2, 3] + 5
    valid = np.arange(4) < random.integers(1, 5, 30)[:, np.newaxis]
    direction = np.array([0.6, 0.0, 0.8])
    some = [Target("1", np.arange(3) == 1), Target("direction 0", direction)]
    parts = [levels.levels(values[:, a:b], valid[a:b], some) for a, b in ((0, 7), (7, 30))]
    found = levels.merge(*parts)
    for t in range(4):
        np.testing.assert_allclose(found.mean[t], values[t, valid[:, t]].mean(axis=0))
    rows = values[valid.T]
    one, along = found.deviations(some)
    np.testing.assert_allclose(one, [0, rows[:, 1].std(ddof=1), 0])
    np.testing.assert_allclose(along, (rows @ direction).std(ddof=1) * direction)


def test_the_error_of_a_recovery_is_what_many_samples_show() -> None:
    """The interval covers the ratio of the means 95 times of 100, also where sources share it."""
    random = np.random.default_rng(3)
    covered = {True: 0, False: 0}
    for _ in range(300):
        shared = np.repeat(random.normal(size=20), 3)
        b = 2 + random.normal(size=60)
        a = 0.6 * b + shared + random.normal(0, 0.3, 60)
        sources = np.repeat(np.arange(20), 3)
        for grouped in (True, False):
            found = ratios.ratio(a, b, sources if grouped else None, 20)
            t = scipy.stats.t.ppf(0.975, found.independent - 1)
            covered[grouped] += abs(found.value - 0.6) < t * found.error
    assert 0.9 * 300 < covered[True] < 0.99 * 300
    assert covered[False] < 0.85 * 300  # as if they were independent


def test_sums_of_parts_are_those_of_the_whole() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(size=(2, 40))
    sources = random.integers(0, 5, 40)
    whole = ratios.ratio(a, b, sources, 5)
    merged = ratios.merge(
        ratios.ratio(a[:13], b[:13], sources[:13], 5), ratios.ratio(a[13:], b[13:], sources[13:], 5)
    )
    assert merged.value == pytest.approx(whole.value)
    assert merged.error == pytest.approx(whole.error)
    alone = ratios.ratio(a, b, np.arange(40), 40)
    assert alone.error == pytest.approx(ratios.ratio(a, b, None, 0).error)
    assert np.isnan(ratios.ratio(a[:1], b[:1], None, 0).error)
    assert np.isnan(ratios.ratio(a, 0 * b, None, 0).value)


def test_estimates_are_gradients_times_changes_in_the_target() -> None:
    random = np.random.default_rng(5)
    gradient, change = random.normal(size=(2, 4, 6, 3))
    direction = np.array([0.0, 0.6, -0.8])
    some = [
        Target("1", np.arange(3) == 1),
        Target("0+1", np.arange(3) < 2),
        Target("direction 0", direction),
    ]
    found = products(gradient, change, some)
    assert found.shape == (3, 4, 6)
    each = gradient * change
    np.testing.assert_allclose(found[0], each[..., 1])
    np.testing.assert_allclose(found[1], each[..., 0] + each[..., 1])
    projected = (change @ direction)[..., np.newaxis] * direction
    np.testing.assert_allclose(found[2], (gradient * projected).sum(axis=2))
