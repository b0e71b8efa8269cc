"""Names of processes that stay unambiguous on other machines, in containers and after a reboot.

A process id alone is ambiguous: every PID namespace has its own, containers may share a host name,
and the kernel reuses the ids of ended processes. The name of a process therefore is

    <host>:<process id>:<boot and namespaces>:<start time>

with the start time in the kernel's clock ticks since boot (/proc/<id>/stat, field 22). The last
two are empty where /proc does not give them.
"""

import os
import socket
from pathlib import Path

PROC = Path("/proc")
MOST = 2**31 - 1
"""The largest process id."""
ENDED = ("Z", "X")
"""States of a process that has ended, and for whose end its parent has not yet asked."""


def this_process() -> str:
    """The name of the calling process."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_place()}:{_started(pid)}"


def has_ended(name: str) -> bool:
    """Whether a process is known to have ended: its id is free, or names a process started later.

    False where that cannot be known from here, for a process of another host, boot or namespace
    and for a name without these.
    """
    host, pid, place, start = (name.split(":") + 4 * [""])[:4]
    if not place or (host, place) != (socket.gethostname(), _place()):
        return False
    if not (pid.isascii() and pid.isdecimal() and 0 < int(pid) <= MOST):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it runs, as another user's
    return _started(int(pid)) not in (start, "") or _state(int(pid)) in ENDED


def described(name: str) -> str:
    """A name as people read it, such as ``process 4711 on node07``."""
    host, pid = (name.split(":") + 2 * [""])[:2]
    return f"process {pid or '?'} on {host or '?'}"


def _place() -> str:
    """Identifies this boot and the PID and time namespaces; empty if that is unknown."""
    try:
        # The process ids of a /proc that belongs to another PID namespace are not ours.
        if (PROC / "self").readlink().name != str(os.getpid()):
            return ""
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        counts_in = (PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return ""
    time = PROC / "self/ns/time"  # shifts start times; Linux has it from 5.6 on
    return f"{boot}-{counts_in}-{time.stat().st_ino if time.exists() else 0}"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty if that is unknown."""
    return _field(pid, 22)


def _state(pid: int) -> str:
    """The letter of a process's state; empty if it is unknown."""
    return _field(pid, 3)


def _field(pid: int, number: int) -> str:
    """A field of /proc/<id>/stat, counted from 1; empty if that is unknown."""
    try:
        about = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The second field, the command in parentheses, may itself contain spaces and parentheses.
    return about.rpartition(")")[2].split()[number - 3]
