"""The maps of stage intervention: the effect of changing each unit at each timestep."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope import store
from rnnscope.errors import listed
from rnnscope.figures.effect_grids import (
    Effects,
    by_largest,
    effects,
    is_kind,
    largest,
    timesteps_of,
    words,
)
from rnnscope.figures.effect_words import full, short
from rnnscope.figures.heat_maps import COLUMNS, limit
from rnnscope.figures.interventions import PALE, UNITS
from rnnscope.report.explorer.blob import Blob
from rnnscope.report.explorer.unchanged import sentences
from rnnscope.store import parquet
from rnnscope.store.tables import table_file

CELLS = 120_000
"""Most effects on the page."""
FEWEST = 8
"""Of so many units a map is shown at least; where not all maps fit then, the last are left out."""
WHEN = {"each": "at one timestep alone", "onward": "from one timestep to the end"}
"""For how long it is done."""
EFFECT = {
    "recovery": "how far the output moves to the donor's (0 not at all, 1 all the way)",
    "loss_change": "how much the loss rises",
    "estimate": "how much the loss would rise by its gradient (the model was not run)",
    "output_change": "how far the output moves",
}
"""What the colours are of a map that is of a column."""
TOLD = {
    "recovery": "Pale cells cannot be told from 0, which their 95 % interval holds; of cells "
    "without any effect 1 in 20 is not pale by chance.",
    "loss_change": "Pale cells cannot be told from 0: of a rise q is at least 0.05 over all units "
    "and timesteps; of a fall the 95 % interval, not adjusted for many, holds 0.",
}
"""What pale cells are."""


@dataclass(frozen=True)
class Map:
    """The effects of one layer, state, method and kind of windows."""

    layer: str
    state: str
    method: str
    windows: str
    effects: Effects
    timesteps: int
    """T of the layer."""
    quantity: str
    """What the effects are, with their unit."""


def add(blob: Blob, folder: Path) -> dict[str, Any]:
    """Add the maps of all layers and states; returns what is said of them.

    Args:
        blob: what their arrays are added to.
        folder: the output of stage intervention.
    """
    manifest = store.read_manifest(folder)
    options = manifest["slice"]["intervention"]
    table = parquet.frame(table_file(folder, "intervention"))
    every = list(_maps(table, options["windows"]))
    fit, cells = _fitting(every)
    of_all = [each.effects.value.shape[0] for each in every[:fit]]
    kept = [_cut(each, cells) for each in every[:fit]]
    limits = _limits(kept)
    labelled = "patch_same" in manifest["donors"]  # sequences have classes
    said = [
        {
            **_said(each, options, labelled),
            "number": number,
            "of": of,
            "limit": limits[each.layer, each.method, each.windows][0],
            "beyond": limits[each.layer, each.method, each.windows][1],
        }
        for number, (each, of) in enumerate(zip(kept, of_all, strict=True))
    ]
    for number, each in enumerate(kept):
        _add(blob, f"effects/{number}", each)
    return {
        "maps": said,
        "layers": list(dict.fromkeys(each.layer for each in kept)),
        "pale": PALE,
        "not_here": _not_here(table, options["windows"], every[fit:]),
        "unchanged": sentences(manifest["left_out"]),
    }


def _maps(table: pd.DataFrame, windows: Sequence[str]) -> Iterator[Map]:
    """Every map that the table has, in its order, and of windows in that of the option."""
    kinds = [kind for kind in dict.fromkeys(windows) if is_kind(kind)]
    for (layer, state, method), rows in table.groupby(
        ["layer", "state", "method"], observed=True, sort=False
    ):
        end = timesteps_of(table[table["layer"] == layer])
        for kind in kinds:
            if (found := effects(rows, kind, end, COLUMNS)) is not None:
                quantity = words(found.name, rows)
                yield Map(str(layer), str(state), str(method), kind, found, end, quantity)


def _fitting(every: Sequence[Map]) -> tuple[int, int]:
    """How many maps fit the page with some units at least, and how many cells each may have."""
    columns = max((each.effects.value.shape[1] for each in every), default=1)
    fit = min(len(every), max(1, CELLS // (FEWEST * columns)))
    return fit, CELLS // max(fit, 1)


def _cut(each: Map, cells: int) -> Map:
    """A map of those units whose effects are largest, as many as fit, by time of largest effect."""
    count = min(UNITS, max(FEWEST, cells // each.effects.value.shape[1]))
    found = each.effects.of(largest(each.effects, count))
    return replace(each, effects=found.of(by_largest(found)))


def _limits(kept: Sequence[Map]) -> dict[tuple[str, str, str], tuple[float, bool]]:
    """By layer, method and windows the end of the scale of colours that all its states share.

    With it, whether any effect lies beyond.
    """
    shared: dict[tuple[str, str, str], list[Any]] = {}
    for each in kept:
        key = each.layer, each.method, each.windows
        shared.setdefault(key, []).append(each.effects.value.ravel())
    found = {}
    for key, parts in shared.items():
        value = np.concatenate(parts)
        end = limit(value)
        found[key] = end, bool(np.nanmax(np.abs(value)) > end)
    return found


def _said(each: Map, options: Mapping[str, Any], labelled: bool) -> dict[str, Any]:
    """What the page says of a map."""
    found = each.effects
    there = found.sequences[found.sequences > 0]
    done = full(each.method, options["add"], labelled=labelled)
    width = each.windows.removeprefix("sliding:")
    when = WHEN.get(each.windows, f"at {width} timesteps in a row, drawn at their first")
    caption = f"Colours: {EFFECT[found.name]} when a unit is {done} {when}."
    caption = f"{caption} {TOLD.get(found.name, '')}"
    return {
        "layer": each.layer,
        "state": each.state,
        "method": each.method,
        "called": short(each.method),
        "windows": each.windows,
        "done": done,
        "quantity": each.quantity,
        "caption": caption.rstrip(),
        "tested": found.tested,
        "of_sequences": [int(there.min()), int(there.max())] if len(there) else [0, 0],
        "units": found.units.tolist(),
        "timesteps": each.timesteps,
        "run": -(-each.timesteps // found.value.shape[1]),
    }


def _add(blob: Blob, name: str, each: Map) -> None:
    found = each.effects
    for part in ("value", "low", "high"):
        blob.add(f"{name}/{part}", getattr(found, part).astype(np.float32))
    blob.add(f"{name}/sequences", found.sequences.astype(np.int32))
    blob.add(f"{name}/sure", found.sure.astype(np.uint8))
    blob.add(f"{name}/starts", found.starts.astype(np.int32))


def _not_here(table: pd.DataFrame, windows: Sequence[str], left: Sequence[Map]) -> list[str]:
    """What the table has and no map shows."""
    found = []
    if count := table.loc[table["unit"].isna(), "target"].nunique():
        found.append(f"{count:,} {'set' if count == 1 else 'sets'} of units or directions")
    if single := [each for each in dict.fromkeys(windows) if not is_kind(each)]:
        found.append(f"windows {', '.join(single)}")
    if left:
        states = dict.fromkeys(f"{each.layer}/{each.state}" for each in left)
        found.append(f"{len(left):,} maps of {listed(states)}, for the size of the page")
    return found
