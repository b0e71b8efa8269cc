"""The tables that stages write: each column declared once, with its meaning and its nulls.

From these declarations come the tables themselves, the counts of nulls in the manifests, the
page's tooltips and the reference in outputs/README.md.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "not defined for its values"
"""The reason that is counted for a null which no declared reason explains."""

Nulls = Counter[tuple[str, str]]
"""Column and reason -> how many rows are null for it."""


def table_file(folder: Path, name: str) -> Path:
    """Where a stage writes one of its tables."""
    return folder / f"{name}.parquet"


@dataclass(frozen=True)
class Null:
    """A reason why a value may be missing."""

    why: str
    where: Callable[[Any], Any] = lambda _: True
    """From what the table is made of, to the rows that the reason holds for [R], or to one truth
    value for all rows."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """A part in angle brackets stands for any text: ``p_<class>``."""
    meaning: str
    """What the value is, with its unit."""
    value: Callable[[Any], Any] | None = None
    """From what the table is made of, to the values [R]; None for a column that is added once
    the rows of all parts are together."""
    nulls: tuple[Null, ...] = ()
    """Why it may be null. If several hold for a row, the first is counted."""
    source: str = ""
    """The publication that defines it."""
    adjusts: str = ""
    """For a q-value: the column of p-values that it is computed from."""
    kind: str = ""
    """How the page shows it: text, truth, class, count, p (two digits), large or number; by its
    type if empty."""
    main: bool = False
    """Whether the page shows it before one asks for all columns."""
    beside: str = ""
    """The column without which it misleads, and is not shown."""
    evidence: bool = False
    """Whether it says how much data or how good a fit another column rests on, or tests it, and is
    no property of what the row stands for. Ends of intervals and p-values need not say so."""
    dtype: str = ""
    """The pandas type of a column without ``value``, for a table that may have no rows."""

    def named(self, text: object) -> str:
        """The name with its part in angle brackets filled in."""
        return re.sub(r"<[^>]*>", str(text), self.name)

    def covers(self, name: str) -> bool:
        """Whether it declares the column of that name in a file."""
        literals = map(re.escape, re.split(r"<[^>]*>", self.name))
        return re.fullmatch(".+".join(literals), name) is not None


@dataclass(frozen=True)
class Table:
    """A Parquet table of a stage."""

    name: str
    rows: str
    """What a row stands for, after "one row per"."""
    columns: tuple[Column, ...]

    def frame(self, source: Any) -> "pd.DataFrame":
        """The table, from what its columns are computed from."""
        import pandas as pd

        return pd.DataFrame(
            {column.name: column.value(source) for column in self.columns if column.value}
        )

    def column(self, name: str) -> Column | None:
        """What declares the column of that name in a file: of several patterns the narrowest."""
        covering = (column for column in self.columns if column.covers(name))
        return max(covering, key=lambda each: len(each.named("")), default=None)

    def properties(self) -> list[Column]:
        """The columns that measure what a row stands for, by their declarations.

        These are not: names of classes, p-values, the ends ``<column>_low`` and ``<column>_high``
        of intervals, and other evidence.
        """
        names = {column.name for column in self.columns}
        ends = {f"{name}_{end}" for name in names for end in ("low", "high")}
        return [
            column
            for column in self.columns
            if column.kind not in ("class", "p") and not column.evidence and column.name not in ends
        ]

    def nulls(self, source: Any, frame: "pd.DataFrame") -> Nulls:
        """How many rows of a frame are null, by column and reason.

        Args:
            source: what the frame was made from.
            frame: the table, or its part for this source.
        """
        found: Nulls = Counter()
        adjusted = {column.name: column for column in self.columns if column.adjusts}
        declared = {name: self.column(name) for name in frame} | adjusted
        for name, column in declared.items():
            if column is None or (column.adjusts or name) not in frame:
                continue
            left = frame[column.adjusts or name].isna().to_numpy()
            for null in (*column.nulls, Null(UNKNOWN)):
                if not left.any():
                    break
                here = left & null.where(source)
                found[name, null.why] += int(here.sum())
                left = left & ~here
        return +found

    def write(self, frame: "pd.DataFrame", folder: Path) -> None:
        """Write the table into a stage's folder."""
        frame.to_parquet(table_file(folder, self.name), index=False, write_page_checksum=True)


def by_column(nulls: Nulls) -> Mapping[str, dict[str, int]]:
    """Counts of nulls as the manifest has them: column -> reason -> rows, most first."""
    found: dict[str, dict[str, int]] = {}
    for (column, why), count in nulls.most_common():
        found.setdefault(column, {})[why] = count
    return found


LAYER = Column("layer", "recurrent layer, by its name in the model", main=True)
SIGNAL = Column(
    "signal",
    "`h` hidden state, `c` cell state; gates `i` input, `f` forget, `o` output, `z` update, "
    "`r` reset; `g` candidate",
    main=True,
)
