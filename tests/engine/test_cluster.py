"""Parts on a Dask cluster of two processes: the same bytes as in threads, whatever becomes of one.

tests/test_slurm.py has the cluster of Slurm jobs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from rnnscope import engine, stages, store
from rnnscope.config import Dask
from rnnscope.engine import cluster
from rnnscope.errors import UserError
from rnnscope.store import provenance
from tests.compose import composed
from tests.slurm import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.cluster]

SMALL = ("stage=units", "model.units=4", "train.steps=2", "extract.part_rows=40")
"""Seventy-two parts of five sequences."""


def processes(workers: int, *, here: bool = False) -> LocalCluster:
    """A cluster of so many processes of one thread each, on loopback; or of threads ``here``."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=not here,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    )


@pytest.fixture(scope="module")
def dask() -> Iterator[LocalCluster]:
    with processes(2) as running:
        yield running


def engine_of(dask: LocalCluster, wait_s: int = 30) -> Dask:
    return Dask("dask", None, dask.scheduler_address, wait_s)


def pid_of(part: int) -> int:
    return os.getpid()


def deadly(part: int) -> int:
    if part == 2:
        os._exit(1)
    return part


def brief(part: int) -> int:
    time.sleep(part)
    return part


def slow(part: int) -> int:
    time.sleep(60)
    return part


def run_over(dask: LocalCluster, function: Callable[[int], int], root: Path, wait_s: int) -> None:
    where = engine_of(dask, wait_s)
    with engine.opened(where, root):
        list(engine.run(function, range(4), where, what="", unit="", spread=True))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of this process alone."""
    root = tmp_path_factory.mktemp("local")
    stages.run(composed(root, *SMALL))
    return root


def on(dask: LocalCluster) -> tuple[str, ...]:
    return (*SMALL, "engine=dask", f"engine.address={dask.scheduler_address}")


def made(root: Path) -> dict[str, bytes]:
    """The artefacts of extract and units but their manifests, which tell of time and place."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for stage in ("extract", "units")
        for path in (root / stage).glob("[!.]*/**/*")
        if path.is_file() and path.name != store.MANIFEST
    }


def test_other_processes_make_the_same_bytes(
    dask: LocalCluster, local: Path, tmp_path: Path
) -> None:
    stages.run(composed(tmp_path, *on(dask)))
    assert len(made(local)) > 400
    assert made(tmp_path) == made(local)
    assert not list(tmp_path.rglob("_parts"))


def test_parts_are_recorded_by_the_workers(dask: LocalCluster, tmp_path: Path) -> None:
    """What they write bears their mark: other rights than files of this process."""
    (train, *_) = stages.run(composed(tmp_path, *SMALL, "stage=train"))
    with Client(dask) as client:
        client.run(os.umask, 0o077)
        stages.run(composed(tmp_path, *on(dask)))
        client.run(os.umask, 0o022)
    parts = (tmp_path / "extract").rglob("part-*.parquet")
    assert {path.stat().st_mode & 0o077 for path in parts} == {0}
    assert (train.artefact.folder / store.MANIFEST).stat().st_mode & 0o077


def test_a_lost_worker_costs_its_part_and_no_more(
    dask: LocalCluster, local: Path, tmp_path: Path
) -> None:
    config = composed(tmp_path, *on(dask))
    extract = stages.chain(config)[1].artefact
    kept: dict[str, int] = {}

    def kill() -> None:
        wait_until(lambda: len(list(extract.partial.glob("_parts/*.json"))) > 5, 60, "some parts")
        for note in extract.partial.glob("_parts/*.json"):
            name = f"lstm/c/part-{note.stem}.parquet"
            kept[name] = (extract.partial / name).stat().st_mtime_ns
        with Client(dask) as client:
            victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    stages.run(config)
    killer.join()
    assert 5 < len(kept) < 72
    assert made(tmp_path) == made(local)
    assert kept == {name: (extract.folder / name).stat().st_mtime_ns for name in kept}


def test_a_cluster_of_one_thread_does_the_work_too(tmp_path: Path) -> None:
    with processes(1) as one, engine.opened(where := engine_of(one), tmp_path):
        pids = set(engine.run(pid_of, range(4), where, what="", unit="", spread=True))
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_a_part_that_ends_its_workers_ends_the_run_with_one_line(tmp_path: Path) -> None:
    with processes(1) as one, pytest.raises(UserError, match="has ended several workers"):
        run_over(one, deadly, tmp_path, 90)


def test_where_all_workers_are_lost_the_run_ends_after_a_while(tmp_path: Path) -> None:
    with processes(1) as one:
        stopper = threading.Timer(2, one.scale, [0])
        stopper.start()
        with pytest.raises(UserError, match=r"no worker for engine\.wait_s=3"):
            run_over(one, slow, tmp_path, 3)


