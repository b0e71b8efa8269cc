"""The command line as a user meets it: one run from end to end, and its mistakes in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forks
from tests.compose import FINISHED, PROJECT

pytestmark = pytest.mark.process


def rnnscope(
    *words: str, cwd: Path = PROJECT, python: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """``rnnscope <words>``, by default in a process that begins with the libraries imported."""
    return subprocess.run(
        [python or forks.interpreter(), "-m", "rnnscope", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of one whole run, and what it printed; it imports everything itself."""
    root = tmp_path_factory.mktemp("outputs")
    done = rnnscope(f"root={root}", *FINISHED, python=sys.executable)
    assert done.returncode == 0, done.stderr
    (root / "said").write_text(done.stdout)
    (root / "complained").write_text(done.stderr)
    return root


def test_it_leaves_the_same_bytes_as_in_this_process(root: Path, finished_root: Path) -> None:
    """Whatever other tests have done to this process."""
    for path in finished_root.glob("[!.]*/*/**/*.parquet"):
        name = path.relative_to(finished_root)
        assert (root / name).is_file(), name
        assert path.read_bytes() == (root / name).read_bytes(), name


def test_a_run_ends_with_where_everything_is_and_a_snippet_that_works(root: Path) -> None:
    said = (root / "said").read_text()
    for name in ("extract", "units", "report"):
        assert str((root / "latest" / name).resolve()) in said
    lines = said.rstrip().splitlines()[-3:]
    snippet = "\n".join(line.strip() for line in lines)
    assert snippet.startswith("import pandas as pd")
    done = subprocess.run(
        [forks.interpreter(), "-c", snippet], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert "eta2" in done.stdout


def test_a_run_is_quiet_where_the_output_is_no_terminal(root: Path) -> None:
    assert (root / "complained").read_text() == ""
    assert "\r" not in (root / "said").read_text()


def test_a_second_run_does_nothing_and_says_so(root: Path) -> None:
    manifests = {path: path.stat().st_mtime_ns for path in root.rglob("_manifest.json")}
    done = rnnscope(f"root={root}", *FINISHED)
    assert done.returncode == 0
    assert done.stdout.count("up to date") == 8
    assert {path: path.stat().st_mtime_ns for path in root.rglob("_manifest.json")} == manifests


def test_force_runs_the_named_stage_again_and_only_that(root: Path) -> None:
    done = rnnscope(f"root={root}", *FINISHED, "stage=units", "mode=force")
    assert done.returncode == 0
    assert done.stdout.count("up to date") == 2
    assert "units      runs" in done.stdout


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    done = rnnscope(f"root={tmp_path}", "mode=plan")
    assert done.returncode == 0
    assert done.stdout.count("would run") >= 4
    assert not list(tmp_path.iterdir())


def test_outputs_stay_beside_the_project_whatever_the_working_directory(tmp_path: Path) -> None:
    done = rnnscope("--cfg", "job", "--resolve", cwd=tmp_path)
    assert f"root: {PROJECT / 'outputs'}" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train.stpes=3"], ["train.stpes", "steps", "batch_size"]),
        (["trian.steps=3"], ["trian", "train"]),
        (["train.steps=abc"], ["train.steps=abc", "a whole number at least 0"]),
        (["train.steps=-1"], ["train.steps=-1", "at least 0"]),
        (["train.learning_rate=0"], ["train.learning_rate=0", "above 0"]),
        (["model.dropout=1"], ["model.dropout=1", "below 1"]),
        (["extract.compression=rar"], ["extract.compression=rar", "lz4", "zstd"]),
        (["mode=dance"], ["mode=dance", "run, plan, force"]),
        (["stage=unit"], ["stage=unit", "train, extract, units, population"]),
        (["data=digts"], ["data=digts", "anbn, ar1, delay, digits, dyck"]),
        (["data=files"], ["data.path"]),
        (["data=digits", "data.path=x.npz"], ["data.path", "data=mnist or data=files"]),
        (["model.path=x.keras"], ["model.path", "model=file or model=tf1_checkpoint"]),
        (["model.unit=8"], ["model.unit: ", "did you mean model.units?"]),
        (["data=files", "data.path=no.npz"], ["data.path", "no.npz", "no such file"]),
        (["model=file", "model.path=no.keras"], ["model.path", "no.keras", "no such file"]),
        (["units.gate_cuts=[0.1]"], ["units.gate_cuts", "2 rising values"]),
        (["+train.extra=1"], ["train.extra", "steps"]),
        (["train.steps"], ["train.steps"]),
        (["experiment=sede"], ["experiment=sede", "seed"]),
    ],
)
def test_a_mistake_is_one_line_that_says_what_would_be_right(
    tmp_path: Path, words: list[str], parts: list[str]
) -> None:
    done = rnnscope(f"root={tmp_path}", *words)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("rnnscope: ")
    for part in parts:
        assert part in lines[0]
    assert not (tmp_path / "train").exists()


