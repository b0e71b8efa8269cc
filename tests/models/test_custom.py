"""The user's own module: imported by name, from the files in the key, without shadowing others."""

import os
import py_compile
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope.errors import UserError
from rnnscope.models import custom, guard
from rnnscope.models.custom import members

OWN = ("mine", "cells", "helper", "lazy", "unseen", "torch_extra")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder; what a test imports from it goes again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    yield tmp_path
    custom._FINDER.known.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]


def test_its_classes_and_functions_are_there_by_name(here: Path) -> None:
    (here / "cells.py").write_text("import math\nx = 1\nclass Cell: pass\ndef steep(): pass")
    found = members("cells")
    assert set(found) == {"Cell", "steep"}
    assert found["Cell"].__module__ == "cells"


def test_a_file_in_the_working_folder_shadows_no_package(here: Path) -> None:
    """Neither while the module is imported nor afterwards."""
    (here / "colorsys.py").write_text("raise AssertionError('shadowed')")
    (here / "cells.py").write_text("import colorsys\nfrom colorsys import rgb_to_hsv")
    sys.modules.pop("colorsys", None)
    path = sys.path.copy()
    assert set(members("cells")) == {"rgb_to_hsv"}
    assert sys.path == path
    assert members("cells")
    assert sys.meta_path.count(custom._FINDER) == 1


def test_what_was_not_named_cannot_be_imported_from_the_working_folder(here: Path) -> None:
    """Such as a package that an installed one would use if it were there."""
    (here / "torch_extra.py").write_text("raise AssertionError('let in')")
    (here / "cells.py").write_text("def cell(): pass")
    members("cells")
    with pytest.raises(ModuleNotFoundError):
        __import__("torch_extra")


def test_helpers_are_found_also_later(here: Path) -> None:
    (here / "cells.py").write_text(
        "import helper\ndef cell():\n    import lazy\n    return helper.x + lazy.x"
    )
    (here / "helper.py").write_text("x = 1")
    (here / "lazy.py").write_text("x = 2")
    assert members("cells")["cell"]() == 3


@pytest.mark.parametrize("package", [True, False])
def test_a_package_in_the_working_folder(here: Path, package: bool) -> None:
    for folder in ("mine", "mine/deep"):
        (here / folder).mkdir()
        if package:
            (here / folder / "__init__.py").write_text("")
    (here / "mine/deep/cells.py").write_text("from ..helper import f\nfrom . import other")
    (here / "mine/deep/other.py").write_text("")
    (here / "mine/helper.py").write_text("def f(): return 5")
    assert members("mine.deep.cells")["f"]() == 5


def test_another_file_than_the_one_in_the_key_is_refused(here: Path) -> None:
    """As where a package leads its own imports elsewhere."""
    for folder in ("mine", "elsewhere"):
        (here / folder).mkdir()
        (here / folder / "cells.py").write_text("")
    lead = f"__path__.insert(0, {str(here / 'elsewhere')!r})"
    (here / "mine" / "__init__.py").write_text(lead)
    with pytest.raises(UserError, match=r"elsewhere/cells\.py was imported, not .*mine/cells\.py"):
        members("mine.cells")


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module('mine.' + 'unseen')",
        "import sys, os\nsys.path.append(os.getcwd())\nn = 'un' + 'seen'\n__import__(n)",
    ],
)
def test_a_helper_that_is_not_in_the_key_is_refused(here: Path, text: str) -> None:
    (here / "mine").mkdir()
    (here / "mine/__init__.py").write_text("")
    (here / "mine/cells.py").write_text(text)
    for folder in ("mine", "."):
        (here / folder / "unseen.py").write_text("")
    with pytest.raises(UserError, match=r"imports .*unseen by a name .* write import .*unseen$"):
        members("mine.cells")


@pytest.mark.parametrize(
    "text",
    [
        "import runpy\nrunpy.run_path('unseen.py')",
        "from pathlib import Path\n"
        "exec(compile(Path('unseen.py').read_text(), 'unseen.py', 'exec'))",
        "from importlib import util\nspec = util.spec_from_file_location('any', 'unseen.py')\n"
        "module = util.module_from_spec(spec)\nspec.loader.exec_module(module)",
    ],
    ids=["runpy", "exec", "spec"],
)
def test_text_that_is_run_without_an_import_is_refused(here: Path, text: str) -> None:
    (here / "mine.py").write_text(text)
    (here / "unseen.py").write_text("x = 1")
    with pytest.raises(
        UserError, match=r"it runs .*unseen.py without importing it.* import unseen$"
    ):
        members("mine")


def test_what_was_edited_since_it_was_imported_is_refused(here: Path) -> None:
    """The key is that of the new file, and Python would run the old one."""
    (here / "cells.py").write_text("import helper")
    (here / "helper.py").write_text("x = 1")
    members("cells")
    members("cells")
    (here / "helper.py").write_text("x = 2")
    with pytest.raises(UserError, match=r"helper\.py was edited since it was imported; run again"):
        members("cells")


