"""The end of a run on the terminal: where its results are, and how to read them."""

import json
from collections.abc import Mapping
from pathlib import Path

from rnnscope import store
from rnnscope.report import PAGE

SHOWN = {
    "extract": ("states", ""),
    "units": ("units", "units.parquet"),
    "report": ("page", PAGE),
}
"""For each stage whose output is worth a line: what to call it, and its file."""


def summary(folders: Mapping[str, Path]) -> str:
    """The paths of states, unit table and page, then a few lines of Python that read them.

    Args:
        folders: stage name -> folder of its finished artefact, for the stages of this run.
    """
    places = [
        f"{name:<10} {folders[stage].absolute() / file}"
        for stage, (name, file) in SHOWN.items()
        if stage in folders
    ]
    return "\n".join(["", *places, *([""] if places else []), *_snippet(folders), ""])


def _snippet(folders: Mapping[str, Path]) -> list[str]:
    """Code that prints the head of the run's last table."""
    if "units" in folders:
        # Without labels there is no effect size: the units that vary most come first instead.
        labelled = "extract" not in folders or _labelled(folders["extract"])
        first, rest = ("eta2", ["q_value", "selectivity"]) if labelled else ("std", ["mean"])
        return [
            "import pandas as pd",
            f"units = pd.read_parquet({_quoted(folders['units'] / 'units.parquet')})",
            f'print(units.nlargest(5, "{first}")'
            f"[{json.dumps(['layer', 'signal', 'unit', first, *rest])}])",
        ]
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


def _labelled(recorded: Path) -> bool:
    return "accuracy" in store.read_manifest(recorded)["headline"]


def _quoted(text: Path | str) -> str:
    """A Python literal of a text or of the absolute path."""
    return json.dumps(str(text.absolute() if isinstance(text, Path) else text), ensure_ascii=False)