def test_hydra_full_error_shows_the_traceback(tmp_path: Path) -> None:
    done = rnnscope(f"root={tmp_path}", "train.steps=-1", HYDRA_FULL_ERROR="1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_a_proof_that_fails_is_one_line_and_leaves_nothing_finished(tmp_path: Path) -> None:
    done = rnnscope(f"root={tmp_path}", "train.steps=5", "stage=extract", "extract.tolerance=1e-30")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("rnnscope: layer 'lstm': residual step_h is ")
    assert "past extract.tolerance=1e-30: sequence " in line
    assert line.endswith("extract.tolerance=1e-05 is the default")
    assert not [path for path in tmp_path.glob("extract/*") if (path / "_manifest.json").exists()]
    again = rnnscope(
        f"root={tmp_path}", "train.steps=5", "stage=extract", "extract.tolerance=1e-05"
    )
    assert again.returncode == 0, again.stderr


def test_any_other_failure_exits_1_with_its_traceback_in_the_log(tmp_path: Path) -> None:
    words = f"root={tmp_path}", "train.steps=5"
    assert rnnscope(*words, "stage=extract").returncode == 0
    code = (
        "import sys, rnnscope.analysis.units.stage as stage, rnnscope.__main__ as command\n"
        "stage.run = lambda config, inputs, folder: 1 / 0\n"
        f"sys.argv = ['rnnscope', *{words!r}, 'stage=units']\n"
        "command.main()\n"
    )
    command = [forks.interpreter(), "-c", code]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    texts = [log.read_text() for log in (tmp_path / "logs").rglob("*.log")]
    assert sum("Traceback" in text for text in texts) == 1
    assert not [path for path in tmp_path.glob("units/*") if (path / "_manifest.json").exists()]


@pytest.mark.parametrize("words", [["--help"], ["mode=plan"]])
def test_help_and_plans_load_no_heavy_library(tmp_path: Path, words: list[str]) -> None:
    code = (
        "import sys, runpy, atexit\n"
        "heavy = ('tensorflow', 'keras', 'matplotlib', 'sklearn', 'scipy', 'pandas')\n"
        "atexit.register(lambda: print('loaded', [m for m in heavy if m in sys.modules]))\n"
        f"sys.argv = ['rnnscope', *{[f'root={tmp_path}', *words]!r}]\n"
        "runpy.run_module('rnnscope', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert "loaded []" in done.stdout, done.stdout + done.stderr


def test_an_analysis_stage_on_finished_states_starts_no_tensorflow(root: Path) -> None:
    code = (
        "import sys, runpy, atexit\n"
        "atexit.register(lambda: print('loaded', 'tensorflow' in sys.modules))\n"
        f"sys.argv = ['rnnscope', *{[f'root={root}', *FINISHED, 'stage=units', 'mode=force']!r}]\n"
        "runpy.run_module('rnnscope', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert "units      runs" in done.stdout, done.stdout + done.stderr
    assert "loaded False" in done.stdout
