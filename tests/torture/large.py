"""Long, wide, deep and many: the sizes at which a pipeline breaks; memory stays bounded."""

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.torture import command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

GIB = 2**30


def _arrays(folder: Path, count: int, timesteps: int, features: int) -> str:
    """A folder of .npy files, which are memory-mapped: noise, with labels by its sign."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    x = np.lib.format.open_memmap(
        folder / "x_test.npy", "w+", np.float32, (count, timesteps, features)
    )
    step = max(1, 10**7 // (timesteps * features))
    for start in range(0, count, step):
        part = x[start : start + step]
        part[:] = draw.standard_normal(part.shape, np.float32)
    some = x[: min(count, 64)]
    np.save(folder / "x_train.npy", some + 1)
    np.save(folder / "y_train.npy", (some.mean((1, 2)) > 0).astype(np.int32))
    np.save(folder / "y_test.npy", (x[:, -1, 0] > 0).astype(np.int32))
    return f"data.path={folder}"


@dataclass(frozen=True)
class Large:
    """One size, and what it may take."""

    name: str
    shape: tuple[int, int, int]
    """N, T and F of the test split."""
    options: tuple[str, ...]
    memory: float
    """The most that any stage may take, in bytes."""
    stage: str = "units"


FEW = ("train.steps=2", "train.batch_size=4", "data=files", "data.validation_fraction=0")
LARGE = (
    Large(
        "one sequence of 1,000,000 timesteps",
        (1, 1_000_000, 1),
        (
            "train.steps=0",
            *FEW[1:],
            "model.units=4",
            "extract.signals=[h,c]",
            "units.permutations=0",
        ),
        8 * GIB,
    ),
    Large(
        "1,000,000 sequences of 10 timesteps",
        (1_000_000, 10, 2),
        (*FEW, "model.units=4", "extract.signals=[h,c]", "units.permutations=20"),
        4 * GIB,
    ),
    Large("one unit", (64, 12, 3), (*FEW, "model.units=1"), 3 * GIB, "report"),
    Large(
        "2,048 units",
        (48, 8, 4),
        (*FEW, "model.units=2048", "extract.signals=[h,c]", "units.permutations=20"),
        8 * GIB,
        "population",
    ),
    Large(
        "100 layers",
        (48, 8, 4),
        (*FEW, "model.units=4", "model.layers=100", "extract.signals=[h]"),
        8 * GIB,
    ),
)


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Every size once, and a soak of as many extractions as there are tries."""
    for large in LARGE:
        yield Fault(f"large: {large.name}", [functools.partial(_run, large)], alone=True)
    yield Fault("large: 3,000 columns, read back in pandas", [_columns], alone=True)
    yield Fault("soak: memory flat", [functools.partial(_soak, max(4, tries))], alone=True)


def _run(large: Large, folder: Path) -> Outcome:
    path = _arrays(folder / "data", *large.shape)
    ended = command.run(folder / "root", f"stage={large.stage}", path, *large.options, within=1800)
    return _judged(ended, folder / "root", large.memory) or SURVIVED


def _judged(ended: command.Ended, root: Path, memory: float) -> Outcome | None:
    if bad := command.failed(ended):
        return bad
    manifests = {path.parent.parent.name: path for path in root.glob("*/[!.]*/_manifest.json")}
    for stage, path in manifests.items():
        peak = json.loads(path.read_text())["peak_memory_bytes"]
        if peak > memory:
            return Outcome("wrong", f"{stage} took {peak / GIB:.1f} GiB")
    return None


def _columns(folder: Path) -> Outcome:
    """A table of 3,000 columns of values goes in, a table of 3,000 units comes out."""
    draw = np.random.default_rng(0)
    count, timesteps, features = 12, 4, 3000
    values = draw.standard_normal((count * timesteps, features)).astype(np.float32)
    keys = {
        "sequence": np.repeat(np.arange(count), timesteps),
        "timestep": np.tile(np.arange(timesteps), count),
        "label": np.repeat(np.arange(count) % 2, timesteps),
    }
    names = [f"channel_{number}" for number in range(features)]
    frame = pd.concat([pd.DataFrame(keys), pd.DataFrame(values, columns=names)], axis=1)
    folder.joinpath("data").mkdir()
    file = folder / "data" / "wide.csv"
    frame.to_csv(file, index=False)
    ended = command.run(
        folder / "root",
        *("stage=units", f"data.path={file}", "data.test_fraction=0.5", "model.units=3000", *FEW),
        *("extract.signals=[c]", "units.permutations=0"),
        within=1800,
    )
    if bad := _judged(ended, folder / "root", 8 * GIB):
        return bad
    read = pd.read_parquet(next((folder / "root" / "extract").glob("*/lstm/c")))
    if read.shape[1] != 3000 + 3 or read.isna().any(axis=None):
        return Outcome("wrong", f"read back as {read.shape}")
    return SURVIVED


SOAK = """
import sys, resource
from pathlib import Path
from rnnscope import stages
from tests.compose import composed
from tests.torture.command import SMALL

def resident():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024

config = composed(Path(sys.argv[1]), "stage=report", "mode=force", *SMALL)
config.mode = "run"
stages.run(config)
for number in range(int(sys.argv[2])):
    for stage in ("extract", "units"):
        config.stage, config.mode = stage, "force"
        stages.run(config)
    print(resident(), flush=True)
"""


def _soak(rounds: int, folder: Path) -> Outcome:
    """Extract and units again and again in one process; after the first fifth memory is flat."""
    done = subprocess.run(
        [sys.executable, "-c", SOAK, str(folder / "root"), str(rounds)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Outcome("traceback", done.stderr[-300:])
    taken = [int(line) for line in done.stdout.split() if line.isdigit()]
    early, late = np.median(taken[rounds // 5 : rounds // 5 + 3]), np.median(taken[-3:])
    if late > early * 1.05 + 20e6:
        return Outcome("wrong", f"{early / 1e6:.0f} MB, later {late / 1e6:.0f} MB")
    return SURVIVED