def test_workers_that_come_back_in_time_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long there were some before; here one that needs no process comes back at once."""
    monkeypatch.setattr(cluster, "LOOK", 0.2)
    with processes(1, here=True) as one:
        timers = [threading.Timer(*when) for when in ((5, one.scale, [0]), (5.5, one.scale, [1]))]
        for timer in timers:
            timer.start()
        where = engine_of(one, 4)
        with engine.opened(where, tmp_path):
            found = list(engine.run(brief, [6], where, what="", unit="", spread=True))
        for timer in timers:
            timer.join()
    assert found == [6]


def late(part: int) -> int:
    raise TimeoutError("the part's own")


def test_a_part_may_run_out_of_time_by_itself(dask: LocalCluster, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="the part's own"):
        run_over(dask, late, tmp_path, 30)


def test_where_the_scheduler_is_lost_the_run_ends_with_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    file = tmp_path / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
    with subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL) as scheduler:
        wait_until(file.exists, 30, "the scheduler")
        address = json.loads(file.read_text())["address"]
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
        with subprocess.Popen([*worker, "--no-nanny"], stderr=subprocess.DEVNULL) as one:
            try:
                threading.Timer(8, scheduler.terminate).start()
                where = Dask("dask", None, address, 20)
                with (
                    pytest.raises(UserError, match=r"the scheduler is gone"),
                    engine.opened(where, tmp_path),
                ):
                    list(engine.run(slow, range(4), where, what="", unit="", spread=True))
            finally:
                scheduler.kill()
                one.kill()


def test_workers_that_do_not_see_the_files_are_refused(dask: LocalCluster, tmp_path: Path) -> None:
    missing = tmp_path / "mine.npz"
    with (
        pytest.raises(UserError, match=r"the worker at tcp://127.* does not see .*mine\.npz"),
        engine.opened(engine_of(dask), tmp_path, [missing]),
    ):
        pass


def test_a_checkpoint_is_seen_by_its_prefix(dask: LocalCluster, tmp_path: Path) -> None:
    prefix = tmp_path / "model.ckpt-10"
    for ending in ("index", "data-00000-of-00001"):
        prefix.with_name(f"{prefix.name}.{ending}").touch()
    with engine.opened(engine_of(dask), tmp_path, [prefix]):
        pass


def test_a_network_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    config = composed(tmp_path, *SMALL, "engine=dask_slurm", "engine.interface=ib7")
    with pytest.raises(UserError, match=r"^engine\.interface=ib7: .*not a valid network"):
        stages.run(config)
    sbatch.unlink()
    with pytest.raises(UserError, match=r"^engine=dask_slurm: no sbatch here"):
        stages.run(config)


def test_no_scheduler_is_one_line_that_says_so(tmp_path: Path) -> None:
    config = composed(tmp_path, *SMALL, "engine=dask", "engine.address=tcp://127.0.0.1:1")
    config.engine.wait_s = 1  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"engine\.address=tcp://127\.0\.0\.1:1: no Dask scheduler"):
        stages.run(config)


def test_workers_of_another_version_are_refused(
    dask: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(tmp_path, *on(dask), "stage=extract")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.1")
    with pytest.raises(UserError, match=r"has rnnscope .*, here it is 0\.1"):
        stages.run(config)


def test_workers_with_another_rnnscope_are_refused(
    dask: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(tmp_path, *on(dask), "stage=extract")
    monkeypatch.setattr(provenance, "SOURCE", "0123456789ab")
    with pytest.raises(UserError) as caught:
        stages.run(config)
    says = r"engine=dask: the worker at tcp://\S+ runs other rnnscope code \(source (\w{12}), here "
    found = re.fullmatch(
        says + "0123456789ab\\); restart it with the code that runs here", str(caught.value)
    )
    assert found
    assert found[1] == provenance.source_digest(Path(provenance.__file__).parents[1])


def test_a_worker_with_another_rnnscope_that_joins_later_is_refused_too(
    dask: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_refuse_other_code", lambda *_: None)
    monkeypatch.setattr(provenance, "SOURCE", "0123456789ab")
    with pytest.raises(UserError, match=r"the worker on \S+ runs other rnnscope code"):
        run_over(dask, pid_of, tmp_path, 30)


def test_workers_with_an_rnnscope_from_before_the_digest_are_refused(
    dask: LocalCluster, tmp_path: Path
) -> None:
    forget = "from rnnscope.store import provenance; del provenance.code"
    again = "import importlib, rnnscope.store.provenance as old; importlib.reload(old)"
    with Client(dask) as client:
        client.run(exec, forget, {})
        with pytest.raises(UserError, match="the workers run other rnnscope code"):
            run_over(dask, pid_of, tmp_path, 30)
        client.run(exec, again, {})
