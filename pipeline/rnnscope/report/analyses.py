"""What stages population, decoding and ablation found, as the page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from rnnscope.report import figures
from rnnscope.report.figures import Curve
from rnnscope.states import place_of

STATES = ("h", "c")
PATHS = 20
"""Up to this many classes have a path of their own in the plane of two components."""
STATISTICS = 8
"""Statistics listed by how well they go along with importance."""
METHODS = {
    "h_zero": "h at 0",
    "h_mean": "h at its mean",
    "c_zero": "c at 0",
    "c_mean": "c at its mean",
}


@dataclass(frozen=True)
class Table:
    """A stage's table, of one layer after the other."""

    frame: pd.DataFrame

    def layers(self) -> list[tuple[str, pd.DataFrame]]:
        """Each layer with its rows, in the table's order."""
        return [
            (str(name), rows)
            for name, rows in self.frame.groupby("layer", observed=True, sort=False)
        ]


def population(folder: Path, classes: list[str]) -> list[dict[str, Any]]:
    """For each layer: its dimension over time, and its classes' paths in two components."""
    table = pd.read_parquet(folder / "population.parquet")
    paths = pd.read_parquet(folder / "trajectories.parquet")
    components = pd.read_parquet(folder / "components.parquet")
    shown = []
    for number, (layer, rows) in enumerate(Table(table).layers()):
        signals = _states_of(rows)
        if not signals:
            continue
        curves = [
            Curve(signal, of["timestep"], of["participation_ratio"])
            for signal, of in _by_signal(rows, signals)
        ]
        signal = signals[-1]
        here = paths[(paths["layer"] == layer) & (paths["signal"] == signal)]
        share = components[(components["layer"] == layer) & (components["signal"] == signal)]
        shown.append(
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
                "share": share.drop_duplicates("component")["variance_share"].head(2).sum(),
            }
        )
    return shown


def decoding(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """For each layer: how well the states tell the class over time; or why they do not."""
    table = _of_class(pd.read_parquet(folder / "decoding.parquet"))
    by_units = _of_class(pd.read_parquet(folder / "decoding_units.parquet"))
    shown = []
    for number, (layer, rows) in enumerate(Table(table).layers()):
        same = rows[rows["train_timestep"] == rows["test_timestep"]]
        signals = list(same["signal"].unique())
        task = str(rows["task"].iloc[0])
        word = "R²" if task == "regression" else "accuracy"
        curves = [
            Curve(signal, of["test_timestep"], of["score"], of["score_low"], of["score_high"])
            for signal, of in _by_signal(same, signals)
        ]
        control = next(of for _, of in _by_signal(same, signals[-1:]))
        curves.append(
            Curve(
                "labels shuffled",
                control["test_timestep"],
                control["control"],
                control["control_low"],
                control["control_high"],
                soft=True,
            )
        )
        signal = next((name for name in ("c", "h") if name in signals), signals[0])
        grid = rows[rows["signal"] == signal].pivot_table(
            index="train_timestep", columns="test_timestep", values="score"
        )
        last = (
            by_units[by_units["layer"] == layer]
            .sort_values("units")
            .drop_duplicates("signal", keep="last")
        )
        shown.append(
            {
                "layer": layer,
                "signal": signal,
                "word": word,
                "sequences": int(rows["sequences"].max()),
                "scores": Markup(
                    figures.curves(curves, f"{word} of a linear read-out", f"decoding-{number}")
                ),
                "across": Markup(
                    figures.grid(grid, f"{word} from {signal}", f"generalisation-{number}")
                )
                if min(grid.shape) > 1
                else None,
                "last": last[["signal", "score", "score_low", "score_high", "control"]].to_dict(
                    "records"
                ),
            }
        )
    why = "; ".join(f"{layer}: {reason}" for layer, reason in manifest.get("why", {}).items())
    return {"layers": shown, "why": why}


def _of_class(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of what the model is trained for: not those of annotations."""
    return table[table["target"].isin(["label", "target"])]


def ablation(folder: Path) -> dict[str, Any]:
    """For each layer: what is lost with each unit clamped, and which statistics go along."""
    table = pd.read_parquet(folder / "ablation.parquet")
    importance = pd.read_parquet(folder / "importance.parquet")
    change = "loss_change" if table["loss_change"].notna().any() else "output_change"
    shown = []
    for number, (layer, rows) in enumerate(Table(table).layers()):
        curves = []
        for method, of in rows.groupby("method", observed=True, sort=False):
            ranked = of.sort_values(change, ascending=False)
            place = pd.Series(np.arange(1, len(ranked) + 1))
            label = METHODS.get(str(method), str(method))
            curves.append(Curve(label, place, ranked[change]))
        title = "rise of the loss, nats" if change == "loss_change" else "change of the output"
        here = importance["layer"].astype(str).map(place_of) == layer
        statistics = importance[here].dropna(subset="spearman")
        order = statistics["spearman"].abs().sort_values(ascending=False).index
        listed = statistics.loc[order].drop_duplicates(["layer", "signal", "statistic"])
        listed = listed.head(STATISTICS)
        shown.append(
            {
                "layer": layer,
                "ranked": Markup(
                    figures.curves(
                        curves, title, f"ablation-{number}", x="unit, the costliest first"
                    )
                ),
                "statistics": [
                    {**row, "method": METHODS.get(str(row["method"]), str(row["method"]))}
                    for row in listed.to_dict("records")
                ],
                "sequences": int(rows["sequences"].max()),
            }
        )
    return {"layers": shown, "by_loss": change == "loss_change"}


def with_ablation(units: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The unit table with what clamping h or c of the unit to 0 does to loss and accuracy."""
    table = pd.read_parquet(folder / "ablation.parquet")
    zero = table[table["method"].astype(str).str.endswith("_zero")]
    keys = {name: zero[name].astype(str) for name in ("layer",)}
    keys["signal"] = zero["method"].astype(str).str.removesuffix("_zero")
    found = zero[["unit", "loss_change", "accuracy_change"]].assign(**keys)
    left = units.assign(layer=units["layer"].astype(str), signal=units["signal"].astype(str))
    joined = left.merge(found, how="left", on=["layer", "signal", "unit"])
    return joined.assign(layer=units["layer"], signal=units["signal"])


def _states_of(rows: pd.DataFrame) -> list[str]:
    """Which of h and c a layer's rows are of; of other cells, the first signal."""
    there = list(rows["signal"].unique())
    return [name for name in STATES if name in there] or there[:1]


def _by_signal(rows: pd.DataFrame, signals: list[str]) -> list[tuple[str, pd.DataFrame]]:
    return [(signal, rows[rows["signal"] == signal]) for signal in signals]


def _paths(rows: pd.DataFrame, classes: list[str], name: str) -> Markup | None:
    """The classes' mean paths in the first two components, where there are some and not many."""
    labels = rows["label"].dropna().unique()
    if not 1 <= len(labels) <= PATHS or "component_2" not in rows:
        return None
    named = {
        classes[label] if label < len(classes) else str(label): of
        for label, of in rows.groupby("label", sort=True)
    }
    return Markup(figures.paths(named, name))
