"""The results of stages population and decoding, as the page shows them."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from markupsafe import Markup

from rnnscope import figures
from rnnscope.figures.decoders import across_time, at_final_step, main_signal, score_name
from rnnscope.figures.population import PATHS
from rnnscope.figures.tables import states_of
from rnnscope.report.drawing import inline
from rnnscope.store import parquet

COMPONENTS = ("component_1", "component_2", "component_3")
POINTS = 300
"""Most points of a class's path."""
PATH_DIGITS = 5
"""Digits of the largest coordinate of a class's path; the others have as many decimals."""
NO_MAPS: Mapping[str, int] = MappingProxyType({})
TASK, FIRST = ("label", "target"), "target_0"
"""What a decoder's target is called where it is what the network is trained for."""


def population(
    folder: Path, manifest: Mapping[str, Any], classes: list[str], backward: Collection[str]
) -> dict[str, Any]:
    """For each layer, its dimension over time, the classes' paths, and redundant units.

    Args:
        folder: the stage's output.
        manifest: what it says of itself.
        classes: names by number.
        backward: the layers that read backwards.
    """
    table = parquet.frame(folder / "population.parquet")
    paths = parquet.frame(folder / "trajectories.parquet")
    components = parquet.frame(folder / "components.parquet")
    pairs = parquet.frame(folder / "correlation.parquet")
    keys = components[["layer", "signal", "unit"]].astype({"layer": str, "signal": str})
    counts = keys.groupby(["layer", "signal"])["unit"].nunique()
    entries = []
    for number, (layer, rows) in enumerate(by_layer(table)):
        signals = states_of(rows)
        if not signals:
            continue
        signal = signals[-1]
        share = components[(components["layer"] == layer) & (components["signal"] == signal)]
        entries.append(
            {
                "layer": layer,
                "signal": signal,
                "dimension": inline(figures.dimension(rows), f"dimension-{number}"),
                "paths": _paths(
                    paths[paths["layer"] == layer], signal, classes, layer in backward, number
                ),
                "alike": _alike(pairs[pairs["layer"] == layer], signal, number),
                "redundant": [
                    {
                        "signal": name,
                        "units": manifest["redundant_units"].get(f"{layer}/{name}", 0),
                        "of": counts[layer, name],
                    }
                    for name in signals
                ],
                "share": share.drop_duplicates("component")["variance_share"].head(2).sum(),
            }
        )
    least = manifest["slice"]["population"]["redundant"]
    bounded = bool(table["participation_ratio_low"].notna().any())
    return {"layers": entries, "least": least, "bounded": bounded}


def _alike(pairs: pd.DataFrame, signal: str, number: int) -> Markup | None:
    """The correlations of a signal's units; None where there is a single unit."""
    if not (pairs["signal"] == signal).any():
        return None
    return inline(figures.unit_correlations(pairs, signal), f"alike-{number}")


def effects(units: Path) -> list[dict[str, Any]]:
    """For each layer η² of its units by timestep; none without classes.

    Args:
        units: the output of stage units.
    """
    table = parquet.frame(units / "timesteps.parquet")
    return [
        {"layer": layer, "figure": inline(figures.eta2_over_time(rows), f"effects-{number}")}
        for number, (layer, rows) in enumerate(by_layer(table))
        if rows["eta2"].notna().any()
    ]


def paths(folder: Path, classes: list[str], backward: Collection[str]) -> dict[str, Any]:
    """For each layer the classes' mean paths in up to three components, to be turned.

    Args:
        folder: the output of stage population.
        classes: names by number.
        backward: the layers that read backwards.
    """
    table = parquet.frame(folder / "trajectories.parquet")
    found = {}
    for layer, rows in by_layer(table):
        signal = states_of(rows)[-1]
        here = rows[(rows["signal"] == signal) & rows["label"].notna()]
        here = here[::-1] if layer in backward else here
        axes = [name for name in COMPONENTS if name in here and here[name].notna().all()]
        labels = here["label"].unique()
        if len(axes) < 2 or not 1 <= len(labels) <= PATHS:
            continue
        largest = float(here[axes].abs().to_numpy(float).max())
        digits = PATH_DIGITS - math.ceil(math.log10(largest or 1))
        lines = [
            {
                "label": int(label),
                "name": classes[label] if label < len(classes) else str(label),
                "points": _thinned(of[axes]).astype(float).round(digits).to_numpy().tolist(),
            }
            for label, of in here.groupby("label", sort=True)
        ]
        found[layer] = {"signal": signal, "components": len(axes), "lines": lines}
    return found


