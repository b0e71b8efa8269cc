"""The effects of changing single units in windows of timesteps, as grids of units by timesteps."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief
from rnnscope.figures.over_time import by_peak

Float = NDArray[np.float64]

EFFECTS = {
    "recovery": ("recovery_low", "recovery_high"),
    "loss_change": ("loss_change_low", "loss_change_high"),
    "estimate": None,
    "output_change": None,
}
"""The columns that a map can be of, the first that the rows have, and the ends of intervals."""


@dataclass(frozen=True)
class Effects:
    """The effects of changing U units in windows that start at T timesteps, or C runs of them."""

    name: str
    """Of ``EFFECTS``."""
    units: NDArray[np.int64]
    """Their numbers [U], in rising order."""
    starts: NDArray[np.int64]
    """The first timestep of each window [U, C]."""
    value: Float
    """The effects [U, C]; NaN where none was measured."""
    low: Float
    """The lower ends of their 95 % intervals [U, C]; NaN where there are none."""
    high: Float
    """The upper ends [U, C]."""
    sure: NDArray[np.bool_]
    """Which of them can be told from 0 [U, C]: rises of the loss by their q-value, others by their
    interval; all, where that was not tested."""
    sequences: NDArray[np.int64]
    """How many sequences each is of [U, C]; 0 where none was measured, or rows do not say."""

    @property
    def tested(self) -> bool:
        """Whether it was tested which of them can be told from 0."""
        return EFFECTS[self.name] is not None

    def of(self, places: NDArray[np.intp]) -> "Effects":
        """Those of the units at these places, in this order."""
        return replace(
            self,
            units=self.units[places],
            starts=self.starts[places],
            value=self.value[places],
            low=self.low[places],
            high=self.high[places],
            sure=self.sure[places],
            sequences=self.sequences[places],
        )


def effects(rows: pd.DataFrame, windows: str, timesteps: int, columns: int) -> Effects | None:
    """The effects of single units in one kind of windows; None where there are none.

    Args:
        rows: of the table ``intervention``, of one layer, state and method.
        windows: each, onward, or sliding:3.
        timesteps: T of the layer; not every method has rows of the last.
        columns: most timesteps; of more, of each run of them that with the largest effect counts,
            one that can be told from 0 before others.
    """
    there = rows[rows["unit"].notna() & _among(rows, windows, timesteps)]
    name = next((name for name in EFFECTS if name in there and there[name].notna().any()), None)
    if name is None or there["start"].nunique() < min(2, timesteps):
        return None  # a single window of a list may look like any kind
    units, place = np.unique(there["unit"].to_numpy(np.int64), return_inverse=True)
    at = (place, there["start"].to_numpy(np.int64))

    def grid(values: "pd.Series[Any]") -> Float:
        filled = np.full((len(units), timesteps), np.nan)
        filled[at] = values.to_numpy(np.float64, na_value=np.nan)
        return filled

    value = grid(there[name])
    ends = EFFECTS[name]
    none = np.full_like(value, np.nan)
    low, high = (grid(there[end]) for end in ends) if ends else (none, none)
    sure = (low > 0) | (high < 0) if ends else ~np.isnan(value)
    if name == "loss_change":
        from rnnscope.analysis.ablation.columns import NEEDED  # imports all of scipy.stats

        # The q-value is of a test that the loss rises: it says nothing of falls.
        sure = (grid(there["q_value"]) < NEEDED) | (high < 0)
    starts = np.broadcast_to(np.arange(timesteps), value.shape)
    count = grid(there["sequences"]) if "sequences" in there else none
    sequences = np.nan_to_num(count).astype(np.int64)
    return _coarse(Effects(name, units, starts, value, low, high, sure, sequences), columns)


def timesteps_of(rows: pd.DataFrame) -> int:
    """T of the layer, past the end of every window that occurs."""
    return int(rows["stop"].max())


def largest(found: Effects, count: int) -> NDArray[np.intp]:
    """Places of the units [up to count] with the largest effects, in rising order.

    Units with effects that can be told from 0 come before those without.
    """
    size = np.nan_to_num(np.abs(found.value), nan=-1)
    told = np.where(found.sure, size, -1).max(axis=1)
    order = np.lexsort((-size.max(axis=1), -told))
    return np.sort(order[:count])


def by_largest(found: Effects) -> NDArray[np.intp]:
    """Places of the units [U] by the timestep of their largest effect.

    Effects that cannot be told from 0 count only where a unit has no other; such units come last.
    """
    told = np.where(found.sure, found.value, np.nan)
    some = np.asarray(found.sure.any(axis=1))
    value = np.where(some[:, np.newaxis], told, found.value)
    order = by_peak(value)
    return np.concatenate([order[some[order]], order[~some[order]]])


def words(name: str, rows: pd.DataFrame) -> str:
    """What an effect is, with its unit."""
    classes = "accuracy_change" in rows and rows["accuracy_change"].notna().any()
    return {
        "recovery": "way to the donor's output",
        "loss_change": f"rise of the {'loss, nats' if classes else 'squared error'}",
        "estimate": "estimated rise of the loss",
        "output_change": "distance of the outputs",
    }[name]


def is_kind(windows: str) -> bool:
    """Whether windows are every one of a kind, and not one by itself such as 12:15."""
    return windows in ("each", "onward") or windows.startswith("sliding:")


def _among(rows: pd.DataFrame, windows: str, end: int) -> "pd.Series[bool]":
    """Which rows are of windows of a kind."""
    if windows == "onward":
        last = rows["stop"] == end
        starts = np.unique(rows.loc[last, "start"])
        # The last windows of other kinds stop there too, but do not start at each timestep from 0.
        return last & bool((starts == np.arange(len(starts))).all())
    width = windows.removeprefix("sliding:") if windows != "each" else "1"
    if not width.isdecimal():
        raise UserError(
            f'windows={brief(windows)}: must be "each", "onward" or such as "sliding:3"'
        )
    return rows["stop"] - rows["start"] == int(width)


def _coarse(found: Effects, columns: int) -> Effects:
    """Of each run of timesteps that with the largest effect; at most ``columns`` runs."""
    units, timesteps = found.value.shape
    width = -(-timesteps // columns)
    if width == 1:
        return found
    padding = ((0, 0), (0, -timesteps % width))

    def runs(values: NDArray[Any], fill: Any) -> NDArray[Any]:
        return np.pad(values, padding, constant_values=fill).reshape(units, -1, width)

    size = np.nan_to_num(np.abs(found.value), nan=-1)
    size[found.sure] += size.max() + 1  # before all others
    best = runs(size, -1).argmax(axis=2)[..., np.newaxis]

    def taken(values: NDArray[Any], fill: Any) -> NDArray[Any]:
        return np.take_along_axis(runs(values, fill), best, axis=2)[..., 0]

    return replace(
        found,
        starts=taken(found.starts, -1),
        value=taken(found.value, np.nan),
        low=taken(found.low, np.nan),
        high=taken(found.high, np.nan),
        sure=taken(found.sure, False),
        sequences=taken(found.sequences, 0),
    )
