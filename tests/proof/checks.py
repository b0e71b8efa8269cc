"""One line of the proof, and how the pipeline is run for it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

HEADER = "| task | what is known | source | bound | measured | pass |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Check:
    """What must hold of a network, and what the pipeline measured."""

    task: str
    known: str
    source: str
    """The publication, or the formula."""
    bound: str
    measured: str
    passed: bool

    def line(self) -> str:
        """The check as a row of the table."""
        cells = (self.task, self.known, self.source, self.bound, self.measured)
        return f"| {' | '.join(cells)} | {'pass' if self.passed else 'FAIL'} |"


def run(root: Path, *words: str) -> None:
    """``rnnscope root=<root> <words>``, in a process of its own.

    Raises:
        ChildProcessError: it failed, with what it said.
    """
    command = [sys.executable, "-m", "rnnscope", f"root={root}", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(f"rnnscope {' '.join(words)}\n{done.stdout}{done.stderr}")


def table(root: Path, stage: str, name: str) -> pd.DataFrame:
    """A table of the run below a root."""
    return pd.read_parquet(root / "latest" / stage / f"{name}.parquet")
