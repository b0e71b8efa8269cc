"""Sweeps on one machine: what jobs share, what becomes of those that fail, and what a plan says."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import joblib
import pandas as pd
import pytest

# submitit configures logging when it is imported, and absl's handler then closes what was standard
# error when TensorFlow was imported. At collection, both are still the same.
import submitit  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope import store
from rnnscope.errors import UserError
from rnnscope.sweep import jobs as sweep_jobs
from rnnscope.sweep import listing as sweep
from rnnscope.sweep import slurm
from rnnscope.sweep.jobs import Job
from rnnscope.sweep.local import errors_to
from rnnscope.sweep.local import run as here
from rnnscope.sweep.process import Marked, share
from rnnscope.sweep.record import read_record, recorded
from tests import forks
from tests.compose import PROJECT, composed
from tests.slurm import wait_until

TINY = ("stage=train", "model.units=4", "train.steps=2")


def started(
    *words: str, many: bool = True, python: str | None = None, **environment: str
) -> subprocess.Popen[str]:
    """``rnnscope -m <words>``, on its way in a process group of its own.

    By default it begins with the libraries imported, and so do the processes that it starts.
    """
    return subprocess.Popen(
        [python or forks.interpreter(), "-m", "rnnscope", *(["-m"] if many else []), *words],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ran(*words: str, many: bool = True, **environment: str) -> tuple[int, str, str]:
    """Exit status, output and errors of ``rnnscope -m <words>``."""
    process = started(*words, many=many, **environment)
    try:
        said, complained = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, said, complained


def job_in(folder: Path, number: int) -> Job:
    place = folder / str(number)
    place.mkdir(exist_ok=True)
    return Job(number, (f"seed={number}",), f"seed={number}", place, None, None)


# What jobs have in common


def test_jobs_are_named_by_what_not_all_of_them_have() -> None:
    jobs = [["root=/x", f"model={model}", f"seed={seed}"] for model in "ab" for seed in "01"]
    assert sweep_jobs.differing(jobs) == [
        *("model=a seed=0", "model=a seed=1"),
        *("model=b seed=0", "model=b seed=1"),
    ]


def test_a_sweep_of_one_job_is_named_by_all_that_was_said() -> None:
    assert sweep_jobs.differing([["model.units=4", "seed=0"]]) == ["model.units=4 seed=0"]


@pytest.mark.parametrize(
    ("n_jobs", "cores"), [(-1, 1), (1, 8), (2, 4), (3, 2), (100, 1), (-2, 1), (-8, 8), (-100, 8)]
)
def test_jobs_share_the_cores_of_the_machine_among_them(
    monkeypatch: pytest.MonkeyPatch, n_jobs: int, cores: int
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    assert share(n_jobs) == cores


def test_a_job_on_slurm_has_what_it_was_given_and_one_by_itself_has_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert share(None) is None
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert share(None) == 3


@pytest.mark.process
def test_tensorflow_keeps_to_the_cores_of_its_job() -> None:
    code = (
        "from pathlib import Path; from rnnscope.sweep.process import keep_to; keep_to(1)\n"
        "import tensorflow as tf; tf.linalg.matmul(tf.ones((9, 9)), tf.ones((9, 9)))\n"
        "names = [task.read_text().strip() for task in Path('/proc/self/task').glob('*/comm')]\n"
        "print(names.count('tf_Compute'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


# Records


def test_a_job_that_fails_says_so_in_its_record_and_goes_no_further(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(error: Exception) -> None:
        assert read_record(tmp_path)["state"] == "running"
        raise error

    with recorded(tmp_path):
        fail(ZeroDivisionError("first line\nsecond line"))
    record = read_record(tmp_path)
    assert (record["state"], record["error"]) == ("failed", "ZeroDivisionError: first line")
    assert "failed     ZeroDivisionError: first line" in caplog.messages
    with recorded(tmp_path):
        fail(UserError("seed=x: must be a whole number"))
    assert read_record(tmp_path)["error"] == "seed=x: must be a whole number"


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_what_ends_a_process_passes_and_the_next_attempt_is_counted(
    tmp_path: Path, end: type[BaseException]
) -> None:
    with pytest.raises(end), recorded(tmp_path):
        raise end
    record = read_record(tmp_path)
    assert (record["state"], record["attempts"]) == ("running", 1)
    with recorded(tmp_path) as record:
        record["key"] = "abc"
    record = read_record(tmp_path)
    assert (record["state"], record["attempts"], record["key"]) == ("done", 2, "abc")


def test_every_line_of_a_job_carries_its_number() -> None:
    record = logging.makeLogRecord({"msg": "one\n  two"})
    assert Marked(3).format(record) == "#3   one\n#3     two"


# Jobs that take others with them


@settings(max_examples=80, deadline=None, derandomize=True)
@given(*[st.integers(1, 9), st.integers(1, 4)], *[st.sets(st.integers(0, 8))] * 2)
def test_only_jobs_that_kill_their_process_are_missing_in_the_end(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    at_once: int,
    deadly: set[int],
    late: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    jobs = [job_in(folder, number) for number in range(count)]

    def launch(overrides: Sequence[Sequence[str]], first: int) -> None:
        """As joblib does: some at a time, and a process that is killed ends all that run.

        Those that are late have then not begun.
        """
        batch = jobs[first : first + len(overrides)]
        assert overrides == [list(job.overrides) for job in batch]
        for start in range(0, len(batch), at_once):
            beside = batch[start : start + at_once]
            assert all(job.record().get("state") != "done" for job in beside)
            killer = next((job for job in beside if job.number in deadly), None)
            try:
                with ExitStack() as running:
                    for job in beside:
                        if job is killer or not (killer and job.number in late):
                            running.enter_context(recorded(job.folder))
                    if killer:
                        raise SystemExit
            except SystemExit as error:
                raise RuntimeError("a worker was killed") from error

    assert set(here(launch, jobs)) == deadly & set(range(count))
    assert all(job.record() for job in jobs)


def test_where_no_job_begins_the_launchers_error_is_not_hidden(tmp_path: Path) -> None:
    def launch(overrides: Sequence[Sequence[str]], first: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        here(launch, [job_in(tmp_path, 0), job_in(tmp_path, 1)])


def test_what_cannot_be_launched_any_more_is_called_not_begun(tmp_path: Path) -> None:
    jobs = [job_in(tmp_path, number) for number in range(3)]

    def launch(overrides: Sequence[Sequence[str]], first: int) -> None:
        if first > 0:
            raise OSError("no space left")
        with suppress(SystemExit), recorded(jobs[0].folder):
            raise SystemExit
        raise RuntimeError("a worker was killed")

    fates = here(launch, jobs)
    assert [fates[number][0] for number in range(3)] == ["killed", "not begun", "not begun"]
    assert fates[1][1] == "OSError: no space left"


@pytest.mark.process
def test_a_job_whose_process_is_killed_is_called_so_and_stops_no_other(tmp_path: Path) -> None:
    process = started(f"root={tmp_path}", *TINY, "seed=0,1,2", "hydra.launcher.n_jobs=2")
    killed = set[int]()
    while process.poll() is None:
        for lock in tmp_path.glob("train/.digits-lstm4-s0-*.lock"):
            with suppress(FileNotFoundError, ValueError, ProcessLookupError):
                holder = int(lock.read_text().split(":")[1])
                if holder not in killed:
                    os.kill(holder, signal.SIGKILL)
                    killed.add(holder)
        time.sleep(0.05)
    said, complained = process.communicate()
    assert process.returncode == 1, said + complained
    assert len(killed) == 2  # beside others, and again alone
    (table,) = tmp_path.glob("logs/*/*/jobs.parquet")
    assert list(pd.read_parquet(table)["state"]) == ["killed", "done", "done"]


# Ctrl-C


def alive_in(session: int) -> list[str]:
    """The processes of a session that have not ended; those that nobody has waited for have."""
    command = ["ps", "--no-headers", "-o", "stat,args", "-s", str(session)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if not line.startswith("Z")]


@pytest.mark.process
@pytest.mark.parametrize(
    ("sign", "seconds"), [("logs: ", 0.2), ("train      runs", 1.0), ("extract    runs", 0.0)]
)
def test_ctrl_c_ends_a_sweep_with_one_line_and_all_its_processes(
    tmp_path: Path, sign: str, seconds: float
) -> None:
    words = ("stage=extract", *TINY[1:], "extract.part_rows=8", "seed=0,1,2")
    # A session of processes is ended as such: none of them may be another's fork.
    process = started(f"root={tmp_path}", *words, python=sys.executable, PYTHONUNBUFFERED="1")
    assert process.stdout
    for line in process.stdout:
        if sign in line:
            break
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    complained = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert complained == "rnnscope: interrupted; run the same command again to resume\n"
    wait_until(lambda: not alive_in(process.pid), 10, "the last of its processes to end")


@pytest.mark.parametrize("submitted", [False, True])
def test_ctrl_c_speaks_of_submitted_jobs_only_if_there_are_any(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    submitted: bool,
) -> None:
    def interrupt(*_: object) -> list[object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "_submit", (lambda *_: []) if submitted else interrupt)
    monkeypatch.setattr(slurm, "_wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        slurm.run(object(), [job_in(tmp_path, 0)])
    assert capsys.readouterr().out.count("submitted jobs continue") == submitted


def test_what_workers_say_comes_to_the_terminal_only_if_the_launcher_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def speak(end: type[BaseException] | None = None) -> None:
        with errors_to(file):
            subprocess.run(["sh", "-c", "echo from a process >&2"], check=True)
            os.write(2, b"from this one\n")
            if end:
                raise end

    file = tmp_path / "stderr.log"
    speak()
    assert file.read_text() == "from a process\nfrom this one\n"
    with pytest.raises(KeyboardInterrupt):
        speak(KeyboardInterrupt)
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        speak(ZeroDivisionError)
    assert capfd.readouterr().err == "from a process\nfrom this one\n"
    with errors_to(file):
        pass
    assert not file.exists()


# The table


@pytest.mark.process
def test_a_sweep_tells_of_every_job_and_makes_what_they_share_once(tmp_path: Path) -> None:
    words = (f"root={tmp_path}", *TINY[1:], "stage=units", "seed=7")
    varied = ("extract.tolerance=1e-4,1e-30", "units.lags=8,16")
    status, said, complained = ran(*words, *varied)
    assert status == 1, complained
    assert complained == ""

    (logs,) = tmp_path.glob("logs/*/*")
    table = pd.read_parquet(logs / sweep.TABLE)
    assert list(table["job"]) == [0, 1, 2, 3]
    assert list(table["state"]) == ["done", "done", "failed", "failed"]
    assert list(table["config"]) == [
        f"extract.tolerance={tolerance} units.lags={lags}"
        for tolerance in ("0.0001", "1e-30")
        for lags in (8, 16)
    ]
    assert table["seconds"].gt(0).all()
    assert table["error"][2].startswith("layer 'lstm': residual step_h is")
    assert "Traceback" in Path(table["log"][2]).read_text()
    assert "Traceback" not in said
    assert {path.name.rpartition("-")[2] for path in tmp_path.glob("units/*")} == {
        key[:8] for key in table["key"].dropna()
    }

    shown = said.partition("\njob ")[2].splitlines()
    assert [line.split()[3] for line in shown[1:5]] == list(table["state"])
    assert "as job 2" in shown[4]
    assert str(logs / "3" / "rnnscope.log") in said
    assert "2 done, 2 failed" in shown[-1]

    for stage, times in (("train", 1), ("extract", 1 + 2), ("units", 2)):
        assert len(re.findall(f"^#.*{stage} +runs$", said, re.MULTILINE)) == times, said

    status, said, complained = ran(*words, *varied, "mode=plan")
    assert status == 0, complained
    assert [line.split()[3:] for line in said.splitlines()[1:5]] == [
        ["up", "to", "date"] * 3,
        ["up", "to", "date"] * 3,
        ["up", "to", "date", "would", "run", "would", "run"],
        ["up", "to", "date", "as", "job", "2", "would", "run"],
    ]
    assert "extract     2 up to date, 1 would run, 1 shared" in said
    assert list(tmp_path.glob("logs/*/*")) == [logs]

    status, said, complained = ran(f"root={tmp_path}", "stage=collect", many=False)
    assert status == 0, complained
    assert re.search("^collect +runs$", said, re.MULTILINE)
    (page,) = tmp_path.glob("collect/*/sweep.html")
    assert said.endswith(f"\n\npage       {page}\n"), said
    assert "\n\n\n" not in said


def table_of(*rows: tuple[str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "job": range(len(rows)),
            "config": [f"seed={number}" for number in range(len(rows))],
            "state": [state for state, _ in rows],
            "seconds": [1.25 if state in ("done", "failed") else None for state, _ in rows],
            "error": [error for _, error in rows],
            "log": [f"/logs/{number}" for number in range(len(rows))],
        }
    )


def test_the_same_error_is_told_once() -> None:
    long = "x" * 500
    rows = (("done", None), ("failed", long), ("failed", long), ("cancelled", "Slurm says so"))
    lines = sweep.lines(table_of(*rows), width=80)
    assert sum("xxx" in line for line in lines) == 1
    assert sum("as job 1" in line for line in lines) == 1
    assert [line.split()[-1] for line in lines if "/logs/" in line] == [
        f"/logs/{number}" for number in (1, 2, 3)
    ]
    assert "1 done, 2 failed, 1 cancelled" in lines[-1]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_narrow_terminal_cuts_configs_and_neither_state_nor_seconds_nor_error(width: int) -> None:
    table = table_of(("done", None), ("failed", "ValueError: " + "x" * 100), ("killed", "gone"))
    table["config"] = ["model.units=4", "model.units=" + "1" * 100, "seed=1"]
    header, *lines = sweep.lines(table, width)[1:5]
    cells = [re.split(" {2,}", line) for line in lines]
    assert [row[0] for row in cells] == ["0", "1", "2"]
    assert [row[2:] for row in cells] == [
        ["done", "1.2"],
        ["failed", "1.2", "ValueError: " + "x" * 100],
        ["killed", "gone"],
    ]
    end = header.index("seconds") + len("seconds")
    assert end == min(width, 3 + 112 + 6 + 7 + 6)
    assert ("..." in cells[1][1]) == (width < 200)


def test_where_all_is_done_nothing_is_said_of_logs() -> None:
    assert sweep.lines(table_of(("done", None), ("done", None)))[-1] == "2 done"


# Plans and mistakes


def test_a_plan_says_what_jobs_share_and_writes_nothing(tmp_path: Path) -> None:
    varied = [["units.lags=8"], ["units.lags=16"], ["seed=1"]]
    jobs = [
        Job(number, (), words[0], tmp_path, composed(tmp_path, "stage=units", *words), None)
        for number, words in enumerate(varied)
    ]
    lines = sweep.plan_lines(
        [*jobs, Job(3, (), "units.lags=1", tmp_path, None, "units.lags=1: no")]
    )
    rows = [re.split(" {2,}", line) for line in lines]
    assert rows[:5] == [
        ["job", "config", "train", "extract", "units"],
        ["0", "units.lags=8", "would run", "would run", "would run"],
        ["1", "units.lags=16", "as job 0", "as job 0", "would run"],
        ["2", "seed=1", "would run", "would run", "would run"],
        ["3", "units.lags=1", "units.lags=1: no"],
    ]
    assert rows[-3:] == [
        ["train", "2 would run, 1 shared"],
        ["extract", "2 would run, 1 shared"],
        ["units", "3 would run"],
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_planning_a_sweep_on_slurm_needs_no_slurm(tmp_path: Path) -> None:
    words = (f"root={tmp_path}", "hydra/launcher=slurm", "hydra.launcher.partition=cpu")
    status, said, complained = ran(*words, "experiment=widths", "mode=plan", PATH="")
    assert status == 0, complained
    assert len(re.findall("^[0-9]+ +model.units=.*would run$", said, re.MULTILINE)) == 12
    assert not list(tmp_path.iterdir())


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train.steps=-1", "seed=0,1,2"], ["train.steps=-1: must be", "at least 0"]),
        (["train.stpes=1", "seed=0,1"], ["train.stpes", "steps"]),
        (["stage=unit", "seed=0,1"], ["stage=unit: must be one of"]),
        (["model=lstm,lst"], ["model=lst: must be one of"]),
        (["model.units=0,-1"], ["model.units=0: must", "model.units=-1: must"]),
        (["seed=0,1", "data=files", "data.path=no.npz"], ["data.path=no.npz", "no such file"]),
        (["seed=0,1", "hydra/launcher=slrm"], ["hydra/launcher=slrm: must be", " local, slurm,"]),
        (["seed=0,1", "hydra.launcher.n_jobs=x"], ["hydra.launcher.n_jobs", "'x'"]),
    ],
)
def test_a_mistake_in_every_job_is_told_once_before_any_begins(
    tmp_path: Path, words: list[str], parts: list[str]
) -> None:
    status, said, complained = ran(f"root={tmp_path}", *words)
    assert status == 2
    assert said == ""
    (line,) = complained.splitlines()
    assert line.startswith("rnnscope: ")
    for part in parts:
        assert line.count(part) == 1, line
    assert not list(tmp_path.iterdir())


@pytest.mark.process
@pytest.mark.parametrize(
    "words",
    [
        ["-m", "stage=units,collect"],
        ["-m", "stage=collect", "seed=0,1"],
        ["experiment=widths", "stage=collect"],
        ["experiment=widths", "stage=compare", "mode=plan"],
    ],
)
def test_a_stage_over_all_runs_is_no_job_of_a_sweep(tmp_path: Path, words: list[str]) -> None:
    status, said, complained = ran(*words, f"root={tmp_path}", many=False)
    assert (status, said) == (2, "")
    (line,) = complained.splitlines()
    stage = "compare" if "stage=compare" in words else "collect"
    assert line.startswith(f"rnnscope: stage={stage}: ")
    assert "without -m and without the experiment" in line
    assert line.endswith(f"rnnscope stage={stage}")
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_what_sbatch_refuses_is_one_line_with_all_that_it_says(tmp_path: Path) -> None:
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text(
            "#!/bin/sh\n"
            "echo 'sbatch: error: invalid partition specified: nowhere' >&2\n"
            "echo 'sbatch: error: Batch job submission failed: Invalid partition name' >&2\n"
            "exit 1\n"
        )
        (tmp_path / name).chmod(0o755)
    words = (f"root={tmp_path}/outputs", *TINY, "seed=0,1", "hydra/launcher=slurm")
    status, said, complained = ran(*words, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert status == 2
    assert len(said.splitlines()) == 1  # where the logs are
    assert complained == (
        "rnnscope: hydra/launcher=slurm: "
        "sbatch: invalid partition specified: nowhere; Invalid partition name\n"
    )


@pytest.mark.process
def test_slurm_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, runpy; sys.modules['hydra_plugins.hydra_submitit_launcher'] = None\n"
        f"sys.argv = ['rnnscope', '-m', 'root={tmp_path}', 'seed=0,1', 'hydra/launcher=slurm']\n"
        "runpy.run_module('rnnscope', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [forks.interpreter(), "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("rnnscope: hydra/launcher=slurm: needs the")
    assert "[slurm]" in done.stderr


# Preemption by suspension


def test_a_job_that_was_suspended_and_overtaken_commits_nothing(tmp_path: Path) -> None:
    artefact = store.locate(tmp_path, "train", "run", "0" * 64)
    with store.claim(artefact):
        store.open_partial(artefact, resume=False)
        artefact.lock.write_text("another-host:1:abc")
        with pytest.raises(store.LostLockError, match="process 1 on another-host took it over"):
            store.commit(artefact, {})
    assert not artefact.finished
    assert artefact.partial.exists()
    assert artefact.lock.exists()
