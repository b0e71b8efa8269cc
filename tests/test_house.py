"""The house: imports run one way, rooms are named in the architecture, stages are declared once."""

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from rnnscope.stages import OVER_RUNS, STAGES
from rnnscope.stages.table import CHECK
from tests.compose import PROJECT

SOURCE = PROJECT / "pipeline"
ARCHITECTURE = (SOURCE / "README.md").read_text()
EVERY_STAGE = STAGES | OVER_RUNS


def modules() -> dict[str, Path]:
    """Every module of the source root by its dotted name."""
    found = {}
    for file in SOURCE.rglob("*.py"):
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = file
    return found


def imported(file: Path, known: set[str]) -> Iterator[str]:
    """The modules of this package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if (name := inner if inner in known else node.module) in known:
                    yield name


def graph() -> dict[str, set[str]]:
    """Module -> the modules that it imports; a package stands for what it re-exports."""
    files = modules()
    return {name: {*imported(file, set(files))} - {name} for name, file in files.items()}


def room(module: str) -> str:
    """The room of a module: a folder, of analysis the folder within it, or a module by itself."""
    parts = module.split(".")[1:]
    depth = 2 if parts[:1] == ["analysis"] else 1
    return "/".join(parts[:depth])


def rooms_in_order() -> list[str]:
    """The rooms as the architecture lists them, from the first to the last."""
    rows = re.findall(r"^\| (`.*?`) \|", ARCHITECTURE, re.MULTILINE)
    names = [name.strip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    units = names.index("analysis/units")
    nested = {"population", "decoding", "ablation", "intervention", "fixed_points", "compare"}
    return [f"analysis/{n}" if n in nested and i > units else n for i, n in enumerate(names)]


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert list(TopologicalSorter(graph()).static_order())


def test_rooms_import_only_rooms_before_them() -> None:
    order = [name for name in rooms_in_order() if name != "__main__"]
    backwards = {
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if room(module) in order
        if room(other) != room(module)
        if order.index(room(other)) > order.index(room(module))
    }
    assert not backwards
    ends = {"rnnscope.__main__", "hydra_plugins.rnnscope_sweeper"}
    assert not ends & {other for others in graph().values() for other in others}


def test_the_architecture_names_every_room_and_no_other() -> None:
    there = {room(name) for name in modules() if name.startswith("rnnscope.")}
    assert set(rooms_in_order()) == there - {"analysis"}


def test_a_package_re_exports_and_holds_no_logic() -> None:
    for name, file in modules().items():
        if file.name == "__init__.py" and name not in ("rnnscope", "rnnscope.data"):
            kinds = {type(node) for node in ast.parse(file.read_text()).body}
            assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign}, name


def test_nothing_private_of_hydra_is_used() -> None:
    for name, file in modules().items():
        assert "hydra._internal" not in file.read_text(), name


def test_our_own_classes_are_instantiated_by_hydra_only_as_its_plugin() -> None:
    for file in (PROJECT / "conf").rglob("*.yaml"):
        assert "_target_" not in file.read_text(), file


@pytest.mark.parametrize("name", EVERY_STAGE)
def test_every_stage_has_one_function_of_one_signature(name: str) -> None:
    function = EVERY_STAGE[name].run
    assert list(inspect.signature(function).parameters) == ["config", "inputs", "folder"]
    tables = import_module(EVERY_STAGE[name].module).TABLES if EVERY_STAGE[name].tables else ()
    assert tuple(table.name for table in tables) == EVERY_STAGE[name].tables


def test_modules_are_short_enough_to_hold_one_idea() -> None:
    lines = {name: len(file.read_text().splitlines()) for name, file in modules().items()}
    assert {name for name, count in lines.items() if count > 300} == set()
    assert lines["rnnscope.__main__"] <= 60


def test_every_package_that_is_imported_is_declared() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    lines = [*declared["dependencies"], *extras["slurm"], *extras["dask"], *extras["torch"]]
    names = {re.split(r"[\[<>=!~ ;]", line)[0].lower() for line in [*lines, *extras["dsa"]]}
    names |= {"DSA"} if "dsa-metric" in names else set()
    provides = importlib.metadata.packages_distributions()
    missing = set()
    for file in (PROJECT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for top in {name.partition(".")[0] for name in found}:
                if top in sys.stdlib_module_names or top in ("rnnscope", "hydra_plugins"):
                    continue
                # PyTorch and DSA need not be installed, and are then known by their names alone.
                if not names & {top, *(each.lower() for each in provides.get(top, []))}:
                    missing.add((top, file.name))
    assert not missing


def test_every_parquet_file_of_ours_has_checksums_and_is_read_by_them() -> None:
    """Files that users bring, in room data, may have none."""
    unchecked = set()
    for name, file in modules().items():
        if room(name) == "data":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            called, given = node.func.attr, {each.arg for each in node.keywords}
            written = called in ("ParquetWriter", "to_parquet", "write_table") and ast.unparse(
                node.func.value
            ) not in ("writer", "self.file")
            read = called in ("read_table", "read_parquet", "ParquetFile", "dataset")
            if written and "write_page_checksum" not in given:
                unchecked.add((name, node.lineno))
            if read and name != "rnnscope.store.parquet":
                unchecked.add((name, node.lineno))
    assert not unchecked


def test_help_names_every_stage() -> None:
    text = (PROJECT / "conf/hydra/help/rnnscope.yaml").read_text()
    _, single, over = re.split(r"stage=|over several runs:", text.partition("mode=   run")[0])[-3:]
    over, _, check = over.partition(";")
    assert re.findall(r"\w+", single.partition(";")[0]) == list(STAGES)
    assert re.findall(r"\w+", over) == list(OVER_RUNS)
    assert check.split()[0] == CHECK


def test_the_former_name_is_history() -> None:
    listed = subprocess.run(
        ["git", "grep", "-li", "cell[s]cope"], cwd=PROJECT, capture_output=True, text=True
    ).stdout.split()
    allowed = ("CHANGELOG.md", "tests/fixtures/")
    assert not [name for name in listed if not name.startswith(allowed)]


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (PROJECT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (PROJECT / "CHANGELOG.md").read_text()
