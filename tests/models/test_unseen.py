"""Helpers outside the working folder: in the key or refused, wherever they lie and however run."""

import importlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope.config.source import source_files
from rnnscope.errors import UserError
from rnnscope.models import custom
from rnnscope.models.custom import members

OWN = ("cells", "hlp", "kit", "any", "others")


@pytest.fixture
def lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a helper, beside the working folder; what a test imports goes again."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("sys.path", sys.path.copy())
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/hlp.py").write_text("GAIN = 2.0")
    yield tmp_path / "lib"
    custom._FINDER.known.clear()
    custom._OWN.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]


SPEC = (
    "from importlib import util\nspec = util.spec_from_file_location('any', {file!r})\n"
    "hlp = util.module_from_spec(spec)\nspec.loader.exec_module(hlp)"
)
RUN = {
    "sys.path": "import sys\nsys.path.insert(0, {lib!r})\nimport hlp",
    "loader": "from importlib.machinery import SourceFileLoader\n"
    "hlp = SourceFileLoader('hlp', {file!r}).load_module()",
    "spec": SPEC,
    "runpy": "import runpy\nrunpy.run_path({file!r})",
    "runpy elsewhere": "import os, runpy\nos.chdir({lib!r})\nrunpy.run_path('hlp.py')",
    "runpy by name": "import sys, runpy\nsys.path.insert(0, {lib!r})\nrunpy.run_module('hlp')",
    "exec": "from pathlib import Path\nexec(compile(Path({file!r}).read_text(), {file!r}, 'exec'))",
    "link": "import os\nos.symlink({lib!r}, 'link')\n" + SPEC.replace("{file!r}", "'link/hlp.py'"),
}
"""What a module does to run {file}, which lies in {lib}."""


@pytest.mark.parametrize("case", RUN)
@pytest.mark.filterwarnings("ignore:.*load_module:DeprecationWarning")
def test_a_helper_outside_the_working_folder_is_refused(lib: Path, case: str) -> None:
    text = RUN[case].format(lib=str(lib), file=str(lib / "hlp.py"))
    Path("cells.py").write_text(text)
    for _ in range(2):  # the helper is imported now, and still not in the key
        with pytest.raises(UserError) as caught:
            members("cells")
        said = str(caught.value)
        assert "\n" not in said
        assert "hlp.py" in said
        assert "pass unnoticed: write import hlp, with " in said
        assert said.endswith(" on PYTHONPATH, or install it as a package")


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module('h' + 'lp')",
        "from importlib import import_module as im\nim('hlp')",
        "import pkgutil\npkgutil.resolve_name('hlp')",
    ],
    ids=["computed", "renamed", "resolved"],
)
def test_a_computed_name_on_pythonpath_is_refused(
    lib: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(lib))
    sys.path.insert(1, str(lib))
    Path("cells.py").write_text(text)
    with pytest.raises(UserError, match=r"imports hlp by a name .*hlp\.py .* write import hlp$"):
        members("cells")


def test_one_that_a_layer_runs_when_it_is_called_is_refused(lib: Path) -> None:
    Path("cells.py").write_text(
        f"import sys\ndef call():\n    sys.path.append({str(lib)!r})\n    import hlp"
    )
    call = members("cells")["call"]
    with pytest.raises(UserError, match=r"imports hlp from .*lib, where"), custom.explaining():
        call()
    with pytest.raises(UserError, match=r"imports hlp from .*lib, where"):
        members("cells")


def test_the_remedy_works(lib: Path) -> None:
    """On PYTHONPATH it is in the key, also if the module puts the folder on sys.path too."""
    sys.path.insert(1, str(lib))
    Path("cells.py").write_text(
        f"import sys\nsys.path.insert(0, {str(lib)!r})\nimport hlp\ndef f(): return hlp.GAIN"
    )
    assert source_files("cells")["hlp"] == lib / "hlp.py"
    assert members("cells")["f"]() == 2.0


def test_a_file_in_the_key_may_be_run_in_any_way(lib: Path) -> None:
    Path("hlp.py").write_text("GAIN = 3.0")
    Path("cells.py").write_text(
        "import os, runpy\nimport hlp\nos.symlink('.', 'link')\nrunpy.run_path('link/hlp.py')"
    )
    members("cells")


