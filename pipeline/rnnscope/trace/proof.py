"""Proof that recorded signals are what the layer computes, one timestep at a time.

From the recorded states of one step, one call of the model's own cell on the layer's own inputs
must give the recorded states of the next. By induction the whole recording is then the layer's,
however sensitive its dynamics are.

step_h, step_c, step_s0 ...   recorded states against that call
gates           recorded gates against the equations in float64, from the public weights
equations       that call against the same equations: they are this cell's, so the gates are too
handed          outputs and final states returned to Keras, against that call

A residual is |a - b| / max(1, |b|); of cells whose equations are known, the denominator is at least
``spread / ROUNDING``, where the spread is what rounding of one step may change (``equations``,
``residuals``).

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
from rnnscope.trace.residuals import BLOCK, Largest, as_float, largest, rows_of
from rnnscope.trace.steps import Gathered, Stepped

DRIFT = ("drift", "drift_float64", "keras_float64")
"""Kinds that are reported and not judged."""

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


@dataclass(frozen=True)
class _Comparison:
    """A signal of a cell at all steps, held to another."""

    kind: str
    signal: str
    recorded: NDArray[Any]
    """[B T, U]"""
    expected: NDArray[Any] | None
    """The same; None where it is what the equations give."""
    of: str
    """Whose spread counts, among the signals of the equations."""
    largest: Largest

    def add(self, first: int, exact: dict[str, Rounded]) -> None:
        """Compare the next rows, of which the equations give these signals, if they are known."""
        rows = slice(first, first + BLOCK)
        if self.expected is not None:
            expected = as_float(self.expected[rows])
        else:
            expected = exact[self.of].value
        spread = exact[self.of].spread if exact else 0.0
        self.largest.add(first, self.recorded[rows], expected, spread)


class _Call:
    """The comparisons of one call."""

    def __init__(self, call: Proved, given: Gathered, first: int):
        self.call, self.given, self.first = call, given, first
        self.mask = None if given.mask is None else np.asarray(given.mask)
        self.sequences, self.timesteps, _ = given.handed[0].shape
        shape = self.sequences, self.timesteps
        steps = np.broadcast_to(np.arange(self.timesteps), shape)
        read = steps if self.mask is None else np.where(self.mask, steps, -1)
        self.latest: NDArray[Any] = np.maximum.accumulate(read, axis=1)
        """The last step up to each that is read [B, T]; -1 before the first."""
        self.timestep = steps[:, ::-1] if call.layer.go_backwards else steps
        self.last: NDArray[Any] = self.latest[:, -1]
        """The last step that is read [B]; -1 where none is."""
        self.equations = {
            name: Equations(cell) for name, cell in call.cells.items() if cells.stock_kind(cell)
        }

    def compared(self) -> Compared:
        """Every comparison."""
        spreads = {}
        for name in self.call.cells:
            compared = self._comparisons(name)
            spreads[name] = self._in_blocks(name, compared)
            for each in compared:
                yield name, each.kind, self._worst(each.signal, each.largest)
        yield from self._final_states(spreads)
        yield from self._drift()

    def _comparisons(self, name: str) -> list[_Comparison]:
        """What there is to compare of one cell at all steps."""
        own, known = self.given.cells[name], name in self.equations
        names = self.equations[name].names if known else ()
        read = None if self.mask is None else self.mask.reshape(-1)
        found = []

        def compare(kind: str, signal: str, recorded: Any, expected: Any, of: str = "") -> None:
            counted = None if kind == "handed" else read
            rows = None if expected is None else rows_of(expected)
            into = Largest(self.timesteps, counted)
            found.append(_Comparison(kind, signal, rows_of(recorded), rows, of or signal, into))

        for state, after in own.after.items():
            compare(f"step_{state}", state, own.signals[state], after)
            if known:
                compare("equations", state, after, None)
        for gate in [each for each in names if each not in own.after]:
            compare("gates", gate, own.signals[gate], None)
        if name == list(self.call.cells)[-1]:
            compare("handed", "output", self.given.handed[0], self._outputs(own), of="h")
        return found

    def _in_blocks(self, name: str, compared: list[_Comparison]) -> dict[str, Float]:
        """Make comparisons of one cell; the spreads of its states after the final step [B, U]."""
        own, equations = self.given.cells[name], self.equations.get(name)
        x, before = rows_of(own.x), {state: rows_of(values) for state, values in own.before.items()}
        final = np.where(self.last < 0, -1, np.arange(self.sequences) * self.timesteps + self.last)
        spreads = {state: np.zeros(values.shape) for state, values in own.initial.items()}
        exact: dict[str, Rounded] = {}
        for first in range(0, len(x), BLOCK):
            rows = slice(first, first + BLOCK)
            if equations is not None:
                states = {state: as_float(values[rows]) for state, values in before.items()}
                exact = equations.signals(as_float(x[rows]), states)
                ends = np.flatnonzero((first <= final) & (final < first + BLOCK))
                for state, into in spreads.items():
                    into[ends] = np.asarray(exact[state].spread)[final[ends] - first]
            for each in compared:
                each.add(first, exact)
        return spreads

    def _outputs(self, own: Stepped) -> Any:
        """The outputs that are due to Keras [B, T, U]: at masked steps the one before, or zero."""
        if self.mask is None:
            return own.output
        outputs, want = as_float(self.given.handed[0]), as_float(own.output)
        zeros = np.zeros_like(want)
        repeats = not self.call.layer.zero_output_for_mask
        held = self._held(outputs, zeros[:, 0]) if repeats else zeros
        return np.where(self.mask[:, :, np.newaxis], want, held)

    def _final_states(self, spreads: dict[str, dict[str, Float]]) -> Compared:
        """The final states that were returned to Keras."""
        _, *states = self.given.handed
        sequence, step = np.arange(self.sequences), np.maximum(self.last, 0)
        for name, own in self.given.cells.items():
            for state, initial in own.initial.items():
                after = as_float(np.asarray(own.after[state])[sequence, step])
                want = np.where(self.last[:, np.newaxis] < 0, as_float(initial), after)
                found = largest(rows_of(states.pop(0)), want, spreads[name][state])
                yield name, "handed", self._worst(state, found, final=True)

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
                found = largest(rows_of(a), rows_of(b), timesteps=a.shape[1])
                signal = f"final state {number}" if number else "output"
                yield top, kind, self._worst(signal, found, final=number > 0)

    def _in_float64(self) -> list[Float]:
        """Outputs [B, T, U] and final states [B, 1, U] of a loop in float64 over the equations."""
        bottom = next(iter(self.call.cells))
        inputs = as_float(self.given.cells[bottom].x)
        states = {
            name: {state: as_float(x) for state, x in self.given.cells[name].initial.items()}
            for name in self.call.cells
        }
        outputs = []
        for step in range(inputs.shape[1]):
            x = inputs[:, step]
            for name, of in self.equations.items():
                found = of.signals(x, states[name], rounding=False)
                x = found["h"].value
                after = {state: found[state].value for state in states[name]}
                if self.mask is not None:
                    read = self.mask[:, step, np.newaxis]
                    after = {
                        state: np.where(read, values, states[name][state])
                        for state, values in after.items()
                    }
                states[name] = after
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

    def _worst(self, signal: str, largest: Largest, *, final: bool = False) -> Worst:
        """What was found of a signal: at all steps, or after the final one."""
        found = largest.found
        assert found is not None
        step = max(self.last[found.sequence], 0) if final else found.step
        return Worst(
            found.residual,
            signal,
            self.first + found.sequence,
            int(self.timestep[found.sequence, step]),
            found.unit,
            found.recorded,
            found.expected,
        )
