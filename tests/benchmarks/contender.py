"""One run of one contender, in a process of its own: ``python -m tests.benchmarks.contender``.

It builds the model, checks the first sequences against the reference, and runs once unseen and
once timed. Where no setting is named, it first tries each once, and takes the fastest. Prints one
line of JSON.
"""

import argparse
import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import problem
from tests.benchmarks.problem import Array

WARM_UP = 1_024
"""Sequences of the warm-up of what writes Parquet; what stays in memory warms up on all."""


def in_memory(name: str, x: Array, folder: Path, setting: str) -> dict[str, Any]:
    """Run a contender that leaves its result in memory."""
    candidates = _candidates(name, folder)
    if setting:
        candidates = {setting: candidates[setting]}
    for run in candidates.values():
        problem.check(run(x[: problem.CHECKED]), x, folder)
        run(x)
    tries = {name: _timed(partial(run, x)) for name, run in candidates.items()}
    best = min(tries, key=lambda name: tries[name]["seconds"])
    return {"setting": best, **tries[best]}


def to_parquet(name: str, x: Array, folder: Path) -> dict[str, Any]:
    """Run a contender that writes h and c; it has one setting."""
    ((setting, run),) = _candidates(name, folder).items()
    with _scratch(folder) as out:
        run(x[:WARM_UP], out)
        problem.check_files(out, "hc", x, folder)
    with _scratch(folder) as out, _watched() as peak:
        timed = _timed(partial(run, x, out))
    return {"setting": setting, **timed, **peak}


def once(name: str, given: Any, folder: Path) -> dict[str, Any]:
    """Run a contender that has one setting and is not warmed up.

    Args:
        name: the contender.
        given: of statistics the folder of the states, of a rerun the sequences [N, T, F].
        folder: for what it writes.
    """
    ((setting, run),) = _candidates(name, folder).items()
    with _scratch(folder) as out, _watched() as peak:
        timed = _timed(partial(run, given, out))
    return {"setting": setting, **timed, **peak}


def sweep(launcher: str, folder: Path) -> dict[str, Any]:
    """Run six whole jobs on digits by one of Hydra's launchers, from nothing.

    Memory is that of the largest process.
    """
    with _scratch(folder) as out:
        words = [f"root={out}", "seed=0,1,2,3,4,5", f"hydra/launcher={launcher}"]
        command = [sys.executable, "-m", "rnnscope", "-m", *words]
        timed = _timed(partial(subprocess.run, command, check=True, stdout=sys.stderr))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"setting": launcher, **timed, "peak_memory_bytes": largest}


def record(x: Array, recorded: Path, folder: Path, signals: str) -> dict[str, Any]:
    """Record states for the contenders that measure them."""
    from tests.benchmarks import ours

    recorded.mkdir()
    ours.prepare()
    ours.to_parquet(ours.build(folder), x, recorded, ours.options_of(signals))
    ours.finish(recorded, x)
    return {}


def ours_in_memory(folder: Path) -> dict[str, problem.InMemory]:
    """This project, all six signals."""
    from tests.benchmarks import ours

    ours.prepare()
    model = ours.build(folder)
    return {"as it comes": lambda x: ours.in_memory(model, x)}


def ours_passes(folder: Path) -> dict[str, problem.InMemory]:
    """Its passes alone, all six signals; TensorFlow's threads are as a user has them."""
    from tests.benchmarks import ours

    model = ours.build(folder)
    return {"trace.recording": lambda x: ours.passes(model, x)}


def ours_recorded(folder: Path) -> dict[str, problem.InMemory]:
    """``rnnscope.record``, all six signals: checks, tracing, passes, proof."""
    from tests.benchmarks import ours

    model = ours.build(folder)
    return {"record": lambda x: ours.recorded(model, x)}


