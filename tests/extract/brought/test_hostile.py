"""States that must not be taken: each is refused in one line, whatever it claims to be."""

import io
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from rnnscope import stages, states
from rnnscope.errors import UserError
from tests.compose import composed
from tests.extract.brought.test_brought import N, T, U, brought, drawn, extracted, labels

Make = Callable[[Path], Path]


def npz(**arrays: Any) -> Make:
    def make(folder: Path) -> Path:
        np.savez(folder / "s.npz", **{n.replace("__", "/"): a for n, a in arrays.items()})
        return folder / "s.npz"

    return make


def folder_of(**files: Any) -> Make:
    def make(folder: Path) -> Path:
        for name, content in files.items():
            path = folder / "s" / (name.replace("__", "/") + ".npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                np.save(path, content)
        return folder / "s"

    return make


def file_of(content: bytes, name: str) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def hdf5(write: Callable[[Any], Any]) -> Make:
    def make(folder: Path) -> Path:
        with h5py.File(folder / "s.h5", "w") as file:
            write(file)
        return folder / "s.h5"

    return make


def table(folder: Path) -> Path:
    (folder / "s").mkdir()
    return file_of(b"", "s/a.parquet")(folder).parent


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def claiming(shape: str, dtype: str = "<f4") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name.replace('__', '/')}.npy", content)
    return file.getvalue()


class Code:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("code-in-states-ran"),)


def at(place: tuple[int, ...], value: Any, dtype: Any = np.float32) -> Any:
    values = drawn().astype(dtype)
    values[place] = value
    return values


GOOD = npy(drawn())
CASES: dict[str, tuple[Make, str]] = {
    "cut": (file_of(zipped(lstm__c=GOOD)[:-40], "s.npz"), "not an .npz file"),
    "no npz": (file_of(b"nothing at all", "s.npz"), "not an .npz file"),
    "empty": (file_of(b"", "s.npz"), "an empty file"),
    "another ending": (file_of(b"1,2,3", "s.csv"), "must be an .npz file, an HDF5 file"),
    "a pickle": (file_of(pickle.dumps(Code()), "s.npz"), "a pickle, which may run code"),
    "a pickled member": (
        file_of(zipped(lstm__c=npy(np.array([[[Code()]]], object))), "s.npz"), "Python objects",
    ),
    "a pickled file": (
        folder_of(lstm__c=npy(np.array([[[Code()]]], object))), "holds Python objects",
    ),
    "terabytes in a header": (
        folder_of(lstm__c=claiming("(1000000000, 1000, 1000)")), "it is damaged or cut off",
    ),
    "terabytes in a member": (
        file_of(zipped(lstm__c=claiming("(1000000000, 1000, 1000)")), "s.npz"), "is damaged or cut",
    ),
    "a bomb": (
        file_of(zipped(lstm__c=npy(np.zeros((7, 5, 10**7), np.float32))), "s.npz"),
        "no recording is that regular",
    ),
    "a member twice": (
        file_of(zipped(lstm__c=GOOD, xstm__c=GOOD).replace(b"xstm", b"lstm"), "s.npz"),
        "lstm/c.npy twice; keep one of them",
    ),
    "no HDF5": (file_of(GOOD, "s.h5"), "not an HDF5 file that can be read"),
    "no arrays": (file_of(zipped(), "s.npz"), "it holds no arrays"),
    "an empty folder": (folder_of(), "no such file or folder"),
    "a signal of no layer": (npz(c=drawn()), "is not named <layer>/<signal>"),
    "a layer in a layer": (npz(a__b__c=drawn()), "encoder.lstm/c"),
    "a way out": (npz(**{"../c": drawn()}), "is not named <layer>/<signal>"),
    "an unknown signal": (npz(lstm__cell=drawn()), "'cell' is no signal: name it h (hidden state)"),
    "labels": (npz(lstm__c=drawn(), y_test=np.zeros(N)), "y_test is of the data, not a state"),
    "control characters": (npz(**{"a\x1b[2J/c": drawn()}), "control characters; rename it"),
    "two axes": (npz(lstm__c=drawn()[0]), "it must be [sequences, timesteps, units]"),
    "four axes": (npz(lstm__c=drawn()[..., None]), "reshape(N, T, -1)"),
    "no units": (npz(lstm__c=drawn()[..., :0]), "none of them 0"),
    "axes swapped": (npz(lstm__c=np.zeros((1, 2, 200_000), np.int8)), "are its axes in this order"),
    "other sequences": (npz(lstm__c=drawn(), lstm__h=drawn(n=6)), "must have the same sequences"),
    "other timesteps": (npz(a__c=drawn(), b__c=drawn()[:, :4]), "bring a layer of another time"),
    "complex": (npz(lstm__c=drawn().astype(complex)), "its absolute value"),
    "texts": (npz(lstm__c=drawn().astype("U8")), "it must hold numbers"),
    "dates": (npz(lstm__c=np.zeros((N, T, U), "M8[s]")), "it must hold numbers"),
    "NaN": (npz(lstm__c=at((3, 2, 1), np.nan)), "lstm/c[3, 2, 1] is nan, not a finite number"),
    "infinity": (npz(lstm__c=at((3, 2, 1), -np.inf)), "lstm/c[3, 2, 1] is -inf, not a finite"),
    "past float32": (npz(lstm__c=at((6, 4, 2), 1e39, float)), "[6, 4, 2] is 1e+39, past what"),
    "past whole numbers": (
        npz(lstm__c=at((0, 1, 0), 2**24 + 1, np.int64)), "up to which float32 holds whole numbers",
    ),
    "a gate before its sigmoid": (
        npz(lstm__f=np.where(np.arange(N)[:, None, None] == 5, 1.25, np.abs(np.tanh(drawn())))),
        "lstm/f[5, 0, 0] is 1.25, and a gate is between 0 and 1: give it as after its sigmoid",
    ),
    "a sequence of NaN": (npz(lstm__c=at((4,), np.nan)), "lstm/c[4] is NaN at every timestep"),
    "other ends": (
        npz(lstm__c=at((4, 3), np.nan) * at((4, 4), np.nan), lstm__h=drawn()),
        "sequence 4 has 5 timesteps before NaN in lstm/h and 3 in lstm/c",
    ),
    "a table": (table, "it must hold files <layer>/<signal>.npy; states that rnnscope wrote"),
    "hdf5 cut": (
        lambda folder: file_of(
            hdf5(lambda f: f.create_dataset("lstm/c", data=drawn()))(folder).read_bytes()[:900],
            "s.h5",
        )(folder), "not an HDF5 file that can be read",
    ),
    "a link elsewhere": (
        hdf5(lambda f: f.create_group("lstm").__setitem__(
            "c", h5py.ExternalLink("/etc/passwd", "x"))), "is a link to another file",
    ),
    "never written": (
        hdf5(lambda f: f.create_dataset("lstm/c", (10**7, 10**4, 100), chunks=(1, 100, 100))),
        "was never written",
    ),
    "groups in groups": (
        hdf5(lambda f: f.create_dataset("a/b/c", data=drawn())), "a/b is a group",
    ),
}  # fmt: skip


