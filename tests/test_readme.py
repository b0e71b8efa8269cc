"""The README is true: each of its shell and Python snippets runs, in order, as a user would.

Those for Slurm and Dask are the commands of tests/test_slurm.py and tests/test_cluster.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def snippets(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a section in their order: (language, code); without one, not to run."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Path:
    """A copy of the files under version control, with this environment as its own."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (PROJECT / name).exists():  # else deleted, and not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    _lend_environment(folder / ".venv")
    (folder / "mnist.npz").symlink_to(mnist)
    return folder


def _lend_environment(folder: Path) -> None:
    """This environment under another name, marked as installed: `make` must leave it alone."""
    folder.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("installed"):
            (folder / entry.name).symlink_to(entry)
    for stamp in ("installed", "installed-dev"):
        (folder / stamp).touch()


def run(language: str, code: str, clone: Path, before: str) -> subprocess.CompletedProcess[str]:
    """Run one snippet in the clone; Python ones see what those before them defined."""
    environment = {
        **os.environ,
        "PATH": f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}",
    }
    if code == "make test\n":
        environment["ARGS"] = "--collect-only --quiet"  # these very tests
    command = ["bash", "-ec", code] if language == "bash" else [sys.executable, "-c", before + code]
    return subprocess.run(
        command,
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_every_snippet_runs_in_order(clone: Path) -> None:
    languages = set()
    for section in (PROJECT / "README.md").read_text().split("\n## "):
        python = ""
        for language, code in snippets(section):
            languages.add(language)
            if not language:
                continue  # a listing, or what takes a cluster, a file of the user's, or minutes
            done = run(language, code, clone, python)
            assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            if language == "python":
                python += code
    assert languages == {"", "bash", "python"}
    assert len(list((clone / "outputs" / "report").glob("*/report.html"))) >= 4


def test_the_files_that_it_names_are_there() -> None:
    text = (PROJECT / "README.md").read_text()
    for name in re.findall(r"\]\(([\w./]+)\)", text):
        assert (PROJECT / name).exists(), name


def listed(text: str) -> dict[str, set[str]]:
    """The columns that the README names of each table, by the table's name."""
    section = text.partition("## The tables")[2].partition("\n## ")[0]
    units, _, others = section.partition("The other tables")
    found = {"units": _names(re.findall(r"^\| (`[^|]*`) \|", units, re.MULTILINE))}
    for name, columns in re.findall(r"^\| `(\w+)` \| (.*) \|$", others, re.MULTILINE):
        found[name] = _names(re.findall(r"`[^`]*`", columns))
    return found


def _names(quoted: list[str]) -> set[str]:
    return {name for text in quoted for name in re.findall(r"\w+", text)}


def test_the_columns_that_it_lists_are_those_of_the_tables(clone: Path) -> None:
    import pyarrow.parquet as pq

    found = listed((PROJECT / "README.md").read_text())
    assert len(found) == 11
    for table, columns in found.items():
        path = next((clone / "outputs").glob(f"[!cl]*/*/{table}.parquet"))  # of single runs
        there = {name for name in pq.read_schema(path).names if not re.fullmatch(r"q\d\d", name)}
        assert columns - {"q01", "q99"} | {"layer", "signal"} == there | {"layer", "signal"}, table
