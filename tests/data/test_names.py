"""Names of classes, sequences and groups: judged alike in every kind of file."""

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io

from rnnscope.data import parquet
from rnnscope.data.names import refuse_unclear
from rnnscope.errors import UserError
from tests.data.test_arrays import npy
from tests.data.test_data import Arrays, load, npz

N, T, F = 12, 4, 2
UNCLEAR = {
    "blanks": ("cat", "cat ", "differ in blanks alone"),
    "blanks within": ("a b", "a  b", "differ in blanks alone"),
    "accents": ("caf\u00e9", "cafe\u0301", "look alike"),
    "no width": ("cat", "c\u200bat", "look alike"),
    "nan": ("cat", "nan", "may be a missing value"),
    "None": ("cat", "None", "may be a missing value"),
    "<NA>": ("cat", "<NA>", "may be a missing value"),
    "zeros": ("01", "1", "the same number"),
    "points": ("1", "1.0", "the same number"),
    "blank": ("cat", " ", "is blank"),
}
"""Two names, and what refuses them."""


def mat(folder: Path, made: Arrays) -> Path:
    """Texts as cell arrays, which keep each as it is."""
    cells = {k: v.astype(object) if v.dtype.kind == "U" else v for k, v in made.items()}
    scipy.io.savemat(folder / "mine.mat", cells)
    return folder / "mine.mat"


def hdf5(folder: Path, made: Arrays) -> Path:
    with h5py.File(folder / "mine.h5", "w") as file:
        for name, values in made.items():
            text = values.dtype.kind == "U"
            file[name] = values.astype(object) if text else values
    return folder / "mine.h5"


def long(folder: Path, made: Arrays, kind: str = "parquet") -> Path:
    """The rows of each timestep; of other arrays than x and y the one of groups."""
    sequence = np.repeat(np.arange(N), T)
    rows: dict[str, Any] = {"sequence": sequence, "timestep": np.tile(np.arange(T), N)}
    rows |= {f"u{n}": made["x_test"][:, :, n].ravel() for n in range(F)}
    for name, values in made.items():
        if name != "x_test":
            key = "label" if name == "y_test" else name.removesuffix("_test")
            rows[key] = values.ravel() if values.ndim == 2 else values[sequence]
    frame = pd.DataFrame(rows)
    if kind == "category":
        frame = frame.astype({"label": "category"})
    if kind == "csv":
        frame.to_csv(folder / "mine.csv", index=False)
    else:
        frame.to_parquet(folder / "mine.parquet", index=False)
    return folder / f"mine.{'csv' if kind == 'csv' else 'parquet'}"


FORMS: dict[str, Any] = {
    "npz": npz,
    "npy": npy,
    "mat": mat,
    "hdf5": hdf5,
    "csv": lambda folder, made: long(folder, made, "csv"),
    "parquet": long,
    "category": lambda folder, made: long(folder, made, "category"),
    "streamed": long,
}


def made(names: Any, **others: Any) -> Arrays:
    x = np.random.default_rng(0).normal(size=(N, T, F)).astype(np.float32)
    return {"x_test": x, "y_test": names, **others}


