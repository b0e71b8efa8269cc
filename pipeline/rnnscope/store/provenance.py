"""Where a result came from: the code and the packages that made it, and the memory it took."""

import contextlib
import functools
import importlib.metadata
import resource
import subprocess
from pathlib import Path
from typing import Any

from rnnscope.config.location import CLONE, PACKAGE
from rnnscope.store import digests

PACKAGES = ("rnnscope", "tensorflow", "keras", "numpy", "pandas", "pyarrow", "scikit-learn")


def source_digest(package: Path) -> str:
    """SHA-256 over a package's Python sources and their names within it, in 12 hex digits."""
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    return digests.key({name: digests.file_digest(path) for name, path in files.items()})[:12]


SOURCE = source_digest(PACKAGE)
"""Digest of rnnscope's own code. Taken on import, so that it stays that of the code which this
process runs when the files change later."""


def packages() -> dict[str, str]:
    """Versions of the packages that affect results."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def code() -> dict[str, str]:
    """What two processes must have in common to compute the same: packages and ``source``."""
    return {**packages(), "source": SOURCE}


@functools.cache
def of_this_code() -> dict[str, Any]:
    """For manifests: package versions, the digest of rnnscope's source, and its git commit."""

    def git(*words: str) -> str | None:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            done = subprocess.run(
                ["git", *words], cwd=CLONE, capture_output=True, text=True, check=True
            )
            return done.stdout.strip()
        return None

    commit = git("rev-parse", "HEAD") if CLONE else None  # not of a repository around a wheel
    return {
        "packages": packages(),
        "source": SOURCE,
        "git_commit": commit,
        "git_dirty": bool(git("status", "--porcelain")) if commit else None,
    }


def reset_peak_memory() -> None:
    """Reset the kernel's high-water mark of resident memory, where that is possible (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The largest resident memory since the last reset, in bytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
