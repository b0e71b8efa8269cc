"""Where the timesteps of an input land among those that a recurrent layer reads.

Timesteps are changed one at a time, and it is seen at which timesteps of each recurrent layer this
shows, in passes in which recurrent layers remember nothing (``forgetful``).
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.data import Batch, Split
from rnnscope.errors import UserError
from rnnscope.extract import forgetful
from rnnscope.extract.rounding import relative
from rnnscope.models.batches import fixed_batch
from rnnscope.models.keeping import keeps_time

MARKS = 8
"""Timesteps that are changed."""
BASES, TRIES = 2, 3
"""Sequences in which this is done, and values that are put in."""
ROUNDING = 1e-5
"""Relative to a feature's largest value: differences that may come from the order of a sum."""


@dataclass(frozen=True)
class Landing:
    """Where the changed timesteps of one input show in what one layer reads."""

    marks: NDArray[np.intp]
    """The timesteps that were changed [M]."""
    shown: NDArray[np.floating]
    """The largest change [M, T] at each timestep that the layer reads, relative to the largest
    value of its feature; 0 where there is none."""

    @property
    def in_order(self) -> bool:
        """Whether a change shows at some timesteps alone, so that there is an order to be seen."""
        seen = (self.shown > 0).any(axis=1)
        return bool(seen.any() and not (self.shown[seen] > 0).all())

    @property
    def moved(self) -> tuple[int, int] | None:
        """A timestep that lands elsewhere, and where; None if all land where they were.

        A convolution spreads it to its neighbours, at the ends to those on one side, which is no
        move.
        """
        last = self.shown.shape[1] - 1
        if self.in_order:
            places = {
                int(mark): np.flatnonzero(shown)
                for mark, shown in zip(self.marks, self.shown, strict=True)
                if shown.any()
            }
            width = max(int(each[-1] - each[0]) for each in places.values())
            for mark, each in places.items():
                slack = 0 if width <= mark <= last - width else width
                if not each[0] - slack <= mark <= each[-1] + slack:
                    return mark, int(each[0])
            mirrored = all(last - mark in each for mark, each in places.items())
            return (0, last) if mirrored and len(places) > 3 else None  # beside what is kept
        peaks, turned = self.shown.argmax(axis=1), last - self.marks
        # Spread over all timesteps, it is still known for turned round where it shows most.
        if len(peaks) > 3 and self.shown.any(axis=1).all() and (peaks == turned).all():
            return int(self.marks[0]), int(peaks[0])
        return None


