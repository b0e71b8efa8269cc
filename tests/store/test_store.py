"""Artefacts: keys, locks between real processes, and commits that are all or nothing."""

import errno
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Lock
from typing import Any

import pytest

from rnnscope import store
from rnnscope.store import locks, partials, processes, sidecar
from rnnscope.store.artefacts import Artefact
from rnnscope.store.locks import Held
from rnnscope.store.sightings import Sight, Watch
from tests.environments import NAMESPACE, can_make_namespaces

WORKER = """
import signal, sys, time
from pathlib import Path
from rnnscope import store
from rnnscope.store import locks, partials, processes
signal.alarm(30)
folder = Path(sys.argv[1])
locks.STALE = float(sys.argv[4])
locks.HEARTBEAT = locks.STALE / 12
if sys.argv[5:]:
    processes._place = lambda: sys.argv[5]
artefact = store.locate(folder, "train", "run", "0" * 64)
(folder / f"started-{sys.argv[2]}").touch()
with store.claim(artefact):
    inside = folder / "inside"
    inside.touch(exist_ok=False)
    time.sleep(float(sys.argv[3]))
    inside.unlink()
    (folder / f"done-{sys.argv[2]}").touch()
"""


LINKER = """
import os, signal, sys
from pathlib import Path
from rnnscope import store
signal.alarm(30)
root, key = Path(sys.argv[1]), sys.argv[2] * 64
run = [store.locate(root, stage, "run", key) for stage in sys.argv[3:]]
(root / f"started-{os.getpid()}").touch()
while len(list(root.glob("started-*"))) < 4:
    pass
for _ in range(2000):
    store.point_latest(root, run)
"""


DYING_TAKER = """
import os, sys
from pathlib import Path
from rnnscope import store
Path.replace = lambda *_: os._exit(9)
with store.claim(store.locate(Path(sys.argv[1]), "train", "run", "0" * 64)):
    pass
"""


def artefact_in(folder: Path) -> Artefact:
    return store.locate(folder, "train", "run", "0" * 64)


def worker(
    folder: Path,
    name: str,
    seconds: float = 0.02,
    *place: str,
    stale: float = locks.STALE,
    within: tuple[str, ...] = (),
) -> subprocess.Popen[str]:
    """Another process that claims ``artefact_in(folder)`` and fails if it is not alone there.

    Args:
        folder: of the artefact.
        name: of the files in which the process says how far it is.
        seconds: how long it holds the lock.
        place: the namespace that it takes itself to be in, instead of its own.
        stale: seconds of silence after which it takes a lock over.
        within: a command that starts it.
    """
    how = [str(folder), name, str(seconds), str(stale), *place]
    command = [*within, sys.executable, "-c", WORKER, *how]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen[str]) -> None:
    errors = [process.communicate(timeout=60)[1] for process in processes]
    for process, error in zip(processes, errors, strict=True):
        assert process.returncode == 0, error


def assert_waits(process: subprocess.Popen[str], artefact: Artefact) -> None:
    """See that a worker tries for the lock, and that its holder stays."""
    holder = artefact.lock.read_text()
    wait_for(artefact.folder.parents[1] / "started-second")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)  # a few tries
    assert artefact.lock.read_text() == holder


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.01)
    pytest.fail(f"{path.name} never came")


def lock(artefact: Artefact, holder: str, age: float = 0) -> None:
    """Leave a lock of ``holder``, as written ``age`` seconds ago."""
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    artefact.lock.write_text(holder)
    then = time.time() - age
    os.utime(artefact.lock, (then, then))


def assert_taken_when_silent(artefact: Artefact, folder: Path, **worker_options: Any) -> None:
    """See that a lock is waited for while it changes, and taken when it no longer does."""
    holder = artefact.lock.read_text()
    second = worker(folder, "second", stale=1.2, **worker_options)
    wait_for(folder / "started-second")
    for beat in range(20):
        os.utime(artefact.lock, (beat, beat))  # dated anyhow
        time.sleep(0.1)
    assert second.poll() is None
    assert artefact.lock.read_text() == holder
    finish(second)


def write(
    artefact: Artefact, content: str, holder: Held | None = None, *, replace: bool = False
) -> None:
    folder = store.open_partial(artefact, holder, resume=False)
    (folder / "content").write_text(content)
    store.commit(artefact, {"content": content}, holder, replace=replace)