@pytest.mark.parametrize("name", ["hlp", "kit.hlp"])
def test_another_file_of_the_same_name_is_refused(lib: Path, name: str) -> None:
    """The key has that of the working folder, and Python alone would take the other one."""
    for folder in (Path("kit"), lib / "kit"):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "hlp.py").write_text("")
    Path("hlp.py").write_text("GAIN = 3.0")
    lead = f"import sys\nsys.path.insert(0, {str(lib)!r})\nimport {name}"
    if name != "hlp":
        lead = f"import kit\nkit.__path__.insert(0, {str(lib / 'kit')!r})\nimport {name}"
    Path("cells.py").write_text(lead)
    with pytest.raises(UserError, match=rf"{name} from .*lib/.*hlp\.py, not from .*here/.*hlp\.py"):
        members("cells")


def test_what_others_imported_stays_theirs(lib: Path) -> None:
    """A notebook's own modules, before or within the user's module."""
    (lib / "others").mkdir()
    for name in ("__init__", "more"):
        (lib / f"others/{name}.py").write_text("")
    sys.path.insert(1, str(lib))
    for name in ("hlp", "others"):
        importlib.import_module(name)
    Path("cells.py").write_text(
        "import importlib\nfor name in ('h' + 'lp', 'others.' + 'more'):\n"
        "    importlib.import_module(name)"
    )
    members("cells")


def test_an_editable_package_is_followed(lib: Path) -> None:
    """As pip writes it: a line in a .pth file, which ends on sys.path."""
    (lib / "kit").mkdir()
    (lib / "kit/__init__.py").write_text("from kit.part import GAIN")
    (lib / "kit/part.py").write_text("from hlp import GAIN")
    sys.path.append(str(lib))
    Path("cells.py").write_text("import kit\ndef f(): return kit.GAIN")
    assert set(source_files("cells")) == {"cells", "kit", "kit.part", "hlp"}
    assert members("cells")["f"]() == 2.0


def test_what_is_installed_outside_of_site_packages_is_not_refused(lib: Path) -> None:
    """As pip's --target does it, and tools that unpack wheels."""
    (lib / "hlp-1.0.dist-info").mkdir()
    (lib / "hlp-1.0.dist-info/RECORD").write_text("hlp.py,sha256=x,10\n")
    sys.path.insert(1, str(lib))
    Path("cells.py").write_text("import importlib\nimportlib.import_module('h' + 'lp')")
    members("cells")
    (lib / "any.py").write_text("")  # in the folder, and in no record
    Path("cells.py").write_text("import importlib\nimportlib.import_module('a' + 'ny')")
    for name in ("cells", "hlp"):
        del sys.modules[name]
    with pytest.raises(UserError, match="imports any from "):
        members("cells")


def test_modules_without_a_file_of_their_own_are_not_refused(lib: Path) -> None:
    with zipfile.ZipFile(lib / "kit.zip", "w") as packed:
        packed.writestr("any.py", "GAIN = 4.0")
    (lib / "kit").mkdir()
    sys.path[1:1] = [str(lib / "kit.zip"), str(lib)]
    Path("cells.py").write_text(
        "import importlib, sys, types\nimport __phello__\n"
        "sys.modules['others'] = types.ModuleType('others')\n"
        "for name in ('k' + 'it', 'a' + 'ny'):\n    importlib.import_module(name)"
    )
    members("cells")
    assert sys.modules["any"].GAIN == 4.0


def test_functions_that_tensorflow_rewrites_are_not_refused(lib: Path) -> None:
    Path("cells.py").write_text(
        "import tensorflow as tf\n@tf.function\ndef f(x):\n    if x > 0:\n        return x\n"
        "    return -x\ndef call(): return float(f(tf.constant(-2.0)))"
    )
    call, before = members("cells")["call"], set(sys.modules)
    with custom.explaining():
        assert call() == 2.0
    new = set(sys.modules) - before
    assert any(name.startswith("__autograph_generated_file") for name in new)
