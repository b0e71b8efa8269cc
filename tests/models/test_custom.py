"""The user's own module: imported by name, from the file in the key, without shadowing others."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope.errors import UserError
from rnnscope.models.custom import members


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder; what a test imports from it goes again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "cells")]:
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
    assert set(members("cells")) == {"rgb_to_hsv"}
    assert sys.path[-1] == str(here)
    assert members("cells")
    assert sys.path.count(str(here)) == 1


def test_another_file_than_the_one_in_the_key_is_refused(here: Path) -> None:
    """As where a package leads its own imports elsewhere."""
    for folder in ("mine", "elsewhere"):
        (here / folder).mkdir()
        (here / folder / "cells.py").write_text("")
    lead = f"__path__.insert(0, {str(here / 'elsewhere')!r})"
    (here / "mine" / "__init__.py").write_text(lead)
    with pytest.raises(UserError, match=r"elsewhere/cells\.py was imported, not .*mine/cells\.py"):
        members("mine.cells")