def ours_held(folder: Path) -> dict[str, problem.InMemory]:
    """``record`` without what is done once per model, before one looks at an array."""
    from tests.benchmarks import ours

    model = ours.build(folder)
    return {"Prepared.record": lambda x: ours.held(model, x)}


def ours_recorded_again(folder: Path) -> dict[str, problem.InMemory]:
    """The same without what is done once per model, all arrays joined."""
    from tests.benchmarks import ours

    model = ours.build(folder)
    return {"Prepared.record, arrays": lambda x: ours.recorded_again(model, x)}


def ours_to_parquet(folder: Path) -> dict[str, problem.ToParquet]:
    """This project, h and c."""
    from tests.benchmarks import ours

    ours.prepare()
    model = ours.build(folder)
    options = ours.options_of("hc")
    return {"as it comes": lambda x, out: ours.to_parquet(model, x, out, options)}


def ours_units(folder: Path) -> dict[str, problem.Statistics]:
    """Stage units, whole."""
    from tests.benchmarks import analyses

    return {"stage units": analyses.units}


def ours_ablation(folder: Path) -> dict[str, problem.ToParquet]:
    """Stage ablation, whole; TensorFlow's threads are as the stage finds them."""
    from tests.benchmarks import ours

    model = ours.build(folder)
    return {"stage ablation": lambda x, out: ours.ablation(model, x, out)}


def ours_moments(folder: Path) -> dict[str, problem.Statistics]:
    """Its moments and quantiles alone."""
    from tests.benchmarks import analyses

    return {"moments and quantiles": analyses.moments_and_quantiles}


def pandas_moments(folder: Path) -> dict[str, problem.Statistics]:
    """The same by pandas."""
    from tests.benchmarks import analyses

    return {"read_parquet, agg, quantile": analyses.by_pandas}


def _candidates(name: str, folder: Path) -> dict[str, Callable[..., Any]]:
    """The settings of a contender, ``module:function`` or a function of this module."""
    module, _, function = name.rpartition(":")
    if not module:
        return globals()[function](folder)
    return getattr(importlib.import_module(f"tests.benchmarks.{module}"), function)(folder)


def _timed(run: Callable[[], Any]) -> dict[str, float]:
    """Seconds on the clock and of all cores; memory is given back before, not during."""
    gc.collect()
    cpu, start = _cpu(), time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    used = _cpu() - cpu
    del result
    return {"seconds": seconds, "cpu_seconds": used}


def _cpu() -> float:
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder on the disk of ``folder``, with nothing left to be written from before."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        os.sync()
        yield Path(scratch)


@contextmanager
def _watched() -> Iterator[dict[str, int]]:
    """Largest private memory while open: without the pages of mapped files, which are not ours."""
    peak = {"private_bytes": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak["private_bytes"] = max(peak["private_bytes"], _status("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _status(key: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser()
    kinds = ("in_memory", "to_parquet", "statistics", "rerun", "sweep", "record")
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("name", help="the contender; of record the signals, of sweep the launcher")
    parser.add_argument("folder", type=Path)
    parser.add_argument("x", help="the sequences")
    parser.add_argument("--recorded", help="folder of the states")
    parser.add_argument("--setting", default="", help="of the contender's, the one to run")
    parser.add_argument("--mapped", action="store_true", help="leave the data on the disk")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = options.folder
    if options.kind == "statistics":
        found = once(options.name, folder / options.recorded, folder)
    elif options.kind == "sweep":
        found = sweep(options.name, folder)
    else:
        x = np.load(folder / options.x, mmap_mode="r" if options.mapped else None)
        match options.kind:
            case "in_memory":
                found = in_memory(options.name, x, folder, options.setting)
            case "to_parquet":
                found = to_parquet(options.name, x, folder)
            case "rerun":
                found = once(options.name, x, folder)
            case _:
                found = record(x, folder / options.recorded, folder, options.name)
    print(json.dumps({"peak_memory_bytes": _status("VmHWM"), **found}))


if __name__ == "__main__":
    main()
