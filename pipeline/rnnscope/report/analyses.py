"""The results of stages population and decoding, as the page shows them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from rnnscope.report import figures
from rnnscope.report.figures import Curve
from rnnscope.store import parquet

STATES = ("h", "c")
COMPONENTS = ("component_1", "component_2", "component_3")
PATHS = 20
"""Most classes whose paths are drawn in the plane of two components."""


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
    keys = components[["layer", "signal", "unit"]].astype({"layer": str, "signal": str})
    counts = keys.groupby(["layer", "signal"])["unit"].nunique()
    entries = []
    for number, (layer, rows) in enumerate(by_layer(table)):
        signals = _states_of(rows)
        if not signals:
            continue
        curves = [
            Curve(
                signal,
                of["timestep"],
                of["participation_ratio"],
                of["participation_ratio_low"].clip(lower=0),
                of["participation_ratio_high"],
            )
            for signal, of in _by_signal(rows, signals)
        ]
        signal = signals[-1]
        here = paths[(paths["layer"] == layer) & (paths["signal"] == signal)]
        here = here[::-1] if layer in backward else here
        share = components[(components["layer"] == layer) & (components["signal"] == signal)]
        entries.append(
            {
                "layer": layer,
                "signal": signal,
                "dimension": Markup(
                    figures.curves(
                        curves,
                        "dimension (participation ratio)",
                        f"dimension-{number}",
                        limits=(0, None),
                    )
                ),
                "paths": _paths(here, classes, f"paths-{number}"),
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
        signal = _states_of(rows)[-1]
        here = rows[(rows["signal"] == signal) & rows["label"].notna()]
        here = here[::-1] if layer in backward else here
        axes = [name for name in COMPONENTS if name in here and here[name].notna().all()]
        labels = here["label"].unique()
        if len(axes) < 2 or not 1 <= len(labels) <= PATHS:
            continue
        lines = [
            {
                "label": int(label),
                "name": classes[label] if label < len(classes) else str(label),
                "points": of[axes].astype(float).round(4).to_numpy().tolist(),
            }
            for label, of in here.groupby("label", sort=True)
        ]
        found[layer] = {"signal": signal, "components": len(axes), "lines": lines}
    return found


def decoding(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """For each layer, the scores of linear decoders over time; or why there are none."""
    table = _of_class(parquet.frame(folder / "decoding.parquet"))
    entries = []
    for number, (layer, every) in enumerate(by_layer(table)):
        rows = every[every["train_timestep"] >= 0]
        signals = list(every["signal"].unique())
        word = "R²" if every["task"].iloc[0] == "regression" else "accuracy"
        final = _at_final_step(every)
        signal = next((name for name in ("c", "h") if name in signals), signals[0])
        grid = rows[rows["signal"] == signal].pivot_table(
            index="train_timestep", columns="test_timestep", values="score"
        )
        curves = _scores(rows, final, word == "accuracy") if len(rows) else []
        title = f"{word} of a linear decoder"
        entries.append(
            {
                "layer": layer,
                "signal": signal,
                "word": word,
                "sequences": int(every["sequences"].max()),
                "scores": Markup(figures.curves(curves, title, f"decoding-{number}"))
                if curves
                else None,
                "across": Markup(
                    figures.grid(grid, f"{word} from {signal}", f"generalisation-{number}")
                )
                if min(grid.shape) > 1
                else None,
                "final": [_cut(row, word == "accuracy") for row in final.to_dict("records")],
            }
        )
    why = "; ".join(f"{layer}: {reason}" for layer, reason in manifest.get("why", {}).items())
    return {"layers": entries, "why": why}


def _at_final_step(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a layer at the final step, one per signal.

    Where it differs between sequences, it has rows of its own, at −1; else it is the one timestep
    where labels are shuffled, which of a layer that reads backwards is the first.
    """
    same = rows[rows["train_timestep"] == rows["test_timestep"]]
    own = same[same["train_timestep"] < 0]
    return own if len(own) else same[same["shuffled"].notna()]


def _scores(rows: pd.DataFrame, final: pd.DataFrame, share: bool) -> list[Curve]:
    """Each signal's scores over time, chance, and at the final step scores with shuffled labels.

    Chance is that of the last signal: it depends on the sequences alone, which all signals share.
    """
    same = rows[rows["train_timestep"] == rows["test_timestep"]]
    signals = list(same["signal"].unique())
    curves = [
        Curve(
            signal,
            of["test_timestep"],
            of["score"],
            _within(of["score_low"], share),
            _within(of["score_high"], share),
        )
        for signal, of in _by_signal(same, signals)
    ]
    last = same[same["signal"] == signals[-1]]
    curves.append(Curve("chance", last["test_timestep"], last["chance"], soft=True))
    shuffled = final[final["shuffled"].notna() & (final["test_timestep"] >= 0)].tail(1)
    if len(shuffled):
        at, mean, low, high = (
            shuffled[name]
            for name in ("test_timestep", "shuffled", "shuffled_low", "shuffled_high")
        )
        curves.append(Curve("shuffled", at, mean, low, high, soft=True))
    return curves


def _within(values: "pd.Series[Any]", share: bool) -> "pd.Series[Any]":
    """Ends of an interval, cut at what the score can be: 0 to 1, or up to 1 of an R²."""
    return values.clip(0 if share else None, 1)


def _cut(row: dict[Any, Any], share: bool) -> dict[Any, Any]:
    """A row with its interval cut at what the score can be."""
    low = max(row["score_low"], 0) if share else row["score_low"]
    return {**row, "score_low": low, "score_high": min(row["score_high"], 1)}


def _of_class(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the label or target, without those of annotations."""
    return table[table["target"].isin(["label", "target"])]


def _states_of(rows: pd.DataFrame) -> list[str]:
    """The states among the signals of a layer's rows, h and c; of other cells, the first signal."""
    there = list(rows["signal"].unique())
    return [name for name in STATES if name in there] or there[:1]


def by_layer(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Each layer with its rows, in the table's order."""
    groups = table.groupby("layer", observed=True, sort=False)
    return [(str(name), rows) for name, rows in groups]


def _by_signal(rows: pd.DataFrame, signals: list[str]) -> list[tuple[str, pd.DataFrame]]:
    return [(signal, rows[rows["signal"] == signal]) for signal in signals]


def _paths(rows: pd.DataFrame, classes: list[str], name: str) -> Markup | None:
    """The classes' mean paths in the first two components; None without or with many classes."""
    labels = rows["label"].dropna().unique()
    if not 1 <= len(labels) <= PATHS or "component_2" not in rows:
        return None
    named = {
        classes[label] if label < len(classes) else str(label): of
        for label, of in rows.groupby("label", sort=True)
    }
    return Markup(figures.paths(named, name))