def _thinned(path: pd.DataFrame) -> pd.DataFrame:
    """At most about ``POINTS`` of the points, evenly, and the last one."""
    step = -(-len(path) // POINTS)
    return path[(len(path) - 1) % step :: step]


def decoding(
    folder: Path, manifest: Mapping[str, Any], timesteps: Mapping[str, int] = NO_MAPS
) -> dict[str, Any]:
    """For each layer, the scores of linear decoders over time; or why there are none.

    Args:
        folder: the stage's output.
        manifest: what it says of itself.
        timesteps: T of the layers below whose scores a map is drawn with the same axis of time.
    """
    table = _of_class(parquet.frame(folder / "decoding.parquet"))
    entries = []
    for number, (layer, every) in enumerate(by_layer(table)):
        share, signal = score_name(every) == "accuracy", main_signal(every)
        final = at_final_step(every)
        grid = across_time(every[every["signal"] == signal])
        scores, axis = _scores(every, timesteps.get(layer), number)
        entries.append(
            {
                "layer": layer,
                "signal": signal,
                "word": _score_of(every),
                "sequences": int(every["sequences"].max()),
                "scores": scores,
                "axis": axis,
                "across": inline(figures.generalisation(every), f"generalisation-{number}")
                if min(grid.shape) > 1
                else None,
                "final": [_cut(row, share) for row in final.to_dict("records")],
            }
        )
    why = "; ".join(f"{layer}: {reason}" for layer, reason in manifest.get("why", {}).items())
    return {"layers": entries, "why": why}


def _scores(
    every: pd.DataFrame, timesteps: int | None, number: int
) -> tuple[Markup | None, dict[str, float] | None]:
    """The scores of a layer over time, and where a map's timesteps lie below, in % of the width.

    Args:
        every: the layer's rows.
        timesteps: T of the map that is drawn below; None without one.
        number: of the figure.

    Returns:
        Nothing where there are scores at each sequence's final step alone, or without a map.
    """
    if not (every["train_timestep"] >= 0).any():
        return None, None if timesteps is None else {"left": 0.0, "width": 100.0}
    drawn = figures.decoding(every)
    (axes,) = drawn.axes
    if timesteps is None:
        return inline(drawn, f"decoding-{number}"), None
    longest = max(timesteps, int(every["test_timestep"].max()) + 1)
    axes.set_xlim(-0.5, longest - 0.5)
    scores = inline(drawn, f"decoding-{number}")  # which lays it out
    box = axes.get_position()
    width = 100 * box.width * timesteps / longest
    return scores, {"left": round(100 * box.x0, 3), "width": round(width, 3)}


def memory(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """For each layer, R² of earlier inputs by lag and the capacities; or why there are none.

    None are shown of an input that is one-hot: a capacity is of series of numbers.
    """
    said = manifest.get("memory", {})
    why = "; ".join(dict.fromkeys(said.get("why", {}).values()))
    if said.get("one_hot"):
        return {"layers": [], "why": why, "symbols": said["input_features"]}
    table = parquet.frame(folder / "memory.parquet")
    sums = parquet.frame(folder / "memory_capacity.parquet")
    entries = [
        {
            "layer": layer,
            "figure": inline(figures.memory(rows), f"memory-{number}"),
            "lags": int(rows["lag"].max()),
            "over": _over(rows, said.get("input_features", 0)),
            "sequences": int(rows["sequences"].max()),
            "capacities": _capacities(sums[sums["layer"] == layer]),
        }
        for number, (layer, rows) in enumerate(by_layer(table))
        if rows["r2"].notna().any()
    ]
    return {"layers": entries, "why": why, "symbols": 0}


def _over(rows: pd.DataFrame, features: int) -> str:
    """Over which of the features of the input R² is taken; empty where there is a single one.

    Args:
        rows: of one layer.
        features: of the input; 0 where the manifest does not tell.
    """
    measured = rows["feature"].nunique()
    shown, of = rows.dropna(subset="r2")["feature"].nunique(), max(features, measured)
    if shown == of:
        return f"{of:,} features" if of > 1 else ""
    why = [f"measured: {measured:,}, evenly spread"] if measured < of else []
    why += [f"constant: {measured - shown:,}"] if shown < measured else []
    return f"{shown:,} of {of:,} features ({'; '.join(why)})"


def _capacities(sums: pd.DataFrame) -> list[dict[Any, Any]]:
    """By signal, the capacities summed over features."""
    names = ["capacity", "shuffled", "from_input"]
    groups = sums.groupby("signal", observed=True, sort=False)
    found = groups[names].sum().assign(units=groups["units"].max()).reset_index()
    return found.to_dict("records")


def _cut(row: dict[Any, Any], share: bool) -> dict[Any, Any]:
    """A row with its interval cut at what the score can be."""
    low = max(row["score_low"], 0) if share else row["score_low"]
    return {**row, "score_low": low, "score_high": min(row["score_high"], 1)}


def _score_of(rows: pd.DataFrame) -> str:
    """What the scores are, and of which target where there are several."""
    target = str(rows["target"].iloc[0])
    return f"{score_name(rows)}{'' if target in TASK else f' of {target}'}"


def _of_class(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the label or target, of several targets of the first; none of annotations."""
    known = table["target"].isin(TASK)
    return table[known if known.any() else table["target"] == FIRST]


def by_layer(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Each layer with its rows, in the table's order."""
    groups = table.groupby("layer", observed=True, sort=False)
    return [(str(name), rows) for name, rows in groups]


def _paths(
    paths: pd.DataFrame, signal: str, classes: list[str], backward: bool, number: int
) -> Markup | None:
    """The classes' mean paths in the first two components; None without or with many classes."""
    rows = paths[paths["signal"] == signal]
    if not 1 <= rows["label"].nunique() <= PATHS or "component_2" not in rows:
        return None
    drawn = figures.class_paths(paths, signal, classes=classes, backward=backward)
    return inline(drawn, f"paths-{number}")
