"""Digests: the same for the same content, another for any other."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.errors import UserError
from rnnscope.store import digests, listing

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
IDENTITY = st.dictionaries(st.text(max_size=4), NESTED, min_size=1, max_size=4)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


def changed(value: Any) -> Any:
    """The same shape with one value, the first, another."""
    match value:
        case {**items} if items:
            first = next(iter(items))
            return {**items, first: changed(items[first])}
        case [first, *rest]:
            return [changed(first), *rest]
        case str():
            return value + "x"
        case _:
            return f"not {value}"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(IDENTITY)
def test_a_key_does_not_depend_on_the_order_of_a_dict(identity: dict[str, Any]) -> None:
    assert digests.key(reordered(identity)) == digests.key(identity)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(IDENTITY)
def test_a_key_depends_on_every_value(identity: dict[str, Any]) -> None:
    assert digests.key(changed(identity)) != digests.key(identity)


def test_a_key_is_the_same_in_every_process() -> None:
    identity = {"b": [1, 2.5, None], "a": {"name": "lstm"}}
    code = f"from rnnscope.store import digests; print(digests.key({identity!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digests.key(identity)
    assert re.fullmatch("[0-9a-f]{64}", digests.key(identity))


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1}, {"a": "1"}), ({"a": [1, 2]}, {"a": [2, 1]}), ({"a": 0}, {"a": None})],
)
def test_values_that_look_alike_have_keys_of_their_own(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert digests.key(one) != digests.key(other)


def test_a_digest_is_of_a_files_content_alone(tmp_path: Path) -> None:
    first, copy, other = (tmp_path / name for name in ("first", "copy", "other"))
    first.write_bytes(b"abc")
    copy.write_bytes(b"abc")
    other.write_bytes(b"abd")
    assert digests.file_digest(first) == digests.file_digest(copy) != digests.file_digest(other)


def a_folder(folder: Path, **contents: str) -> Path:
    """Files by name, with __ for each slash and _ for each dot."""
    for name, content in contents.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_a_folder_counts_by_its_files_names_and_contents(tmp_path: Path) -> None:
    first = digests.digest(a_folder(tmp_path / "a", x_npy="1", deep__y_npy="2"))
    assert first == digests.digest(a_folder(tmp_path / "b", deep__y_npy="2", x_npy="1"))
    others = [
        a_folder(tmp_path / "content", x_npy="1", deep__y_npy="3"),
        a_folder(tmp_path / "name", x_npy="1", deep__z_npy="2"),
        a_folder(tmp_path / "place", x_npy="1", y_npy="2"),
        a_folder(tmp_path / "more", x_npy="1", deep__y_npy="2", z_npy=""),
    ]
    (tmp_path / "empty").mkdir()
    found = {first, *map(digests.digest, others), digests.digest(tmp_path / "empty")}
    assert len(found) == len(others) + 2


def test_a_checkpoint_counts_by_its_index_and_data_under_any_prefix(tmp_path: Path) -> None:
    for name, data in (("one", "w"), ("two", "w"), ("three", "v")):
        (tmp_path / f"{name}.ckpt-1.index").write_text("i")
        (tmp_path / f"{name}.ckpt-1.data-00000-of-00001").write_text(data)
    (tmp_path / "two.ckpt-1.meta").write_text("no weights")
    (tmp_path / "two.ckpt-10.index").write_text("another")
    one, two, three = (digests.digest(tmp_path / f"{n}.ckpt-1") for n in ("one", "two", "three"))
    assert one == two == digests.digest(tmp_path / "two.ckpt-1.index") != three


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "data.npy").touch()
    for name in ("data", "nothing", "nothing/below"):
        with pytest.raises(FileNotFoundError):
            digests.digest(tmp_path / name)


def test_a_large_file_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"a" * 100)
    monkeypatch.setattr(digests, "LARGE", 100)
    first = digests.digest(file)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", None)
        assert digests.digest(file) == first
    file.write_bytes(b"b" * 100)
    os.utime(file, ns=(0, 0))
    assert digests.digest(file) != first


def test_what_systems_and_editors_leave_in_a_folder_does_not_count(tmp_path: Path) -> None:
    plain = digests.digest(a_folder(tmp_path / "a", x_npy="1", y_npy="2"))
    left = a_folder(tmp_path / "b", x_npy="1", y_npy="2", README_md="about")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "x.npy~", "#x.npy#", "._x.npy"):
        (left / name).write_text(name)
    for name in ("__pycache__", ".git", ".ipynb_checkpoints"):
        (left / name).mkdir()
        (left / name / "x.npy").write_text(name)
    assert digests.digest(left) == plain


def test_links_in_a_circle_and_pipes_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    plain = digests.digest(a_folder(tmp_path / "a", x_npy="1"))
    folder = a_folder(tmp_path / "b", x_npy="1")
    (folder / "again").symlink_to(folder)
    (folder / "nothing.npy").symlink_to(folder / "no.npy")
    os.mkfifo(folder / "pipe.npy")
    assert digests.digest(folder) == plain


def test_a_folder_that_is_linked_counts(tmp_path: Path) -> None:
    elsewhere = a_folder(tmp_path / "elsewhere", part_parquet="1")
    found = []
    for text in "12":
        (elsewhere / "part.parquet").write_text(text)
        folder = a_folder(tmp_path / text)
        folder.mkdir(exist_ok=True)
        (folder / "split=test").symlink_to(elsewhere)
        found.append(digests.digest(folder))
    assert found[0] != found[1]


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "pipe", "socket"])
def test_what_might_never_end_is_not_read(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "socket"))
        with pytest.raises(UserError, match=r"a device|a pipe|a socket"):
            digests.digest(tmp_path / path)


def test_a_folder_of_thousands_of_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "OTHERS", 3)
    folder = a_folder(tmp_path / "home", a_txt="1", b_txt="2", c_txt="3")
    assert len(digests.digest(folder)) == 64
    (folder / "d.txt").touch()
    with pytest.raises(UserError, match="over 3 files that are neither"):
        digests.digest(folder)
    for number in range(9):
        (folder / f"{number}.npy").touch()
    (folder / "d.txt").unlink()
    assert len(digests.digest(folder)) == 64
