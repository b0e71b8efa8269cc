"""Tokens are shown as the texts of a file, which must have one for each."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnscope.errors import UserError
from rnnscope.report.explorer.inputs import Shown
from rnnscope.report.explorer.words import of_input

TOKENS = np.array([[2, 0, -1], [2, 3, 3]], np.int32)


def shown(kind: str = "tokens") -> Shown:
    return Shown(kind, np.arange(2, dtype=np.int32), TOKENS, [], [], 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.txt", "zero\none\ntwo\nthree\n"),
        ("words.txt", "\ufeffzero\r\none\r\ntwo\r\nthree"),
        ("words.json", json.dumps(["zero", "one", "two", "three", "four"])),
    ],
)
def test_only_tokens_that_occur_have_a_text(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert of_input(tmp_path / name, shown()) == {"0": "zero", "2": "two", "3": "three"}


def test_a_character_that_other_programs_break_lines_at_is_a_token(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes("\x0c\n\u2028\n\x85\n \n".encode())
    assert of_input(tmp_path / "c.txt", shown()) == {"0": "\x0c", "2": "\x85", "3": " "}


def test_a_character_may_be_a_line_break_in_json(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(["\n", "a", "<b>", " "]))
    assert of_input(tmp_path / "c.json", shown()) == {"0": "\n", "2": "<b>", "3": " "}


@pytest.mark.parametrize(
    ("name", "content", "kind", "why"),
    [
        ("w.txt", b"a\nb\nc", "tokens", "has 3 texts, and token 3 occurs in the data"),
        ("w.txt", b"\xff\xfe", "tokens", "is no text in UTF-8"),
        ("w.json", b"{", "tokens", "is no JSON"),
        ("w.json", b'{"a": 1}', "tokens", "must be a JSON list of texts"),
        ("w.json", b'["a", 1, "b", "c"]', "tokens", "must be a JSON list of texts"),
        ("w.json", b"[" * 100_000, "tokens", "is no JSON"),
        ("w.txt", b"a\nb\nc\nd", "picture", "the inputs are no tokens"),
    ],
)
def test_another_file_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, kind: str, why: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=why) as raised:
        of_input(tmp_path / name, shown(kind))
    assert str(raised.value).startswith(f"report.vocabulary={tmp_path / name}: ")
    assert "\n" not in str(raised.value)
