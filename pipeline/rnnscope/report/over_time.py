"""A signal's mean over sequences at each timestep: from the table of tuning, or from the states."""

from pathlib import Path

from rnnscope.analysis.units.columns import TUNING
from rnnscope.figures.over_time import OverTime, by_peak, coarsen, of_tuning, sum_over_time
from rnnscope.states.signals import Signal
from rnnscope.store import parquet
from rnnscope.store.tables import table_file

__all__ = ["OverTime", "by_peak", "coarsen", "from_states", "from_tuning", "sum_over_time"]


def from_tuning(units: Path, layer: str, signal: str, timesteps: int) -> OverTime:
    """The sums of one signal from stage units, its means by class weighted with their counts.

    Args:
        units: the stage's output, with rows of that layer and signal.
        layer: its name.
        signal: its letter.
        timesteps: T, past every timestep that occurs.
    """
    rows = parquet.frame(
        table_file(units, TUNING.name),
        columns=["unit", "timestep", "count", "mean"],
        filters=[("layer", "==", layer), ("signal", "==", signal)],
    )
    return of_tuning(rows, timesteps)


def from_states(signal: Signal, timesteps: int) -> OverTime:
    """The sums over all recorded sequences of one signal, read part by part."""
    parts = ((rows.timestep, values) for rows, values in signal.read())
    return sum_over_time(parts, signal.units, timesteps)
