"""The rows of all layers and inputs as one table, columns in the order of their declarations."""

from collections.abc import Iterable

import pandas as pd

from rnnscope.analysis.fixed_points.points import STATES
from rnnscope.store.tables import Table


def joined(table: Table, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All rows; layer and input are categories in the order in which they occur.

    Args:
        table: declares the columns.
        frames: of each layer and input, of the units and annotations that it has.
    """
    whole = pd.concat(frames, ignore_index=True)
    for name in ("layer", "input"):
        text = whole[name]
        whole[name] = pd.Categorical(text, categories=list(dict.fromkeys(text)))
    places = {column.name: place for place, column in enumerate(table.columns)}

    def key(name: str) -> tuple[int, int, int, str]:
        column = table.column(name)
        assert column is not None
        if not column.name.startswith("<state>"):
            return places[column.name], 0, 0, ""
        return places[column.name], STATES.index(name.partition("_")[0]), len(name), name

    return whole[sorted(whole.columns, key=key)]
