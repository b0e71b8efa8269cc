"""The marks are true: a module that imports TensorFlow or starts rnnscope says so; none skips."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SIGNS = {
    "tensorflow": r"^ *(import|from) (keras|tensorflow)\b|\btensorflow: None",
    "process": r'"-m", "rnnscope"|"-m", "tests\.tf1"|\'rnnscope\', run_name=',
    "cluster": r"^from distributed import|^from tests\.slurm import .*\bcluster\b",
}
"""What a module that needs the mark has in its text."""
MODULES = sorted(path for path in TESTS.rglob("test_*.py") if path != Path(__file__))


@pytest.mark.parametrize("mark", SIGNS)
def test_a_module_carries_the_marks_of_what_it_needs(mark: str) -> None:
    texts = {path: path.read_text() for path in MODULES}
    need = {path for path, text in texts.items() if re.search(SIGNS[mark], text, re.MULTILINE)}
    assert need
    assert not {path for path in need if f"pytest.mark.{mark}" not in texts[path]}


def test_no_test_skips() -> None:
    """What this machine lacks is either deselected with a line that says so, or an error."""
    skips = r"pytest\.skip\(|importorskip\(|mark\.skip\b"
    assert not [path for path in MODULES if re.search(skips, path.read_text())]
