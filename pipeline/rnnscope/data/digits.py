"""scikit-learn's digits: real data that comes with a dependency, so the first run needs no network.

They are the test part of UCI's optical recognition of handwritten digits (Alpaydin & Kaynak 1998).
"""

import numpy as np
from sklearn import datasets

from rnnscope.config import Digits
from rnnscope.data.dataset import Dataset, Split
from rnnscope.data.holding import hold_out


def load_digits(config: Digits) -> Dataset:
    """1,797 sequences of 8 timesteps (image rows) and 8 features, ink from 0 to 1, 10 classes."""
    digits = datasets.load_digits()
    images = (digits.images / 16).astype(np.float32)
    whole = Split(images, digits.target.astype(np.int32))
    fraction, seed = config.test_fraction, config.split_seed
    train, test = hold_out(whole, fraction, seed, "data.test_fraction")
    val = None
    if config.validation_fraction:
        train, val = hold_out(train, config.validation_fraction, seed)
    return Dataset(test, train, val, tuple(str(digit) for digit in range(10)))
