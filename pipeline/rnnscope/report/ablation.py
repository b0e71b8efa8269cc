"""The results of stage ablation, as the page shows them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rnnscope import figures
from rnnscope.analysis.ablation.columns import NEEDED
from rnnscope.figures.ablated import METHODS
from rnnscope.report.analyses import by_layer
from rnnscope.report.drawing import inline
from rnnscope.report.table import CHANGES
from rnnscope.states import place_of
from rnnscope.store import parquet

STATISTICS = 8
"""How many statistics are listed, those with the smallest p-values."""


def section(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """For each layer, the change with each unit clamped, and the statistics that go with it.

    Args:
        folder: the stage's output.
        manifest: what it says of itself.
    """
    table = parquet.frame(folder / "ablation.parquet")
    importance = parquet.frame(folder / "importance.parquet")
    by_loss = bool(table["loss_change"].notna().any())
    entries = []
    for number, (layer, rows) in enumerate(by_layer(table)):
        here = importance["layer"].astype(str).map(place_of) == layer
        same = manifest.get("same_as", {}).get(layer, {})
        entries.append(
            {
                "layer": layer,
                "ranked": inline(figures.ablation(rows), f"ablation-{number}"),
                "needed": _needed(rows) if by_loss else [],
                "units": rows["unit"].nunique(),
                "same": [(_named(method), _named(other)) for method, other in same.items()],
                "statistics": _statistics(importance[here]),
                "sequences": int(rows["sequences"].max()),
            }
        )
    sources = manifest.get("sources")
    return {"layers": entries, "by_loss": by_loss, "sources": sources, "tests": _tests(importance)}


def by_unit(folder: Path) -> list[dict[str, Any]]:
    """For each unit and method what clamping the unit did, in one sentence.

    Args:
        folder: the stage's output.
    """
    table = parquet.frame(folder / "ablation.parquet")
    return [
        {"layer": str(row["layer"]), "unit": int(row["unit"]), "text": _said(row)}
        for row in table.to_dict("records")
    ]


def _said(row: dict[Any, Any]) -> str:
    """What one row says."""
    with_ = f"With {_named(str(row['method']))} at every timestep"
    if pd.isna(row["loss_change"]):
        return f"{with_}, the output moves by {row['output_change']:.3g}."
    change, low, high = (f"{row[f'loss_change{end}']:+.3g}" for end in ("", "_low", "_high"))
    text = f"{with_}, the test loss changes by {change} (95 % interval {low} to {high})"
    if pd.notna(row["q_value"]):
        needed = "needed" if row["q_value"] < NEEDED else "no evidence that it is needed"
        text += f", q = {row['q_value']:.2g}: {needed}"
    return f"{text}.".replace("-", "\N{MINUS SIGN}")


def _needed(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """How many units each method needs."""
    needed = (rows["q_value"] < NEEDED).groupby(rows["method"], observed=True, sort=False).sum()
    return [{"method": _named(str(method)), "units": int(n)} for method, n in needed.items()]


def _statistics(importance: pd.DataFrame) -> list[dict[str, Any]]:
    """The statistics that go with the change most surely, the smallest p-values first.

    Each is listed once, and of those that rank the units alike one.
    """
    known = importance.dropna(subset="spearman")
    order = known.assign(size=-known["spearman"].abs()).sort_values(["p_value", "size"])
    once = order.drop_duplicates(["layer", "signal", "statistic"])
    once = once.drop_duplicates(["layer", "signal", "method", "units", "spearman"])
    rows: list[dict[str, Any]] = once.head(STATISTICS).to_dict("records")
    return [{**row, "method": _named(str(row["method"]))} for row in rows]


def _tests(importance: pd.DataFrame) -> int:
    """How many rank correlations are one family."""
    return int(importance["p_value"].notna().sum())


def _named(method: str) -> str:
    return METHODS.get(method, method)


def with_changes(units: pd.DataFrame, folder: Path, manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The unit table with what changes when the unit's h or c is clamped at 0.

    Where c at 0 is h at 0 by algebra, rows of c have the change of h.
    """
    table = parquet.frame(folder / "ablation.parquet")
    same = [
        (layer, method, other)
        for layer, methods in manifest.get("same_as", {}).items()
        for method, other in methods.items()
    ]
    copies = [
        table[(table["layer"] == layer) & (table["method"] == other)].assign(method=method)
        for layer, method, other in same
    ]
    every = pd.concat([table.astype({"method": str}), *copies])
    zero = every[every["method"].str.endswith("_zero")]
    found = zero[["unit", *CHANGES]].rename(columns=CHANGES)
    found = found.assign(
        layer=zero["layer"].astype(str), signal=zero["method"].str.removesuffix("_zero")
    )
    left = units.assign(layer=units["layer"].astype(str), signal=units["signal"].astype(str))
    joined = left.merge(found, how="left", on=["layer", "signal", "unit"])
    return joined.assign(layer=units["layer"], signal=units["signal"])
