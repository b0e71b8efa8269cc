"""The wheel works by itself: built, installed into a fresh environment, run in an empty folder.

The environment borrows the packages that rnnscope depends on, and not rnnscope; that all
of them are declared is a test in test_house.
"""

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.compose import PROJECT
from tests.shared import made

pytestmark = pytest.mark.process

SMALL = ("stage=units", "model.units=4", "train.steps=2", "units.permutations=10")


def said(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    uv = (sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--offline")
    folder = made(
        tmp_path_factory, "dist", lambda out: said(*uv, "--out-dir", out, PROJECT, cwd=PROJECT)
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of a fresh environment with the wheel in it."""
    return made(tmp_path_factory, "fresh", lambda folder: _install(wheel, folder)) / "bin"


def _install(wheel: Path, folder: Path) -> None:
    said(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Folders that a .pth file names are searched; .pth files in them, such as that of an editable
    # rnnscope, are not read.
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    said(*pip, "install", "--no-deps", wheel, cwd=folder)


def test_the_wheel_holds_the_package_its_configs_and_the_plugin_and_nothing_else(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = [name for name in file.namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == {"rnnscope", "hydra_plugins"}
    configs = {str(path.relative_to(PROJECT)) for path in (PROJECT / "conf").rglob("*.yaml")}
    assert configs <= {name.removeprefix("rnnscope/") for name in names}
    assert {"rnnscope/py.typed", "hydra_plugins/rnnscope_sweeper.py"} <= set(names)


@pytest.mark.parametrize("command", [["rnnscope"], ["python", "-m", "rnnscope"]])
def test_the_command_runs_in_any_folder_and_writes_below_it(
    command: list[str], installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.py").write_text('raise SystemExit("the user\'s own pipeline.py ran")')
    run: list[str | Path] = [installed / command[0], *command[1:]]
    version = importlib.metadata.version("rnnscope")
    assert said(*run, "--version", cwd=tmp_path) == f"rnnscope {version}\n"
    assert "units      would run" in said(*run, *SMALL, "mode=plan", cwd=tmp_path)
    assert f"root: {tmp_path}/outputs" in said(*run, "--cfg", "job", "--resolve", cwd=tmp_path)
    assert "root=outputs" not in said(*run, "--help", cwd=tmp_path)


def test_a_small_run_and_a_sweep_leave_tables_that_the_package_reads(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.py").write_text('raise SystemExit("the user\'s own pipeline.py ran")')
    said(installed / "rnnscope", *SMALL, cwd=tmp_path)
    code = (
        "import rnnscope; c = rnnscope.read_states('outputs/latest/extract', 'c'); "
        "print(rnnscope.__file__); print(c.shape[1])"
    )
    where, columns = said(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(installed.parent)
    assert columns == str(len(("sequence", "timestep", "label")) + 4)
    table = said(installed / "rnnscope", "-m", *SMALL, "seed=0,1", "mode=plan", cwd=tmp_path)
    assert re.search(r"units +1 up to date, 1 would run", table)
