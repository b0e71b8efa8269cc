"""What is drawn of each run: its scores and costs, medians over its units, and the strongest."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from rnnscope.analysis.units.columns import UNITS
from rnnscope.report.sweep.collected import Collected
from rnnscope.report.timescales import quartiles
from rnnscope.store import parquet
from rnnscope.store.runs import Run
from rnnscope.store.tables import Column, table_file

KEYS = ("layer", "signal")
MEASURED = {
    column.name: column
    for column in UNITS.properties()
    if column.main and column.name not in (*KEYS, "unit", "dead", "timescale_fit")
}
"""The numeric columns of the unit table that are shown before one asks for all."""
STRONGEST = ("best_correlation",)
"""Of which the largest size over units is shown too."""
SCORES = "Scores"
COSTS = "Costs"

Metric = dict[str, Any]
Units = dict[tuple[str, str], dict[str, NDArray[np.float64]]]
"""Layer and signal -> column -> a value of each unit, NaN for null."""


def units_of(run: Run) -> Units:
    """The numeric columns of a run's unit table that the page needs, as far as it has them."""
    file = table_file(run.stages["units"].artefact.folder, "units")
    fields = {field.name: field.type for field in parquet.schema(file)}
    names = [name for name in MEASURED if name in fields and _numeric(fields[name])]
    table: pd.DataFrame = parquet.read(file, [*KEYS, *names]).to_pandas()
    columns = {name: table[name].to_numpy(np.float64, na_value=np.nan) for name in names}
    rows = table.groupby(list(KEYS), observed=True, sort=False).indices
    return {
        (str(layer), str(signal)): {name: column[some] for name, column in columns.items()}
        for (layer, signal), some in rows.items()
    }


def _numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def of_runs(collected: Collected) -> Iterator[Metric]:
    """The scores and costs that some run has, as the runs' table has them."""
    for column in collected.outcomes:
        values = collected.frame[column.name].to_numpy(np.float64, na_value=np.nan)
        group = SCORES if column.name in ("accuracy", "loss") else COSTS
        yield _metric(group, column.name, column.name, column, values.tolist())


class OverUnits:
    """Medians over units, filled run by run: by layer, signal and column a value for each run.

    Of correlations also the strongest: one unit that counts is what one looks for.
    """

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.medians: dict[tuple[str, str, str], list[float]] = {}
        self.strongest: dict[tuple[str, str, str], list[float]] = {}

    def add(self, number: int, units: Units) -> None:
        """Take those of one run; nulls are left out, infinity is a value."""
        for (layer, signal), columns in units.items():
            for name, values in columns.items():
                key = (layer, signal, name)
                none = [np.nan] * self.runs
                self.medians.setdefault(key, none.copy())[number] = quartiles(values)[1]
                if name in STRONGEST and not np.isnan(values).all():
                    self.strongest.setdefault(key, none)[number] = np.nanmax(np.abs(values))

    def metrics(self) -> Iterator[Metric]:
        """All of them."""
        for kind, found in (("strongest", self.strongest), ("median", self.medians)):
            for (layer, signal, name), values in found.items():
                label = f"{kind} {name} of {signal} in {layer}"
                group = f"{kind.capitalize()} over units: {signal} of {layer}"
                yield _metric(group, name, label, MEASURED[name], values)


def _metric(group: str, name: str, label: str, column: Column, values: list[float]) -> Metric:
    return {
        "group": group,
        "name": name,
        "label": label,
        "help": column.meaning.replace("`", ""),
        "values": [number(value) for value in values],
    }


def known(metrics: Iterator[Metric]) -> list[Metric]:
    """Those that some run has, each group's together, in order of first occurrence."""
    found = [each for each in metrics if any(value is not None for value in each["values"])]
    order = list(dict.fromkeys(each["group"] for each in found))
    return sorted(found, key=lambda each: order.index(each["group"]))


def number(value: float) -> float | str | None:
    """A number as JSON has it: six digits, null for none, infinity as text."""
    if np.isnan(value):
        return None
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return float(f"{value:.6g}")
