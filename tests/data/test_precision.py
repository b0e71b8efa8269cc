"""What is stored in one way and means another: coarse values, and conventions of netCDF."""

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from rnnscope.data.order import other_order
from rnnscope.data.precision import warn_of_coarse
from rnnscope.errors import UserError
from tests.data.test_data import load

X = np.random.default_rng(0).integers(-100, 100, (40, 5, 3)).astype(np.int16)
Y = np.arange(40) % 2


@pytest.mark.parametrize(
    ("x", "coarse"),
    [
        (1e8 + X.astype(np.float64), True),
        (2.0**53 + X.astype(np.float64), True),
        (X.astype(np.int64) + 10**9, True),
        (1e5 + X.astype(np.float64), False),
        (X.astype(np.float64) * 1e8, False),
        (0.01 + 1e-17 * X, False),  # rounding of float64
        (1 + 2.2e-16 * (X > 0), False),
        ((1e8 + X).astype(np.float32), False),  # whoever gives float32 has lost it before
        (np.full((40, 5, 3), 1e8), False),  # a constant stays one
        (X[..., 0].astype(np.int64) + 10**9, False),  # tokens stay whole
    ],
)
def test_values_that_float32_hardly_tells_apart_are_warned_of(
    x: Any, coarse: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kept = x if len(x.shape) < 3 else np.concatenate([np.zeros_like(x[..., :1]), x], axis=2)
    warn_of_coarse(kept, "x_test")
    assert ("x_test: feature 1 is from" in caplog.text) == coarse
    assert len(caplog.records) == coarse
    if coarse:
        least = caplog.text.partition("subtract ")[2].split(",")[0].split()[0]
        assert float(least) == x[..., 0].min()


def test_a_file_is_looked_at_in_all_its_forms(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = 1e9 + X.astype(np.float64)
    np.savez(tmp_path / "mine.npz", x_test=x, y_test=Y)
    keys = {"sequence": np.repeat(range(40), 5), "timestep": np.tile(range(5), 40)}
    values = dict(zip("abc", x.reshape(-1, 3).T, strict=True))
    frame = pd.DataFrame(keys | values | {"label": np.repeat(Y, 5)})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    for name in ("mine.npz", "mine.csv"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            load(tmp_path / name)
        assert "float32 has steps of 64: subtract 999999" in caplog.text, name


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"scale_factor": 0.01}, r"x_test has the attribute scale_factor=0\.01: its values are"),
        ({"add_offset": np.float32(2)}, r"x_test has the attribute add_offset=2"),
        ({"_FillValue": X[3, 1, 2]}, f"holds {X[3, 1, 2]}, which stands for missing values by"),
        ({"missing_value": np.array([999, X[-1, -1, -1]])}, "by its attribute missing_value"),
        ({"_FillValue": np.int16(-9999), "scale_factor": 1.0, "units": "m"}, None),
        ({"_FillValue": np.nan, "add_offset": 0}, None),
        ({"scale_factor": "1.0", "add_offset": "0", "_FillValue": ""}, None),
        ({"scale_factor": "0.1"}, "has the attribute scale_factor"),
        ({"_FillValue": h5py.Empty("f")}, None),
        ({"_FillValue": float(X[3, 1, 2]), "missing_value": -9999.9}, "by its attribute _FillV"),
        (
            {"_Unsigned": "true"},
            "its values are whole numbers from 0; save them in the type uint16",
        ),
    ],
)
def test_hdf5_in_the_conventions_of_netcdf(
    attributes: dict[str, Any], says: str | None, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["x_test"], file["y_test"] = X, Y
        for name, value in attributes.items():
            file["x_test"].attrs[name] = value
    if says is None:
        np.testing.assert_array_equal(load(tmp_path / "mine.h5").test.x, X)
        return
    with pytest.raises(UserError, match=says) as raised:
        load(tmp_path / "mine.h5")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("chunks", [None, (7, 2, 3)])
def test_a_value_that_stands_for_none_is_found_in_the_arrays_own_precision(
    chunks: Any, tmp_path: Path
) -> None:
    for stands in (1e20, -9999.9):
        values = X.astype(np.float32)
        with h5py.File(tmp_path / f"{stands}.h5", "w") as file:
            file["y_test"] = Y
            node = file.create_dataset("x_test", data=values, chunks=chunks)
            node.attrs["missing_value"] = stands  # in float64
            node[39, 4, 2] = stands
        with pytest.raises(UserError, match="by its attribute missing_value"):
            load(tmp_path / f"{stands}.h5")


def test_a_file_that_claims_more_than_it_has_is_refused_before_it_is_looked_at(
    tmp_path: Path,
) -> None:
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["y_test"] = Y
        node = file.create_dataset("x_test", (10**9, 28, 28), "f4", chunks=(8, 28, 28))
        node[:8] = 0
        node.attrs["_FillValue"] = 1.0
    with pytest.raises(UserError):
        load(tmp_path / "mine.h5")


@pytest.mark.parametrize(
    ("names", "differ"),
    [
        ([f"s{n}" for n in range(1, 12)], (["s1", "s2"], ["s1", "s10"])),
        ([3, 1, 2], ([3], [1])),
        ([0, 1, 2, 10], None),
        (["a", "b"], None),
        (["a", None, "b"], None),
        (["a", 1, "b"], None),  # refused elsewhere
    ],
)
def test_the_order_of_sequences(names: list[Any], differ: Any) -> None:
    rows = np.repeat(np.array(names, object), 2)
    assert other_order(pd.DataFrame({"sequence": rows})) == differ
    each = pd.DataFrame({"sequence": rows, "split": ["test"] * len(rows)})
    both = pd.concat([pd.DataFrame({"sequence": ["z"], "split": ["train"]}), each])
    assert other_order(both) == differ
