"""Proof that recorded signals are what the layer computes, one timestep at a time.

From the recorded states of one step, one call of the model's own cell on the layer's own inputs
must give the recorded states of the next. By induction the whole recording is then the layer's,
however sensitive its dynamics are.

step_h, step_c, step_s0 ...   recorded states against that call
gates           recorded gates against the equations in float64, from the public weights
equations       that call against the same equations: they are this cell's, so the gates are too
handed          outputs and final states returned to Keras, against that call

A residual is |a - b| / max(1, |b|); of cells whose equations are known, the denominator is at least
``spread / ROUNDING``, where the spread is what rounding of one step may change (``equations``).

What follows is reported and not judged, as two right loops in float32 part where c counts over
many timesteps, or the dynamics are chaotic:

drift           outputs and final states against Keras' own loop over the same inputs
drift_float64   the same against a loop in float64, where the equations are known
keras_float64   Keras' own loop against that one
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.trace import cells
from rnnscope.trace.equations import Equations, Float, Rounded
from rnnscope.trace.findings import Findings, Worst, worst
from rnnscope.trace.recording import Trace
from rnnscope.trace.steps import Gathered, Stepped

BLOCK = 64
"""Rows that are computed at once: the many intermediate values of so few stay in the cache."""

DRIFT = ("drift", "drift_float64", "keras_float64")
"""Kinds that are reported and not judged."""

ROUNDING = 2e-6
"""A spread of this much counts like a value of 1: a tolerance of 1e-5 allows five of them, each of
which is one rounding of every sum in the step."""

Compared = Iterator[tuple[str, str, Worst]]
"""Layer, kind and residual of each comparison."""


@dataclass(frozen=True)
class Proved:
    """A call of a layer, as it was recorded: what does not differ from batch to batch."""

    layer: keras.layers.RNN
    cells: dict[str, Any]
    """Its cells by name, from the bottom up."""

    @property
    def known(self) -> bool:
        """Whether the equations of all its cells are known."""
        return all(cells.stock_kind(cell) for cell in self.cells.values())


def calls_of(trace: Trace) -> dict[str, Proved]:
    """The calls of a pass."""
    return {
        name: Proved(call.layer, {each: found.cell for each, found in call.cells.items()})
        for name, call in trace.calls.items()
    }


def proof(calls: Mapping[str, Proved], gathered: Mapping[str, Any], first: int = 0) -> Findings:
    """The worst residual of each kind.

    Args:
        calls: the calls of the pass, as ``calls_of`` gives them.
        gathered: what ``steps.gathered`` gives of each.
        first: the number of the batch's first sequence.
    """
    found: dict[str, dict[str, list[Worst]]] = {}
    with np.errstate(all="ignore"):  # states past all bounds are found by their residual
        for name, call in calls.items():
            for layer, kind, each in _Call(call, gathered[name], first).compared():
                found.setdefault(layer, {}).setdefault(kind, []).append(each)
    return {
        layer: {kind: worst(each) for kind, each in kinds.items()} for layer, kinds in found.items()
    }


class _Call:
    """The comparisons of one call."""

    def __init__(self, call: Proved, given: Gathered, first: int):
        self.call, self.given, self.first = call, given, first
        self.mask = None if given.mask is None else np.asarray(given.mask)
        sequences, timesteps, _ = given.handed[0].shape
        steps = np.broadcast_to(np.arange(timesteps), (sequences, timesteps))
        read = steps if self.mask is None else np.where(self.mask, steps, -1)
        self.latest: NDArray[Any] = np.maximum.accumulate(read, axis=1)
        """The last step up to each that is read [B, T]; -1 before the first."""
        self.timestep = steps[:, ::-1] if call.layer.go_backwards else steps
        last = np.maximum(self.latest[:, -1:], 0)
        self.final = np.take_along_axis(self.timestep, last, axis=1)
        self.equations = {
            name: Equations(cell) for name, cell in call.cells.items() if cells.stock_kind(cell)
        }
        self.exact = {
            name: _signals(self.equations.get(name), given.cells[name]) for name in call.cells
        }

    def compared(self) -> Compared:
        """Every comparison."""
        for name in self.call.cells:
            yield from self._cell(name)
        yield from self._handed()
        yield from self._drift()

    def _cell(self, name: str) -> Compared:
        """The signals of one cell."""
        own, exact = self.given.cells[name], self.exact[name]
        for state, after in own.after.items():
            spread = exact[state].spread if exact else 0.0
            recorded = own.signals[state]
            yield name, f"step_{state}", self._worst(state, recorded, after, spread)
            if exact:
                found = self._worst(state, after, exact[state].value, spread)
                yield name, "equations", found
        for gate in [each for each in exact if each not in own.after]:
            want = exact[gate]
            yield name, "gates", self._worst(gate, own.signals[gate], want.value, want.spread)

    def _handed(self) -> Compared:
        """What was returned to Keras: outputs, repeated at masked steps, and final states."""
        outputs, *states = map(_float, self.given.handed)
        top = list(self.call.cells)[-1]
        want = _float(self.given.cells[top].output)
        if self.mask is not None:
            zeros = np.zeros_like(want)
            repeats = not self.call.layer.zero_output_for_mask
            held = self._held(outputs, zeros[:, 0]) if repeats else zeros
            want = np.where(self.mask[:, :, np.newaxis], want, held)
        spread = self.exact[top]["h"].spread if self.exact[top] else 0.0
        yield top, "handed", self._worst("output", outputs, want, spread, everywhere=True)
        for name, own in self.given.cells.items():
            for state, initial in own.initial.items():
                want = self._held(_float(own.after[state]), _float(initial))[:, -1:]
                spread = 0.0
                if exact := self.exact[name]:
                    wide = np.asarray(exact[state].spread)
                    spread = self._held(wide, np.zeros_like(wide[:, 0]))[:, -1:]
                found = self._worst(state, states.pop(0), want, spread, final=True)
                yield name, "handed", found

    def _drift(self) -> Compared:
        """Whole sequences against other loops."""
        top = list(self.call.cells)[-1]
        ours, keras = self.given.handed, self.given.keras
        pairs = {"drift": (ours, keras)}
        if self.call.known:
            exact = self._in_float64()
            pairs |= {"drift_float64": (ours, exact), "keras_float64": (keras, exact)}
        for kind, (got, want) in pairs.items():
            for number, (a, b) in enumerate(zip(got, want, strict=True)):
                signal = f"final state {number}" if number else "output"
                yield top, kind, self._worst(signal, a, b, final=number > 0, everywhere=number == 0)

    def _in_float64(self) -> list[Float]:
        """Outputs [B, T, U] and final states [B, 1, U] of a loop in float64 over the equations."""
        bottom = next(iter(self.call.cells))
        inputs = _float(self.given.cells[bottom].x)
        states = {
            name: {state: _float(x) for state, x in self.given.cells[name].initial.items()}
            for name in self.call.cells
        }
        outputs = []
        for step in range(inputs.shape[1]):
            x = inputs[:, step]
            read = True if self.mask is None else self.mask[:, step, np.newaxis]
            for name, of in self.equations.items():
                found = of.signals(x, states[name], rounding=False)
                x = found["h"].value
                states[name] = {
                    state: np.where(read, found[state].value, before)
                    for state, before in states[name].items()
                }
            outputs.append(x)
        whole = np.stack(outputs, axis=1)
        if self.mask is not None:
            none = np.zeros_like(whole[:, 0])
            shown = self.mask[:, :, np.newaxis]
            repeats = not self.call.layer.zero_output_for_mask
            whole = self._held(whole, none) if repeats else np.where(shown, whole, 0)
        return [whole, *(x[:, np.newaxis] for each in states.values() for x in each.values())]

    def _held(self, values: Float, initial: Float) -> Float:
        """Values [B, T, U] at the last step up to each that is read; ``initial`` where none was."""
        whole = np.concatenate([initial[:, np.newaxis], values], axis=1)
        return np.take_along_axis(whole, self.latest[:, :, np.newaxis] + 1, axis=1)

    def _worst(
        self,
        signal: str,
        recorded: Any,
        expected: Any,
        spread: Float | float = 0.0,
        *,
        final: bool = False,
        everywhere: bool = False,
    ) -> Worst:
        """The largest residual of values [B, T, U] to others, at the steps that are read.

        Args:
            signal: its name.
            recorded: what was recorded.
            expected: what it is held to.
            spread: how far rounding may move it.
            final: whether the values are those after the final step, [B, 1, U].
            everywhere: whether steps that are not read count as well.
        """
        a, b = np.asarray(recorded), _float(expected)
        residual = np.abs(a - b)
        residual /= np.maximum(np.maximum(1.0, np.abs(b)), spread / ROUNDING)
        if self.mask is not None and not final and not everywhere:
            residual[~self.mask] = 0
        # NaN comes first. Of equal ones the first in the order of steps is named.
        step = int(_ranked(residual.max(axis=(0, 2))).argmax())
        of_step = _ranked(residual[:, step])
        sequence, unit = np.unravel_index(of_step.argmax(), of_step.shape)
        place = sequence, step, unit
        timestep = (self.final if final else self.timestep)[sequence, step]
        numbers = float(residual[place]), float(a[place]), float(b[place])
        return Worst(
            numbers[0], signal, self.first + int(sequence), int(timestep), int(unit), *numbers[1:]
        )


def _signals(equations: Equations | None, own: Stepped) -> dict[str, Rounded]:
    """All signals by the equations, [B, T, U] each; empty where they are not known."""
    if equations is None:
        return {}
    lead = own.x.shape[:2]
    x, before = _rows(own.x), {name: _rows(values) for name, values in own.before.items()}
    blocks = [
        equations.signals(x[at], {name: values[at] for name, values in before.items()})
        for at in (slice(first, first + BLOCK) for first in range(0, len(x), BLOCK))
    ]
    return {
        signal: Rounded(
            np.concatenate([block[signal].value for block in blocks]).reshape(*lead, -1),
            np.concatenate([block[signal].spread for block in blocks]).reshape(*lead, -1),
            one.unit,
        )
        for signal, one in blocks[0].items()
    }


def _rows(x: Any) -> Float:
    """[B, T, U] as [B T, U]."""
    return _float(x).reshape(-1, x.shape[-1])


def _ranked(residual: Float) -> Float:
    """Residuals by which the worst is found: NaN counts as infinite."""
    return np.where(np.isnan(residual), np.inf, residual)


def _float(x: Any) -> Float:
    return np.asarray(x).astype(np.float64, copy=False)
