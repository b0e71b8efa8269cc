"""Measure this project beside the ways it replaces, and print how much faster it is.

    python -m tests.benchmarks                 everything; half an hour or so on two cores
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

from rnnscope.terminal import bar
from tests.benchmarks import problem
from tests.benchmarks.works import OURS, WORKS, Run, Work

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("tensorflow", "keras", "numpy", "pyarrow", "pandas", "torch", "onnxruntime")


@dataclass
class Bench:
    """Runs of this invocation."""

    folder: Path
    """Weights, data and scratch files."""
    found: dict[Run, list[dict[str, Any]]] = field(default_factory=dict)
    """Run -> what each round gave."""

    settings: dict[Run, str] = field(default_factory=dict)
    """Run -> its fastest setting, found before the rounds."""

    def tune(self, run: Run) -> None:
        """Find the fastest setting; a run of this kind is not counted."""
        self.settings[run] = self._run(run, "")["setting"]

    def run(self, run: Run) -> None:
        """Run once more, in a process of its own."""
        self.found.setdefault(run, []).append(self._run(run, self.settings.get(run, "")))

    def _run(self, run: Run, setting: str) -> dict[str, Any]:
        options = ["--mapped"] * run.mapped
        if run.kind == "statistics":
            options += ["--recorded", run.recorded]
            if not (self.folder / run.recorded).exists():
                self._call(run, "record", run.signals, [*options, "--mapped"])
        return self._call(run, run.kind, run.contender, [*options, "--setting", setting])

    def _call(self, run: Run, kind: str, name: str, options: list[str]) -> dict[str, Any]:
        """One process; what it says in the end."""
        arguments = [kind, name, str(self.folder), problem.name_of(*run.size), *options]
        command = [sys.executable, "-m", "tests.benchmarks.contender", *arguments]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{run.name} failed:\n{done.stderr[-3000:]}")
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures


def main() -> None:
    """Run the works one after the other; print each one's rows as it ends; write them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--rounds", type=int, default=5, help="pairs per ratio")
    parser.add_argument("--only", default="", help="works whose name holds this")
    parser.add_argument("--out", type=Path, default=PROJECT / "outputs" / "bench")
    options = parser.parse_args()
    works = [_available(work) for work in WORKS if options.only.lower() in work.name.lower()]
    if not works:
        names = ", ".join(dict.fromkeys(work.name for work in WORKS))
        parser.error(f"--only {options.only}: no work of that name; there are {names}")
    start = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    print(HEADER)
    tables = []
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        bench = Bench(Path(folder))
        problem.save(bench.folder, sorted({run.size for work in works for run in work.runs}))
        for work in works:
            _measure(bench, work, options.rounds)
            tables.append(pd.DataFrame(_rows(work, bench)))
            print(_text(tables[-1]), flush=True)
    table = pd.concat(tables, ignore_index=True).assign(**_machine())
    table.to_parquet(options.out / "bench.parquet", index=False)
    print(f"\n{_footer(table)}")
    print(f"{time.perf_counter() - start:,.0f} s; {options.out / 'bench.parquet'}")


def _available(work: Work) -> Work:
    """The work without the contenders whose packages are not installed."""
    if work.rule in ("spread", "limit"):
        return work
    kept = []
    for run, target in zip(work.runs[1:], work.targets, strict=True):
        missing = [name for name in run.needs if importlib.util.find_spec(name) is None]
        if missing:
            print(f"left out, for want of {' and '.join(missing)}: {run.name}", file=sys.stderr)
        else:
            kept.append((run, target))
    runs = (work.runs[0], *(run for run, _ in kept))
    targets = tuple(target for _, target in kept)
    return Work(work.name, runs, targets, work.figure, work.rule)


def _measure(bench: Bench, work: Work, rounds: int) -> None:
    """All rounds of one work; what an earlier work ran already is not run again."""
    runs = [run for run in work.runs if run not in bench.found]
    with bar(total=rounds * len(runs), desc=work.name, unit="run") as progress:
        for run in runs:
            if run.kind == "in_memory":
                bench.tune(run)
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
    if work.rule == "limit":
        (limit,) = work.targets
        assert limit is not None
        against = f"{limit / 1e9:g} GB" if "bytes" in work.figure else f"{limit:g} s"
        return [_row(work, first.name, against, figures[0] / limit, 1, rounds[0], rounds[0])]
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


HEADER = (
    f"{'ratio':>7}  {'min … max':>13}  {'target':>7}  {'':<18} "
    f"{'seconds':>14}  {'peak MB':>13}  work"
)


def _text(table: pd.DataFrame) -> str:
    """Rows of the table as the terminal shows them, ratios first."""
    lines = []
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
    return "\n".join(lines)


def _footer(table: pd.DataFrame) -> str:
    """What the figures are, and the machine."""
    machine = table.iloc[0]
    return (
        f"pairs: {machine.runs}; seconds and peak memory: contender / against; "
        f"{machine.cores} cores, load {machine.load:.1f}\n{machine.versions}"
    )


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
