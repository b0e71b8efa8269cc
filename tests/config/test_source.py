"""The source file of the user's module: found without importing anything, and as it is imported."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope import config, stages
from rnnscope.config.source import source_file, source_files
from rnnscope.errors import UserError
from tests.compose import composed


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder; what a test imports from it goes again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "cells")]:
        del sys.modules[name]


def module(path: Path, text: str = "raise AssertionError('imported')") -> Path:
    """A module that must not be imported."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_plan_imports_nothing_and_leaves_the_path_alone(here: Path) -> None:
    module(here / "mine/__init__.py")
    module(here / "mine/cells.py")
    module(here / "mine.keras")
    module(here / "mine.npz")
    words = ("stage=extract", "mode=plan", "data=files", "data.path=mine.npz")
    model = ("model=file", "model.path=mine.keras", "model.custom_objects=mine.cells")
    stages.run(composed(here / "outputs", *words, *model[:2]))  # imports what any plan does
    loaded = composed(here / "outputs", *words, *model)
    path, modules = sys.path.copy(), set(sys.modules)
    (step,) = stages.run(loaded)
    assert re.fullmatch("[0-9a-f]{64}", step.slice["model"]["custom_objects"]["sha256"])
    assert sys.path == path
    assert set(sys.modules) == modules


def test_the_key_follows_the_source(here: Path) -> None:
    words = ("stage=extract", "data=digits", "model=file", "model.path=mine.keras")
    module(here / "mine.keras")
    keys = []
    for text in ("x = 1", "x = 2", "x = 1"):
        module(here / "cells.py", text)
        loaded = composed(here / "outputs", *words, "model.custom_objects=cells")
        assert config.files(loaded.model)["custom_objects"] == here / "cells.py"
        keys.append(stages.chain(loaded)[0].artefact.key)
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["cells.py"], "cells"),
        (["mine/__init__.py"], "mine"),
        (["mine/__init__.py", "mine/cells.py"], "mine.cells"),
        (["mine/__init__.py", "mine/deep/__init__.py", "mine/deep/cells.py"], "mine.deep.cells"),
        (["mine/cells.py"], "mine.cells"),
        (["mine/deep/cells.py"], "mine.deep.cells"),
        (["mine/deep/__init__.py", "mine/deep/cells.py"], "mine.deep.cells"),
    ],
)
@pytest.mark.parametrize("installed", [True, False])
def test_the_file_is_the_one_that_an_import_takes(
    files: list[str],
    name: str,
    installed: bool,
    here: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A module, a package, one within it, and folders without __init__.py."""
    folder = tmp_path_factory.mktemp("installed") if installed else here
    for file in files:
        module(folder / file, "")
    if installed:
        sys.path.append(str(folder))
    found = source_file(name)
    assert found == folder / files[-1]
    assert name not in sys.modules
    sys.path.append(str(here))
    importlib.invalidate_caches()
    assert importlib.import_module(name).__file__ == str(found)


def test_what_is_installed_comes_before_the_working_folder(here: Path) -> None:
    module(here / "json/__init__.py")
    module(here / "json/decoder.py")
    module(here / "yaml.py")
    for name in ("json", "json.decoder", "yaml"):
        assert source_file(name) == Path(str(importlib.import_module(name).__file__))


def test_a_folder_of_the_same_name_elsewhere_does_not_hide_a_module_here(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Python merges folders without __init__.py."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    module(elsewhere / "mine/other.py", "")
    sys.path.append(str(elsewhere))
    module(here / "mine/cells.py", "")
    assert source_file("mine.cells") == here / "mine/cells.py"
    assert source_file("mine.other") == elsewhere / "mine/other.py"


@pytest.mark.parametrize(
    "name", ["no_such_module", "no_such.module", ".relative", "sys", "a b", "json.no_such", ""]
)
def test_a_module_that_cannot_be_found_is_one_line(name: str) -> None:
    with pytest.raises(UserError, match=rf"^model\.custom_objects={re.escape(name)}: .+") as caught:
        source_file(name)
    assert "\n" not in str(caught.value)


def test_a_missing_module_says_where_it_was_looked_for() -> None:
    with pytest.raises(UserError) as caught:
        source_file("no_such.module")
    assert str(caught.value) == (
        "model.custom_objects=no_such.module: no such module, installed or in the working folder; "
        "write it as in an import, package.module"
    )


HELPERS = {
    "plain": "import helper",
    "dotted": "import helper.deep",
    "from": "from helper import x",
    "renamed": "import helper as h",
    "in a function": "def f():\n    import helper",
    "tried": "try:\n    import helper\nexcept ImportError:\n    pass",
    "by name": "import importlib\nimportlib.import_module('helper')",
    "by hand": "__import__('helper')",
    "through another": "import between",
}


@pytest.mark.parametrize("form", HELPERS)
def test_the_key_follows_helpers_and_nothing_else(here: Path, form: str) -> None:
    words = ("stage=extract", "data=digits", "model=file", "model.path=mine.keras")
    module(here / "mine.keras")
    module(here / "cells.py", HELPERS[form])
    module(here / "between.py", "import helper")
    module(here / "unrelated.py", "import numpy")

    def key() -> str:
        loaded = composed(here / "outputs", *words, "model.custom_objects=cells")
        return stages.chain(loaded)[0].artefact.key

    keys = []
    for text in ("x = 1", "x = 2", "x = 1"):
        module(here / "helper.py", text)
        keys.append(key())
    assert keys[0] == keys[2] != keys[1]
    module(here / "unrelated.py", "import math")
    assert key() == keys[2]


PACKAGE = {
    "mine/__init__.py": "",
    "mine/cells.py": "from . import beside\nfrom .deep import inner\nfrom .sub.a import *",
    "mine/beside.py": "from .. import above\nimport mine.named",
    "mine/named.py": "import numpy, os.path, json.decoder",
    "mine/deep.py": "inner = 1",
    "mine/sub/__init__.py": "__all__ = ['starred', f'{1}']",
    "mine/sub/starred.py": "",
    "mine/sub/not_starred.py": "",
    "mine/sub/a.py": "from mine.sub import *\nfrom ..lazy.parts import x",
    "mine/lazy/parts.py": "",
    "mine/unreached.py": "",
    "helper.py": "",
}
REACHED = {"mine", "mine.cells", "mine.beside", "mine.named", "mine.deep", "mine.sub"}
REACHED |= {"mine.sub.a", "mine.sub.starred", "mine.lazy.parts"}


def test_of_a_package_all_is_found_that_is_reached(here: Path) -> None:
    for name, text in PACKAGE.items():
        module(here / name, text)
    modules = set(sys.modules)
    found = source_files("mine.cells")
    assert set(found) == REACHED
    assert all(path.is_relative_to(here) for path in found.values())
    assert set(sys.modules) == modules


def test_what_python_cannot_read_is_in_the_key_and_leads_nowhere(here: Path) -> None:
    module(here / "cells.py", "import helper, empty")
    module(here / "helper.py", "import (")
    (here / "empty.py").write_bytes(b"\xff\0")
    assert set(source_files("cells")) == {"cells", "helper", "empty"}


def test_modules_that_import_each_other_end(here: Path) -> None:
    module(here / "cells.py", "import helper")
    module(here / "helper.py", "import cells")
    assert set(source_files("cells")) == {"cells", "helper"}


def test_installed_packages_are_no_helpers(here: Path) -> None:
    module(here / "cells.py", "import keras, yaml, numpy.linalg, json, rnnscope.trace")
    assert set(source_files("cells")) == {"cells"}
