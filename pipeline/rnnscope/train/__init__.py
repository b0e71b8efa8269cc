"""Stage train: a new network, fitted by Keras' own ``fit``, seeded and repeatable."""

from rnnscope.train.batches import Batches, examples
from rnnscope.train.fitting import REDUCTION
from rnnscope.train.stage import TABLES, run

__all__ = ["REDUCTION", "TABLES", "Batches", "examples", "run"]
