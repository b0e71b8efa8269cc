"""Measure this project beside the ways it replaces, and print how much faster it is.

    python -m tests.benchmarks                 everything; ten minutes or so on two cores
    python -m tests.benchmarks --only memory   the works whose name holds a word
    python -m tests.benchmarks --rounds 9      more pairs

Every run is a process of its own. In each round all contenders of a work run one after the other,
and a ratio compares two runs of one round: what slows the whole machine slows both. PyTorch and
onnxruntime take part where they are installed.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.terminal import bar
from tests.benchmarks import problem

PROJECT = Path(__file__).resolve().parents[2]
OURS = "cellscope"
SMALL, LARGE, LONG, LONGEST = (10_000, 28), (100_000, 28), (1_000, 280), (100, 2_800)
PACKAGES = ("tensorflow", "keras", "numpy", "pyarrow", "pandas", "torch", "onnxruntime")


@dataclass(frozen=True)
class Run:
    """One contender's run."""

    name: str
    """As the table calls it."""
    kind: str
    """in_memory or to_parquet."""
    contender: str
    """``module:function`` of its settings."""
    size: tuple[int, int] = SMALL
    """N, T."""
    mapped: bool = False
    """Whether the data stay on the disk."""
    needs: tuple[str, ...] = ()
    """Packages without which it is left out."""


@dataclass(frozen=True)
class Work:
    """Runs that are compared with the first of them."""

    name: str
    runs: tuple[Run, ...]
    targets: tuple[float | None, ...]
    """One per run but the first; for "spread" one."""
    figure: str = "seconds"
    """What is compared."""
    rule: str = "faster"
    """faster: other over ours, at least the target; growth: other over first, at most; spread:
    largest over smallest of all, at most."""


H_ONLY = (
    Run("Keras LSTM, h only", "in_memory", "with_keras:h_only"),
    Run("PyTorch nn.LSTM, h only", "in_memory", "with_torch:h_only", needs=("torch",)),
    Run("PyTorch LSTMCell loop, h and c", "in_memory", "with_torch:cell_loop", needs=("torch",)),
    Run("ONNX LSTM, h only", "in_memory", "with_onnx:h_only", needs=("onnxruntime", "onnx")),
)
WRITTEN = (
    Run("recording cell, predict, to_parquet", "to_parquet", "with_keras:usual_way"),
    Run(
        "PyTorch LSTMCell loop, pyarrow",
        "to_parquet",
        "with_torch:cell_loop_to_parquet",
        needs=("torch",),
    ),
)


def _written(name: str, size: tuple[int, int], *, mapped: bool = False) -> Run:
    return Run(name, "to_parquet", ":ours_to_parquet", size, mapped)


SIZES = (_written("N = 10,000", SMALL, mapped=True), _written("N = 100,000", LARGE, mapped=True))
LENGTHS = tuple(_written(f"T = {size[1]:,}", size) for size in (SMALL, LONG, LONGEST))
WORKS = (
    Work(
        "six signals in memory",
        (Run(OURS, "in_memory", ":ours_in_memory"), *H_ONLY),
        (2.0, 1.0, 2.0, None),
    ),
    Work("h and c to Parquet", (_written(OURS, SMALL), *WRITTEN), (10.0, 2.0)),
    Work("peak memory, private", SIZES, (1.1,), "private_bytes", "growth"),
    Work("peak memory, with mapped input", SIZES, (1.1,), "peak_memory_bytes", "growth"),
    Work("seconds per row", LENGTHS, (1.3,), rule="spread"),
)


@dataclass
class Bench:
    """Runs of this invocation."""

    folder: Path
    """Weights, data and scratch files."""
    found: dict[Run, list[dict[str, Any]]] = field(default_factory=dict)
    """Run -> what each round gave."""

    def run(self, run: Run) -> None:
        """Run once more, in a process of its own."""
        command = [sys.executable, "-m", "tests.benchmarks.contender", run.kind, run.contender]
        command += [str(self.folder), problem.name_of(*run.size), *["--mapped"] * run.mapped]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{run.name} failed:\n{done.stderr[-3000:]}")
        self.found.setdefault(run, []).append(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run the works, print the table, write the Parquet file."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--rounds", type=int, default=5, help="pairs per ratio")
    parser.add_argument("--only", default="", help="works whose name holds this")
    parser.add_argument("--out", type=Path, default=PROJECT / "outputs" / "bench")
    options = parser.parse_args()
    works = [_available(work) for work in WORKS if options.only in work.name]
    start = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        bench = Bench(Path(folder))
        _measure(bench, works, options.rounds)
    table = pd.DataFrame([row for work in works for row in _rows(work, bench)])
    table = table.assign(**_machine())
    table.to_parquet(options.out / "bench.parquet", index=False)
    print(_text(table))
    print(f"\n{time.perf_counter() - start:,.0f} s; {options.out / 'bench.parquet'}")


