"""The end of a run on the terminal: where its results are, and how to read them."""

import json
from collections.abc import Mapping
from pathlib import Path

from rnnscope import store
from rnnscope.report import PAGE
from rnnscope.report.sweep import SWEEP

SHOWN = {
    "extract": ("states", ""),
    "units": ("units", "units.parquet"),
    "report": ("page", PAGE),
    "collect": ("page", SWEEP),
}
"""For each stage whose output is worth a line: what to call it, and its file."""


def summary(folders: Mapping[str, Path]) -> str:
    """The paths of states, unit table and page, then a few lines of Python that read them.

    Args:
        folders: stage name -> folder of its finished artefact, for the stages of this run.
    """
    shown = dict(SHOWN)
    if "report" in folders and _without_page(folders["report"]):
        shown["report"] = ("figures", "")
    places = [
        f"{name:<10} {folders[stage].absolute() / file}"
        for stage, (name, file) in shown.items()
        if stage in folders
    ]
    code = _snippet(folders)
    between = [""] if places and code else []
    return "\n".join(["", *places, *between, *code, *([""] if code else [])])


def _without_page(folder: Path) -> bool:
    """Whether report.format left out the page."""
    return folder.is_dir() and not (folder / PAGE).exists()


def _snippet(folders: Mapping[str, Path]) -> list[str]:
    """Code that prints the head of the run's last table."""
    if "units" in folders:
        return ["import pandas as pd", *_largest(folders["units"], folders.get("extract"))]
    if "extract" in folders:
        layers = store.read_manifest(folders["extract"])["layers"]
        layer, signals = next(iter(layers.items()))
        signal = "c" if "c" in signals else signals[0]
        which = f", layer={_quoted(layer)}" if len(layers) > 1 else ""
        return [
            "from rnnscope import read_states",
            f'{signal} = read_states({_quoted(folders["extract"])}, "{signal}"{which})',
            f"print({signal}.head())",
        ]
    if "train" in folders:
        return [
            "import pandas as pd",
            f"history = pd.read_parquet({_quoted(folders['train'] / 'history.parquet')})",
            "print(history.tail())",
        ]
    return []


def _largest(units: Path, recorded: Path | None) -> list[str]:
    """Code that prints the rows of a table of units with the largest of a value they have."""
    note = []
    # Without labels there is no effect size: the units that vary most come first instead.
    table, first, rest = "units", "std", ["mean"]
    if recorded is None or _labelled(recorded):
        first, rest = "eta2", ["q_value", "selectivity"]
        if (why := _empty(units, "units", "eta2")) is not None:
            note = [f"# eta2 is of the label at the final step, and null: {why}"]
            table, first, rest = "timesteps", "eta2", []
            if not _empty(units, "units", "best_correlation"):
                table, first, rest = "units", "best_correlation", ["best_covariate"]
            elif _empty(units, "timesteps", "eta2"):
                table, first, rest = "units", "std", ["mean"]
    keys = ["layer", "signal", "unit", *(["timestep"] if table == "timesteps" else [])]
    return [
        *note,
        f"{table} = pd.read_parquet({_quoted(units / f'{table}.parquet')})",
        f'print({table}.nlargest(5, "{first}")[{json.dumps([*keys, first, *rest])}])',
    ]


def _empty(folder: Path, table: str, column: str) -> str | None:
    """Why a column of a table is null in every row; None if it is not."""
    nulls = store.read_manifest(folder).get("null", {}).get(table, {}).get(column)
    if not nulls:
        return None
    from rnnscope.store import parquet  # heavy, and seldom needed

    rows = parquet.metadata(folder / f"{table}.parquet").num_rows
    return ", ".join(nulls) if sum(nulls.values()) == rows else None


def _labelled(recorded: Path) -> bool:
    manifest = store.read_manifest(recorded)
    known = str(manifest.get("labels") or "").startswith("class")
    return known or "accuracy" in manifest["headline"]


def _quoted(text: Path | str) -> str:
    """A Python literal of a text or of the absolute path."""
    return json.dumps(str(text.absolute() if isinstance(text, Path) else text), ensure_ascii=False)