NAME = "from rnnscope.store import processes; print(processes.this_process())"


def left_by_the_dead(artefact: Artefact) -> None:
    """Leave a lock whose holder's process is gone."""
    dead = subprocess.run([sys.executable, "-c", NAME], stdout=subprocess.PIPE, text=True)
    lock(artefact, f"{dead.stdout.strip()}:abc")


def test_a_folder_without_manifest_is_unfinished(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    (artefact.folder / "model").mkdir(parents=True)
    assert not artefact.finished


def test_nothing_stands_under_the_final_name_until_the_commit(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    folder = store.open_partial(artefact, resume=False)
    (folder / "content").write_text("half")
    assert folder != artefact.folder
    assert not artefact.folder.exists()
    store.commit(artefact, {"rows": 1})
    assert artefact.finished
    assert artefact.manifest()["rows"] == 1
    assert (artefact.folder / "content").read_text() == "half"


def test_a_commit_leaves_nothing_beside_its_artefact(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact) as holder:
        write(artefact, "first", holder)
    with store.claim(artefact) as holder:
        write(artefact, "second", holder, replace=True)
    beside = {path.name for path in artefact.folder.parent.iterdir()}
    assert beside - {sidecar.beside(artefact.folder).name} == {artefact.folder.name}
    assert {path.name for path in artefact.folder.iterdir()} == {"content", store.MANIFEST}


def test_a_manifest_that_cannot_be_written_finishes_nothing(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    store.open_partial(artefact, resume=False)
    with pytest.raises(TypeError):
        store.commit(artefact, {"rows": object()})
    assert not artefact.folder.exists()


def test_a_failed_commit_leaves_what_was_there(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    write(artefact, "first")
    store.open_partial(artefact, resume=False)
    with pytest.raises(TypeError):
        store.commit(artefact, {"rows": object()}, replace=True)
    assert artefact.manifest()["content"] == "first"


def test_the_winners_artefact_stays(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    write(artefact, "winner")
    write(artefact, "late")
    assert artefact.manifest()["content"] == "winner"
    assert (artefact.folder / "content").read_text() == "winner"
    assert not artefact.partial.exists()


def test_a_forced_commit_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    write(artefact, "old")
    (artefact.folder / "only the old one has it").touch()
    write(artefact, "new", replace=True)
    assert artefact.manifest()["content"] == "new"
    assert {path.name for path in artefact.folder.iterdir()} == {"content", store.MANIFEST}


def test_an_unfinished_folder_under_the_final_name_gives_way(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    artefact.folder.mkdir(parents=True)
    (artefact.folder / "debris").touch()
    write(artefact, "whole")
    assert artefact.manifest()["content"] == "whole"
    assert not (artefact.folder / "debris").exists()


def test_resuming_keeps_what_was_left_and_starting_anew_does_not(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    (store.open_partial(artefact, resume=False) / "part").touch()
    assert (store.open_partial(artefact, resume=True) / "part").exists()
    assert not (store.open_partial(artefact, resume=False) / "part").exists()


def test_latest_is_relative_and_follows_the_newest(tmp_path: Path) -> None:
    root = tmp_path / "outputs"
    first, second = (store.locate(root, "train", "run", digit * 64) for digit in "01")
    for artefact in (first, second):
        write(artefact, artefact.key)
        store.point_latest(root, [artefact])
        link = store.latest(root, "train")
        assert not link.readlink().is_absolute()
        assert link.resolve() == artefact.folder
    assert [path.name for path in (root / "latest").iterdir()] == ["train"]
    moved = root.rename(tmp_path / "elsewhere")
    assert store.read_manifest(store.latest(moved, "train"))["content"] == second.key


def test_runs_that_end_together_do_not_stumble_over_each_others_links(tmp_path: Path) -> None:
    for key in "01":
        for stage, upstream in (("train", {}), ("extract", {"train": key * 64})):
            artefact = store.locate(tmp_path, stage, "run", key * 64)
            store.open_partial(artefact, resume=False)
            store.commit(artefact, {"upstream": upstream})
    runs = [["0", "train", "extract"], ["1", "train"]] * 2
    commands = [[sys.executable, "-c", LINKER, str(tmp_path), *run] for run in runs]
    finish(*[subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in commands])
    assert {path.name for path in (tmp_path / "latest").iterdir()} <= {"train", "extract"}


@pytest.mark.parametrize("manifest", ['{"upstream": {"tr', "{}", "[]", '{"upstream": 1}'])
def test_latest_leads_to_nothing_damaged(manifest: str, tmp_path: Path) -> None:
    units = store.locate(tmp_path, "units", "run", "0" * 64)
    write(units, "")
    store.point_latest(tmp_path, [units])
    (units.folder / store.MANIFEST).write_text(manifest)
    collect = store.locate(tmp_path, "collect", "1-runs", "1" * 64)
    write(collect, "")
    store.point_latest(tmp_path, [collect])
    assert [path.name for path in (tmp_path / "latest").iterdir()] == ["collect"]


def test_stages_and_keys_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {
        store.locate(tmp_path, stage, "run", key * 64).folder
        for stage in ("train", "units")
        for key in "ab"
    }
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {tmp_path / "train", tmp_path / "units"}


def test_a_claim_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with pytest.raises(ZeroDivisionError), store.claim(artefact):
        raise ZeroDivisionError
    assert not artefact.lock.exists()
    finish(worker(tmp_path, "next"))


def test_a_claim_keeps_a_second_process_out(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact):
        second = worker(tmp_path, "second")
        assert_waits(second, artefact)
        assert not (tmp_path / "done-second").exists()
    finish(second)
    assert (tmp_path / "done-second").exists()


def test_only_one_of_many_processes_works_at_a_time(tmp_path: Path) -> None:
    finish(*[worker(tmp_path, str(number)) for number in range(6)])
    assert len(list(tmp_path.glob("done-*"))) == 6
    assert not artefact_in(tmp_path).lock.exists()


def test_the_lock_of_a_dead_process_is_taken_over_by_one_of_many(tmp_path: Path) -> None:
    victim = worker(tmp_path, "victim", 600)
    wait_for(tmp_path / "inside")
    victim.kill()
    victim.communicate()
    (tmp_path / "inside").unlink()
    assert artefact_in(tmp_path).lock.exists()
    finish(*[worker(tmp_path, str(number)) for number in range(3)])
    assert len(list(tmp_path.glob("done-*"))) == 3


def test_two_that_find_the_same_lock_abandoned_do_not_both_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = artefact_in(tmp_path)
    left_by_the_dead(artefact)
    abandoned, both_looked, alone = locks._abandoned, Barrier(2, timeout=30), Lock()

    def look(path: Path, seen: Sight, watch: Watch) -> bool:
        found = abandoned(path, seen, watch)
        if found:
            both_looked.wait()
        return found

    def work() -> None:
        with store.claim(artefact):
            assert alone.acquire(blocking=False)
            time.sleep(0.3)
            alone.release()

    monkeypatch.setattr(locks, "_abandoned", look)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(work) for _ in range(2)]:
            done.result()
    assert not artefact.lock.exists()


def test_one_that_found_a_lock_abandoned_long_ago_does_not_oust_who_took_it_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = artefact_in(tmp_path)
    left_by_the_dead(artefact)
    abandoned, looked, taken = locks._abandoned, Event(), Event()

    def look_and_sleep(path: Path, seen: Sight, watch: Watch) -> bool:
        found = abandoned(path, seen, watch)
        looked.set()
        assert taken.wait(30)
        return found

    with ThreadPoolExecutor() as pool:
        with monkeypatch.context() as patched:
            patched.setattr(locks, "_abandoned", look_and_sleep)
            slow = pool.submit(locks._take, artefact.lock, "slow:1", Watch())
            assert looked.wait(30)
        assert locks._take(artefact.lock, "quick:1", Watch())
        taken.set()
        assert not slow.result()
    assert artefact.lock.read_text() == "quick:1"
    assert list(artefact.lock.parent.iterdir()) == [artefact.lock]


def test_one_that_dies_while_it_takes_a_lock_over_does_not_hold_it_for_ever(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    left_by_the_dead(artefact)
    dying = subprocess.run([sys.executable, "-c", DYING_TAKER, str(tmp_path)], check=False)
    assert dying.returncode == 9
    finish(worker(tmp_path, "next"))
    assert not artefact.lock.exists()


def test_the_lock_of_another_host_is_respected_until_its_heart_stops(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    lock(artefact, "another-host:1:abc")
    assert_taken_when_silent(artefact, tmp_path)
    assert not artefact.lock.exists()


def test_the_lock_of_a_living_process_here_is_respected_while_its_heart_beats(
    tmp_path: Path,
) -> None:
    artefact = artefact_in(tmp_path)
    lock(artefact, f"{processes.this_process()}:abc")
    assert_taken_when_silent(artefact, tmp_path)  # it is suspended


def test_a_process_id_that_is_another_processs_by_now_holds_no_lock(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    host, pid, place, start = processes.this_process().split(":")
    lock(artefact, f"{host}:{pid}:{place}:{int(start) - 1}:abc")
    assert not store.being_made(artefact)
    finish(worker(tmp_path, "second"))


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1], ids=["living", "free"])
def test_a_lock_of_an_earlier_version_is_held_as_long_as_its_heart_beats(
    pid: int, tmp_path: Path
) -> None:
    """It names host and process id alone; no process has an id past 2^22."""
    artefact = artefact_in(tmp_path)
    lock(artefact, f"{socket.gethostname()}:{pid}:abc")
    assert store.being_made(artefact)
    assert_taken_when_silent(artefact, tmp_path)


def test_a_lock_is_held_also_where_its_process_cannot_be_seen(tmp_path: Path) -> None:
    """From another PID namespace of the same host name, as containers may have it."""
    artefact = artefact_in(tmp_path)
    with store.claim(artefact):
        if can_make_namespaces():
            second = worker(tmp_path, "second", within=(*NAMESPACE, "--mount-proc"))
        else:
            second = worker(tmp_path, "second", 0.02, "another namespace")
        assert_waits(second, artefact)
        # Its own process id is one that no process has there.
        host, _, place, start = processes.this_process().split(":")
        lock(artefact, name := f"{host}:{2**22 + 1}:{place}:{start}:abc")
        assert_waits(second, artefact)
        assert artefact.lock.read_text() == name
        artefact.lock.unlink()
    finish(second)


def test_the_name_of_a_process_holds_in_its_own_namespace_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = subprocess.run([sys.executable, "-c", NAME], stdout=subprocess.PIPE, text=True)
    name = dead.stdout.strip()
    assert processes.has_ended(name)
    assert not processes.has_ended(processes.this_process())
    with monkeypatch.context() as patched:
        patched.setattr(processes, "_place", lambda: "another namespace")
        assert not processes.has_ended(name)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "gethostname", lambda: "another-host")
        assert not processes.has_ended(name)


def test_where_proc_says_nothing_no_process_is_known_to_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert processes.this_process() == f"{socket.gethostname()}:{os.getpid()}::"
    assert not processes.has_ended(f"{socket.gethostname()}:{2**22 + 1}::")


def test_a_proc_of_another_namespace_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sys", str(os.getpid())):
        (tmp_path / name).symlink_to(Path("/proc") / name)
    monkeypatch.setattr(processes, "PROC", tmp_path)
    (tmp_path / "self").symlink_to(str(os.getpid()))
    assert processes._place()
    (tmp_path / "self").unlink()
    (tmp_path / "self").symlink_to("1")
    assert not processes._place()


def test_a_holder_shows_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT", 0.01)
    artefact = artefact_in(tmp_path)
    with store.claim(artefact):
        os.utime(artefact.lock, (1, 1))
        for _ in range(3000):
            if artefact.lock.stat().st_mtime > 1:
                break
            time.sleep(0.01)
        assert artefact.lock.stat().st_mtime > 1


def failing(function: Any, times: int) -> Any:
    """A function of the file system that fails that often before it works."""
    left = [OSError(errno.ESTALE, "Stale file handle")] * times

    def call(*args: Any, **kwargs: Any) -> Any:
        if left:
            raise left.pop()
        return function(*args, **kwargs)

    return call


def test_a_heart_goes_on_beating_after_a_failure_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT", 0.01)
    monkeypatch.setattr(os, "utime", failing(os.utime, 3))
    artefact = artefact_in(tmp_path)
    with store.claim(artefact):
        before = artefact.lock.stat().st_mtime_ns
        for _ in range(3000):
            if artefact.lock.stat().st_mtime_ns > before:
                break
            time.sleep(0.01)
        assert artefact.lock.stat().st_mtime_ns > before


@pytest.mark.parametrize("function", ["open", "fstat", "read"])
def test_a_lock_is_looked_at_again_after_a_failure_of_the_file_system(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = artefact_in(tmp_path)
    for age in (0, locks.SILENT * 2):
        lock(artefact, "another-host:1:abc", age)
        with monkeypatch.context() as patched:
            patched.setattr(os, function, failing(getattr(os, function), 1))
            assert store.being_made(artefact) == (age == 0)


def test_work_that_is_done_does_not_fail_for_a_lock_that_cannot_be_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    artefact = artefact_in(tmp_path)
    with monkeypatch.context() as patched, store.claim(artefact) as holder:
        write(artefact, "mine", holder)
        patched.setattr(os, "fstat", failing(os.fstat, 10))
    assert artefact.manifest()["content"] == "mine"


def test_who_was_overtaken_stops_and_touches_nothing_of_who_overtook_it(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact) as holder:
        (store.open_partial(artefact, holder, resume=True) / "content").write_text("mine")
        lock(artefact, "another-host:1:abc")
        with pytest.raises(store.LostLockError, match="process 1 on another-host took it over"):
            store.commit(artefact, {"content": "mine"}, holder)
    assert artefact.lock.read_text() == "another-host:1:abc"
    assert not artefact.finished


@pytest.mark.parametrize("replace", [False, True])
def test_who_was_overtaken_by_one_that_finished_keeps_what_that_one_made(
    replace: bool, tmp_path: Path
) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact) as holder:
        mine = store.open_partial(artefact, holder, resume=True)
        artefact.lock.unlink()
        with store.claim(artefact) as other:
            write(artefact, "theirs", other)
        assert not mine.exists()
        with pytest.raises(store.LostLockError, match="another job took it over while"):
            store.commit(artefact, {"content": "mine"}, holder, replace=replace)
    assert artefact.manifest()["content"] == "theirs"


def test_who_was_overtaken_between_its_last_look_and_its_commit_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = artefact_in(tmp_path)
    write(artefact, "finished")
    with store.claim(artefact) as holder:
        store.open_partial(artefact, holder, resume=True)
        artefact.lock.unlink()
        with store.claim(artefact) as other:
            theirs = store.open_partial(artefact, other, resume=True)
            (theirs / "content").write_text("half")
            monkeypatch.setattr(holder, "check", lambda **_: None)  # it looked just before
            with pytest.raises(FileNotFoundError):
                store.commit(artefact, {"content": "mine"}, holder, replace=True)
            assert (theirs / "content").read_text() == "half"
    assert artefact.manifest()["content"] == "finished"


def test_a_job_that_lost_its_folder_is_told_so_at_its_next_write(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact) as holder:
        mine = store.open_partial(artefact, holder, resume=True)
        partials.check(mine)
        artefact.lock.unlink()
        with store.claim(artefact) as other:
            theirs = store.open_partial(artefact, other, resume=True)
            partials.check(theirs)
            with pytest.raises(store.LostLockError, match=f"^{artefact.folder.name}: another job"):
                partials.check(mine)


def test_who_takes_over_goes_on_with_what_was_done(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    left_by_the_dead(artefact)
    for name, parts in (("1", 3), ("2", 1)):
        folder = partials.place(artefact.named, name * 32)
        folder.mkdir()
        for part in range(parts):
            (folder / f"part-{part}").write_text(name)
    with store.claim(artefact) as holder:
        folder = store.open_partial(artefact, holder, resume=True)
        assert sorted(path.name for path in folder.iterdir()) == ["part-0", "part-1", "part-2"]
        assert [path for path in artefact.folder.parent.iterdir() if path.is_dir()] == [folder]
        assert artefact.partial == folder


def test_a_lock_that_another_took_over_is_not_removed(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    with store.claim(artefact):
        lock(artefact, "another-host:1:abc")
    assert artefact.lock.read_text() == "another-host:1:abc"
