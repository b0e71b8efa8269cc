"""The results of stage fixed_points, as the page shows them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from rnnscope import figures
from rnnscope.analysis.fixed_points.columns import FIXED_POINTS
from rnnscope.figures.points import along
from rnnscope.figures.tables import STATES, class_name
from rnnscope.report.analyses import by_layer
from rnnscope.report.drawing import inline
from rnnscope.store import parquet

ROWS = 12
"""Most points that are listed of a layer and input; all of them are drawn."""
INPUTS = 6
"""Most inputs of a layer that are shown."""
LISTED = {
    "point": "#",
    "stability": "Kind",
    "index": "Unstable modes",
    "spectral_radius": "|λ|",
    "time_constant": "τ",
    "nearest_class": "Class",
    "visited_distance": "Distance",
    "starts": "Starts",
}
"""The columns that are listed, and their heads."""


def section(
    folder: Path,
    manifest: Mapping[str, Any],
    population: Path,
    classes: list[str],
    backward: Collection[str],
) -> dict[str, Any]:
    """For each layer and constant input, its points among the classes' paths, and a list of them.

    Args:
        folder: the stage's output.
        manifest: what it says of itself.
        population: the output of stage population.
        classes: names by number.
        backward: the layers that read backwards.
    """
    tables = [parquet.frame(folder / f"{name}.parquet") for name in ("fixed_points", "modes")]
    paths = parquet.frame(population / "trajectories.parquet")
    entries = []
    for number, (layer, rows) in enumerate(by_layer(tables[0])):
        by_input = list(rows.groupby("input", observed=True, sort=False))
        shown = []
        for place, (name, of) in enumerate(by_input[:INPUTS]):
            drawn = (of, tables[1], paths[paths["layer"] == layer])
            figure = _figure(*drawn, classes, layer in backward, f"points-{number}-{place}")
            searched = manifest["search"][layer][str(name)]
            shown.append(
                {
                    "input": _words(str(name), classes),
                    "figure": figure,
                    "rows": _rows(of, classes),
                    "more": max(0, len(of) - ROWS),
                    "searched": searched,
                }
            )
        entries.append(
            {
                "layer": layer,
                "inputs": shown,
                "more": [_words(str(name), classes) for name, _ in by_input[INPUTS:]],
            }
        )
    none = [
        {"layer": layer, "inputs": nowhere}
        for layer, by_name in manifest["search"].items()
        if (
            nowhere := [
                _words(name, classes) for name, said in by_name.items() if not said["points"]
            ]
        )
    ]
    classes_known = bool(tables[0]["nearest_class"].notna().any())
    return {
        "layers": entries,
        "columns": [
            {"name": name, "head": head, "help": _help(name)}
            for name, head in LISTED.items()
            if name != "nearest_class" or classes_known
        ],
        "left_out": manifest["left_out"],
        "none": none,
        "slow_tolerance": manifest["slice"]["fixed_points"]["slow_tolerance"],
    }


def _figure(
    rows: pd.DataFrame,
    modes: pd.DataFrame,
    paths: pd.DataFrame,
    classes: list[str],
    backward: bool,
    name: str,
) -> Markup | None:
    """The points of one input in two components; None where there are no two components."""
    signals = set(paths["signal"].astype(str))
    known = [
        state
        for state in STATES
        if state in signals
        and {*along(state)} <= {*rows}
        and rows[along(state)].notna().all(axis=None)
    ]
    if not known or "component_2" not in paths:
        return None
    drawn = figures.fixed_points(
        rows, modes, paths, known[-1], layer=None, classes=classes, backward=backward
    )
    return inline(drawn, name)


def _rows(rows: pd.DataFrame, classes: list[str]) -> list[dict[str, Any]]:
    """The first points, plain."""
    listed = rows.head(ROWS)[["kind", *LISTED]].astype(object)
    found = listed.where(listed.notna(), None).to_dict("records")
    return [
        {
            **row,
            "stability": row["stability"]
            if row["kind"] == "fixed"
            else f"slow, {row['stability']}",
            "time_constant": _steps(row["time_constant"]),
            "nearest_class": None
            if row["nearest_class"] is None
            else class_name(int(row["nearest_class"]), classes),
        }
        for row in found
    ]


def _steps(tau: float) -> str:
    """A time constant in three digits or whole steps."""
    if abs(tau) == float("inf"):
        return "\N{INFINITY}"
    text = f"{tau:,.0f}" if abs(tau) >= 100 else f"{tau:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _words(name: str, classes: list[str]) -> str:
    """What an input is, in words."""
    kind, _, number = name.partition("_")
    if kind == "class":
        return f"the mean input of class {class_name(int(number), classes)}"
    if kind == "file":
        return f"row {number} of fixed_points.inputs_path"
    return {"zeros": "an input of zeros", "mean": "the mean input"}[name]


def _help(name: str) -> str:
    column = FIXED_POINTS.column(name)
    assert column is not None
    return column.meaning.replace("`", "")
