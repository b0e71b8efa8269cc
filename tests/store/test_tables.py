"""Tables from their declarations: columns, nulls by reason, the file."""

from pathlib import Path

import numpy as np
import pandas as pd

from rnnscope.store.tables import UNKNOWN, Column, Null, Table, by_column, table_file

FEW = Null("few", lambda source: source < 3)
ODD = Null("odd", lambda source: source % 2 == 1)
TABLE = Table(
    "made",
    "number",
    (
        Column("number", "the number", lambda source: source),
        Column("q", "p adjusted", nulls=(FEW,), adjusts="p"),
        Column("p", "null below 3 and for odd numbers", lambda source: p(source), (FEW, ODD)),
        Column("whole", "null throughout", lambda source: source * np.nan, (Null("always"),)),
        Column("later", "added once all rows are together"),
    ),
)


def p(source: np.ndarray[tuple[int], np.dtype[np.int64]]) -> object:
    return np.where((source < 3) | (source % 2 == 1), np.nan, 0.5)


def test_a_null_is_counted_for_the_first_reason_that_holds() -> None:
    source = np.arange(6)
    frame = TABLE.frame(source)
    assert list(frame) == ["number", "p", "whole"]
    found = TABLE.nulls(source, frame)
    assert found == {
        ("q", "few"): 3,  # null where the p-value that it adjusts is
        ("q", UNKNOWN): 2,
        ("p", "few"): 3,
        ("p", "odd"): 2,
        ("whole", "always"): 6,
    }
    assert by_column(found)["q"] == {"few": 3, UNKNOWN: 2}
    np.testing.assert_array_equal(frame["p"].isna(), [True, True, True, True, False, True])


def test_the_nulls_of_parts_add_up_to_those_of_all_rows() -> None:
    parts = np.arange(2), np.arange(2, 6)
    one, other = (TABLE.nulls(part, TABLE.frame(part)) for part in parts)
    source = np.arange(6)
    assert one + other == TABLE.nulls(source, TABLE.frame(source))


def test_the_file_holds_the_frame(tmp_path: Path) -> None:
    frame = TABLE.frame(np.arange(3))
    TABLE.write(frame, tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(table_file(tmp_path, "made")), frame)
