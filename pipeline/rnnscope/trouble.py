"""Trouble around the code, in one line: disks, permissions, memory, code that ends the process.

Nothing here is caught where it happens. ``told`` stands where a run, a job of a sweep, a sweep and
the command line begin, and around each stage, whose name it adds.
"""

import contextlib
import errno
import logging
import os
import re
import resource
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from rnnscope.errors import UserError

AGAIN = "the same command resumes"
FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO, errno.ETIMEDOUT)
LASTING = (*FULL, *BROKEN, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of the machine, which explain whatever else failed while they were handled."""
ROOM = 2**20
"""Free bytes below which a file system counts as full."""
_NUMBER = re.compile(r"\berrno\s*[=:]?\s*(\d+)", re.IGNORECASE)
_NAMED = re.compile(r"(?:name|file|path)\s*[=:]?\s*'([^']+)'")


@contextlib.contextmanager
def told(what: str = "", root: Path | None = None) -> Iterator[None]:
    """Turn trouble around the code inside into a UserError, its traceback kept in the log.

    Args:
        what: what was being done, such as the stage.
        root: folder to which everything is written, for the remedy.

    Raises:
        UserError: the trouble, and the remedy.
    """
    try:
        with _exits_refused():
            yield
    except (UserError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        line = explained(error, root)
        if line is None:
            raise
        keep_traceback(error)
        raise UserError(": ".join(filter(None, (what, line)))) from error


def keep_traceback(error: BaseException) -> None:
    """Write an error's traceback to the log file, where there is one."""
    log = logging.getLogger("traceback")
    if log.hasHandlers():  # else Python would print it
        log.error("the run failed", exc_info=error)


def explained(error: BaseException, root: Path | None = None) -> str | None:
    """One line for an error of the machine or of code that ends the process; None for others."""
    if isinstance(error, SystemExit):
        code = _raised_in(error)
        # On Slurm, submitit ends a process so that its job is queued again.
        return None if code.startswith("submitit.") else _ended(code, f"exit({error.code!r})")
    if not isinstance(error, Exception):
        return _ended(_raised_in(error), f"{type(error).__name__}: {error}")
    if isinstance(error, Warning):
        return f"PYTHONWARNINGS or -W makes a warning an error; leave it out ({_brief(error)})"
    seen: BaseException | None = error
    while seen is not None:
        number = _errno(seen)
        if _no_memory(seen) or number == errno.ENOMEM:
            return (
                "no memory left; take smaller parts (extract.part_rows, units.memory_mb), fewer "
                f"engine.workers, or a machine with more; {AGAIN} ({_brief(seen)})"
            )
        if number is not None and (isinstance(seen, OSError) or number in LASTING):
            return _line(number, seen, root)
        if isinstance(seen, OSError) and "writable" in str(seen):  # matplotlib, without a cache
            return _brief(seen)
        if "can't start new thread" in str(seen):
            return f"the limit of processes is reached; raise it (ulimit -u), or end some; {AGAIN}"
        before = seen.__context__
        seen = seen.__cause__ or (before if before and _errno(before) in LASTING else None)
    return None


def _line(number: int, error: BaseException, root: Path | None) -> str:
    """What is wrong, where, and the remedy, for an error with a number."""
    path, reason = _path(error), os.strerror(number)
    ours = path is None or _below(path, root)  # else something to read
    where = str(path or root or "")
    other = "give another root=" if ours else "give a path that can be read"
    match number:
        case errno.ENOSPC | errno.EDQUOT:
            where, used_up = _full(path, root)
            what = used_up if number == errno.ENOSPC else "the quota of the disk is used up"
            return f"{where}: {what}; delete some files there, or {other}; {AGAIN}"
        case errno.EROFS:
            return f"{where}: the file system is read-only; {other}"
        case errno.EACCES | errno.EPERM:
            return f"{where}: no permission; change it (ls -ld shows it), or {other}"
        case errno.ENOTDIR | errno.EEXIST if path and ours:
            to = getattr(error, "filename2", None)  # what the path was to be renamed to
            path = path if to is None else Path(os.fsdecode(to))
            blocks = next((each for each in path.parents if each.is_file()), path)
            what = "a broken link" if blocks.is_symlink() and not blocks.exists() else "a file"
            return f"{blocks}: {what} where a folder is needed; {other}"
        case errno.ENAMETOOLONG:
            return f"{where}: the name is too long for the file system; give a shorter one"
        case errno.EMFILE | errno.ENFILE:
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            return (
                f"too many open files, the limit is {most}; raise it (ulimit -n {4 * most}), or "
                f"take fewer engine.workers; {AGAIN}"
            )
        case errno.EFBIG:
            return f"{where}: past the limit of a file's size; raise it (ulimit -f unlimited)"
        case errno.ENOENT if "usable temporary directory" in str(error):
            return (
                "no temporary folder can be written to; free some space in /tmp, or set TMPDIR to "
                "a folder with space"
            )
        case errno.ENOENT:
            return f"{where}: {reason}; if it was moved or removed meanwhile, run again"
        case _ if number in BROKEN:
            return (
                f"{where}: the disk or its server does not answer ({reason}); {AGAIN} once it does"
            )
        case _:
            return f"{where}: {reason}" if where else _brief(error)


def _full(path: Path | None, root: Path | None) -> tuple[str, str]:
    """The full place and what is used up there: an error of writing does not name its file."""
    candidates = [*filter(None, (path, root)), Path("/dev/shm")]
    with contextlib.suppress(OSError):
        candidates.append(Path(tempfile.gettempdir()))
    for place in candidates:
        with contextlib.suppress(OSError):
            there = next(each for each in (place, *place.parents) if each.exists())
            about = os.statvfs(there)
            if about.f_files and not about.f_favail:
                return str(place), "no inodes left on the disk"
            if about.f_bavail * about.f_frsize < ROOM:
                return str(place), "no space left on the disk"
    return str(path or root or "disk"), "no space left on the disk"


def _path(error: BaseException) -> Path | None:
    """The file that an error is about, if it says."""
    name = getattr(error, "filename", None) or getattr(error, "filename2", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str):  # libraries in C++ put it into the text
        found = _NAMED.search(str(error))
        name = found[1] if found else None
    return Path(name) if name else None


def _below(path: Path, root: Path | None) -> bool:
    """Whether a path is the root, below it, or one of the folders that it lies in."""
    if root is None:
        return False
    full, top = Path(os.path.abspath(path)), Path(os.path.abspath(root))  # noqa: PTH100
    return full.is_relative_to(top) or top.is_relative_to(full)


def _errno(error: BaseException) -> int | None:
    """The system's number of an error; libraries in C and C++ have it in the text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, OSError | RuntimeError) and (found := _NUMBER.search(str(error)[:4096])):
        return int(found[1])
    if _of_tensorflow(error) or isinstance(error, OSError):
        text = str(error)
        return next((number for number in LASTING if os.strerror(number) in text), None)
    return None


def _no_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or "std::bad_alloc" in str(error)
        or (isinstance(error, ImportError) and "map segment" in str(error))  # of a shared library
        or (
            _of_tensorflow(error)
            and type(error).__name__ == "ResourceExhaustedError"
            and _errno(error) is None
        )
    )


def _of_tensorflow(error: BaseException) -> bool:
    return type(error).__module__.startswith("tensorflow.")


def _brief(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _raised_in(error: BaseException) -> str:
    """The module in which an exception was raised."""
    trace, module = error.__traceback__, ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        module = module if name == __name__ else name
        trace = trace.tb_next
    return module


def _ended(module: str, how: str) -> str:
    return (
        f"the module {module or '?'} ended the run ({how}); code that a model needs must not exit: "
        "put what is to run by itself under if __name__ == '__main__'"
    )


@contextlib.contextmanager
def _exits_refused() -> Iterator[None]:
    """Make os._exit raise SystemExit in this process: the status would be 0 with nothing done."""
    leave, process = os._exit, os.getpid()

    def refused(status: int) -> NoReturn:
        if os.getpid() != process or threading.current_thread() is not threading.main_thread():
            leave(status)  # of a process forked from this one, or a library's way out
        raise SystemExit(status)

    replaced: Any = os
    replaced._exit = refused
    try:
        yield
    finally:
        replaced._exit = leave
