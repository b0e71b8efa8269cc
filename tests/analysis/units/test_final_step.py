"""What goes by rank, counted between the values of a sample, against the values themselves."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.units.final_step import Binned, Held
from rnnscope.analysis.units.information import information
from rnnscope.analysis.units.sampling import Sample

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
    return Held(np.array(lines, np.float32), labels.astype(np.int32))


def counted(held: Held, order: NDArray[np.intp], parts: int) -> Binned:
    """The same counted part by part, the sequences in some order."""
    cuts = np.array_split(order, parts)
    first, *others = (Sample.of(held.values[:, cut], cut) for cut in cuts)
    for other in others:
        first = first.merge(other)
    binned = Binned(first, K)
    for cut in cuts:
        binned.add(held.values[:, cut], held.labels[cut])
    return binned


def test_ranks_are_right_on_every_scale() -> None:
    held = drawn()
    binned = counted(held, np.arange(N), 4)
    preferred = np.full(len(held.values), K - 1)
    np.testing.assert_allclose(binned.auc(preferred), held.auc(preferred), atol=1e-4)
    exact, near = (information(each.tables(16), 50, 0) for each in (held, binned))
    np.testing.assert_allclose(near.bits, exact.bits, atol=1e-3)
    np.testing.assert_allclose(near.null, exact.null, atol=1e-3)
    assert exact.bits[0] > 0.03
    np.testing.assert_array_equal(near.p_value, exact.p_value)


def test_the_order_and_number_of_parts_change_nothing() -> None:
    held = drawn(1)
    one = counted(held, np.arange(N), 1)
    other = counted(held, np.random.default_rng(0).permutation(N), 7)
    for counts, same in zip(one.counts, other.counts, strict=True):
        np.testing.assert_array_equal(counts, same)
        assert counts.sum() == N
