"""Parts on a Dask cluster of two processes: the same bytes as in threads, whatever becomes of one.

tests/test_slurm.py has the cluster of Slurm jobs.
"""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from pipeline import stages, store
from pipeline.errors import UserError
from tests.compose import composed
from tests.slurm import wait_until

SMALL = ("stage=units", "model.units=4", "train.steps=2", "extract.part_rows=40")
"""Seventy-two parts of five sequences."""


@pytest.fixture(scope="module")
def dask() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as running:
        yield running


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of this process alone."""
    root = tmp_path_factory.mktemp("local")
    stages.run(composed(root, *SMALL))
    return root


def on(dask: LocalCluster) -> tuple[str, ...]:
    return (*SMALL, "engine=dask", f"engine.address={dask.scheduler_address}")


def made(root: Path) -> dict[str, bytes]:
    """All that extract and units leave behind but their manifests, which tell of time and place."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for stage in ("extract", "units")
        for path in (root / stage).rglob("*")
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
        notes = extract.partial / "_parts"
        wait_until(lambda: len(list(notes.glob("*.json"))) > 5, 60, "some parts")
        for note in notes.glob("*.json"):
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
    with pytest.raises(UserError, match=r"has cellscope .*, here it is 0\.1"):
        stages.run(config)