@pytest.mark.parametrize("on_path", [False, True])
def test_bytecode_of_another_text_is_not_run(
    here: Path, monkeypatch: pytest.MonkeyPatch, on_path: bool
) -> None:
    """Python takes it for that of a file of the same size and time of change."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    if on_path:
        monkeypatch.syspath_prepend(here)
    for number in (1, 2):
        (here / "cells.py").write_text(f"def cell(): return {number}")
        os.utime(here / "cells.py", (1e9, 1e9))
        if number == 1:
            py_compile.compile(str(here / "cells.py"))
    assert list(here.glob("__pycache__/cells*"))
    assert members("cells")["cell"]() == 2


@pytest.mark.parametrize("kind", ["part of the package", "beside it"])
def test_a_module_that_a_layer_imports_when_it_is_called_is_refused(here: Path, kind: str) -> None:
    (here / "mine").mkdir()
    for folder in ("mine", "."):
        (here / folder / "unseen.py").write_text("x = 1")
    (here / "mine/__init__.py").write_text("")
    name = {"part of the package": "'mine.' + n", "beside it": "n"}[kind]
    (here / "mine/cells.py").write_text(
        "import importlib, os, sys\n"
        "def call():\n sys.path.append(os.getcwd())\n n = 'un' + 'seen'\n"
        f" return importlib.import_module({name}).x"
    )
    call = members("mine.cells")["call"]
    with pytest.raises(UserError, match=r"imports .*unseen by a name"), custom.explaining():
        assert call() == 1


def test_what_is_installed_may_be_imported_when_a_layer_is_called(here: Path) -> None:
    """Also where the environment lies in the working folder."""
    packages = here / "env/lib/python3/site-packages"
    packages.mkdir(parents=True)
    (packages / "unseen.py").write_text("x = 1")
    (here / "cells.py").write_text("import importlib\ndef call(n): importlib.import_module(n)")
    call = members("cells")["call"]
    sys.path.append(str(packages))
    with custom.explaining():
        call("un" + "seen")


BROKEN = {
    "raises": ("1 / 0", r"ZeroDivisionError: division by zero, cells\.py line 1"),
    "exits": ("import sys\nsys.exit(0)", r"it exits, with status 0: .*__main__"),
    "quits": ("raise SystemExit", "it exits, with status None"),
    "leaves": ("import os\nos._exit(0)", "it exits, with status 0"),
    "leaves by posix": ("import posix\nposix._exit(0)", "it exits, with status 0"),
    "parses arguments": (
        "import argparse\nargparse.ArgumentParser().parse_args(['a'])",
        "it exits",
    ),
    "syntax": ("x = (", r"SyntaxError: .*cells\.py"),
    "no text": ("\0", "SyntaxError: source code string cannot contain null bytes"),
    "lines": ("raise ValueError('a\\n\\x1b[31mb')", r"ValueError: a \[31mb, cells"),
    "missing": ("import no_such_package", "No module named 'no_such_package'"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "generator": ("raise GeneratorExit", "GeneratorExit"),
    "assertion": ("assert False", "AssertionError"),
    "replaced": ("import sys\nsys.modules[__name__] = object()", "puts a object in its place"),
    "removed": ("import sys\nsys.modules.clear()", r"takes \w+ and \d+ more out of sys.modules"),
    "rebound": ("import sys\nsys.modules = {}", r"takes \w+ and \d+ more out of sys.modules"),
}
"""A module's text, and what is said of it."""


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_module_that_breaks_is_one_line(
    here: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = BROKEN[case]
    (here / "cells.py").write_text(text)
    modules, kept = sys.modules, set(sys.modules)
    with pytest.raises(UserError, match=rf"^model\.custom_objects=cells: .*{said}") as caught:
        members("cells")
    assert str(caught.value).isprintable()
    assert sys.modules is modules
    assert kept <= set(sys.modules)


def test_a_module_that_does_not_end_is_stopped(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "CPU_SECONDS", 0.3)
    (here / "cells.py").write_text("while True: pass")
    with pytest.raises(UserError, match=r"it does not end, cells\.py line 1"):
        members("cells")
    monkeypatch.setattr(guard, "SECONDS", 0.3)
    (here / "helper.py").write_text("import time\ntime.sleep(60)")
    with pytest.raises(UserError, match=r"it does not end, helper\.py line 2"):
        members("helper")


def test_threads_of_a_module_and_its_folder_do_not_stay(here: Path) -> None:
    (here / "cells.py").write_text(
        "import os, threading, time\nt = threading.Thread(target=time.sleep, args=(0.2,))\n"
        "t.start()\nos.chdir('/')\ndef cell(): return t"
    )
    cell = members("cells")["cell"]
    assert cell().daemon
    assert Path.cwd() == here
    after = threading.Thread(target=time.sleep, args=(0,))
    after.start()
    assert not after.daemon
    assert os._exit.__name__ == "_exit"
