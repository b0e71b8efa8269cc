"""Trouble of the machine around a run: one line, status 2, and nothing half finished."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forks
from tests.compose import FINISHED, PROJECT
from tests.environments import ENVIRONMENTS, Environment, mounted

pytestmark = pytest.mark.process
QUICK = (*FINISHED, "stage=train")


def rnnscope(
    *words: str, before: tuple[str, ...] = (), cwd: Path = PROJECT, **environment: str
) -> tuple[int, str, str]:
    """Status, output and errors of the command; ``before`` it stands what runs it."""
    python = sys.executable if before else forks.interpreter()
    done = subprocess.run(
        [*before, python, "-m", "rnnscope", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
        cwd=cwd,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(each, marks=[pytest.mark.mount] * each.mounts, id=each.name)
        for each in ENVIRONMENTS
    ],
)
def test_trouble_is_one_line_with_place_and_remedy(world: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    before = world.before if os.geteuid() == 0 else ()
    given = [word.format(folder=folder) for word in world.words]
    if not any(word.startswith("root=") for word in given):
        given.append(f"root={folder / 'o'}")
    with world.prepared(folder):
        status, _, complained = rnnscope(
            *given, *(() if "model=file" in given else QUICK), before=before
        )
        assert status == 2, complained
        (line,) = complained.splitlines()
        assert line.startswith("rnnscope: ")
        assert len(line) < 2200
        for part in world.says:
            assert part.format(folder=folder) in line
    assert not list(folder.rglob("_manifest.json"))


@pytest.mark.mount
def test_a_read_only_root_can_be_planned_and_a_plan_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with mounted(folder, "size=1m,ro"):
        status, said, complained = rnnscope(f"root={folder}/o", "mode=plan")
    assert (status, complained) == (0, "")
    assert len(said.splitlines()) == 8
    assert all("would run" in line for line in said.splitlines())


@pytest.mark.mount
def test_what_is_finished_can_be_checked_and_planned_on_a_read_only_root(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with mounted(folder, "size=64m"):
        assert rnnscope(f"root={folder}/o", *QUICK)[0] == 0
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        status, said, complained = rnnscope(f"root={folder}/o", "stage=check")
        assert (status, complained) == (0, "")
        assert "check      whole: 1 artefact, " in said
        status, said, complained = rnnscope(f"root={folder}/o", *QUICK, "mode=plan")
        assert (status, complained) == (0, "")
        assert "up to date" in said
        status, said, complained = rnnscope(f"root={folder}/o", *QUICK)
        assert status == 2  # a run keeps a log
        assert complained.count("\n") == 1
        assert "read-only" in complained


@pytest.mark.mount
def test_a_sweep_on_a_full_disk_says_so_for_each_job(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with mounted(folder, "size=80k"):
        words = ("-m", "seed=0,1", "hydra/launcher=basic", f"root={folder}/o")
        status, said, complained = rnnscope(*words, *QUICK)
    assert status != 0
    assert "no space left" in said + complained
    assert "killed" not in said
    assert "Traceback" not in said + complained


@pytest.mark.parametrize(
    "value", ["", "null", "/", "' '", "s3://b/x", "file:///x", "[1]", "{a: 1}", "//", "/tmp/.."]
)
def test_a_root_that_is_no_folder_is_refused_before_anything_is_made(
    value: str, tmp_path: Path
) -> None:
    status, _, complained = rnnscope(f"root={value}", cwd=tmp_path)
    assert status == 2
    (line,) = complained.splitlines()
    assert line.startswith("rnnscope: root=")
    assert not list(tmp_path.iterdir())


SHADOWS = ("random", "numpy", "tensorflow", "hydra", "joblib", "omegaconf", "pipeline", "pandas")


@pytest.mark.parametrize("many", [[], ["-m", "seed=0"]], ids=["run", "sweep"])
def test_nothing_that_lies_in_the_working_folder_runs(many: list[str], tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "hydra_plugins").mkdir(parents=True)
    for name in (*SHADOWS, "hydra_plugins/mine"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})")
    words = (*many, f"root={tmp_path / 'o'}", *QUICK)
    status, _, complained = rnnscope(*words, before=("env",), cwd=here)  # imports all itself
    assert status == 0, complained
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("{command} | head -1; exit ${{PIPESTATUS[0]}}", 0),
        ("{command} > /dev/full", 1),
        ("{command} >&-", 0),
        ("{command} 2>&-", 0),
        ("{command} 2>&- >&- <&-", 0),
        ("{command} nope=1 2>&-", 2),
    ],
)
def test_losing_the_output_ends_no_run_and_is_told_where_it_matters(
    shell: str, status: int, finished_root: Path, tmp_path: Path
) -> None:
    for stage in ("train", "extract"):  # so that TensorFlow need not start
        shutil.copytree(finished_root / stage, tmp_path / stage)
    words = " ".join((*FINISHED, "stage=units"))
    command = f"{sys.executable} -m rnnscope root={tmp_path} {words}"
    done = subprocess.run(
        ["bash", "-c", shell.format(command=command)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=PROJECT,
    )
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == int("/dev/full" in shell)
    assert len(list(tmp_path.glob("units/[!.]*/_manifest.json"))) == int(status != 2)


@pytest.mark.parametrize(
    "how",
    ["raise SystemExit(0)", "import os; os._exit(0)", "raise type('Own', (BaseException,), {})"],
)
def test_a_custom_module_that_ends_the_process_does_not_end_well(how: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{how}\n")
    model = tmp_path / "m.keras"
    model.write_bytes(b"")
    data = PROJECT / "tests" / "fixtures" / "mnist.npz"
    status, _, complained = rnnscope(
        f"root={tmp_path / 'o'}",
        "stage=extract",
        *("model=file", f"model.path={model}", "model.custom_objects=mine"),
        *("data=mnist", f"data.path={data}"),
        cwd=tmp_path,
    )
    assert status == 2
    (line,) = complained.splitlines()
    assert "mine" in line


def test_a_full_or_missing_home_and_temporary_folder_end_no_run(tmp_path: Path) -> None:
    none = "/dev/null/none"  # which nobody can make, not even root
    status, _, complained = rnnscope(
        f"root={tmp_path}", *QUICK, HOME=none, TMPDIR=none, PYTHONIOENCODING="ascii"
    )
    assert (status, complained) == (0, "")


@pytest.mark.parametrize(
    "word", ["--experimental-rerun=x.pickle", "--e=x", "--nope", "--cfg=nope", "--info=nope"]
)
def test_a_flag_that_is_not_ours_is_one_line(word: str, tmp_path: Path) -> None:
    status, _, complained = rnnscope(word, cwd=tmp_path)
    assert status == 2
    (line,) = complained.splitlines()
    assert line.startswith("rnnscope: ")
    assert word.partition("=")[0][2:4] in line


def test_where_the_working_folder_is_gone_it_says_so(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone}; rmdir {gone}; {sys.executable} -m rnnscope root={tmp_path / 'o'}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("rnnscope: the working folder is gone")
