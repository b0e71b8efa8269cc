"""Statistics of recorded states: stage units, its moments and quantiles alone, and pandas' own.

TensorFlow is not imported here, as it is not where the stage runs: its memory would count.
"""

import functools
from pathlib import Path

import pandas as pd

from rnnscope import engine, states
from rnnscope.analysis.statistics import moments as ours
from rnnscope.analysis.units import quantiles, stage
from rnnscope.config import Engine
from rnnscope.store.inputs import Inputs
from tests.compose import composed

LEVELS = list(quantiles.LEVELS.values())
LOCAL = Engine("local", None)


def units(recorded: Path, out: Path) -> None:
    """All that stage units computes, to Parquet."""
    stage.run(composed(out), Inputs({"extract": recorded}), out)


def moments_and_quantiles(recorded: Path, out: Path) -> None:
    """Count, mean, std, min, max, skewness, kurtosis and seven quantiles of every unit."""
    blocks = [
        (layer, signal, range(start, start + 32))
        for layer, signals in states.layers(recorded).items()
        for signal in signals
        for start in range(0, 128, 32)
    ]

    def measure(block: tuple[str, str, range]) -> pd.DataFrame:
        layer, signal, lines = block
        opened = states.open_signal(recorded, layer, signal)
        values = [values for _, values in opened.read(lines)]
        m = functools.reduce(ours.merge, map(ours.moments, values))
        quantile = quantiles.exact(values, LEVELS)
        kept = {"mean": m.mean, "std": m.std, "skewness": m.skewness, "kurtosis": m.kurtosis}
        return pd.DataFrame({**kept, "min": m.min, "max": m.max, "median": quantile[:, 3]})

    found = list(engine.run(measure, blocks, LOCAL, what="moments", unit="block"))
    pd.concat(found).to_parquet(out / "moments.parquet")


def by_pandas(recorded: Path, out: Path) -> None:
    """The same as one would write it in pandas, a signal at a time."""
    found = []
    for layer, signals in states.layers(recorded).items():
        for signal in signals:
            frame = pd.read_parquet(recorded / layer / signal)
            values = frame[[name for name in frame if name not in states.KEYS]]
            moments = values.agg(["count", "mean", "std", "min", "max", "skew", "kurt"])
            found.append(pd.concat([moments, values.quantile(LEVELS)]).rename(index=str).T)
    pd.concat(found).to_parquet(out / "moments.parquet")
