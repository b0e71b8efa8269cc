"""The table of runs on the page, and the same with all columns as CSV."""

import csv
import io
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.report.commands import command
from rnnscope.report.sweep import commands
from rnnscope.report.sweep.axes import axis
from rnnscope.report.sweep.collected import Collected, missing, page_of
from rnnscope.report.sweep.metrics import number

OUTCOMES = ("accuracy", "loss", "seconds", "peak_memory_bytes")
"""The columns that follow the options that differ."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\N{MINUS SIGN}", "\N{FULLWIDTH EQUALS SIGN}")
"""What a spreadsheet may take for the beginning of a formula, in text."""


def rows(collected: Collected) -> list[dict[str, Any]]:
    """Of each run its page, or the command that makes one, and the later stages that it lacks."""
    return [
        {
            "name": run.name,
            "href": (href := page_of(run)),
            "command": None if href else command(commands.manifests(run)),
            "missing": [name for name in missing(run) if name != "report"],
        }
        for run in collected.runs
    ]


def columns(collected: Collected) -> list[dict[str, Any]]:
    """The columns behind the run's name, with the values of all runs.

    Numbers are as the runs' table has them, scores and costs in six digits; everything else is
    text, and null is None.
    """
    kept = [name for name in OUTCOMES if collected.frame[name].notna().any()]
    return [
        *(_option(collected, name) for name in collected.differ),
        *(_outcome(collected, name) for name in kept),
    ]


def _outcome(collected: Collected, name: str) -> dict[str, Any]:
    declared = collected.declared.column(name)
    values = collected.frame[name].to_numpy(np.float64, na_value=np.nan)
    return {
        "name": name,
        "help": declared.meaning if declared else "",
        "numeric": True,
        "values": list(map(number, values)),
    }


def _option(collected: Collected, name: str) -> dict[str, Any]:
    of = axis(collected.frame[name])
    texts = [None if each is None else of.label(each) for each in of.of_runs]
    return {
        "name": name,
        "help": "an option that differs between the runs",
        "numeric": of.kind != "category",
        "values": texts if of.kind == "category" else of.of_runs,
    }


def as_csv(frame: pd.DataFrame) -> str:
    """A table as CSV by RFC 4180, null as an empty cell; no text in it begins as a formula does.

    Before such text stands an apostrophe. Numbers remain as they are, negative ones too.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(harmless, frame))
    plain = frame.astype(object).where(frame.notna(), None)
    writer.writerows([harmless(each) for each in row] for row in plain.itertuples(index=False))
    return text.getvalue()


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet computes."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA) else cell
