"""What the states of a layer hold of earlier inputs of the network."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import engine, states
from rnnscope.analysis.decoding import own_time, products, readout
from rnnscope.analysis.decoding.memory_columns import FEATURES, Memory
from rnnscope.analysis.decoding.own_time import Steps
from rnnscope.analysis.decoding.products import Sums
from rnnscope.analysis.statistics import choosing
from rnnscope.config import Decoding, Engine
from rnnscope.data import Split
from rnnscope.states import Signal

Float = NDArray[np.float64]

FOLDS = 10
"""Most folds; of more, several are taken together."""
CELLS = 8_000_000
"""Values of states and inputs that are added up at a time."""


@dataclass(frozen=True)
class MemoryRows:
    """The rows of one layer from which earlier inputs are read."""

    signals: list[Signal]
    """Of the layer."""
    split: Split
    """What the network was given."""
    features: NDArray[np.intp]
    """Which features of the input [E]."""
    steps: Steps
    lags: int
    """K, the largest."""
    chosen: NDArray[np.intp]
    """Steps of the layer's own time [S], rising, each at least K."""
    group: NDArray[np.intp]
    """Of each sequence [N]; -1 for those that take no part."""
    partner: NDArray[np.intp]
    """Of each sequence that takes part another one [N]."""
    sequences: int
    """How many have rows."""


def measure(
    signals: list[Signal], split: Split, among: pd.DataFrame, options: Decoding, pool: Engine
) -> list[Memory] | str:
    """The memory of each signal of a layer, and of all together; or why there is none.

    Args:
        signals: of one layer; all of its timesteps were recorded.
        split: what the network was given.
        among: the sequences that take part, as ``gathering.drawn`` gives them.
        options: of the stage; ``memory_lags`` is a number.
        pool: where signals are measured.
    """
    group, fold = _groups(among, min(options.folds, FOLDS))
    rows = _rows(signals, split, among["sequence"].to_numpy(), group, len(fold), options)
    if isinstance(rows, str):
        return rows
    sums, columns = _sums(rows, len(fold))
    if options.together and len(signals) > 1:
        columns["+".join(columns)] = slice(0, columns[signals[-1].name].stop)
    score = functools.partial(_scores, sums, fold, (2, rows.lags + 1, len(rows.features)))
    alone = slice(sums.x.shape[2] - len(rows.features), None)
    every, what = [*columns.values(), alone], f"{signals[0].layer}: memory"
    *found, by_input = engine.run(score, every, pool, what=what, unit="signal")
    layer, counts = signals[0].layer, (rows.sequences, int(sums.count.sum()))
    return [
        Memory(layer, name, rows.features, *counts, units, r2[:, 0], r2[:, 1], by_input[:, 0])
        for (name, of), r2 in zip(columns.items(), found, strict=True)
        for units in [of.stop - of.start]
    ]


