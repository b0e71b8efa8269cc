"""The results of stages population, decoding and ablation, as the page shows them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from rnnscope.report import figures
from rnnscope.report.figures import Curve
from rnnscope.report.table import CHANGES
from rnnscope.states import place_of

STATES = ("h", "c")
PATHS = 20
"""Most classes whose paths are drawn in the plane of two components."""
STATISTICS = 8
"""How many statistics are listed, those that correlate most with importance."""
METHODS = {
    "h_zero": "h at 0",
    "h_mean": "h at mean",
    "c_zero": "c at 0",
    "c_mean": "c at mean",
}


def population(folder: Path, classes: list[str]) -> list[dict[str, Any]]:
    """For each layer, its dimension over time and its classes' paths in two components."""
    table = pd.read_parquet(folder / "population.parquet")
    paths = pd.read_parquet(folder / "trajectories.parquet")
    components = pd.read_parquet(folder / "components.parquet")
    entries = []
    for number, (layer, rows) in enumerate(_by_layer(table)):
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
                "share": share.drop_duplicates("component")["variance_share"].head(2).sum(),
            }
        )
    return entries


def decoding(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """For each layer, the scores of linear decoders over time; or why there are none."""
    table = _of_class(pd.read_parquet(folder / "decoding.parquet"))
    entries = []
    for number, (layer, rows) in enumerate(_by_layer(table)):
        if (rows["train_timestep"] >= 0).any():  # one row of final steps is no curve
            rows = rows[rows["train_timestep"] >= 0]
        same = rows[rows["train_timestep"] == rows["test_timestep"]]
        signals = list(same["signal"].unique())
        task = str(rows["task"].iloc[0])
        word = "R²" if task == "regression" else "accuracy"
        curves = [
            Curve(signal, of["test_timestep"], of["score"], of["score_low"], of["score_high"])
            for signal, of in _by_signal(same, signals)
        ]
        constant = next(of for _, of in _by_signal(same, signals[-1:]))
        level = constant["chance"]
        curves.append(Curve("chance", constant["test_timestep"], level, level, level, soft=True))
        signal = next((name for name in ("c", "h") if name in signals), signals[0])
        grid = rows[rows["signal"] == signal].pivot_table(
            index="train_timestep", columns="test_timestep", values="score"
        )
        last = table[(table["layer"] == layer) & table["shuffled"].notna()]
        entries.append(
            {
                "layer": layer,
                "signal": signal,
                "word": word,
                "sequences": int(rows["sequences"].max()),
                "scores": Markup(
                    figures.curves(curves, f"{word} of a linear decoder", f"decoding-{number}")
                ),
                "across": Markup(
                    figures.grid(grid, f"{word} from {signal}", f"generalisation-{number}")
                )
                if min(grid.shape) > 1
                else None,
                "last": last.to_dict("records"),
            }
        )
    why = "; ".join(f"{layer}: {reason}" for layer, reason in manifest.get("why", {}).items())
    return {"layers": entries, "why": why}


def _of_class(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the label or target, without those of annotations."""
    return table[table["target"].isin(["label", "target"])]


def ablation(folder: Path) -> dict[str, Any]:
    """For each layer, the change with each unit clamped, and the statistics that correlate."""
    table = pd.read_parquet(folder / "ablation.parquet")
    importance = pd.read_parquet(folder / "importance.parquet")
    change = "loss_change" if table["loss_change"].notna().any() else "output_change"
    title = _title(table)
    entries = []
    for number, (layer, rows) in enumerate(_by_layer(table)):
        curves = []
        for method, of in rows.groupby("method", observed=True, sort=False):
            ranked = of.sort_values(change, ascending=False)
            place = pd.Series(np.arange(1, len(ranked) + 1))
            label = METHODS.get(str(method), str(method))
            curves.append(Curve(label, place, ranked[change]))
        here = importance["layer"].astype(str).map(place_of) == layer
        statistics = importance[here].dropna(subset="spearman")
        order = statistics["spearman"].abs().sort_values(ascending=False).index
        listed = statistics.loc[order].drop_duplicates(["layer", "signal", "statistic"])
        listed = listed.head(STATISTICS)
        entries.append(
            {
                "layer": layer,
                "ranked": Markup(
                    figures.curves(
                        curves, title, f"ablation-{number}", x="unit, largest change first"
                    )
                ),
                "statistics": [
                    {**row, "method": METHODS.get(str(row["method"]), str(row["method"]))}
                    for row in listed.to_dict("records")
                ],
                "sequences": int(rows["sequences"].max()),
            }
        )
    return {"layers": entries, "by_loss": change == "loss_change"}


def _title(table: pd.DataFrame) -> str:
    """The name of the change that the page shows, with its unit."""
    if table["loss_change"].isna().all():
        return "change of the output"
    classes = table["accuracy_change"].notna().any()
    return "rise of the loss, nats" if classes else "rise of the squared error"


def with_ablation(units: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The unit table with the change of loss and accuracy when its h or c is clamped at 0."""
    table = pd.read_parquet(folder / "ablation.parquet")
    zero = table[table["method"].astype(str).str.endswith("_zero")]
    found = zero[["unit", *CHANGES]].assign(
        layer=zero["layer"].astype(str),
        signal=zero["method"].astype(str).str.removesuffix("_zero"),
    )
    left = units.assign(layer=units["layer"].astype(str), signal=units["signal"].astype(str))
    joined = left.merge(found, how="left", on=["layer", "signal", "unit"])
    return joined.assign(layer=units["layer"], signal=units["signal"])


def _states_of(rows: pd.DataFrame) -> list[str]:
    """The states among the signals of a layer's rows, h and c; of other cells, the first signal."""
    there = list(rows["signal"].unique())
    return [name for name in STATES if name in there] or there[:1]


def _by_layer(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
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
