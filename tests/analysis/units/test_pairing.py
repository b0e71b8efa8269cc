"""States against the annotations of other sequences, against pairing them by hand."""

import numpy as np
import pytest
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units import pairing, sampling
from rnnscope.analysis.units.pairing import Sample, p_values

Float = NDArray[np.float64]


def made(
    values: Float, annotations: Float, lengths: NDArray[np.int64], parts: int = 1
) -> list[Sample]:
    """Values [U, N, T] and annotations [A, N, T] up to the length of each sequence, in parts."""
    present = np.arange(values.shape[2]) < lengths[:, np.newaxis]
    found = []
    for piece in np.array_split(np.arange(len(lengths)), parts):
        place, timestep = np.nonzero(present[piece])
        sequence = piece[place]
        keys = states.RowKeys(sequence.astype(np.int32), timestep.astype(np.int32), None)
        lines = values[:, sequence, timestep].astype(np.float32)
        found.append(Sample(keys, lines, annotations[:, sequence, timestep]))
    return found


def drifting(seed: int, kinds: int, n: int, t: int, slow: float = 0.9) -> Float:
    """Autocorrelated noise [kinds, N, T]."""
    noise = np.random.default_rng(seed).normal(size=(kinds, n, t + 50))
    return scipy.signal.lfilter([1], [1, -slow], noise)[..., 50:]


@pytest.mark.parametrize("equal", [True, False])
def test_each_shift_is_as_pairing_sequences_by_hand(
    equal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the timesteps that both have, and where the annotation is known."""
    n, t = 13, 9
    random = np.random.default_rng(0)
    values, annotations = 1e3 + drifting(0, 4, n, t), 50 + drifting(1, 3, n, t)
    values[2] = 7
    lengths = np.full(n, t) if equal else random.integers(1, t + 1, n)
    annotations[1][random.random((n, t)) < 0.2] = np.nan
    table = pairing._Table.of(made(values, annotations, lengths, 3))
    order = random.permutation(n)
    expected = np.zeros((4, n))
    single = values.astype(np.float32).astype(np.float64)
    for shift in range(n):
        for unit in range(4):
            r = []
            for a in annotations:
                x, y = [], []
                for place, sequence in enumerate(order):
                    other = order[(place + shift) % n]
                    both = min(lengths[sequence], lengths[other])
                    x += single[unit, sequence, :both].tolist()
                    y += a[other, :both].tolist()
                known = ~np.isnan(y)
                if unit != 2:
                    r.append(abs(np.corrcoef(np.array(x)[known], np.array(y)[known])[0, 1]))
            expected[unit, shift] = max(r, default=0)
    for spectra in (1, 10**6):  # a timestep at a time, and all at once
        monkeypatch.setattr(pairing, "SPECTRA", spectra)
        found = pairing._largest(table, slice(0, 4), order)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.slow
def test_it_is_uniform_for_unrelated_annotations_however_slow() -> None:
    p = []
    for seed in range(10):
        values, annotations = drifting(seed, 1, 100, 30, 0.95), drifting(99 + seed, 20, 100, 30)
        lengths = np.random.default_rng(seed).integers(5, 31, 100)
        p.append(p_values(made(values, annotations, lengths), 0))
    for seed in range(490):
        values = drifting(1000 + seed, 1, 40, 20, 0.95)
        annotations = drifting(5000 + seed, 20, 40, 20, 0.95)
        p.append(p_values(made(values, annotations, np.full(40, 20)), seed))
    assert scipy.stats.kstest(np.concatenate(p), "uniform").pvalue > 0.05


def test_what_all_sequences_share_is_no_evidence_and_what_is_a_sequences_own_is() -> None:
    ramp = np.arange(20) / 3
    own = drifting(0, 1, 200, 20)
    values = np.concatenate([ramp + drifting(1, 30, 200, 20), ramp + own + drifting(2, 1, 200, 20)])
    parts = made(values, ramp + own, np.full(200, 20))
    p = p_values(parts, 0)
    assert p[-1] == 1 / 1001
    assert scipy.stats.kstest(p[:-1], "uniform").pvalue > 0.01
    constant = p_values(made(values, np.broadcast_to(ramp, own.shape), np.full(200, 20)), 0)
    assert (constant == 1).all()  # any other sequence's is the same


def test_parts_and_units_side_by_side_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, annotations = drifting(0, 7, 60, 12), drifting(1, 3, 60, 12)
    lengths = np.random.default_rng(0).integers(2, 13, 60)
    expected = p_values(made(values, annotations, lengths), 0)
    np.testing.assert_array_equal(p_values(made(values, annotations, lengths, 9), 0), expected)
    monkeypatch.setattr(pairing, "SPECTRA", 400)
    np.testing.assert_array_equal(p_values(made(values, annotations, lengths), 0), expected)
    assert (p_values(made(values, annotations, lengths), 1) != expected).any()


def test_without_another_sequence_or_annotations_there_is_no_p() -> None:
    values, annotations = drifting(0, 2, 5, 6), drifting(1, 1, 5, 6)
    one = made(values[:, :1], annotations[:, :1], np.array([6]))
    assert np.isnan(p_values(one, 0)).all()
    assert np.isnan(p_values(made(values, annotations[:0], np.full(5, 6)), 0)).all()
    unknown = np.full_like(annotations, np.nan)
    assert np.isnan(p_values(made(values, unknown, np.full(5, 6)), 0)).all()


def test_the_sample_is_bounded_in_sequences_and_rows() -> None:
    assert pairing.size(359, 359 * 8) == 359
    assert pairing.size(100_000, 100_000 * 28) == 2000
    assert pairing.size(100_000, 100_000 * 10_000) == 200
    (part,) = made(np.ones((2, 300, 4)), np.ones((1, 300, 4)), np.full(300, 4))
    drawn = pairing.sample(part.rows, part.values, part.annotations, sampling.limit(300, 50))
    assert len(set(drawn.rows.sequence)) == 50
    assert drawn.values.shape == (2, 200)
    assert drawn.annotations.shape == (1, 200)
