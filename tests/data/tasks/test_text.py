"""Characters of a text: windows that recompose it, annotations, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope import data
from rnnscope.data import Dataset, Split
from rnnscope.errors import UserError
from tests.compose import composed

LINES = [
    'First Citizen: "Before we proceed (any further), hear me speak."',
    "",
    "All: Speak, speak! 42 ((of) you",
    "know ) it «so\nor» not; O’Hara's “dagger” is 7½\tinches: naïve.",
    "",
    '"never closed (at all',
    "",
    "and yet: done ) here.",
]


def loaded(folder: Path, text: str | bytes, **options: Any) -> Dataset:
    path = folder / "some text.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    overrides = [f"data.{key}={value}" for key, value in options.items()]
    return data.load(composed(Path(), "data=text", f"data.path='{path}'", *overrides).data)


def texts(dataset: Dataset, split: Split | None) -> tuple[list[str], list[str]]:
    """What each window reads, and what is next."""
    assert split is not None
    batch = split.take(slice(None))
    assert batch.y is not None
    assert (batch.x.sum(axis=2) == 1).all()
    read, following = batch.x.argmax(axis=2), batch.y
    return tuple(  # type: ignore[return-value]
        ["".join(dataset.symbols[code] for code in row) for row in codes]
        for codes in (read, following)
    )


@pytest.mark.parametrize("fraction", [0, 0.2])
def test_windows_recompose_the_text_and_never_straddle_splits(
    fraction: float, tmp_path: Path
) -> None:
    text = "".join(np.random.default_rng(0).choice(list("abc xyz\n"), 1000))
    dataset = loaded(tmp_path, text, window=9, test_fraction=0.3, validation_fraction=fraction)
    bounds = {"train": (0, 700), "test": (700, 1000)}
    if fraction:
        bounds |= {"train": (0, 560), "val": (560, 700)}
    assert (dataset.val is None) == (not fraction)
    for part, (start, stop) in bounds.items():
        read, following = texts(dataset, getattr(dataset, part))
        own = text[start:stop]
        assert len(read) == (len(own) - 1) // 9
        assert own.startswith("".join(read))
        assert len(own) - len("".join(read)) <= 9
        assert own[1:].startswith("".join(following))
    assert dataset.symbols == tuple(sorted(set(text)))
    assert dataset.classes == tuple({" ": "␣", "\n": "↵"}.get(c, c) for c in dataset.symbols)


@pytest.mark.parametrize("stride", [1, 4, 30])
def test_windows_begin_a_stride_apart(stride: int, tmp_path: Path) -> None:
    text = "".join(np.random.default_rng(0).choice(list("abcd"), 400))
    dataset = loaded(
        tmp_path, text, window=20, stride=stride, test_fraction=0.5, validation_fraction=0
    )
    read, following = texts(dataset, dataset.test)
    starts = range(200, 400 - 20, stride)
    assert read == [text[start : start + 20] for start in starts]
    assert following == [text[start + 1 : start + 21] for start in starts]


def test_one_hot_vectors_are_made_as_they_are_read(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "abcdefgh" * 100_000, window=1000, stride=1)
    assert dataset.train is not None
    assert len(dataset.train) > 600_000
    assert dataset.train.take(np.array([5, 500_000])).x.shape == (2, 1000, 8)


def known(text: str) -> dict[str, list[float]]:
    """The annotations of each character, one after the other."""
    found: dict[str, list[float]] = {}
    column, place, quoted, depth, before = 0, 0, False, 0, ""
    for each in text:
        if each.isalnum():
            place = place + 1 if before.isalnum() else 0
        if each == before == "\n":
            quoted, depth = False, 0
        elif each in '"“”«»':
            quoted = not quoted
        elif each in "()":
            depth = max(0, depth + (1 if each == "(" else -1))
        line = {
            "uppercase": each in "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "lowercase": each in "abcdefghijklmnopqrstuvwxyzï",
            "digit": each in "0123456789",
            "space": each in " \t",
            "newline": each == "\n",
            "punctuation": each in "!\"'(),.:;«»’“”",
            "line_position": column,
            "word_position": place if each.isalnum() else np.nan,
            "in_quotes": quoted,
            "in_parentheses": depth > 0,
        }
        for name, value in line.items():
            found.setdefault(name, []).append(float(value))
        column = 0 if each == "\n" else column + 1
        before = each
    return found


def test_annotations_are_of_the_character_that_is_read(tmp_path: Path) -> None:
    """Over the whole text, not per window: lines, words and quotations go on across windows."""
    text = "\n".join(LINES * 4)
    dataset = loaded(tmp_path, text, window=7, test_fraction=0.5, validation_fraction=0)
    assert dataset.train is not None
    want = known(text)
    learnt = len(text) - round(len(text) / 2)
    for split, start in ((dataset.train, 0), (dataset.test, learnt)):
        steps = split.take(slice(None)).steps
        assert list(steps) == list(want)
        for name, values in steps.items():
            flat = values.ravel()
            np.testing.assert_array_equal(flat, want[name][start : start + len(flat)], name)
    for name in ("in_quotes", "in_parentheses", "digit", "uppercase"):
        assert 0 < sum(want[name]) < len(text)


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (b"caf\xe9 au lait" * 99, {}, r"is no text in UTF-8 \(byte 3\)"),
        (b"ab\x00cd" * 99, {}, "holds zero bytes"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 1200))), {}, "1,200 different characters"),
        ("aaaa" * 99, {}, "fewer than two different characters"),
        (b"\xef\xbb\xbf", {}, "fewer than two different characters"),
        (b"", {}, "an empty file"),
        ("ab" * 100, {"window": 30}, "20 of its 200 characters are for test, .*takes 31"),
        ("ab" * 100, {"window": 18, "test_fraction": 0.1}, "9 of its 200 characters are for val"),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused_in_one_line(
    text: Any, options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        loaded(tmp_path, text, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("data.path=")


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; give one text file"):
        data.load(composed(Path(), "data=text", f"data.path={tmp_path}").data)


def test_line_ends_and_marks_of_other_systems_are_read_as_those_of_unix(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    one = loaded(tmp_path / "one", "ab\ncd\n" * 50, window=5)
    other = loaded(tmp_path, b"\xef\xbb\xbf" + b"ab\r\ncd\r\n" * 50, window=5)
    assert other.symbols == one.symbols == ("\n", "a", "b", "c", "d")
    np.testing.assert_array_equal(other.test.x[:], one.test.x[:])
