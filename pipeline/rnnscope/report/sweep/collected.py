"""What the page is made from: the runs, and their table as stage collect writes it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from rnnscope.store.runs import Run
from rnnscope.store.tables import Column, Table

LATER = ("population", "decoding", "ablation", "fixed_points", "report")
"""The stages of a run that stage collect can go without."""
OF_MODELS = ("ablation", "fixed_points")
"""Those of them that run the model; recorded states alone have none."""


@dataclass(frozen=True)
class Collected:
    """R runs."""

    runs: list[Run]
    frame: pd.DataFrame
    """One row per run [R]: its options, scores, costs and keys."""
    declared: Table
    """The declarations of its columns."""
    differ: list[str]
    """The options that differ between the runs."""

    @property
    def outcomes(self) -> list[Column]:
        """The declarations of the columns that are no options and no keys, named as in the frame.

        They are numeric.
        """
        declared = {name: self.declared.column(name) for name in self.frame}
        return [
            Column(name, column.meaning)
            for name, column in declared.items()
            if column is not None and pd.api.types.is_numeric_dtype(self.frame[name])
            if column.name not in ("run", "<option>")
        ]


def page_of(run: Run) -> str | None:
    """The path from the page of all runs to that of one, as a URL; None if it has none.

    Both lie two folders below the root, so that it leads there wherever the root is moved, and
    from ``latest/collect`` too.
    """
    report = run.stages.get("report")
    if report is None or not (file := report.manifest.get("page")):
        return None
    place = Path(report.artefact.stage, report.artefact.folder.name, str(file))
    return quote(f"../../{place.as_posix()}")


def missing(run: Run) -> list[str]:
    """The later stages that the run does not have; states alone have no model to rerun."""
    brought = bool(run.stages["extract"].manifest.get("no_proof"))
    return [
        name for name in LATER if name not in run.stages and not (brought and name in OF_MODELS)
    ]