def refused(folder: Path, path: Path, *overrides: str) -> str:
    run = ("stage=extract", *brought(path, "data=files", *overrides))
    config = composed(folder / "root", *run)
    with pytest.raises(UserError) as caught:
        stages.run(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = CASES[name]
    said = refused(tmp_path, make(tmp_path), labels(tmp_path))
    assert message in said
    assert said.startswith("model.path=")
    assert not Path("code-in-states-ran").exists()
    assert not list((tmp_path / "root" / "extract").glob("[!.]*/_manifest.json"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_test": np.zeros(6, int)}, r"y_test has shape \(6,\), and model.path=.* 7 sequences"),
        ({"x_test": np.zeros((6, T, 2))}, "has 7 sequences of 5 timesteps, and the test split of"),
        ({"x_test": np.zeros((N, 4, 2))}, "data=files has 7 of 4: give the data of the sequences"),
        ({"x_train": np.zeros((9, T, 2))}, r"nothing of the sequences of .*: give y_test or"),
        ({"y_test": np.zeros(N), "names": np.zeros(N)}, "unknown arrays names; known are"),
    ],
)
def test_data_of_other_sequences_are_refused(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = npz(lstm__c=drawn())(tmp_path)
    said = refused(tmp_path, path, labels(tmp_path, **arrays))
    assert re.search(message, said), said


def test_an_nan_within_the_lengths_of_the_data_is_refused(tmp_path: Path) -> None:
    path = npz(lstm__c=at((3, 4), np.nan))(tmp_path)
    full = labels(tmp_path, lengths_test=np.full(N, T))
    assert "lstm/c[3, 4, 0] is nan" in refused(tmp_path, path, full)
    inputs = labels(tmp_path, x_test=np.zeros((N, T, 2)))
    assert "lstm/c[3, 4, 0] is nan" in refused(tmp_path, path, inputs)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_labels_in_a_table_whose_order_is_not_clear_are_refused(form: str, tmp_path: Path) -> None:
    """Sequences s1, s2, ..., s10 are numbered s1, s10, s2, ... once they are sorted."""
    path = npz(lstm__c=np.concatenate([drawn(), drawn()]))(tmp_path)
    for names, clear in (([f"s{n}" for n in range(1, 15)], False), (range(14), True)):
        frame = pd.DataFrame({"sequence": np.repeat(names, T), "timestep": np.tile(range(T), 14)})
        frame = frame.assign(x=0.5, label=np.repeat(np.arange(14) % 2, T))
        table = tmp_path / f"mine-{clear}.{form}"
        frame.to_csv(table, index=False) if form == "csv" else frame.to_parquet(table)
        data = "data=files", f"data.path={table}"
        if clear:
            found = states.read_sequences(extracted(tmp_path, path, *data))
            assert list(found["label"]) == [0, 1] * 7
        else:
            said = refused(tmp_path, path, *data)
            assert "column 'sequence' has s1, s2 where it has s1, s10 once it is sorted" in said
