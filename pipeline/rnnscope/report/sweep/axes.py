"""The options along whose values runs are drawn: on a numeric axis, or as categories."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from natsort import natsorted

from rnnscope.report.sweep.collected import Collected

Kind = Literal["linear", "log", "category"]

RUN = "run"
"""The axis that has a place for each run."""
REPEATS = "seed"
"""The option whose values are repeats of the same."""
SPREAD = 10
"""Of two positive values, how many times the one must be the other for a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """An axis with the place of each of R runs."""

    name: str
    kind: Kind
    of_runs: list[float | int | None]
    """Of each run its value, or the number of its category; None where the option is null [R]."""
    labels: list[str]
    """Of categories."""

    @property
    def places(self) -> list[float | int | None]:
        """The values that occur, rising, null last."""
        known = sorted({value for value in self.of_runs if value is not None})
        return [*known, *([None] if None in self.of_runs else [])]

    def label(self, place: float | int | None) -> str:
        """A value as text."""
        if place is None:
            return "null"
        return self.labels[int(place)] if self.kind == "category" else f"{place:g}"


def axes(collected: Collected) -> list[Axis]:
    """The options that differ, in their order but repeats last, and the runs behind them."""
    names = sorted(collected.differ, key=lambda name: name == REPEATS)
    return [axis(collected.frame[name]) for name in [*names, RUN]]


def axis(column: "pd.Series[Any]") -> Axis:
    """The axis of one column of the runs' table; truth values and text are categories.

    Args:
        column: the option's values [R].
    """
    plain = column.astype(object).where(column.notna(), None).tolist()
    name = str(column.name)
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    known = sorted({each for each in plain if each is not None})
    if numeric and all(map(math.isfinite, known)):
        return Axis(name, "log" if _spread(known) else "linear", plain, [])
    texts = [None if each is None else _text(each) for each in plain]
    labels = list(dict.fromkeys(each for each in texts if each is not None))
    labels = labels if name == RUN else natsorted(labels)
    place = {label: number for number, label in enumerate(labels)}
    return Axis(name, "category", [None if each is None else place[each] for each in texts], labels)


def _spread(values: list[float]) -> bool:
    """Whether a logarithmic axis holds the values more evenly apart than a linear one does."""
    if len(values) < 2 or values[0] <= 0:
        return False
    if len(values) == 2:
        return values[1] >= SPREAD * values[0]
    return _unevenness([math.log(each) for each in values]) < _unevenness(values)


def _unevenness(values: list[float]) -> float:
    """The coefficient of variation of the gaps between neighbours."""
    gaps = [after - before for before, after in pairwise(values)]
    return float(np.std(gaps) / np.mean(gaps))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)
