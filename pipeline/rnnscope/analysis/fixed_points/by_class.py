"""Sums of rows of numbers by class, which grow part by part."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass
class Sums:
    """Of rows of F numbers, by class; None stands for rows without one."""

    total: dict[int | None, Float] = field(default_factory=dict)
    count: dict[int | None, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, values: Float, label: NDArray[np.integer] | None) -> None:
        """Take in rows [r, F] and their classes [r]."""
        groups = [None] if label is None else np.unique(label).tolist()
        for each in groups:
            some = values if label is None else values[label == each]
            self.total[each] = self.total.get(each, 0) + some.sum(axis=0)
            self.count[each] += len(some)

    def mean(self) -> Float | None:
        """Over all rows [F]; None where there are none."""
        if not self.count:
            return None
        return np.asarray(np.sum(list(self.total.values()), axis=0) / sum(self.count.values()))

    def of_classes(self) -> dict[int, Float]:
        """The mean of each class that has rows [F], by rising number."""
        classes = sorted(each for each in self.count if each is not None)
        return {each: self.total[each] / self.count[each] for each in classes}
