"""PyTorch: nn.LSTM for h, and a loop over LSTMCell for h and c. The gate order is Keras' own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnscope import states
from tests.benchmarks.problem import (
    BATCH,
    FEATURES,
    UNITS,
    Array,
    Batches,
    InMemory,
    ToParquet,
    cores,
    cuts,
    weights,
)

PART_ROWS = 70_000
"""Rows per Parquet file: a quarter of the test set."""


def h_only(folder: Path) -> dict[str, InMemory]:
    """nn.LSTM: threads within a batch, and a batch per thread; small batches and large."""
    lstm = torch.nn.LSTM(FEATURES, UNITS).eval()
    _load(lstm, folder, "_l0")

    def h(x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"h": lstm(x.transpose(0, 1))[0]}

    return {
        **{f"{size} at a time": _in_memory(h, size) for size in (128, 256, BATCH, 2 * BATCH)},
        **{f"{size} per thread": _in_memory(h, size, own=True) for size in (128, 256, BATCH)},
    }


def cell_loop(folder: Path) -> dict[str, InMemory]:
    """LSTMCell, one timestep after the other; h and c of each kept."""
    loop = _loop(folder)
    return {
        **{f"{size} at a time": _in_memory(loop, size) for size in (256, BATCH)},
        **{f"{size} per thread": _in_memory(loop, size, own=True) for size in (256, BATCH)},
    }


def cell_loop_to_parquet(folder: Path) -> dict[str, ToParquet]:
    """The same loop, written by pyarrow with our own encodings."""
    loop = _loop(folder)

    def write(x: Array, number: int, first: int, out: Path) -> None:
        found = [_pass(loop, x[cut]) for cut in cuts(len(x))]
        rows = states.row_keys(first, np.full(len(x), x.shape[1]), None)
        for signal in "hc":
            # [T, B, U] -> [U, B T] by way of [B, T, U]: a copy of whole rows and a plain
            # transposition take a fraction of the time of one copy over three axes.
            flat = [each[signal].transpose(0, 1).reshape(-1, UNITS) for each in found]
            columns = torch.cat(flat).t().contiguous().numpy()
            path = states.part_file(out, "lstm", signal, number)
            states.write_part(path, signal, columns, rows, "lz4")

    def run(x: Array, out: Path) -> None:
        torch.set_num_threads(1)
        parts = enumerate(cuts(len(x), max(1, PART_ROWS // x.shape[1])))
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lambda part: write(x[part[1]], part[0], part[1].start, out), parts))

    return {f"a file per thread, batches of {BATCH}": run}


Module = Callable[[torch.Tensor], dict[str, torch.Tensor]]
"""Sequences [B, T, F] -> signal -> [T, B, U]."""


def _load(module: torch.nn.Module, folder: Path, suffix: str) -> None:
    kernel, recurrent_kernel, bias, _ = (torch.from_numpy(each) for each in weights(folder))
    values = {
        "weight_ih": kernel.T,
        "weight_hh": recurrent_kernel.T,
        "bias_ih": bias,
        "bias_hh": torch.zeros_like(bias),
    }
    module.load_state_dict({f"{name}{suffix}": value for name, value in values.items()})


def _loop(folder: Path) -> Module:
    cell = torch.nn.LSTMCell(FEATURES, UNITS).eval()
    _load(cell, folder, "")

    def steps(x: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        h = c = torch.zeros(len(x), UNITS)
        for t in range(x.shape[1]):
            h, c = cell(x[:, t], (h, c))
            yield h, c

    def loop(x: torch.Tensor) -> dict[str, torch.Tensor]:
        h, c = zip(*steps(x), strict=True)
        return {"h": torch.stack(h), "c": torch.stack(c)}

    return loop


def _pass(module: Module, x: Array) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return module(torch.from_numpy(np.ascontiguousarray(x)))


def _in_memory(module: Module, size: int, *, own: bool = False) -> InMemory:
    """Batches of ``size``: each on all cores, or each on one core with as many as there are."""

    def run(x: Array) -> Batches:
        torch.set_num_threads(1 if own else cores())
        found: list[dict[str, Any]]
        with ThreadPoolExecutor(cores() if own else 1) as pool:
            found = list(pool.map(lambda cut: _pass(module, x[cut]), cuts(len(x), size)))
        return {
            signal: [each[signal].transpose(0, 1).numpy() for each in found] for signal in found[0]
        }

    return run
