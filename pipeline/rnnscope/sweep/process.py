"""One job's process: its share of the machine, and the job number before its messages."""

import logging
import os
import textwrap


def share(n_jobs: int | None) -> int | None:
    """How many cores a job may use: its share of the machine, or what Slurm gave it; None for all.

    Args:
        n_jobs: jobs at a time on this machine, as joblib counts them: -1 is one for each core.
    """
    if n_jobs is not None:
        import joblib

        cores: int = joblib.cpu_count()
        return max(1, cores // max(1, n_jobs if n_jobs > 0 else cores + 1 + n_jobs))
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(given) if given.isdigit() else None


def keep_to(cores: int) -> None:
    """Limit TensorFlow, which is not imported yet, to so many cores, and let GPU memory grow."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(cores))
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


class Marked(logging.Formatter):
    """Messages with the job's number before each line: jobs share a terminal."""

    def __init__(self, number: int):
        super().__init__("%(message)s")
        self.mark = f"#{number:<4}"

    def format(self, record: logging.LogRecord) -> str:
        """Put the mark before each line."""
        return textwrap.indent(super().format(record), self.mark)
