"""Labels of tables that are decimals, numbers as categories, or categories in an order."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnscope.data import Dataset, parquet
from rnnscope.data.decimals import as_numbers
from rnnscope.errors import UserError
from tests.data.test_data import load

N, T = 8, 4
LABELS = [2, 10, 1, 1, 2, 10, 1, 2]
RANKS = ["low", "mid", "high"]


def table(folder: Path, label: Any, form: str = "long") -> Path:
    """A table with those labels of its sequences, as an array of Arrow."""
    x = np.random.default_rng(0).normal(size=(N, T))
    if form == "wide":
        columns = {f"t{step}": x[:, step] for step in range(T)} | {"label": label}
    else:
        rows = np.repeat(np.arange(N), T)
        columns = {
            "sequence": rows,
            "timestep": np.tile(np.arange(T), N),
            "x": x.ravel(),
            "label": label.take(pa.array(rows)),
        }
    pq.write_table(pa.table(columns), folder / "mine.parquet")
    return folder / "mine.parquet"


def values(known: Dataset) -> list[float]:
    """The labels or targets of its test split."""
    assert known.test.y is not None
    return list(known.test.y[:].tolist())


def decimals(given: Any, scale: int = 0) -> pa.Array:
    return pa.array([Decimal(value) for value in given], pa.decimal128(12, scale))


def ranks(*, ordered: bool, order: list[str] = RANKS) -> pa.Array:
    codes = pa.array([0, 1, 2, 0, 1, 2, 0, 1], pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(order), ordered=ordered)


@pytest.fixture(params=["long", "long, streamed", "wide"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "long, streamed":
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    return str(request.param)


@pytest.mark.parametrize(
    "label",
    [
        decimals(LABELS),
        decimals([f"{each}.00" for each in LABELS], 2),
        pa.array(LABELS).dictionary_encode(),
        pa.array(LABELS),
    ],
    ids=["decimals", "with places", "categories", "numbers"],
)
def test_numbers_are_numbers_in_any_type(tmp_path: Path, label: pa.Array, form: str) -> None:
    known = load(table(tmp_path, label, form), task="classification" if form == "wide" else None)
    assert known.occurring == (1, 2, 10)
    assert values(known) == LABELS
    assert known.classes == tuple(map(str, range(11)))


def test_fractions_are_no_classes(tmp_path: Path, form: str) -> None:
    path = table(tmp_path, decimals([f"{each}.5" for each in LABELS], 1), form)
    if form == "wide":
        assert values(load(path)) == [each + 0.5 for each in LABELS]
        return
    with pytest.raises(UserError, match="not fractions"):
        load(path)


def test_an_order_that_is_not_that_of_names_is_refused(tmp_path: Path, form: str) -> None:
    path = table(tmp_path, ranks(ordered=True), form)
    said = r"column 'label' is categorical, in the order 'low', 'mid', 'high', .* \.cat\.codes"
    with pytest.raises(UserError, match=said):
        load(path)
    for label in (ranks(ordered=False), ranks(ordered=True, order=sorted(RANKS))):
        assert load(table(tmp_path, label, form)).classes == ("high", "low", "mid")


def test_the_remedies_work(tmp_path: Path, form: str) -> None:
    column = ranks(ordered=True).to_pandas()
    codes = load(table(tmp_path, pa.array(column.cat.codes), form))
    assert values(codes) == [0, 1, 2, 0, 1, 2, 0, 1]
    texts = load(table(tmp_path, pa.array(column.astype(str)), form))
    assert values(texts) == [1, 2, 0, 1, 2, 0, 1, 2]


def test_of_a_series_too(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": np.arange(12.0), "label": [Decimal(each % 3 * 5) for each in range(12)]}
    )
    frame.to_parquet(tmp_path / "series.parquet")
    found = load(tmp_path / "series.parquet", window=2)
    assert found.occurring == (0, 5, 10)
    assert values(found) == [5, 0, 10, 5, 0, 10]
    frame["label"] = pd.Categorical(RANKS * 4, RANKS, ordered=True)
    frame.to_parquet(tmp_path / "series.parquet")
    with pytest.raises(UserError, match="in the order 'low', 'mid', 'high'"):
        load(tmp_path / "series.parquet", window=2)


@pytest.mark.parametrize(
    ("given", "kind", "found"),
    [
        (["2", "10"], "i", [2, 10]),
        (["2", "10.0"], "f", [2.0, 10.0]),
        (["0.1", "1E+2"], "f", [0.1, 100.0]),
        (["1E+2"], "i", [100]),
        (["-0.5", "NaN"], "f", [-0.5, np.nan]),
        (["9007199254740993"], "i", [2**53 + 1]),
    ],
)
def test_values(given: list[str], kind: str, found: list[float]) -> None:
    made = as_numbers(np.array([Decimal(each) for each in given], object), "y")
    assert made.dtype.kind == kind
    np.testing.assert_array_equal(made, found)


@pytest.mark.parametrize("value", ["9223372036854775809", "0.12345678901234567891", "1E+400"])
def test_what_no_number_holds_is_refused(value: str) -> None:
    with pytest.raises(UserError, match="more digits than a float has"):
        as_numbers(np.array([Decimal(value)], object), "y")


def test_text_stays_text() -> None:
    names = np.array(["a", None, 3], object)
    assert as_numbers(names, "y") is names
