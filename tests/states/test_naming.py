"""Whatever a layer is called, its folder is safe and its own."""

import itertools
import re
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope import states
from tests.states.test_opening import record

PLAIN = ("lstm", "LSTM_1", "encoder.lstm", "bidirectional.forward", "x.2", "a-b", "1", "Lstm")
HOSTILE = (
    *("sequences.parquet", "Sequences.Parquet", "steps.parquet", "_manifest.json", "_parts", "_x"),
    *("", ".", "..", "...", "..x", ".hidden", "a.", "a..", "-", "--help", "-rf", "~", "~root"),
    *("../x", "../../etc/passwd", "/etc/passwd", "a/b", "a//b", "a/../b", "a\\b", "..\\x", "C:\\x"),
    *("C:", "a:b", "a b", " a", "a ", "\t", "a\nb", "a\rb", "a\0b", "\x1b[31mred", "\x7f", "\x85"),
    *("<b>", "<script>alert(1)</script>", "&amp;", "a&b", '"', "'", "`", "$(id)", "${HOME}", "$x"),
    *("a|b", "a;b", "a?b", "a*b", "*", "?", "[a]", "{a,b}", "(a)", "!", "#", "%", "%2e%2e", "^"),
    *("=1+1", "+x", "@x", "a,b", "a=b", "CON", "con", "nul", "NUL.txt", "aux", "COM1", "lpt9.x"),
    *("é", "e\u0301", "É", "ß", "ss", "SS", "ﬁ", "fi", "İ", "i̇", "ı", "K", "k", "名前", "😀"),
    *("\u202egnp", "\u200b", "\ufeff", "\u2028", "\ud800", "\ufffd", "x" * 121, "x" * 255),
    *("x" * 300, "y" * 300, "x" * 299 + "y", "é" * 200, "." * 300, "part-00000.parquet", "latest"),
    *("lstm~", "lstm~12345678", "h", "c", "None", "null", "0", "00", "1e5", "a" * 5000),
)

RESERVED = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]", re.IGNORECASE)
"""Names of devices in Windows, whatever follows them after a stop."""


def check(names: list[str]) -> None:
    """The folders of some layers are distinct, short, and one step below where they lie."""
    found = states.folders(names)
    assert list(map(str, sorted(found))) == sorted(set(names))
    folded = [place.casefold() for place in found.values()]
    assert len(set(folded)) == len(folded)
    assert not {states.SEQUENCES, states.STEPS} & set(folded)
    for place in found.values():
        assert place.isascii()
        assert place.isprintable()
        assert 0 < len(place.encode()) <= 180
        assert Path("a", place).parts == PureWindowsPath("a", place).parts == ("a", place)
        assert not RESERVED.fullmatch(place.partition(".")[0])
        assert place[0] not in "._-~ "
        assert place[-1] not in ". "
        assert not set(place) & set("<>:\"/\\|?*&'`$;()[]{}!#%^ ")


def test_hostile_names_get_safe_folders_that_differ() -> None:
    assert len(set(HOSTILE)) > 100
    check([*HOSTILE, *PLAIN])
    for name in HOSTILE:
        check([name])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=20) | st.text("aA.~_-1 ", max_size=4), max_size=12))
def test_any_names_get_safe_folders_that_differ(names: list[str]) -> None:
    check(names)


def test_the_order_of_layers_changes_nothing() -> None:
    some = ["LSTM", "lstm", "Lstm", "a b", "a-b", "sequences.parquet"]
    found = [states.folders(each) for each in itertools.permutations(some)]
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_that_of_its_folder(name: str) -> None:
    assert states.folders([name]) == {name: name}


def test_names_that_differ_in_capitals_alone_differ_where_disks_know_none() -> None:
    found = states.folders(["LSTM", "lstm"])
    assert found["LSTM"] == "LSTM"
    assert found["lstm"].startswith("lstm~")


@pytest.mark.parametrize("manifest", [True, False])
def test_layers_are_read_by_their_true_names(manifest: bool, tmp_path: Path) -> None:
    names = ("lstm", "LSTM", "a b", "a-b", "<b>", "../x", "x" * 300, "sequences.parquet")
    folder = record(tmp_path / "recording", layers=names, manifest=manifest)
    assert set(states.layers(folder)) == set(names)
    seen = []
    for name in names:
        place = states.folders(names)[name]
        frame = states.read_states(folder, "c", layer=name)
        pd.testing.assert_frame_equal(frame, pd.read_parquet(folder / place / "c"))
        seen.append(frame["c_000"].to_numpy())
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(seen, 2))
    inside = {path.resolve() for path in tmp_path.rglob("*.parquet")}
    assert all(path.is_relative_to(folder.resolve()) for path in inside)
