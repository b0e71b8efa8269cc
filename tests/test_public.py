"""What ``import rnnscope`` offers, and that it costs nothing until it is used."""

import doctest
import subprocess
import sys

import pytest

import rnnscope
from rnnscope import states, trace
from rnnscope.live import recording


def test_the_names_are_those_of_their_rooms() -> None:
    assert rnnscope.read_states is states.read_states
    assert rnnscope.read_sequences is states.read_sequences
    assert rnnscope.recording is trace.recording
    assert rnnscope.record is recording.record
    for name in rnnscope.__all__:
        assert getattr(rnnscope, name).__name__.rpartition(".")[2] == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        getattr(rnnscope, "no_such_name")  # noqa: B009


@pytest.mark.parametrize("name", ["open_states", "States", "read_states"])
def test_states_in_files_are_opened_without_tensorflow(name: str) -> None:
    code = f"import sys, rnnscope; rnnscope.{name}; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_import_alone_loads_no_other_package() -> None:
    code = "import sys; known = {*sys.modules}; import rnnscope; print(*{*sys.modules} - known)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert tops - sys.stdlib_module_names == {"rnnscope"}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", rnnscope.__all__)
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    public = getattr(rnnscope, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(public, name)
    assert len(example.examples) > 3
    assert doctest.DocTestRunner().run(example) == (0, len(example.examples))