def landings(model: keras.Model, split: Split, name: str | None) -> dict[str, Landing]:
    """By call of a recurrent layer: where the timesteps of an input land in what it reads.

    Args:
        model: the model; its variables are unchanged afterwards.
        split: sequences, whose values are used.
        name: of a further input; None for the main one.
    """
    lengths = split.lengths if name is None else split.other_lengths.get(name)
    longest = np.argsort(np.zeros(len(split)) if lengths is None else -lengths, kind="stable")
    pool = split.take(np.sort(longest[:16]))
    bases = split.take(np.sort(longest[:BASES]))
    random = np.random.default_rng(0)
    timesteps = bases.timesteps_of(name)
    marks = np.unique(np.linspace(0, timesteps - 1, min(timesteps, MARKS)).astype(int))
    marks = np.unique(np.append(marks, marks[: MARKS // 2] + 1))
    marks = marks[marks < timesteps]
    known = _values(pool, name)
    found: dict[str, NDArray[np.floating]] = {}
    for row in range(len(bases.x)):
        base = bases.cut(slice(row, row + 1))
        copies = base.cut(np.zeros(len(marks) * TRIES, int))
        before = _read(model, copies)
        values = _values(copies, name)
        for number, mark in enumerate(np.repeat(marks, TRIES)):
            values[number, mark] = another(values[number, mark], known, random)
        for layer, read in _read(model, copies).items():
            shown = relative(read, before[layer]).reshape(len(marks), TRIES, read.shape[1], -1)
            worst = shown.max(axis=(1, 3))
            worst[worst <= ROUNDING] = 0
            found[layer] = np.maximum(found.get(layer, 0), worst)
    return {layer: Landing(marks, shown) for layer, shown in found.items()}


def displaced(
    model: keras.Model, split: Split, *, graph: bool
) -> dict[str, dict[str | None, tuple[int, int]]]:
    """By call of a recurrent layer: the inputs whose timesteps it has elsewhere.

    Each with a timestep, and where that is read. None stands for the main input. Looked at are
    inputs with lengths, and the main one unless the graph shows that its timesteps keep their
    places: labels, annotations and the inputs themselves belong to a layer of the same timesteps.

    Args:
        model: the model.
        split: the test split.
        graph: whether the model has a graph, which has told which inputs have timesteps.

    Raises:
        UserError: of several inputs one with lengths of whose timesteps no layer reads any alone,
            in a model without a graph.
    """
    found: dict[str, dict[str | None, tuple[int, int]]] = {}
    untold = split.per_timestep or bool(split.steps) or not keeps_time(model)
    for name in (None, *split.others):
        lengths = split.lengths if name is None else split.other_lengths.get(name)
        timesteps = int((split.x if name is None else split.others[name]).shape[1])
        ends = lengths is not None and lengths.min() < timesteps
        noted = name is None and untold
        if not ends and not noted:
            continue
        landed = landings(model, split, name)
        ordered = any(each.in_order for each in landed.values())
        if ends and split.others and not graph and not ordered:
            known = name or split.name
            key = "lengths_test" if known is None else f"lengths_{known}_test"
            raise UserError(
                f"{key}: no recurrent layer reads the timesteps of '{known or 'x'}' one by one, "
                f"which seems to have none: leave {key} out"
            )
        for layer, each in landed.items():
            same = each.shown.shape[1] == timesteps
            place = each.moved if same else (0, 0) if noted else None
            if place is not None:
                found.setdefault(layer, {})[name] = place
    return found


def another(value: NDArray[Any], known: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    """What a timestep of an input may hold besides ``value``.

    Args:
        value: what it holds [...].
        known: sequences of the input [N, T, ...]; whole numbers are taken from there.
        random: draws it.
    """
    flat = known.reshape(-1, *value.shape)
    if known.dtype.kind == "f" and (flat != np.rint(flat)).any():
        drawn = flat.mean(axis=0) + 4 * (flat.std(axis=0) + 1e-3) * random.normal(size=value.shape)
        return np.asarray(drawn, known.dtype)
    others = flat[(flat != value).reshape(len(flat), -1).any(axis=1)]
    return np.asarray(others[random.integers(len(others))] if len(others) else value)


def _values(batch: Batch, name: str | None) -> NDArray[Any]:
    return batch.x if name is None else batch.others[name]


def _read(model: keras.Model, batch: Batch) -> dict[str, NDArray[Any]]:
    """What each call of a recurrent layer is given [B, T, features] of a batch [B, ...]."""
    size = fixed_batch(model) or len(batch.x)
    parts: list[dict[str, Any]] = []
    for start in range(0, len(batch.x), size):
        index = np.arange(start, start + size)
        part = batch.cut(np.minimum(index, len(batch.x) - 1))
        given, _ = forgetful.passed(model, part)
        whole = {name: each.x for name, each in given.items() if len(each.x) == size}
        parts.append({name: x[: len(batch.x) - start] for name, x in whole.items()})
    return {
        name: np.concatenate([_flat(part[name]) for part in parts])
        for name in parts[0]
        if all(name in part for part in parts)
    }


def _flat(x: Any) -> NDArray[np.float64]:
    """[B, T, ...] as [B, T, features]."""
    values = np.asarray(x, np.float64)
    return values.reshape(*values.shape[:2], -1)
