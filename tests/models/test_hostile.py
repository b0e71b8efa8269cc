"""Model files of strangers, and damaged ones: one line, and nothing in them runs."""

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from rnnscope import models
from rnnscope.errors import UserError
from tests.models import hostile

pytestmark = pytest.mark.tensorflow
FLIPS = 30
GB = 2**20
"""In the units of ru_maxrss."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a module that a file may name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text(f"open({hostile.MARK!r}, 'w').close()\nclass Trap: pass")
    return tmp_path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        models.load(path)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 1000
    assert said.startswith(f"model.path={path}: ")
    return said


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", hostile.CASES)
def test_it_is_refused_in_one_line(case: str, here: Path) -> None:
    path = hostile.CASES[case](here)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    refusal(path)
    assert time.process_time() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GB
    assert not (here / hostile.MARK).exists()


@pytest.mark.parametrize("form", hostile.FORMS)
def test_the_good_files_load(form: str, here: Path) -> None:
    (here / hostile.FORMS[form]).write_bytes(hostile.good(form))
    x = np.ones((2, 5, 3), np.float32)
    assert models.load(here / hostile.FORMS[form])(x).shape == (2, 2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", hostile.FORMS)
def test_a_flipped_byte_is_refused_or_changes_nothing(form: str, here: Path) -> None:
    """An .h5 has no checksums: what is in its arrays is the user's."""
    data, path = hostile.good(form), here / hostile.FORMS[form]
    path.write_bytes(data)
    weights = models.load(path).get_weights()
    places = np.random.default_rng(0).integers(0, len(data), FLIPS)
    loaded = 0
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            found = models.load(path).get_weights()
        except UserError:
            continue
        loaded += 1
        if form == "keras":
            for one, other in zip(weights, found, strict=True):
                np.testing.assert_array_equal(one, other)
    assert loaded < FLIPS
