"""Folders of data, and files that end oddly: each is read, refused, or told to be left out."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnscope.data import parquet
from rnnscope.data.delimited import read_delimited
from rnnscope.errors import UserError
from tests.data.test_data import arrays as made
from tests.data.test_data import assert_same, load, long_form, write


def folder_of(folder: Path, names: dict[str, str]) -> Path:
    """A folder of arrays x_test and y_test in files of these names, also of folders within."""
    path = folder / "mine"
    data = made()
    for name, array in names.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        with (path / name).open("wb") as file:
            np.save(file, data[array])
    return path


PLAIN = {"x_test.npy": "x_test", "y_test.npy": "y_test"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"sub/y_test.npy": "y_test"}, "sub/y_test.npy lies in a folder within"),
        ({"sub/deep/old.NPY": "y_test"}, "sub/deep/old.NPY lies in a folder within"),
        ({"y_test.NPY": "y_test"}, "y_test.NPY and y_test.npy are one array"),
        ({"lengths_test.npy.bak": "y_test"}, "lengths_test.npy.bak is no .npy file"),
        ({"lengths_test.csv": "y_test"}, "lengths_test.csv is no .npy file"),
        ({"sub/y_train": "y_test"}, "sub/y_train is no .npy file"),
    ],
)
def test_what_would_be_left_out_of_a_folder_of_arrays_is_refused(
    more: dict[str, str], says: str, tmp_path: Path
) -> None:
    path = folder_of(tmp_path, PLAIN | more)
    with pytest.raises(UserError) as caught:
        load(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_ending_in_any_case_is_an_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").mkdir()
    want = load(folder_of(tmp_path / "plain", PLAIN)).test
    assert want.y is not None
    odd = folder_of(tmp_path, {"x_test.Npy": "x_test", "y_test.NPY": "y_test"})
    assert_same(load(odd).test, want)
    frame = long_form(made())
    table = load(write(tmp_path, frame)).test
    for name in ("mine.NPZ", "mine.CSV", "mine.Parquet"):
        path = tmp_path / name
        if name.endswith("NPZ"):
            with path.open("wb") as file:
                np.savez(file, allow_pickle=True, **made())
        elif name.endswith("CSV"):
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        np.testing.assert_array_equal(load(path).test.y, table.y)
    parts = tmp_path / "parts"
    parts.mkdir()
    half = len(frame) // 2
    frame[:half].to_parquet(parts / "a.parquet", index=False)
    frame[half:].to_parquet(parts / "b.PARQUET", index=False)
    frame[["u", "v"]].to_parquet(tmp_path / "series.PARQUET", index=False)
    assert load(tmp_path / "series.PARQUET", window=5).test.timesteps == 5
    for limit in (parquet.IN_MEMORY, 0):
        monkeypatch.setattr(parquet, "IN_MEMORY", limit)
        assert load(parts).test.take(slice(None)).x.shape == table.x.shape


@pytest.mark.parametrize("limit", [2**28, 0])
def test_all_parts_of_a_table_are_read_or_refused(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "IN_MEMORY", limit)
    frame = long_form(made())
    parts = tmp_path / "parts"
    (parts / "within").mkdir(parents=True)
    half = len(frame) // 2
    frame[:half].to_parquet(parts / "a.parquet", index=False)
    frame[half:].to_parquet(parts / "within" / "b.parquet", index=False)
    (parts / "_SUCCESS").touch()
    (parts / ".hidden.csv").write_text("1")
    dataset = load(parts)
    assert dataset.train is not None
    assert len(dataset.test) + len(dataset.train) == 60
    for name in ("b.csv", "c.parq", "within/README"):
        (parts / name).write_text("1")
        with pytest.raises(UserError, match=f"{name} is no .parquet file"):
            load(parts)
        (parts / name).unlink()


def test_other_data_beside_arrays_is_told_to_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path = folder_of(tmp_path, PLAIN)
    for name in ("README.md", "y_test.npy.bak", ".y_val.csv", "people.CSV", "notes.txt"):
        (path / name).write_text("1")
    assert load(path).test.y is not None
    assert caplog.text.count("not read") == 1
    assert "people.CSV\n" in caplog.text


@pytest.mark.parametrize("name", ["a_TEST.CSV", "a_test.csv", "a_Test.csv"])
def test_a_test_file_beside_is_seen_in_any_case(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 4)), columns=list("abcd"))
    frame.columns = [f"t{n}" for n in range(4)]
    for each in ("a_TRAIN.csv", name):
        frame.to_csv(tmp_path / each, index=False)
    with pytest.raises(UserError, match=f"{name} lies beside it"):
        load(tmp_path / "a_TRAIN.csv")


ENDS: dict[str, tuple[str, bool]] = {
    "a number": ("1,0.5\n2,0.25\n3,0.12", True),
    "a whole number": ("1,10\n2,25\n3,1", True),
    "as many decimals": ("1,0.50\n2,10.25\n3,-0.12", False),
    "fewer decimals": ("1,0.50\n2,10.25\n3,0.1", True),
    "of one letter": ("0.5,1\n0.25,0\n0.1,1", False),
    "a name": ("0.5,cat\n0.25,mouse\n0.1,cat", False),
    "a name that may go on": ("0.5,cat\n0.25,cats\n0.1,cat", True),
    "a new name": ("0.5,cat\n0.25,mouse\n0.1,mous", True),
    "quoted": ('0.5,"cat"\n0.25,"mouse"\n0.1,"ox"', False),
    "fewer fields": ("0.5,2,1\n0.25,1\n0.1,1", True),
}
"""Ends of files without a line end, and whether they may be cut off."""


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", " ", "\n  "])
def test_a_file_that_may_be_cut_off_within_its_last_field_is_told(
    case: str, end: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    text, doubtful = ENDS[case]
    rows = text.split("\n")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([*rows[:-1] * 4, rows[-1]]) + end)
    read_delimited(path, "mine.csv")
    with_end = end.strip(" ") != ""
    said = "line 9, the last one, ends in" in caplog.text
    assert said == (doubtful and not with_end)