def _available(work: Work) -> Work:
    """The work without the contenders whose packages are not installed."""
    kept = []
    for run, target in zip(work.runs[1:], [*work.targets, None, None], strict=False):
        missing = [name for name in run.needs if importlib.util.find_spec(name) is None]
        if missing:
            print(f"left out, for want of {' and '.join(missing)}: {run.name}", file=sys.stderr)
        else:
            kept.append((run, target))
    runs = (work.runs[0], *(run for run, _ in kept))
    targets = tuple(target for _, target in kept)
    return Work(work.name, runs, targets, work.figure, work.rule)


def _measure(bench: Bench, works: list[Work], rounds: int) -> None:
    """All rounds of all works; a run that several works share runs once a round."""
    groups = list(dict.fromkeys(work.runs for work in works))
    sizes = sorted({run.size for runs in groups for run in runs})
    problem.save(bench.folder, sizes)
    total = rounds * sum(len(runs) for runs in groups)
    with bar(total=total, desc="bench", unit="run") as progress:
        for runs in groups:
            for _ in range(rounds):
                for run in runs:
                    bench.run(run)
                    progress.update()


def _rows(work: Work, bench: Bench) -> list[dict[str, Any]]:
    """The table's rows of one work."""
    rounds = [pd.DataFrame(bench.found[run]) for run in work.runs]
    figures = [each[work.figure] for each in rounds]
    first, *others = work.runs
    if work.rule == "spread":
        together = pd.concat(figures, axis=1)
        ratios = together.max(axis=1) / together.min(axis=1)
        name = ", ".join(run.name for run in work.runs)
        return [_row(work, name, "its fastest", ratios, work.targets[0], rounds[0], rounds[0])]
    rows = []
    for number, (run, target) in enumerate(zip(others, work.targets, strict=True), start=1):
        ratios = figures[number] / figures[0]
        ours, other = rounds[0], rounds[number]
        if work.rule == "faster":
            rows.append(_row(work, OURS, run.name, ratios, target, ours, other))
        else:
            rows.append(_row(work, run.name, first.name, ratios, target, other, ours))
    return rows


def _row(
    work: Work,
    contender: str,
    against: str,
    ratios: Any,
    target: float | None,
    ours: pd.DataFrame,
    other: pd.DataFrame,
) -> dict[str, Any]:
    """One comparison; ``ours`` are the contender's runs, ``other`` those it is held against."""
    median = float(ratios.median())
    met = None
    if target is not None:
        met = median >= target if work.rule == "faster" else median <= target
    return {
        "work": work.name,
        "contender": contender,
        "against": against,
        "ratio_median": median,
        "ratio_min": float(ratios.min()),
        "ratio_max": float(ratios.max()),
        "target": target,
        "at_least": work.rule == "faster",
        "met": met,
        "seconds_median": ours["seconds"].median(),
        "against_seconds_median": other["seconds"].median(),
        "cpu_ratio_median": (other["cpu_seconds"] / ours["cpu_seconds"]).median(),
        "peak_memory_bytes": int(ours["peak_memory_bytes"].median()),
        "against_peak_memory_bytes": int(other["peak_memory_bytes"].median()),
        "setting": ours["setting"].mode()[0],
        "against_setting": other["setting"].mode()[0],
        "runs": len(ratios),
    }


def _machine() -> dict[str, Any]:
    """What the figures were measured on."""
    versions = []
    for name in PACKAGES:
        if importlib.util.find_spec(name) is not None:
            versions.append(f"{name} {metadata.version(name)}")
    return {
        "cores": problem.cores(),
        "load": os.getloadavg()[2],
        "versions": ", ".join([f"python {platform.python_version()}", *versions]),
    }


def _text(table: pd.DataFrame) -> str:
    """The table as the terminal shows it, ratios first."""
    lines = [
        f"{'ratio':>7}  {'min … max':>13}  {'target':>7}  {'':<18} "
        f"{'seconds':>14}  {'peak MB':>13}  work"
    ]
    for row in table.itertuples():
        sign = "≥" if row.at_least else "≤"
        target = "" if pd.isna(row.target) else f"{sign} {row.target:g}"
        lines.append(
            f"{row.ratio_median:>6.2f}×  {row.ratio_min:>5.2f} … {row.ratio_max:<5.2f}  "
            f"{target:>7}  {_verdict(row):<18} "
            f"{row.seconds_median:>6.2f} / {row.against_seconds_median:<5.2f}  "
            f"{row.peak_memory_bytes / 1e6:>5,.0f} / {row.against_peak_memory_bytes / 1e6:<5,.0f}  "
            f"{row.work}: {row.contender} against {row.against}"
        )
    machine = table.iloc[0]
    lines += [
        "",
        f"pairs: {machine.runs}; seconds and peak memory: contender / against; "
        f"{machine.cores} cores, load {machine.load:.1f}",
        machine.versions,
    ]
    return "\n".join(lines)


def _verdict(row: Any) -> str:
    """Met, or by how much not."""
    if row.met is None:
        return ""
    if row.met:
        return "met"
    short = row.target / row.ratio_median if row.at_least else row.ratio_median / row.target
    return f"missed by {short - 1:.0%}"


if __name__ == "__main__":
    main()
