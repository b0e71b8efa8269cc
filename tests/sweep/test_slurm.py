"""Sweeps on a real Slurm: what fails, is cancelled or sent back into the queue, and what is shared.

One sweep of six jobs on two nodes meets all of it at once, because each start of TensorFlow counts.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from rnnscope import stages
from rnnscope.store.artefacts import MANIFEST, Artefact
from rnnscope.sweep.record import read_record
from rnnscope.sweep.slurm import _last_line
from tests import forks
from tests.compose import PROJECT, composed
from tests.slurm import REMEDY, Slurm, cluster, missing, wait_until

TINY = ("stage=extract", "model.units=4", "train.steps=2", "data.test_fraction=0.1")
MANY_PARTS = "extract.part_rows=8"
PARTS = 180
"""One sequence in each part: so many of them, and time to meet a job between two."""
pytestmark = [pytest.mark.tensorflow, pytest.mark.process, pytest.mark.cluster]

PATIENCE = 240.0
"""Seconds; a job takes about ten where the machine is idle."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    lacking = missing()
    assert not lacking, f"no {', '.join(lacking)}; {REMEDY}"  # under CI=true; else deselected
    with cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


def launched(
    slurm: Slurm,
    root: Path,
    *words: str,
    shared: tuple[str, ...] = TINY,
    python: str | None = None,
) -> subprocess.Popen[str]:
    """``rnnscope -m root=<root> <shared> <words>`` on that cluster, on its way.

    By default it begins with the libraries imported, and so do its jobs.
    """
    command = [python or forks.interpreter(), "-m", "rnnscope", "-m", f"root={root}"]
    return subprocess.Popen(
        [*command, *shared, *words, "hydra/launcher=slurm"],
        cwd=PROJECT,
        env={**slurm.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@dataclass(frozen=True)
class Done:
    """A sweep that has ended."""

    status: int
    said: str
    logs: Path

    @property
    def table(self) -> pd.DataFrame:
        return pd.read_parquet(self.logs / "jobs.parquet").set_index("job")

    def log(self, job: int) -> str:
        return (self.logs / str(job) / "rnnscope.log").read_text()


def finished(process: subprocess.Popen[str], logs: Path | None = None) -> Done:
    said = process.communicate(timeout=PATIENCE)[0]
    return Done(process.returncode, said, logs or Path(said.partition("logs: ")[2].split("\n")[0]))


def artefacts(root: Path, seed: int) -> dict[str, Artefact]:
    """Those that the job with that seed makes, by stage."""
    steps = stages.chain(composed(root, *TINY, MANY_PARTS, f"seed={seed}"))
    return {step.stage.name: step.artefact for step in steps}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def sweep(slurm: Slurm, root: Path) -> Done:
    """Six jobs: 1 fails, 2 is cancelled, 3 is preempted, 4 is killed and requeued.

    A link leads job 1 from its folder of results to nowhere.
    """
    obstacle = artefacts(root, 1)["train"].folder
    obstacle.parent.mkdir(parents=True)
    obstacle.symlink_to(root / "nowhere")
    process = launched(slurm, root, MANY_PARTS, "seed=0,1,2,3,4,5", python=sys.executable)
    try:
        (logs,) = wait_for_some(root, "logs/*/*")
        first, *_ = wait_for_some(logs, ".submitit/*/*_0_submitted.pkl")
        array = first.parent.name.partition("_")[0]
        wait_until(lambda: read_record(logs / "2"), PATIENCE, "job 2 to begin")
        slurm("scancel", f"{array}_2")
        for job, command in (
            (3, ("scancel", "--signal=USR2")),
            (4, ("scontrol", "requeue")),
        ):
            wait_for_some(*note_of(artefacts(root, job)["extract"], 3))
            slurm(*command, f"{array}_{job}")
        done = finished(process, logs)
    finally:
        process.kill()
    obstacle.unlink()
    return done


def note_of(extract: Artefact, part: int) -> tuple[Path, str]:
    """Where the note of a finished part appears: a folder, and a pattern within it."""
    return extract.folder.parent, f".{extract.named.name}.*.partial/_parts/{part:05d}.json"


def wait_for_some(folder: Path, pattern: str) -> list[Path]:
    wait_until(lambda: any(folder.glob(pattern)), PATIENCE, f"{folder}/{pattern}")
    return list(folder.glob(pattern))


def test_a_sweep_ends_with_a_table_of_all_jobs_whatever_became_of_them(sweep: Done) -> None:
    assert sweep.status == 1, sweep.said
    states = ["done", "failed", "cancelled", "done", "done", "done"]
    assert list(sweep.table["state"]) == states, sweep.said
    shown = sweep.said.partition("\njob ")[2].splitlines()[1:7]
    assert [line.split()[:3] for line in shown] == [
        [str(job), f"seed={job}", state] for job, state in enumerate(states)
    ]
    assert "4 done, 1 failed, 1 cancelled" in sweep.said


def test_both_nodes_have_their_share(sweep: Done) -> None:
    assert set(sweep.table["host"]) == {"n1", "n2"}


def test_a_failed_job_says_why_in_one_line_and_its_log_in_full(sweep: Done, root: Path) -> None:
    place = artefacts(root, 1)["train"].folder
    says = f"train: {place}: a broken link where a folder is needed"
    assert sweep.table["error"][1].startswith(says)
    assert sweep.said.count("a broken link where") == 2  # when it happened, and in the table
    assert "Traceback" in Path(sweep.table["log"][1]).read_text()
    assert "Traceback" not in sweep.said


def test_a_cancelled_job_is_called_so_and_its_work_is_not_taken_for_done(
    sweep: Done, root: Path
) -> None:
    assert "CANCELLED" in sweep.table["error"][2]
    assert not artefacts(root, 2)["extract"].finished


@pytest.mark.parametrize("job", [3, 4])
def test_a_requeued_job_goes_on_from_its_stages_and_parts(
    sweep: Done, root: Path, job: int
) -> None:
    assert sweep.table["attempts"][job] == 2
    assert "train      up to date" in sweep.log(job)
    assert sweep.log(job).count("train      runs") == 1
    began = time.mktime(time.strptime(read_record(sweep.logs / str(job))["began"][:19], ISO))
    made = artefacts(root, job)
    assert (made["train"].folder / MANIFEST).stat().st_mtime < began
    parts = sorted(made["extract"].folder.glob("lstm/c/part-*.parquet"))
    assert len(parts) == PARTS
    # How many parts it still made before it was killed is a matter of its speed.
    assert parts[0].stat().st_mtime < began
    assert began < (made["extract"].folder / MANIFEST).stat().st_mtime
    assert sweep.table["attempts"][[0, 1, 2, 5]].eq(1).all()


ISO = "%Y-%m-%dT%H:%M:%S"


def test_run_again_it_does_only_what_is_missing(slurm: Slurm, sweep: Done, root: Path) -> None:
    made = f"*/[!.]*/{MANIFEST}"
    before = {path: path.stat().st_mtime_ns for path in root.glob(made)}
    words = (MANY_PARTS, "seed=0,1,2,3,4,5")
    again = finished(launched(slurm, root, *words, python=sys.executable))
    assert again.status == 0, again.said
    assert list(again.table["state"]) == ["done"] * 6
    for job in (0, 3, 4, 5):
        assert " runs" not in again.log(job)
    assert "extract    runs" in again.log(1)
    assert "extract    runs" in again.log(2)
    assert before.items() <= {p: p.stat().st_mtime_ns for p in root.glob(made)}.items()


@pytest.fixture(scope="module")
def twice(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Done]]:
    """The same sweep, started two times at the same moment."""
    root = tmp_path_factory.mktemp("twice")
    processes = [launched(slurm, root, *MEASURED, shared=TINY[1:]) for _ in range(2)]
    return root, [finished(process) for process in processes]


MEASURED = ("stage=units", "seed=0,1")


def test_a_sweep_that_is_started_twice_at_once_makes_everything_once(
    twice: tuple[Path, list[Done]],
) -> None:
    root, done = twice
    assert [each.status for each in done] == [0, 0], done
    logs = [each.log(job) for each in done for job in (0, 1)]
    for stage in ("train", "extract", "units"):
        assert sum(log.count(f"{stage:<10} runs") for log in logs) == 2
        made = {path.name for path in (root / stage).glob("[!.]*")}
        assert len(made) == 2
        # Beside an artefact lies at most the note of what was verified.
        hidden = {path.name for path in (root / stage).glob(".*")}
        assert hidden <= {f".{name}.checked" for name in made}


def test_slurm_and_this_machine_give_the_same_tables(
    twice: tuple[Path, list[Done]], tmp_path: Path
) -> None:
    here = [forks.interpreter(), "-m", "rnnscope", "-m", f"root={tmp_path}", *TINY[1:], *MEASURED]
    subprocess.run(here, cwd=PROJECT, capture_output=True, timeout=PATIENCE, check=True)
    tables = []
    for root in (tmp_path, twice[0]):
        (collected,) = stages.run(composed(root, "stage=collect"))
        tables.append(pd.read_parquet(collected.artefact.folder / "units.parquet"))
    assert len(tables[0]) == 2 * 6 * 4  # jobs, signals, units
    pd.testing.assert_frame_equal(*tables, rtol=1e-6, atol=1e-6)


def test_a_partition_that_is_not_there_is_one_line(slurm: Slurm, tmp_path: Path) -> None:
    done = finished(launched(slurm, tmp_path, "seed=0,1", "hydra.launcher.partition=nowhere"))
    assert done.status == 2
    assert "rnnscope: hydra/launcher=slurm: " in done.said
    assert "invalid partition" in done.said.splitlines()[-1]
    assert "Traceback" not in done.said


def test_a_job_that_ends_before_it_begins_says_the_last_line_of_its_log(
    slurm: Slurm, tmp_path: Path
) -> None:
    """Here in Python itself, after which srun has the last word."""
    setup = "hydra.launcher.setup=['export PYTHONHOME=/nowhere']"
    done = finished(launched(slurm, tmp_path, "seed=0", setup))
    assert done.status == 1, done.said
    log = Path(done.table["log"][0]).read_text()
    assert "srun: error: " in log
    assert "srun: " not in done.table["error"][0]
    assert done.table["error"][0].startswith("Slurm says FAILED: ")
    assert done.table["error"][0].removeprefix("Slurm says FAILED: ") in log


def test_a_log_in_another_encoding_is_read(tmp_path: Path) -> None:
    log = tmp_path / "job.err"
    log.write_bytes(b"module: d\xe9faut\nsrun: error: n1: task 0: Exited with exit code 1\n\n")
    assert _last_line(log) == "module: d\ufffdfaut"
    assert _last_line(tmp_path / "no.err") == ""


def test_parts_go_to_slurm_jobs_and_cancelled_ones_are_replaced(
    slurm: Slurm, tmp_path: Path
) -> None:
    config = composed(tmp_path / "here", *TINY, MANY_PARTS)
    here = stages.run(config)[-1].artefact.folder
    root = tmp_path / "there"
    words = [f"root={root}", *TINY, MANY_PARTS, "engine=dask_slurm", "engine.interface=lo"]
    process = subprocess.Popen(
        [forks.interpreter(), "-m", "rnnscope", *words, "engine.jobs=2", "engine.mem_gb=1"],
        cwd=PROJECT,
        env={**slurm.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        extract = stages.chain(composed(root, *TINY, MANY_PARTS))[-1].artefact
        wait_for_some(*note_of(extract, 10))
        first = workers_of(slurm, "running")
        slurm("scancel", first[0])
        wait_for_some(*note_of(extract, 50))
        slurm("scancel", first[-1])
        said = process.communicate(timeout=PATIENCE)[0]
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert not workers_of(slurm, "pending,running")
    # What is cancelled is completing, for Slurm, until its processes have ended.
    wait_until(lambda: not workers_of(slurm, "completing"), PATIENCE, "cancelled workers to end")
    assert set(workers_of(slurm, "all")) > set(first)
    there = root / "extract" / here.name
    files = sorted(path.relative_to(here) for path in here.rglob("*.parquet"))
    assert len(files) > 6 * PARTS
    assert all((here / file).read_bytes() == (there / file).read_bytes() for file in files)


def workers_of(slurm: Slurm, states: str) -> list[str]:
    """The ids of Dask's workers in these states."""
    words = ("--noheader", "--name=rnnscope", f"--states={states}", "--format=%i")
    return slurm("squeue", *words).split()


def test_workers_that_slurm_does_not_take_are_one_line(slurm: Slurm, tmp_path: Path) -> None:
    words = (*TINY, "engine=dask_slurm", "engine.interface=lo", "engine.partition=nowhere")
    done = subprocess.run(
        [forks.interpreter(), "-m", "rnnscope", f"root={tmp_path}", *words],
        cwd=PROJECT,
        env={**slurm.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("rnnscope: engine=dask_slurm: ")
    assert "invalid partition" in done.stderr
    assert done.stderr.count("\n") == 1
