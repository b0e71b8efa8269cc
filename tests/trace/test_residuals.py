"""The largest residual, found block by block, against the formula over whole arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.trace.residuals import BLOCK, ROUNDING, Largest, largest, rows_of

pytestmark = pytest.mark.tensorflow

SPECIAL = (0.0, 1.0, -1.0, 3.0, 2.0**90, np.nan, np.inf, -np.inf)


@given(st.integers(0, 10_000), st.sampled_from([0, 0.02, 0.5]), st.booleans(), st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_place_is_that_of_the_whole_arrays(
    seed: int, share: float, spreads: bool, masked: bool
) -> None:
    """NaN is worst, like what is infinite; of equal ones the first step, then sequence, then unit.

    Values are few, so that many residuals are equal; a share of them is special.
    """
    random = np.random.default_rng(seed)
    shape = int(random.integers(1, 6)), int(random.integers(1, 60)), int(random.integers(1, 4))
    a, b, spread = (random.integers(0, 4, shape).astype(np.float64) for _ in range(3))
    spread *= 3 * ROUNDING
    for values in (a, b, spread):
        special = random.random(shape) < share
        values[special] = random.choice(SPECIAL, special.sum())
    spread = np.abs(spread) if spreads else np.zeros(shape)
    counted = random.random(shape[:2]) < (0.7 if masked else 2)
    with np.errstate(all="ignore"):
        residual = np.abs(a - b) / np.maximum(np.maximum(1, np.abs(b)), spread / ROUNDING)
        residual[~counted] = 0
        found = Largest(shape[1], counted.reshape(-1) if masked else None)
        rows = [rows_of(each) for each in (a.astype(np.float32), b, spread)]
        for first in range(0, len(rows[0]), BLOCK):
            of_rows = [each[first : first + BLOCK] for each in rows]
            found.add(first, *of_rows if spreads else of_rows[:2])
    in_time = np.where(np.isnan(residual), np.inf, residual).swapaxes(0, 1)
    step, sequence, unit = np.unravel_index(in_time.argmax(), in_time.shape)
    at = int(sequence), int(step), int(unit)
    assert found.found is not None
    got = found.found
    assert (got.sequence, got.step, got.unit) == at
    np.testing.assert_array_equal(
        [got.residual, got.recorded, got.expected], [residual[at], np.float32(a[at]), b[at]]
    )


def test_a_spread_that_is_no_number_hides_nothing() -> None:
    """Where it is NaN, so is the residual, also of values that differ less than others."""
    a = np.zeros((3 * BLOCK, 2))
    a[0, 0] = 0.5
    spread = np.zeros_like(a)
    spread[2 * BLOCK + 5, 1] = np.nan
    found = largest(a, np.zeros_like(a), spread, timesteps=len(a)).found
    assert found is not None
    assert np.isnan(found.residual)
    assert (found.step, found.unit) == (2 * BLOCK + 5, 1)


@pytest.mark.parametrize("step", [0, BLOCK - 1, BLOCK, 2 * BLOCK])
def test_each_row_counts(step: int) -> None:
    a = np.zeros((2 * BLOCK + 1, 3), np.float32)
    a[step, 2] = 3
    found = largest(a, np.ones_like(a), timesteps=len(a)).found
    assert found is not None
    assert (found.residual, found.step, found.unit) == (2, step, 2)