def complaint(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("case", "form"),
    [
        (case, form)
        for case in UNCLEAR
        for form in FORMS
        if (case, form) != ("blank", "mat")  # MATLAB pads texts with blanks
    ],
)
def test_names_that_may_be_one_or_none_are_refused(
    case: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "streamed":
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    *pair, says = UNCLEAR[case]
    names = np.resize([pair[0], "dog", pair[1], "dog"], N)
    kinds = {"label": made(names), "patient": made(np.arange(N) % 2, patient_test=names)}
    kinds["each"] = made(np.resize(names, (N, T)))
    for kind, arrays in kinds.items():
        if (kind, form) in (("patient", "category"), ("each", "mat")):  # no forms of these
            continue
        (tmp_path / kind).mkdir()
        options: dict[str, Any] = {"groups": "patient"} if kind == "patient" else {}
        if kind == "each":
            options = {"labels": "timestep"}
        found = complaint(FORMS[form](tmp_path / kind, arrays), **options)
        assert says in found or (case, form) == ("blank", "csv"), (kind, found)


@pytest.mark.parametrize("form", ["npz", "parquet", "wide"])
def test_names_are_compared_over_splits(form: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    parts = {"train": np.resize(["a", "b"], N), "test": np.resize(["a ", "b"], N)}
    x = {part: random.normal(size=(N, T)) for part in parts}
    if form == "npz":
        arrays = {f"x_{part}": x[part][:, :, None] for part in parts}
        path = npz(tmp_path, arrays | {f"y_{part}": y for part, y in parts.items()})
        assert "y_train, y_test: 'a' and 'a' (y_test[0])" in complaint(path)
        ids = {f"p_{part}": y for part, y in parts.items()}
        found = complaint(npz(tmp_path, arrays | ids), groups="p")
        assert "p_train, p_test: 'a' and 'a' (p_test[0])" in found
        return
    frames = [
        pd.DataFrame(x[part], columns=[f"t{n}" for n in range(T)]).assign(
            **{"split": part, "label" if form == "parquet" else "p": y}
        )
        for part, y in parts.items()
    ]
    pd.concat(frames).to_parquet(tmp_path / "wide.parquet", index=False)
    options = {} if form == "parquet" else {"groups": "p", "label_column": "none"}
    assert "differ in blanks alone" in complaint(tmp_path / "wide.parquet", **options)


def test_names_of_timesteps_are_placed_past_the_padding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = np.resize(["a", "b"], (N, T)).astype("<U3")
    lengths = np.full(N, T)
    lengths[1:] = 2
    names[1:, 2:] = "nan"
    data = made(names, lengths_test=lengths)
    assert load(npz(tmp_path, data), labels="timestep").classes == ("a", "b")
    names[3, 1] = "nan"
    assert "'nan' (y_test[3, 1])" in complaint(npz(tmp_path, data), labels="timestep")
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    names[:, 2:] = "a"
    found = complaint(long(tmp_path, made(names)), labels="timestep")
    assert "'nan' (row 13)" in found


def test_a_last_name_among_numbers_is_a_total(tmp_path: Path) -> None:
    names = np.resize(["1", "2"], N).astype("<U5")
    assert load(npz(tmp_path, made(names))).classes == ("1", "2")
    names[-1] = "total"
    assert "'total' (y_test[11]) is the last" in complaint(npz(tmp_path, made(names)))
    names[2] = "total"
    assert load(npz(tmp_path, made(names))).classes == ("1", "2", "total")


@pytest.mark.parametrize("form", ["npz", "parquet", "wide"])
def test_names_that_differ_in_case_are_told_once(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    data = made(np.resize(["A", "a", "b"], N))
    if form == "wide":
        frame = pd.DataFrame(data["x_test"][:, :, 0], columns=[f"t{n}" for n in range(T)])
        path = tmp_path / "wide.parquet"
        frame.assign(label=data["y_test"]).to_parquet(path, index=False)
    else:
        path = FORMS[form](tmp_path, data)
    assert load(path).classes == ("A", "a", "b")
    assert caplog.text.count("'A' and 'a' differ in case alone") == 1


def test_bytes_are_text_in_utf_8(tmp_path: Path) -> None:
    names = np.resize([each.encode() for each in ("caf\u00e9", "bar")], N)
    got = load(npz(tmp_path, made(np.arange(N) % 2, p_test=names)), groups="p")
    assert got.test.groups is not None
    assert set(got.test.groups) == {"caf\u00e9", "bar"}
    wrong = made(np.arange(N) % 2, p_test=np.resize([b"\xff", b"a"], N))
    assert "no text in UTF-8" in complaint(npz(tmp_path, wrong), groups="p")


@pytest.mark.parametrize(
    "pair", [(1, "1"), (1, "a"), (1, True), (True, "True"), (pd.Timestamp("2020"), "2020")], ids=str
)
def test_a_column_of_numbers_and_text_is_refused(pair: tuple[Any, Any]) -> None:
    """A frame that is given in Python may hold both: as text they would be one name, or two."""
    column = pd.Series([pair[0], None, pair[1], pair[0]], name="label", dtype=object)
    with pytest.raises(UserError, match=r"^x: column 'label' holds .* and .*: write all in one"):
        refuse_unclear(column, "x")
    if pair != (1, True):  # which may be one as text too
        refuse_unclear(column.astype(str).where(column.notna()), "x")
    refuse_unclear(pd.Series([1, None, 2.5, np.int64(3)], dtype=object), "x")


@pytest.mark.parametrize("form", FORMS)
def test_truth_values_beside_numbers_are_refused(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "streamed":
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    for number, names in enumerate((["1", "True", "0"], ["FALSE", "0"])):
        (tmp_path / str(number)).mkdir()
        found = complaint(FORMS[form](tmp_path / str(number), made(np.resize(names, N))))
        assert "may be the same truth value" in found
    (tmp_path / "tokens").mkdir()
    load(FORMS[form](tmp_path / "tokens", made(np.resize(["1", "True", "if"], N))))
