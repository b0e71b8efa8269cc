"""Tables with a layer and a signal in each row, written as a whole or block by block."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Signals = list[tuple[str, str]]
"""The (layer, signal) pairs of a table, in their order."""


def named(frame: pd.DataFrame, signals: Signals, layer: str, signal: str) -> pd.DataFrame:
    """The frame with layer and signal in front, as categories in the order of ``signals``."""
    columns = {}
    for name, value, every in zip(
        ("layer", "signal"), (layer, signal), zip(*signals, strict=True), strict=True
    ):
        categories = list(dict.fromkeys(every))
        code = [categories.index(value)] * len(frame)
        columns[name] = pd.Categorical.from_codes(code, categories=categories)
    return pd.concat([pd.DataFrame(columns, index=frame.index), frame], axis=1)


class Writer:
    """A Parquet file that takes the rows of one layer and signal at a time."""

    def __init__(self, path: Path, signals: Signals):
        self.path, self.signals = path, signals
        self.file: pq.ParquetWriter | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def write(self, frame: pd.DataFrame, layer: str, signal: str) -> None:
        """Add rows; the first ones determine the columns."""
        whole = named(frame, self.signals, layer, signal)
        table = pa.Table.from_pandas(whole, preserve_index=False)
        if self.file is None:
            self.file = pq.ParquetWriter(self.path, table.schema, write_page_checksum=True)
        self.file.write_table(table)
