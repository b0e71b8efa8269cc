"""What goes by rank, counted between the values of a sample, against the values themselves."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnscope.analysis.units import final_step, sampling
from rnnscope.analysis.units.final_step import Binned, Held, joined
from rnnscope.analysis.units.information import p_values

N, K = 20_000, 10
Float = NDArray[np.float64]


def sigmoid(x: Float) -> Float:
    return 1 / (1 + np.exp(-x))


def drawn(seed: int = 0) -> Held:
    """Units that tell of the class, some of them on odd scales; the classes come in turns."""
    random = np.random.default_rng(seed)
    labels = np.arange(N) % K
    z = random.normal(size=N) + 0.5 * np.linspace(-1, 1, K)[labels]
    outlier = z.copy()
    outlier[7] = 1e4
    low = sigmoid(12 + z)
    low[random.random(N) < 1e-3] = 0.1
    lines = [z, sigmoid(9 + 2 * z), low, outlier, z.clip(0), np.full(N, 0.25)]
    return Held(np.array(lines, np.float32), labels.astype(np.int32), np.arange(N, dtype=np.int32))


def some(held: Held, chosen: NDArray[np.intp]) -> Held:
    """Some of the sequences."""
    return Held(held.values[:, chosen], held.labels[chosen], held.sequences[chosen])


def counted(held: Held, order: NDArray[np.intp], parts: int) -> Binned:
    """The same counted part by part, the sequences in some order."""
    each = [some(held, cut) for cut in np.array_split(order, parts)]
    drawn = sampling.limit(N, final_step.NEIGHBOURS)
    binned = Binned(joined([part.among(drawn) for part in each]), K)
    for part in each:
        binned.add(part)
    return binned


def test_ranks_are_right_on_every_scale() -> None:
    held = drawn()
    preferred = np.full(len(held.values), K - 1)
    exact, near = (each.ranks(preferred, 16) for each in (held, counted(held, np.arange(N), 4)))
    np.testing.assert_allclose(near.auc, exact.auc, atol=1e-4)
    p, near_p = (p_values(each.tables, 500, 0) for each in (exact, near))
    np.testing.assert_array_equal(near_p, p)
    assert (p[0], p[-1]) == (1 / 501, 1)
    np.testing.assert_array_equal(near.bits, exact.bits)  # the same sequences
    assert exact.bits[0] > 0.05


def test_the_order_and_number_of_parts_change_nothing() -> None:
    held = drawn(1)
    one = counted(held, np.arange(N), 1)
    other = counted(held, np.random.default_rng(0).permutation(N), 7)
    for counts, same in zip(one.counts, other.counts, strict=True):
        np.testing.assert_array_equal(counts, same)
        assert counts.sum() == N
    np.testing.assert_allclose(other.sample.bits, one.sample.bits, atol=1e-12)


def test_a_sample_is_of_its_size_and_takes_no_sides() -> None:
    numbers = np.arange(100_000, dtype=np.int32)
    values = numbers[np.newaxis].astype(np.float32)
    whole = Held(values, np.zeros(100_000, np.int32), numbers)
    chosen = whole.thinned(sampling.SAMPLE).sequences
    assert len(set(chosen)) == sampling.SAMPLE
    share = np.bincount(chosen % 10) / sampling.SAMPLE
    np.testing.assert_allclose(share, 0.1, atol=0.02)
    assert np.mean(chosen) == pytest.approx(50_000, rel=0.03)
    drawn = whole.among(sampling.limit(100_000, sampling.SAMPLE))
    np.testing.assert_array_equal(drawn.sequences, chosen)
    np.testing.assert_array_equal(drawn.values[0], chosen)


def test_a_sample_is_drawn_a_few_sequences_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sampling.limit(5000, 700)
    monkeypatch.setattr(sampling, "CHUNK", 300)
    assert sampling.limit(5000, 700) == expected


def test_of_few_sequences_all_are_the_sample() -> None:
    few = Held(np.ones((2, 5), np.float32), np.zeros(5, np.int32), np.arange(5, dtype=np.int32))
    assert few.thinned(9).values.shape == few.among(sampling.limit(5, 9)).values.shape == (2, 5)
