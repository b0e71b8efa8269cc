"""Locks that no job of ours wrote, clocks that are wrong, and what killed jobs leave."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnscope import store
from rnnscope.store import locks, partials, processes, sidecar, sightings
from rnnscope.store.artefacts import Artefact
from rnnscope.store.sightings import Sight, Watch
from tests.environments import NAMESPACE
from tests.store.test_store import artefact_in, finish, left_by_the_dead, wait_for, worker, write


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_socket(path: Path) -> None:
    folder = Path.cwd()
    os.chdir(path.parent)  # the names of sockets must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(folder)


def a_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


def dated(path: Path, when: float) -> None:
    path.write_text("there:1:a")
    os.utime(path, (when, when))


ODD: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 99),
    "zeros": lambda path: path.write_bytes(bytes(64)),
    "text": lambda path: path.write_text("hello\n"),
    "half a name": lambda path: path.write_text(processes.this_process()[:5]),
    "no number": lambda path: path.write_text(f"{socket.gethostname()}:x:{processes._place()}:1:a"),
    "huge number": lambda path: path.write_text(
        f"{socket.gethostname()}:{10**30}:{processes._place()}:1:a"
    ),
    "negative": lambda path: path.write_text(f"{socket.gethostname()}:-1:{processes._place()}:1:a"),
    "folder": lambda path: path.mkdir(),
    "full folder": a_full_folder,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": a_link_to_itself,
    "FIFO": os.mkfifo,
    "socket": a_socket,
    "no permission": lambda path: path.touch(0),
    "from the future": lambda path: dated(path, 9e9),
    "before 1970": lambda path: dated(path, -9e9),
}
"""Makes each at a lock's path."""


