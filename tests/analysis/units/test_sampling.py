"""Samples that do not depend on the order in which values are read."""

import functools

import numpy as np
import pytest

from rnnscope.analysis.units.sampling import SAMPLE, Sample


def test_a_sample_is_of_its_size_and_takes_no_sides() -> None:
    sample = Sample.of(np.arange(100_000, dtype=np.float32)[np.newaxis], np.arange(100_000))
    chosen = sample.lines[0].astype(int)
    assert len(set(chosen)) == SAMPLE
    share = np.bincount(chosen % 10) / SAMPLE
    np.testing.assert_allclose(share, 0.1, atol=0.02)
    assert np.mean(chosen) == pytest.approx(50_000, rel=0.03)


def test_of_few_sequences_all_are_the_sample() -> None:
    sample = Sample.of(np.ones((2, 5), np.float32), np.arange(5))
    assert sample.lines.shape == (2, 5)


def test_the_order_and_number_of_parts_do_not_change_the_sample() -> None:
    random = np.random.default_rng(0)
    keys = random.permutation(2**40 + np.arange(20_000))
    values = random.normal(size=(2, 20_000)).astype(np.float32)
    found = []
    for parts in (1, 9):
        order = random.permutation(20_000)
        pieces = np.array_split(order, parts)
        samples = [Sample.of(values[:, piece], keys[piece]) for piece in pieces]
        found.append(functools.reduce(Sample.merge, samples))
    one, other = (np.sort(each.lines, axis=1) for each in found)
    np.testing.assert_array_equal(one, other)
    assert one.shape == (2, SAMPLE)
