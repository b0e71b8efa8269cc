"""One timestep of a cell with one of its states or gates changed.

A state of R rows, each a target in one sequence, is changed where the target is: units are set to a
value, a direction d takes s to s + d d·(v - s). What the cell computes from it at the same timestep
follows its equations: of an LSTM a changed gate changes c and h, a changed c changes h = o tanh c,
and a changed h nothing else; of a GRU a changed r changes the candidate g, and gates h.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.trace import cells, loops

Tensor = Any
Changer = Callable[[str, Tensor, Tensor], Tensor]

SET, FREEZE, ADD = "set", "freeze", "add"
"""To a value; to what it was one timestep before; a value is added."""

_OF_KIND = {
    keras.layers.LSTMCell: ("h", "c", "i", "f", "o", "g"),
    keras.layers.GRUCell: ("h", "z", "r", "g"),
    keras.layers.SimpleRNNCell: ("h",),
}


def changeable(cell: Any) -> tuple[str, ...]:
    """The states and gates of a cell that can be changed; none of a cell that is not Keras' own."""
    return _OF_KIND.get(cells.stock_kind(cell), ())


@dataclass(frozen=True)
class Change:
    """What is done to states of R rows."""

    states: tuple[str, ...]
    """h, c or gates: mostly one."""
    way: str
    """SET, FREEZE or ADD."""
    along: Tensor
    """True at the units that are changed [R, U]; or unit vectors [R, U]. ADD does not use it."""

    def of(self, now: Tensor, before: Tensor, value: Tensor) -> Tensor:
        """A state [R, U] changed.

        Args:
            now: as the cell computed it.
            before: one timestep earlier, for FREEZE.
            value: what it is set to, or what is added.
        """
        value = tf.cast(value, now.dtype)
        if self.way == ADD:
            return now + value
        wanted = before if self.way == FREEZE else value
        if self.along.dtype == tf.bool:
            return tf.where(self.along, wanted, now)
        along = tf.cast(self.along, now.dtype)
        return now + along * tf.reduce_sum(along * (wanted - now), axis=-1, keepdims=True)


def stepped(
    cell: Any, change: Change, x: Tensor, before: list[Tensor], value: Tensor, inside: Tensor | None
) -> list[Tensor]:
    """The states [R, U] of a cell of ``changeable`` after one timestep with the change.

    Args:
        cell: the Keras cell.
        change: what is done.
        x: its inputs [R, F].
        before: its states one timestep earlier [R, U].
        value: as ``Change.of`` takes it, for each of the states, one after the other [R, S U].
        inside: in which rows it is done now [R, 1]; None in all.
    """
    found = signals(cell, change, x, before, value, inside)
    return [found[name] for name in cells.states_of(cell, len(before))]


def signals(
    cell: Any,
    change: Change | None,
    x: Tensor,
    before: list[Tensor],
    value: Tensor,
    inside: Tensor | None,
) -> dict[str, Tensor]:
    """The same with the gates, by name [R, U]; ``change`` None changes nothing."""
    kind, changed = cells.stock_kind(cell), _changer(change, value, inside)
    if kind is keras.layers.LSTMCell:
        return _lstm(cell, changed, _gates(cell, x, before[0]), before)
    _, (h, *_), (new, *_) = loops.called(cell, x, before, training=False)
    if kind is not keras.layers.GRUCell:
        return {"h": changed("h", new, h)}
    gates, states = _gates(cell, x, h), () if change is None else change.states
    z, r, g = gates["z"], changed("r", gates["r"], None), gates["g"]
    if "r" in states:
        g = _candidate(cell, x, h, r)
    z, g = changed("z", z, None), changed("g", g, None)
    if states not in ((), ("h",)):  # else Keras' own, to the last bit
        new = z * h + (1 - z) * g
    return {"h": changed("h", new, h), "z": z, "r": r, "g": g}


def lstm_stepped(
    cell: Any, change: Change | None, gates: dict[str, Tensor], before: list[Tensor], value: Tensor
) -> list[Tensor]:
    """h and c of an LSTM [R, U] as in ``stepped``, from its gates without the change [R, U]."""
    found = _lstm(cell, _changer(change, value, None), gates, before)
    return [found["h"], found["c"]]


def _lstm(
    cell: Any, changed: Changer, gates: dict[str, Tensor], before: list[Tensor]
) -> dict[str, Tensor]:
    h, c = before
    i, f, o, g = (changed(name, gates[name], None) for name in ("i", "f", "o", "g"))
    c = changed("c", f * c + i * g, c)
    h = changed("h", o * cell.activation(c), h)
    return {"h": h, "c": c, "i": i, "f": f, "o": o, "g": g}


def _changer(change: Change | None, value: Tensor, inside: Tensor | None) -> Changer:
    """A state or gate by its name, as it is now and was before, to what the change makes of it."""
    if change is None:
        return lambda name, now, before: now
    values = dict(zip(change.states, tf.split(value, len(change.states), axis=1), strict=True))

    def changed(name: str, now: Tensor, before: Tensor) -> Tensor:
        if name not in values:
            return now
        new = change.of(now, before, values[name])
        return new if inside is None else tf.where(inside, new, now)

    return changed


def _gates(cell: Any, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    """The gates [R, U] of one timestep, from inputs [R, F] and h one timestep before [R, U]."""
    found = cells.gates(cell, x[tf.newaxis], {"h": h[tf.newaxis]})
    return {name: values[0] for name, values in found.items()}


def _candidate(cell: keras.layers.GRUCell, x: Tensor, h: Tensor, r: Tensor) -> Tensor:
    """The candidate g [R, U] of a GRU with a given reset gate [R, U]; see ``trace.cells``."""

    def of(weights: Any) -> Tensor:
        return tf.cast(weights, x.dtype)[..., 2 * cell.units :]

    to_x: Tensor = 0
    to_h: Tensor = 0
    if cell.bias is not None:
        bias = of(cell.bias)
        to_x, to_h = (bias[0], bias[1]) if cell.reset_after else (bias, 0)
    given, recurrent = x @ of(cell.kernel) + to_x, of(cell.recurrent_kernel)
    reset = r * (h @ recurrent + to_h) if cell.reset_after else (r * h) @ recurrent
    return cell.activation(given + reset)
