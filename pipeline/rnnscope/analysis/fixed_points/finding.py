"""From the starts of one layer to its points under all of its constant inputs, and their modes."""

import logging
import time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.fixed_points.cell import Dynamics
from rnnscope.analysis.fixed_points.constants import Constants
from rnnscope.analysis.fixed_points.distinct import distinct, in_order
from rnnscope.analysis.fixed_points.linear import Modes, joined, modes
from rnnscope.analysis.fixed_points.points import Axes, Ended
from rnnscope.analysis.fixed_points.search import Found, Search
from rnnscope.analysis.fixed_points.visited import ClassMeans
from rnnscope.config import FixedPoints

log = logging.getLogger(__name__)

Float = NDArray[np.float64]
Parts = dict[str, tuple[slice, Float]]
"""State -> which numbers of a whole state it is, and the loadings [k, U] of its components."""


def search(
    layer: str,
    dynamics: Dynamics,
    starts: Float,
    given: Constants,
    axes: Axes,
    options: FixedPoints,
) -> tuple[list[Ended], float]:
    """The points under each constant input, and the seconds that it took.

    Args:
        layer: its name, for the log and the progress bar.
        dynamics: of its cell.
        starts: states [n, S], the same for every input.
        given: the inputs.
        axes: the components of its states, along which the directions of modes are given.
        options: of the stage.
    """
    if not given:
        return [], 0.0
    started = time.perf_counter()
    searching = Search(dynamics, f"{layer}: fixed points")
    begun = [_starts(searching, starts, constant, options) for constant in given.values()]
    inputs = np.repeat(np.array(list(given.values())), len(begun[0]), axis=0)
    found = searching.minimise(
        *(np.concatenate(begun), inputs, options.iterations),
        *(options.tolerance, options.slow_tolerance),
    )
    parts = _parts(dynamics, axes)
    ended = [
        _of_input(f"layer '{layer}', input {name}", name, constant, searching, part, parts, options)
        for (name, constant), part in zip(given.items(), found.split(len(given)), strict=True)
    ]
    return ended, time.perf_counter() - started


def _parts(dynamics: Dynamics, axes: Axes) -> Parts:
    """The components of each state among the numbers of all of a cell's states."""
    units = dynamics.units
    return {
        state: (slice(place * units, (place + 1) * units), axes[state][0])
        for place, state in enumerate(dynamics.states)
        if state in axes
    }


def _starts(searching: Search, starts: Float, constant: Float, options: FixedPoints) -> Float:
    """The starts under one input, and behind them what they become under it, if that is asked."""
    if not options.settle:
        return starts
    inputs = np.tile(constant, (len(starts), 1))
    return np.concatenate([starts, searching.settled(starts, inputs, options.settle)])


def _of_input(
    where: str,
    name: str,
    constant: Float,
    search: Search,
    found: Found,
    parts: Parts,
    options: FixedPoints,
) -> Ended:
    """The distinct points among those where the starts ended, in order, with their modes."""
    near = np.flatnonzero(found.q <= options.slow_tolerance)
    there = distinct(found.states[near], found.q[near], options.distinct, options.tolerance)
    place, starts = near[there.place], there.starts
    fixed = found.q[place] <= options.tolerance
    first = np.lexsort((-starts, ~fixed))[: options.max_points]
    if dropped := len(place) - len(first):
        log.info(
            f"{'':<10} {where}: {len(place):,} points, of which {dropped:,} are left out, slow "
            "ones and those of the fewest starts; fixed_points.max_points sets how many are kept"
        )
    place, starts, fixed = place[first], starts[first], fixed[first]
    state = found.states[place]
    linear = linearised(search, state, constant, parts)
    order = in_order(state, np.where(fixed, 0, state.shape[1] + 1) + linear.index)
    said = {
        "starts": len(found.q),
        "fixed": int((found.q <= options.tolerance).sum()),
        "slow": int((found.q[near] > options.tolerance).sum()),
        "neither": len(found.q) - len(near),
        "cut_short": int((found.iterations >= options.iterations).sum()),
        "median_iterations": float(np.median(found.iterations)),
        "points": len(place),
        "points_left_out": dropped,
    }
    return Ended(name, state[order], found.q[place][order], starts[order], linear.of(order), said)


def linearised(search: Search, states: Float, constant: Float, parts: Parts) -> Modes:
    """The modes at states [P, S] under a constant input [F], of as many at a time as fit."""
    inputs = np.tile(constant, (len(states), 1))
    cuts = search.cuts(len(states)) or [slice(0)]
    return joined([modes(search.jacobians(states[cut], inputs[cut]), parts) for cut in cuts])


def nearest_class(state: Float, means: ClassMeans | None) -> tuple["pd.arrays.IntegerArray", Float]:
    """The class whose mean is nearest to each state [P, S], and its distance; null without."""
    if means is None:
        nothing = np.full(len(state), np.nan)
        return pd.array([pd.NA] * len(state), "Int32"), nothing
    distance = np.linalg.norm(state[:, np.newaxis] - means.mean, axis=2)
    label = means.label[distance.argmin(axis=1)]
    return pd.array(label, "Int32"), distance.min(axis=1)