def odd_lock(artefact: Artefact, kind: str) -> None:
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    ODD[kind](artefact.lock)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "STALE", 0.3)
    monkeypatch.setattr(locks, "HEARTBEAT", 0.05)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_lock_is_waited_for_as_long_as_any_and_no_longer(kind: str, tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    odd_lock(artefact, kind)
    store.being_made(artefact)  # says something
    began = time.monotonic()
    with store.claim(artefact) as holder:
        assert 0.3 < time.monotonic() - began < 3
        assert artefact.lock.read_text() == holder.name
        write(artefact, "made", holder)
    there = set(artefact.folder.parent.iterdir())
    assert there - {sidecar.beside(artefact.folder)} == {artefact.folder}


@pytest.mark.usefixtures("quick")
def test_a_clock_that_jumps_takes_no_lock_and_keeps_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks of this machine, and of the file server, which dates the beats."""
    artefact = artefact_in(tmp_path)
    artefact.lock.parent.mkdir()
    artefact.lock.write_text("there:1:a")
    watch = Watch()
    monkeypatch.setattr(time, "time", lambda: 9e9)
    for beat in (0, 120, -3600, 1e9, 5):
        os.utime(artefact.lock, (time.monotonic() + beat,) * 2)
        for _ in range(2):
            assert not locks._take(artefact.lock, "mine:1:b", watch)
            time.sleep(0.06)
    deadline = time.monotonic() + 10
    while not locks._take(artefact.lock, "mine:1:b", watch):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_that_was_itself_suspended_does_not_count_that_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch, lock, sight = Watch(), Path("lock"), Sight("there:1:a", 7, 1)
    silences = []
    for now in (0, 4, 8, 1000, 1001):  # noqa: B007
        silences.append(watch.silence(lock, sight, most=10))
    assert silences == [0, 4, 8, 18, 19]
    assert watch.silence(lock, Sight("there:1:a", 8, 1), most=10) == 0


def test_a_suspended_holder_looks_before_it_trusts_its_heart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact) as holder:
        artefact.lock.write_text("there:1:a")
        holder.check()  # its heart has only just beaten
        later = locks._time() + 60
        monkeypatch.setattr(locks, "_time", lambda: later)
        with pytest.raises(store.LostLockError, match="process 1 on there took it over"):
            holder.check()


def test_a_heart_does_not_beat_for_another(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact) as holder:
        os.utime(artefact.lock, (5, 5))
        holder._beat()
        assert artefact.lock.stat().st_mtime > 5
        artefact.lock.write_text("there:1:a")
        os.utime(artefact.lock, (5, 5))
        holder._beat()
        assert artefact.lock.stat().st_mtime == 5
        with pytest.raises(store.LostLockError):
            holder.check()
    assert artefact.lock.read_text() == "there:1:a"


SPACES = {
    "none": (),
    "own /proc": (*NAMESPACE, "--mount-proc"),
    "the other's /proc": NAMESPACE,
}


@pytest.mark.namespace
@pytest.mark.parametrize("one", SPACES)
@pytest.mark.parametrize("other", SPACES)
def test_a_lock_is_held_between_pid_namespaces(one: str, other: str, tmp_path: Path) -> None:
    first = worker(tmp_path, "first", 1.5, within=SPACES[one])
    wait_for(tmp_path / "inside")
    second = worker(tmp_path, "second", within=SPACES[other])
    finish(first, second)  # a second inside at the same time fails
    assert (tmp_path / "done-second").exists()


def test_a_process_that_nobody_has_waited_for_has_ended() -> None:
    code = "from rnnscope.store import processes; print(processes.this_process(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        name = child.stdout.read().strip()
        for _ in range(500):
            if processes.has_ended(name):
                break
            time.sleep(0.01)
        assert processes.has_ended(name)
        assert Path(f"/proc/{child.pid}").exists()


def left_over(artefact: Artefact) -> None:
    """What jobs leave that are killed at the worst moments."""
    left_by_the_dead(artefact)
    for name in ("1" * 32, "2" * 32):
        artefact.lock.with_name(f"{artefact.lock.name}.{name}").write_text("there:1:a")
        partials.place(artefact.named, name).mkdir()
        artefact.folder.with_name(f".{artefact.folder.name}.{name}.old").mkdir()


@pytest.mark.parametrize("finished", [True, False])
def test_what_killed_jobs_left_is_gone_after_the_next_run(finished: bool, tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    other = store.locate(tmp_path, "train", "run", "1" * 64)
    write(other, "other")
    kept = partials.place(other.named, "3" * 32)
    kept.mkdir()
    if finished:
        write(artefact, "made")
        left_over(artefact)
        store.tidy(artefact)
    else:
        left_over(artefact)
        with store.claim(artefact) as holder:
            write(artefact, "made", holder)
    there = {path.name for path in artefact.folder.parent.iterdir()}
    assert there == {artefact.folder.name, other.folder.name, kept.name}


def test_tidying_leaves_alone_what_a_job_is_making_again(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    write(artefact, "made")
    with store.claim(artefact) as holder:
        folder = store.open_partial(artefact, holder, resume=False)
        store.tidy(artefact)
        assert folder.is_dir()
        assert sightings.look(artefact.lock) is not None
        holder.check(now=True)


SUSPENDED = """
import sys, time
from pathlib import Path
from rnnscope import store
from rnnscope.store import locks, partials
locks.STALE, locks.HEARTBEAT = 0.6, 0.05
artefact = store.locate(Path(sys.argv[1]), "extract", "run", "0" * 64)
try:
    with store.claim(artefact) as holder:
        folder = store.open_partial(artefact, holder, resume=True)
        for part in range(int(sys.argv[2])):
            partials.check(folder)
            (folder / f"part-{len(list(folder.iterdir()))}").write_text(sys.argv[3])
            time.sleep(0.02)
        store.commit(artefact, {}, holder, replace=True)
except store.LostLockError as error:
    sys.exit(f"lost: {error}")
"""


def test_a_job_that_was_suspended_past_its_lock_stops_and_its_parts_are_kept(
    tmp_path: Path,
) -> None:
    def job(parts: int, name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SUSPENDED, str(tmp_path), str(parts), name]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    artefact = store.locate(tmp_path, "extract", "run", "0" * 64)
    loser = job(2000, "loser")
    for _ in range(3000):
        if (artefact.partial / "part-3").exists():
            break
        time.sleep(0.01)
    os.kill(loser.pid, signal.SIGSTOP)
    done = len(list(artefact.partial.iterdir()))
    winner = job(100, "winner")
    for _ in range(3000):
        if (artefact.partial / f"part-{done + 2}").exists():
            break
        time.sleep(0.01)
    os.kill(loser.pid, signal.SIGCONT)
    said = loser.communicate(timeout=30)[1]
    assert loser.returncode == 1
    assert said.startswith(f"lost: {artefact.folder.name}: ")
    assert said.count("\n") == 1
    finish(winner)
    written = [path.read_text() for path in sorted(artefact.folder.glob("part-*"))]
    assert (written.count("loser"), written.count("winner")) == (done, 100)
    there = set(artefact.folder.parent.iterdir())
    assert there - {sidecar.beside(artefact.folder)} == {artefact.folder}
