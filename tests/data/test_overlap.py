"""Sequences in two splits are counted and named; splits on two scales are refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnscope.data import Split, overlap
from rnnscope.data.overlap import refuse_overlap
from rnnscope.data.scales import refuse_other_scales
from rnnscope.errors import UserError

N, T, F = 40, 6, 3


def split(seed: int, **changes: Any) -> Split:
    x = np.random.default_rng(seed).normal(size=(N, T, F)).astype(np.float32)
    return replace(Split(x), **changes)


def test_sequences_in_two_splits_are_counted_and_the_first_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    train, test = split(0), split(1)
    test.x[[7, 9, 30]] = train.x[[21, 3, 21]]
    refuse_overlap({"train": train, "test": test}, "data.path=mine")
    (line,) = caplog.messages
    assert line.startswith("data.path=mine: 3 of 40 test sequences (7.5%) are in train too")
    assert "x_test[7] is x_train[21]" in line


def test_splits_that_share_none_are_passed_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    refuse_overlap({part: split(n) for n, part in enumerate(("train", "val", "test"))}, "here")
    refuse_overlap({"test": split(0)}, "here")
    assert not caplog.messages


def test_padding_and_types_do_not_make_sequences_others() -> None:
    lengths = np.resize([2, 4, 6], N).astype(np.int32)
    train = split(0, lengths=lengths)
    padded = train.x.astype(np.float64)
    padded[np.arange(T) >= lengths[:, np.newaxis]] = np.nan
    with pytest.raises(UserError, match=r"every test sequence is in train too \(x_test\[0\]"):
        refuse_overlap({"train": train, "test": Split(padded, lengths=lengths)}, "here")
    refuse_overlap({"train": train, "test": Split(padded, lengths=lengths - 1)}, "here")


def test_other_further_inputs_make_sequences_others() -> None:
    train = split(0, others={"b": np.zeros((N, 2))})
    refuse_overlap({"train": train, "test": replace(train, others={"b": np.ones((N, 2))})}, "here")
    with pytest.raises(UserError, match="every test sequence"):
        refuse_overlap({"train": train, "test": replace(train)}, "here")


def test_whole_numbers_may_be_all_that_there_are(caplog: pytest.LogCaptureFixture) -> None:
    tokens = Split(np.arange(N * T).reshape(N, T) % 7)
    refuse_overlap({"train": tokens, "test": tokens}, "here")
    assert "40 of 40 test sequences (100.0%)" in caplog.messages[0]
    pixels = Split(np.zeros((N, T, F), np.uint8))
    with pytest.raises(UserError, match="every test sequence"):
        refuse_overlap({"train": pixels, "test": pixels}, "here")


def test_validation_may_be_the_test_split_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    test = split(1)
    refuse_overlap({"train": split(0), "val": test, "test": test}, "here")
    assert "40 of 40 test sequences (100.0%) are in val too" in caplog.messages[0]


def test_of_more_than_is_compared_a_part_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rnnscope.data.lengths.BLOCK", 4 * T * F * 4)  # 4 sequences
    monkeypatch.setattr(overlap, "LOOKED_AT", 5 * 4 * T * F * 4)  # 5 of 10 blocks
    train = split(0)
    test = split(1)
    test.x[:4] = train.x[:4]
    refuse_overlap({"train": train, "test": test}, "here")
    assert "4 of 20 test sequences" in caplog.messages[0]


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (np.uint8(200), np.float32(0.5), "x_train holds bytes .*x_test holds float32"),
        (np.float32(0.5), np.uint8(200), "x_test holds bytes .*x_train holds float32"),
    ],
)
def test_bytes_beside_floats_are_refused(one: Any, other: Any, says: str) -> None:
    splits = {"train": Split(np.full((N, T, F), one)), "test": Split(np.full((N, T, F), other))}
    with pytest.raises(UserError, match=says):
        refuse_other_scales(splits, "here")


def test_scaled_beside_unscaled_is_refused_and_like_beside_like_is_not() -> None:
    bytes_ = np.resize(np.arange(256.0), (N, T, F))
    small, large, spread = Split(bytes_ / 255), Split(bytes_), Split(bytes_ * 3.7 - 200)
    with pytest.raises(UserError, match="x_test holds whole numbers from 0 to 255, and x_train"):
        refuse_other_scales({"train": small, "test": large}, "here")
    for one, other in ((small, small), (large, large), (small, spread), (spread, large)):
        refuse_other_scales({"train": one, "test": other}, "here")
    flags = Split((bytes_ > 99).astype(float))
    refuse_other_scales({"train": flags, "test": large}, "here")
