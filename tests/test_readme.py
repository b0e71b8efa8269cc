"""README.md and conf/RECIPES.md are true: their snippets run, in order, as a user would run them.

Blocks without a language are not run: listings, and what takes a cluster, a user's own file or
minutes. Those for Slurm and Dask are the commands of tests/sweep and tests/engine.

The first snippet of a page runs in an environment as `make` leaves it. Those behind it are
processes of their own too, from the same entry point, but begin with TensorFlow imported, as do
the processes that they start (tests/forks.py).
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import forks
from tests.compose import PROJECT

PAGES = ("README.md", "conf/RECIPES.md")
LANGUAGES = {"", "bash", "python"}


def snippets(section: str) -> list[tuple[str, str]]:
    """The fenced blocks of a section in their order: language and code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", section, flags=re.DOTALL | re.MULTILINE)


def in_order(text: str) -> Iterator[tuple[str, str, str]]:
    """Each snippet that is run: its language, its code, and the Python before it in its section."""
    for section in text.split("\n## "):
        before = ""
        for language, code in snippets(section):
            assert language in LANGUAGES, code
            if language:
                yield language, code, before
            if language == "python":
                before += code


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Path:
    """A copy of the files under version control, with this environment as its own."""
    folder = tmp_path_factory.mktemp("clone")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (PROJECT / name).is_file():  # else deleted, and not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    _lend_environment(folder / ".venv")
    with np.load(mnist) as whole:  # all that is trained on, and ten test sequences of each class
        few = [np.flatnonzero(whole["y_test"] == each)[:10] for each in range(10)]
        arrays: dict[str, Any] = dict(whole)
        arrays |= {name: whole[name][np.concatenate(few)] for name in ("x_test", "y_test")}
    np.savez(folder / "mnist.npz", **arrays)
    return folder


def _lend_environment(folder: Path) -> None:
    """An environment marked as installed, which `make` leaves alone.

    It has the packages of this one and, instead of this checkout, the clone's own code.
    """
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    # .pth files in a folder that a .pth file names are not read, so this checkout is not seen.
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    paths = [*borrowed, str(folder.parent / "pipeline")]
    (packages / "borrowed.pth").write_text("\n".join(paths) + "\n")
    command = folder / "bin" / "rnnscope"
    command.write_text(
        f"#!{folder / 'bin' / 'python'}\nfrom rnnscope.__main__ import main\n\nmain()\n"
    )
    command.chmod(0o755)
    for stamp in ("installed", "installed-dev"):
        (folder / stamp).touch()


def environment(clone: Path) -> dict[str, str]:
    """What a snippet finds: the clone's environment as after its activation."""
    # What `make` tells the processes that it starts, these tests among them; and what would have
    # each process compile the clone's code anew.
    others = {"MAKEFLAGS", "ARGS", "PYTHONDONTWRITEBYTECODE"}
    return {
        **{name: os.environ[name] for name in os.environ.keys() - others},
        "PATH": f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "--collect-only --quiet",  # `make test` would run this very test
    }


@contextlib.contextmanager
def warmed(clone: Path, folder: Path) -> Iterator[str]:
    """In place of the clone's interpreter and its command: processes with TensorFlow imported."""
    command = clone / ".venv" / "bin" / "rnnscope"
    cold = command.read_text()
    folder.mkdir()
    with forks.served(command.with_name("python"), folder, environment(clone)) as python:
        command.write_text(cold.replace(str(command.with_name("python")), str(python)))
        try:
            yield str(python)
        finally:
            command.write_text(cold)


def run(
    language: str, code: str, clone: Path, python: str, before: str
) -> subprocess.CompletedProcess[str]:
    """Run one snippet in the clone; a Python snippet sees what those ``before`` it defined."""
    return subprocess.run(
        ["bash", "-ec", code] if language == "bash" else [python, "-c", before + code],
        cwd=clone,
        env=environment(clone),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.process
@pytest.mark.readme
@pytest.mark.parametrize("page", PAGES)
def test_every_snippet_runs_in_order(page: str, clone: Path, tmp_path: Path) -> None:
    text = (PROJECT / page).read_text()
    cold = warm = str(clone / ".venv" / "bin" / "python")
    with contextlib.ExitStack() as stack:
        for language, code, before in in_order(text):
            done = run(language, code, clone, warm, before)
            assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            if warm == cold:
                warm = stack.enter_context(warmed(clone, tmp_path / "forks"))
    assert {"bash", "python"} <= {language for language, _ in snippets(text)}
    assert list((clone / "outputs" / "extract").glob("[!.]*/_manifest.json"))


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_it_names_are_there(page: str) -> None:
    for name in re.findall(r"\]\(([\w./-]+)\)", (PROJECT / page).read_text()):
        assert (PROJECT / page).parent.joinpath(name).exists(), name
