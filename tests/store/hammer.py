"""Many processes that make and read one artefact at once, and what they saw go wrong."""

import collections
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from rnnscope import read_sequences, read_states, store
from rnnscope.states import SEQUENCES, part_file, row_keys, write_part
from rnnscope.store import sidecar
from rnnscope.store.artefacts import Artefact

PARTS, SEQUENCES_OF_PART, TIMESTEPS = 4, 3, 5
READERS = {
    True: ("", "latest"),
    # pandas opens the files of a folder by their names, one after the other.
    False: ("", "latest", "pandas", "pandas latest"),
}
"""Who reads, by whether what is written differs each time; each as ``watch`` has it."""


def artefact_in(root: Path) -> Artefact:
    return store.locate(root, "extract", "run", "0" * 64)


def make(root: Path, value: int) -> None:
    """Make the artefact again: all states and losses are ``value``."""
    artefact = artefact_in(root)
    with store.claim(artefact) as holder:
        folder = store.open_partial(artefact, holder, resume=False)
        values = np.full((2, SEQUENCES_OF_PART * TIMESTEPS), value, np.float32)
        for part in range(PARTS):
            lengths = np.full(SEQUENCES_OF_PART, TIMESTEPS)
            rows = row_keys(part * SEQUENCES_OF_PART, lengths, None)
            for signal in ("h", "c"):
                write_part(part_file(folder, "lstm", signal, part), signal, values, rows, "lz4")
        count = PARTS * SEQUENCES_OF_PART
        table = pd.DataFrame({"sequence": np.arange(count), "length": TIMESTEPS, "loss": value})
        table.to_parquet(folder / SEQUENCES)
        store.commit(artefact, {"upstream": {}}, holder, replace=True)
    store.point_latest(root, [artefact])


def write(root: Path, first: int, times: int, step: int) -> None:
    """Make it so many times; equal each time where ``step`` is 0."""
    for number in range(times):
        make(root, first + step * number)


def watch(root: Path, how: str) -> collections.Counter[str]:
    """Read until told to stop; how often each thing was seen.

    Args:
        root: where the artefact is.
        how: by our functions or by "pandas", by its folder or by "latest", or both.
    """
    seen: collections.Counter[str] = collections.Counter()
    folder = store.latest(root, "extract") if "latest" in how else artefact_in(root).folder
    who = "pandas" if "pandas" in how else "ours"
    while not (root / "stop").exists():
        try:
            if who == "pandas":
                found = [pd.read_parquet(folder / "lstm" / signal) for signal in "hc"]
                values = [frame.filter(regex="_").to_numpy() for frame in found]
                sizes = (*(len(each) for each in values), 12)
            else:
                states = read_states(folder, ["h", "c"])
                values = [states.filter(regex="_").to_numpy()]
                sizes = (len(states), len(states), len(read_sequences(folder)))
            mixed = any(len(np.unique(each)) != 1 for each in values)
            what = "mixed" if mixed else "whole" if sizes == (60, 60, 12) else "torn"
        except Exception as error:
            what = f"error {type(error).__name__}: {str(error)[:200]}"
        seen[f"{who} {what}"] += 1
    return seen


def hammer(root: Path, *, writers: int, times: int, differ: bool) -> collections.Counter[str]:
    """What the readers saw while writers made the artefact again and again.

    Args:
        root: an empty folder.
        writers: processes that write.
        times: how often each does.
        differ: whether each time other values are written.
    """
    make(root, 0)
    step = int(differ)
    # Each is forked from one process, which has imported all this once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(writers + len(READERS[differ]), context) as pool:
        reading = [pool.submit(watch, root, how) for how in READERS[differ]]
        writing = [
            pool.submit(write, root, step * (1 + number * times), times, step)
            for number in range(writers)
        ]
        try:
            for each in writing:
                each.result(600)
            time.sleep(0.2)
        finally:
            (root / "stop").touch()
        return sum((each.result(60) for each in reading), collections.Counter())


def wrong(root: Path, seen: collections.Counter[str]) -> list[str]:
    """What readers saw that they must not, and what writers left that they must not."""
    found = sorted(set(seen) - {"ours whole", "pandas whole"})
    if seen["ours whole"] < 2:
        found.append("read less than twice")
    artefact = artefact_in(root)
    may_stay = {artefact.folder, sidecar.beside(artefact.folder)}
    found += [f"left: {path}" for path in set(artefact.folder.parent.iterdir()) - may_stay]
    if store.latest(root, "extract").resolve() != artefact.folder:
        found.append("latest is another")
    if len(links := list(root.glob(".latest*"))) > 2:
        found.append(f"left: {links}")
    return found
