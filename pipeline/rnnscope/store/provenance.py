"""Where a result came from: the code, the packages, and the memory it took."""

import contextlib
import functools
import importlib.metadata
import resource
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("rnnscope", "tensorflow", "keras", "numpy", "pandas", "pyarrow", "scikit-learn")


def packages() -> dict[str, str]:
    """Versions of the packages that make results."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


@functools.cache
def of_this_code() -> dict[str, Any]:
    """Versions of the packages that make results, and the commit of this code."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            done = subprocess.run(
                ["git", *words], cwd=here, capture_output=True, text=True, check=True
            )
            return done.stdout.strip()
        return None

    commit = git("rev-parse", "HEAD")
    return {
        "packages": packages(),
        "git_commit": commit,
        "git_dirty": bool(git("status", "--porcelain")) if commit else None,
    }


def reset_peak_memory() -> None:
    """Start the kernel's high-water mark anew, where it lets us (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The largest resident memory since the last reset, in bytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
