"""Generated sequences: each follows from the seed, the split and its number alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rnnscope import data
from rnnscope.data import Batch, Dataset, Split
from rnnscope.data.tasks import sequences
from rnnscope.data.tasks.numbers import uniform
from rnnscope.errors import UserError
from tests.compose import composed

TASKS = {
    "anbn": ("data.max_n=4", "data.test_max_n=6"),
    "dyck": ("data.length=9", "data.max_depth=3", "data.types=2"),
    "flipflop": ("data.length=7", "data.bits=2"),
    "ar1": ("data.length=5",),
    "delay": ("data.length=9", "data.shortest_delay=3"),
    "lagged": ("data.length=6", "data.lag=2", "data.features=3"),
}


def loaded(name: str, *overrides: str) -> Dataset:
    small = ("data.sequences=40", "data.test_sequences=30", "data.validation_fraction=0.25")
    return data.load(composed(Path(), f"data={name}", *small, *TASKS[name], *overrides).data)


def arrays(batch: Batch) -> dict[str, NDArray[Any]]:
    known = {"x": batch.x, "y": batch.y, "lengths": batch.lengths, **batch.steps}
    return {name: each for name, each in known.items() if each is not None}


def assert_same(one: Batch, other: Batch) -> None:
    known, found = arrays(one), arrays(other)
    assert known.keys() == found.keys()
    for name, values in known.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


def whole(split: Split | None) -> Batch:
    assert split is not None
    return split.take(slice(None))


@pytest.mark.parametrize("name", TASKS)
def test_a_longer_run_has_the_same_sequences_first_in_each_split(name: str) -> None:
    few, many = loaded(name), loaded(name, "data.sequences=84", "data.test_sequences=77")
    for part, sizes in (("train", (30, 63)), ("val", (10, 21)), ("test", (30, 77))):
        one, other = getattr(few, part), getattr(many, part)
        assert (len(one), len(other)) == sizes
        assert_same(other.take(slice(len(one))), whole(one))


@pytest.mark.parametrize("name", TASKS)
def test_the_size_of_one_split_changes_no_other(name: str) -> None:
    one, other = loaded(name), loaded(name, "data.validation_fraction=0.5")
    assert_same(whole(one.train).cut(slice(20)), whole(other.train))
    assert_same(whole(other.val).cut(slice(10)), whole(one.val))
    assert_same(whole(other.test), whole(one.test))


@pytest.mark.parametrize("name", TASKS)
def test_rows_are_the_same_in_any_order_and_whether_they_are_kept(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = loaded(name)
    monkeypatch.setattr(sequences, "KEPT", 0)
    made = loaded(name)
    assert isinstance(kept.test.x, np.ndarray)
    assert not isinstance(made.test.x, np.ndarray)
    for part in ("train", "val", "test"):
        assert_same(whole(getattr(made, part)), whole(getattr(kept, part)))
    every = whole(kept.test)
    for index in (
        np.array([7, 3, 3, 29, 4, 5, 6]),
        np.arange(7),
        np.arange(30)[::-1],
        slice(4, 19),
    ):
        assert_same(made.test.take(index), every.cut(index))
        assert_same(kept.test.take(index), every.cut(index))


@pytest.mark.parametrize("name", TASKS)
def test_splits_and_seeds_have_other_sequences(name: str) -> None:
    many = "data.validation_fraction=0.5", "data.sequences=200", "data.test_sequences=100"
    one, other = loaded(name, *many), loaded(name, *many, "data.split_seed=1")
    train, val, test = (whole(each).x for each in (one.train, one.val, one.test))
    size = train.shape[1]
    pairs = [(train, val), (train, test[:, :size]), (val, test[:, :size])]
    pairs += [(whole(other.val).x, val), (whole(other.test).x, test)]
    for first, second in pairs:
        assert (first != second).any(axis=(1, 2)).mean() > 0.6


def test_splits_share_no_sequence() -> None:
    dataset = loaded("ar1")
    every = np.concatenate([whole(each).x for each in (dataset.train, dataset.val, dataset.test)])
    assert len(np.unique(every[:, 0, 0])) == len(every) == 70


def test_a_fraction_that_leaves_a_split_empty_is_refused() -> None:
    with pytest.raises(UserError, match="this fraction of 40 sequences leaves an empty split"):
        loaded("ar1", "data.validation_fraction=0.01")


def test_a_billion_sequences_take_no_memory() -> None:
    count = 1_000_000_000
    options = (f"data.sequences={count}", "data.validation_fraction=0")
    dataset = loaded("flipflop", *options)
    assert dataset.train is not None
    assert len(dataset.train) == count
    last = dataset.train.take(np.array([count - 1, 0]))
    assert_same(last.cut(slice(1, 2)), loaded("flipflop", options[1]).train.take(slice(1)))  # type: ignore[union-attr]


def test_numbers_are_those_of_numpys_philox() -> None:
    found = uniform(3, 1, np.arange(50), 8)
    stream = np.random.Generator(np.random.Philox(key=np.array([3, 1], np.uint64)))
    np.testing.assert_array_equal(found.ravel() * 2**52 - 0.5, np.floor(stream.random(400) * 2**52))
    np.testing.assert_array_equal(uniform(3, 1, np.array([9, 10, 2]), 8), found[[9, 10, 2]])
    assert uniform(3, 1, np.arange(0), 8).shape == (0, 8)


def test_numbers_are_even_and_independent_of_each_other() -> None:
    found = uniform(0, 0, np.arange(4000), 6)
    assert found.min() > 0
    assert found.max() < 1
    assert stats.kstest(found.ravel(), "uniform").pvalue > 0.001
    r = np.corrcoef(np.concatenate([found, found[::-1]], axis=1)[:2000], rowvar=False)
    assert np.abs(r - np.eye(12)).max() < 0.1
