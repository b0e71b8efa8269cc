"""Whether what a file says it holds fits in memory, before any of it is read."""

import contextlib
import os
import resource
from pathlib import Path

from rnnscope.errors import UserError

LARGE = 2**28
"""Bytes up to which a compressed array may be any multiple of what is stored of it."""
MULTIPLE = 100
"""How many times what is stored a larger array may be: more is no recording, and takes minutes."""
MAPPED = "a folder of .npy files (np.save, one file per array) is read from disk as needed"


def available() -> int:
    """Bytes that this process can still take: of the machine, its limits and its control group."""
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        told = next(line for line in lines if line.startswith("MemAvailable"))
        free.append(int(told.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free.append(limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        used = 0
        with contextlib.suppress(OSError, ValueError):
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        free.append(soft - used)
    return max(0, min(free))


def refuse_unfit(sizes: dict[str, int], where: str, remedy: str = MAPPED) -> None:
    """Raise where arrays together do not fit in memory.

    Args:
        sizes: bytes of each array once it is read, by name.
        where: what the arrays lie in.
        remedy: what to do.
    """
    total, free = sum(sizes.values()), available()
    if total > free:
        largest = max(sizes, key=lambda name: sizes[name])
        raise UserError(
            f"{where}: its arrays take {in_bytes(total)}, {largest} alone "
            f"{in_bytes(sizes[largest])}, and {in_bytes(free)} of memory are free; {remedy}"
        )


def refuse_bomb(name: str, size: int, stored: int, where: str) -> None:
    """Raise where a large array is stored in next to nothing.

    Args:
        name: of the array.
        size: its bytes once it is read.
        stored: its bytes in the file.
        where: what it lies in.
    """
    if size > max(LARGE, MULTIPLE * stored):
        raise UserError(
            f"{where}: {name} says that it takes {in_bytes(size)}, and {in_bytes(stored)} are "
            f"stored: no recording is that regular; if it is meant, {MAPPED}"
        )


def in_bytes(count: int) -> str:
    """A number of bytes in words: 4.7 GB."""
    if count >= 10**21:
        return "more than 1,000 EB"
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{count:,} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"
