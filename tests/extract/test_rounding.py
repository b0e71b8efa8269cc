"""Differences relative to each feature's own size."""

import numpy as np

from rnnscope.extract.rounding import relative


def test_each_feature_is_judged_by_its_own_size() -> None:
    one = np.array([[1e5, 1e-3], [-2e5, 2e-3]])
    other = np.array([[1e5, 2e-3], [-2e5 + 2, 2e-3]])
    np.testing.assert_allclose(relative(one, other), [[0, 0.5], [1e-5, 0]], rtol=1e-4)


def test_nan_and_infinities_are_equal_to_themselves_alone() -> None:
    one = np.array([np.nan, np.nan, np.inf, np.inf, 1.0])
    other = np.array([np.nan, 1.0, np.inf, -np.inf, 1.0])
    assert relative(one[:, None], other[:, None]).ravel().tolist() == [0, np.inf, 0, np.inf, 0]
    assert relative(np.zeros((2, 0)), np.zeros((2, 0))).shape == (2, 0)
    assert relative(np.array(2.0), np.array(1.0)).tolist() == [0.5]
