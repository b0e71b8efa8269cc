"""Stage report: what a run found, as one page that opens from disk and asks the network nothing.

Everything heavy is imported when the stage runs: the command line imports this for ``summary``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.report.summary import summary

__all__ = ["run", "summary"]


def run(inputs: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    """Write ``report.html`` into ``folder``; returns the headline figures.

    Args:
        inputs: stage name -> folder of its finished artefact: all stages before, train only where
            the model was trained here.
        folder: where to write.
    """
    from pipeline.report import page

    return page.write(inputs, folder)
