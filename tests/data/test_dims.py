"""Names of axes in HDF5 that contradict the order in which arrays are read are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.errors import UserError
from rnnscope.extract.brought.arrays import given
from tests.data.test_data import load

X = np.random.default_rng(0).normal(size=(6, 6, 6)).astype(np.float32)
Y = np.arange(6) % 2


def labelled(node: h5py.Dataset, names: list[str]) -> None:
    for dim, name in zip(node.dims, names, strict=True):
        dim.label = name


def scaled(node: h5py.Dataset, names: list[str]) -> None:
    """Scales as netCDF has them for dimensions without values, in a group of their own."""
    for place, name in enumerate(names):
        scale = node.file["of"].create_dataset(name, data=np.zeros(6))
        scale.make_scale("This is a netCDF dimension but not a netCDF variable.         6")
        node.dims[place].attach_scale(scale)


def named(node: h5py.Dataset, names: list[str]) -> None:
    for place, name in enumerate(names):
        scale = node.file["of"].create_dataset(f"scale{place}", data=np.arange(6))
        scale.make_scale(name)
        node.dims[place].attach_scale(scale)


def listed(node: h5py.Dataset, names: list[str]) -> None:
    node.attrs["_ARRAY_DIMENSIONS"] = names


def in_one_text(node: h5py.Dataset, names: list[str]) -> None:
    node.attrs["axes"] = f"({', '.join(names)})"


def in_bytes(node: h5py.Dataset, names: list[str]) -> None:
    node.attrs["dims"] = np.array(names, "S")


WAYS = (labelled, scaled, named, listed, in_one_text, in_bytes)
WRONG = (["time", "trial", "neuron"], ["sequence", "feature", "time"], ["a", "Units", "c"])
RIGHT = (["trial", "time", "neuron"], ["neuron", "timestep", "x"], ["a", "b", "c"])


def states(path: Path, names: list[str], way: Callable[..., Any]) -> Path:
    with h5py.File(path, "w") as file:
        file.create_group("lstm")["c"] = X
        file.create_group("of")
        way(file["lstm/c"], names)
        del file["of"]
    return path


def data(path: Path, names: list[str], way: Callable[..., Any]) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("of")
        file["x_test"] = X
        file["y_test"] = Y
        way(file["x_test"], names)
        # What the names are scales of lies in a group, which is passed over.
        assert group.name == "/of"
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("names", WRONG)
def test_data_with_axes_in_another_order_are_refused(
    names: list[str], way: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"x_test has the axes .* by their names") as raised:
        load(data(tmp_path / "a.h5", names, way))
    assert "\n" not in str(raised.value)
    assert ", ".join(names) in str(raised.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("names", RIGHT)
def test_axes_in_order_and_names_that_say_nothing_are_read(
    names: list[str], way: Callable[..., Any], tmp_path: Path
) -> None:
    found = load(data(tmp_path / "a.h5", names, way))
    np.testing.assert_array_equal(found.test.x, X)


@pytest.mark.parametrize("way", [labelled, listed, in_bytes])
def test_states_that_come_from_elsewhere_too(way: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lstm/c has the axes time, trial, neuron"):
        given(states(tmp_path / "a.h5", WRONG[0], way))
    given(states(tmp_path / "b.h5", RIGHT[0], way))


def test_names_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x_test"] = X
        file["x_test"].attrs["axes"] = np.arange(3)
        file["x_test"].attrs["dims"] = h5py.Empty("f4")
        file["x_test"].attrs["_ARRAY_DIMENSIONS"] = ["time"]
        file["y_test"] = Y
        scale = file.create_group("of").create_dataset("time", data=np.arange(6))
        scale.make_scale("time")
        file["x_test"].dims[1].attach_scale(scale)
        del file["of"]  # what the scale refers to is gone
    np.testing.assert_array_equal(load(path).test.x, X)
