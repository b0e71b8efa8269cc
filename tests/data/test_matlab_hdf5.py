"""Arrays in MATLAB's and HDF5 files are the same data as in an .npz file."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from rnnscope.errors import UserError
from tests.data.test_arrays import assert_takes_the_same
from tests.data.test_data import Arrays, N, T, arrays, load, npz


def mat(folder: Path, made: Arrays) -> Path:
    """As MATLAB's save: doubles alone, and vectors of two dimensions."""
    scipy.io.savemat(folder / "mine.mat", {name: double(each) for name, each in made.items()})
    return folder / "mine.mat"


def double(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.kind == "b" else values.astype(np.float64)


def mat73(folder: Path, made: Arrays) -> Path:
    """As MATLAB's save -v7.3: HDF5, the axes in reverse order, vectors of two dimensions."""
    path = folder / "mine.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in made.items():
            matrix = np.atleast_2d(double(values))
            kind = "logical" if values.dtype.kind == "b" else "double"
            node = file.create_dataset(name, data=matrix.astype(matrix.dtype.newbyteorder("<")).T)
            node.attrs["MATLAB_class"] = np.bytes_(kind)
    return path


def hdf5(folder: Path, made: Arrays) -> Path:
    with h5py.File(folder / "mine.h5", "w") as file:
        for name, values in made.items():
            file[name] = values
    return folder / "mine.h5"


FORMS = {"mat": mat, "mat 7.3": mat73, "HDF5": hdf5}


def complaint(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_every_container_is_the_same_data_as_an_npz(form: str, tmp_path: Path) -> None:
    made = arrays() | {"depth_test": np.arange(N * T).reshape(N, T)}
    got = load(FORMS[form](tmp_path, made), 0.2, annotations=["depth"])
    want = load(npz(tmp_path, made), 0.2, annotations=["depth"])
    assert got.classes == want.classes
    for one, other in ((got.train, want.train), (got.val, want.val), (got.test, want.test)):
        assert one is not None
        assert other is not None
        batches = one.take(slice(None)), other.take(slice(None))
        np.testing.assert_allclose(batches[0].x, batches[1].x, rtol=0, atol=0)
        assert_takes_the_same(one, other)
        np.testing.assert_array_equal(
            batches[0].steps.get("depth", 0), batches[1].steps.get("depth", 0)
        )


@pytest.mark.parametrize("form", FORMS)
def test_tokens_flags_and_one_hot_keep_their_meaning(form: str, tmp_path: Path) -> None:
    tokens = np.arange(N * T).reshape(N, T) % 9
    made = {"x_test": tokens, "y_test": np.eye(3)[np.arange(N) % 3]}
    batch = load(FORMS[form](tmp_path, made)).test.take(slice(None))
    assert batch.x.dtype == np.int32
    np.testing.assert_array_equal(batch.x, tokens)
    assert batch.y is not None
    np.testing.assert_array_equal(batch.y, np.arange(N) % 3)
    flags = arrays()["x_test"] > 0
    batch = load(FORMS[form](tmp_path, {"x_test": flags})).test.take(slice(None))
    np.testing.assert_array_equal(batch.x, flags)


def test_names_of_classes(tmp_path: Path) -> None:
    x, names = np.ones((4, T, 2)), np.array(["walk", "run", "walk", "sit"])
    cells = np.empty((4, 1), object)
    cells[:, 0] = names
    scipy.io.savemat(tmp_path / "cells.mat", {"x_test": x, "y_test": cells})
    scipy.io.savemat(tmp_path / "rows.mat", {"x_test": x, "y_test": names})
    with h5py.File(tmp_path / "mine.hdf5", "w") as file:
        file["x_test"], file["y_test"] = x, names.astype(object)
    with h5py.File(tmp_path / "new.mat", "w") as file:
        node = file.create_dataset("x_test", data=x.T)
        node.attrs["MATLAB_class"] = np.bytes_("double")
        held = [
            file.create_dataset(f"#refs#/{n}", data=np.array([[ord(c)] for c in name], np.uint16))
            for n, name in enumerate(names)
        ]
        for each in held:
            each.attrs["MATLAB_class"] = np.bytes_("char")
        node = file.create_dataset("y_test", (1, 4), h5py.ref_dtype)
        node[0] = [each.ref for each in held]
        node.attrs["MATLAB_class"] = np.bytes_("cell")
    for name in ("cells.mat", "rows.mat", "mine.hdf5", "new.mat"):
        dataset = load(tmp_path / name)
        assert dataset.classes == ("run", "sit", "walk")
        assert dataset.test.y is not None
        assert dataset.test.y.tolist() == [2, 0, 2, 1]


def test_what_is_no_array_is_refused_by_name(tmp_path: Path) -> None:
    cells = np.empty(2, object)
    cells[:] = [np.ones((3, 2)), np.ones((4, 2))]
    for name, value in (("x_test", cells), ("y_test", {"a": 1.0})):
        scipy.io.savemat(tmp_path / "mine.mat", {"x_test": np.ones((2, 3))} | {name: value})
        assert f"{name} is a cell array or struct; sequences of different" in complaint(
            tmp_path / "mine.mat"
        )


def test_files_of_other_programs_are_told_apart(tmp_path: Path) -> None:
    path = mat73(tmp_path, arrays())
    other = tmp_path / "mine.h5"
    other.write_bytes(path.read_bytes())
    assert "its axes reversed: give it the ending .mat" in complaint(other)
    path.write_bytes(hdf5(tmp_path, arrays()).read_bytes())
    assert ["not written by MATLAB", " .* give it the ending .h5"][0] in complaint(path)
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.create_group("model_weights")
    says = complaint(tmp_path / "model.h5")
    assert "a Keras model: give it as model=file model.path=" in says
    for name in ("bad.mat", "bad.h5"):
        (tmp_path / name).write_bytes(b"no container at all")
        assert "file that can be read" in complaint(tmp_path / name)


def test_options_of_tables_are_refused_for_arrays(tmp_path: Path) -> None:
    path = npz(tmp_path, arrays())
    for name, value in (("window", 3), ("label_column", "first"), ("layout", "wide")):
        assert complaint(path, **{name: value}).startswith(f"data.{name}={value}: for tables")


@pytest.mark.parametrize("where", ["an array", "a file", "a table"])
def test_text_for_a_vectorization_layer_says_how_to_make_tokens(where: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    if where == "an array":
        np.savez(path, x_test=np.array(["so good", "not at all"]))
    else:
        path = tmp_path / "mine.txt"
        label = "pos\t" if where == "a table" else ""
        path.write_text(f"{label}so good\n{label}not at all, no\n")
    says = complaint(path)
    assert "tokens = vectorization(texts).numpy(), save them as x_test" in says
