"""Hostile environments: what they do to the machine around a run, and what it must say."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

OBEDIENT = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")
"""Before a command: root then keeps to the permissions of files, as every user does."""
NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
"""Before a command: its process is in a PID namespace of its own, which /proc does not show."""


@dataclass(frozen=True)
class Environment:
    """One environment for ``rnnscope root=<folder>/o``, which cannot end well in it."""

    name: str
    prepared: Callable[[Path], AbstractContextManager[None]]
    """Makes a folder hostile, and undoes it."""
    says: tuple[str, ...]
    """Parts of the line on standard error."""
    words: tuple[str, ...] = ()
    """Further words of the command, with {folder} for the folder."""
    before: tuple[str, ...] = ()
    """What the command is run by."""
    mounts: bool = False
    """Whether it needs a mount."""


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A tmpfs at a folder, as on a small or broken disk."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def can_mount() -> bool:
    """Whether this process may mount."""
    try:
        with tempfile.TemporaryDirectory() as folder, mounted(Path(folder), "size=1m"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def can_make_namespaces() -> bool:
    """Whether this process may start others in PID namespaces of their own."""
    try:
        command = [*NAMESPACE, "--mount-proc", "true"]
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def small(options: str) -> Callable[[Path], AbstractContextManager[None]]:
    """A disk with these limits."""
    return lambda folder: mounted(folder, options)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A disk that nothing can be written to."""
    with mounted(folder, "size=1m,ro"):
        yield


@contextlib.contextmanager
def a_file(folder: Path) -> Iterator[None]:
    """A file in place of the root."""
    (folder / "o").write_text("mine")
    yield
    assert (folder / "o").read_text() == "mine"


@contextlib.contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """A folder that is not ours to write to."""
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


@contextlib.contextmanager
def closed_folder(folder: Path) -> Iterator[None]:
    """Data in a folder, and in a file, that cannot be read."""
    data = folder / "data"
    data.mkdir()
    (data / "x_test.npy").write_bytes(b"1")
    (folder / "x.npz").write_bytes(b"1")
    for path in (data, folder / "x.npz"):
        path.chmod(0)
    try:
        yield
    finally:
        data.chmod(0o755)


@contextlib.contextmanager
def a_pipe(folder: Path) -> Iterator[None]:
    """A FIFO that nobody writes to."""
    os.mkfifo(folder / "pipe.npz")
    yield


@contextlib.contextmanager
def a_home(folder: Path) -> Iterator[None]:
    """A folder of thousands of files that are no data."""
    (folder / "home").mkdir()
    for number in range(10_001):
        (folder / "home" / f"{number}.txt").touch()
    yield


FILES = ("data=files",)
ENVIRONMENTS = [
    Environment(
        "full from the start", small("size=4k"), ("{folder}/o", "no space left"), mounts=True
    ),
    Environment(
        "full while training",
        small("size=60k"),
        ("train: ", "no space left", "root="),
        mounts=True,
    ),
    Environment(
        "no inodes", small("size=4m,nr_inodes=12"), ("no inodes left", "root="), mounts=True
    ),
    Environment("read-only", read_only, ("read-only", "root="), mounts=True),
    Environment("root is a file", a_file, ("{folder}/o: a file where a folder is needed",)),
    Environment("below a file", a_file, ("{folder}/o: a file",), ("root={folder}/o/x/y",)),
    Environment("long name", a_file, ("too long",), ("root={folder}/" + 300 * "a",)),
    Environment("long path", a_file, ("too long",), ("root={folder}/" + 500 * "aaaaaaaaa/",)),
    Environment("no permission", forbidden, ("no permission", "root="), before=OBEDIENT),
    Environment(
        "unreadable file",
        closed_folder,
        ("data.path=", "no permission", "can be read"),
        (*FILES, "data.path={folder}/x.npz"),
        OBEDIENT,
    ),
    Environment(
        "unreadable folder",
        closed_folder,
        ("data.path=", "no permission"),
        (*FILES, "data.path={folder}/data"),
        OBEDIENT,
    ),
    Environment("pipe", a_pipe, ("data.path=", "a pipe"), (*FILES, "data.path={folder}/pipe.npz")),
    Environment("device", a_pipe, ("data.path=", "a device"), (*FILES, "data.path=/dev/zero")),
    Environment(
        "home", a_home, ("data.path=", "10,000 files"), (*FILES, "data.path={folder}/home")
    ),
    Environment(
        "warnings are errors",
        a_home,
        ("train: PYTHONWARNINGS or -W makes a warning an error; leave it out",),
        before=("env", "PYTHONWARNINGS=error"),
    ),
    Environment(
        "model is a device",
        a_pipe,
        ("model.path=", "a device"),
        ("model=file", "model.path=/dev/zero", "stage=extract"),
    ),
]