def one_hot(split: Split, sequences: NDArray[np.integer]) -> bool:
    """Whether a timestep of some sequences [n] is 1 in one feature, and 0 in all others.

    Such features are the names of symbols, and no series of numbers. All sequences are read only
    where it is so.
    """
    if len(split.x.shape) != 3 or split.features < 2:
        return False
    size = max(1, CELLS // (split.timesteps * split.features))
    for start in range(0, len(sequences), size):
        batch = split.take(sequences[start : start + size])
        x = batch.x[batch.valid]
        if ((x != 0) & (x != 1)).any() or (x.sum(axis=1) != 1).any():
            return False
    return True


def _rows(
    signals: list[Signal],
    split: Split,
    drawn: NDArray[np.integer],
    group: NDArray[np.intp],
    groups: int,
    options: Decoding,
) -> MemoryRows | str:
    """The rows of a layer, or why there are none.

    Args:
        signals: of the layer.
        split: what the network was given.
        drawn: the sequences that take part [n].
        group: of each of them [n].
        groups: how many there are.
        options: of the stage.
    """
    assert options.memory_lags is not None
    if split.x.dtype.kind in "iub" and len(split.x.shape) == 2:
        return "the input is tokens, whose numbers are names and no quantities"
    if signals[0].timesteps > split.timesteps:
        return "it has timesteps that the input does not have"
    last = max(int(drawn.max()), *(span[1] for span in signals[0].spans))
    steps = own_time.read(signals[0].files, last + 1)
    reach = steps.reach[drawn]
    if np.bincount(group, minlength=groups).min() < 2:
        return f"fewer than two sequences in one of {groups} parts of them"
    there = int(min(np.sort(reach[group == number])[-2] for number in range(groups)))
    lags = min(options.memory_lags, there // 2)
    if not lags:
        return "fewer than two sequences of two timesteps in a fold"
    of_all, partner = np.full((2, len(steps.reach)), -1)
    of_all[drawn] = group
    random = np.random.default_rng([options.seed, 2])
    partner[drawn] = drawn[own_time.partners(reach, random)]
    chosen = lags + choosing.spread(there - lags, options.max_timesteps)
    features = choosing.spread(split.features, FEATURES)
    count = int((reach > chosen[0]).sum())
    return MemoryRows(signals, split, features, steps, lags, chosen, of_all, partner, count)


def _scores(sums: Sums, fold: NDArray[np.intp], shape: tuple[int, ...], regressors: slice) -> Float:
    """R² by fold, of own inputs and of a partner's, by lag and feature [F, 2, K + 1, E]."""
    return readout.held_out(sums.only(regressors), fold).reshape(-1, *shape)


def _groups(among: pd.DataFrame, folds: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """A group for each sequence that takes part [n], and the fold of each group [G].

    Groups are the folds; two of these are halved, so that a penalty can be chosen within one. All
    sequences of a source are in one group.
    """
    fold = among["fold"].to_numpy() % folds
    if folds > 2:
        return fold, np.arange(folds)
    half = np.zeros_like(fold)
    for number in range(folds):
        here = fold == number
        _, source = np.unique(among["source"][here], return_inverse=True)
        half[here] = source % 2
    return fold + folds * half, np.tile(np.arange(folds), 2)


def _sums(rows: MemoryRows, groups: int) -> tuple[Sums, dict[str, slice]]:
    """The sums over all parts, and the place of each signal among the regressors."""
    ends = np.cumsum([0, *(len(signal.units) for signal in rows.signals)]).tolist()
    columns = {
        signal.name: slice(*ends[place : place + 2]) for place, signal in enumerate(rows.signals)
    }
    sums: Sums | None = None
    for x, y, group, step in _pieces(rows):
        if sums is None:
            sums = products.empty(
                groups, *(_by_step(each, step, len(rows.chosen)) for each in (x, y))
            )
        sums.add(x, y, group, step)
    assert sums is not None
    return sums, columns


def _by_step(values: Float, step: NDArray[np.intp], steps: int) -> Float:
    """The mean at each step of some rows [S, ...]; of all rows at steps that have none."""
    found = np.tile(values.mean(axis=0), (steps, 1))
    for each in np.unique(step):
        found[each] = values[step == each].mean(axis=0)
    return found


def _pieces(
    rows: MemoryRows,
) -> Iterator[tuple[Float, Float, NDArray[np.intp], NDArray[np.intp]]]:
    """States beside inputs [r, D + E], inputs of own and partner [r, 2 (K + 1) E], group, step."""
    back = np.arange(rows.lags + 1)
    width = sum(len(signal.units) for signal in rows.signals)
    width += 2 * len(back) * len(rows.features)
    for part, file in enumerate(rows.signals[0].files):
        keys, _ = states.read_part(file, units=[])
        step, partner = rows.steps.of(keys), rows.partner[keys.sequence]
        here = np.flatnonzero(np.isin(step, rows.chosen) & (rows.group[keys.sequence] >= 0))
        if not len(here):
            continue
        states_of = [states.read_part(signal.files[part])[1] for signal in rows.signals]
        given = [_inputs(rows, each[here]) for each in (keys.sequence, partner)]
        for piece in np.array_split(here, -(-len(here) * width // CELLS)):
            sequence = keys.sequence[piece]
            before = step[piece][:, np.newaxis] - back
            own = _at(rows.steps, before, sequence, *given[0])
            other = _at(rows.steps, before, partner[piece], *given[1])
            x = np.concatenate([*(values[:, piece] for values in states_of), own[:, 0].T]).T
            y = np.stack([own, other], axis=1).reshape(len(piece), -1)
            place = np.searchsorted(rows.chosen, step[piece])
            yield x.astype(np.float64), y.astype(np.float64), rows.group[sequence], place


def _inputs(
    rows: MemoryRows, sequences: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """The sequences that occur, rising [n], and the chosen features of their inputs [n, T, E]."""
    numbers = np.unique(sequences)
    x = rows.split.take(numbers).x
    return numbers, x.reshape(*x.shape[:2], -1)[:, :, rows.features]


def _at(
    steps: Steps,
    before: NDArray[np.int64],
    sequence: NDArray[np.integer],
    numbers: NDArray[np.integer],
    x: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Inputs [r, K + 1, E] at steps [r, K + 1] of sequences [r], from those of ``_inputs``."""
    place = np.searchsorted(numbers, sequence)[:, np.newaxis]
    return x[place, steps.timesteps(sequence[:, np.newaxis], before)]
