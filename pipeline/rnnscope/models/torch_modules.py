"""The roles of a PyTorch state dict's tensors, from names and shapes alone.

torch.nn.LSTM, GRU and RNN name their tensors weight_ih_l<k>, weight_hh_l<k>, bias_ih_l<k> and
bias_hh_l<k> of layer k, with _reverse at the end of those of the backward direction; their cells
(LSTMCell, GRUCell, RNNCell) have the same names without _l<k>. With G gates, weight_ih is
[G U, F], weight_hh [G U, U], and both biases are [G U]; G is 4, 3 or 1
(torch/nn/modules/rnn.py, RNNBase.__init__).
"""

import fnmatch
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rnnscope.errors import UserError
from rnnscope.models.state_dict import ELSEWHERE, Shapes
from rnnscope.models.variables import listed

KINDS = {4: "lstm", 3: "gru", 1: "rnn"}
"""Gates -> kind of module."""
_PART = re.compile(
    r"(?:(?P<module>.+)\.)?(?P<part>(?:weight|bias)_(?:ih|hh|hr))(?:_l(?P<layer>\d{1,6}))?"
    r"(?P<reverse>_reverse)?"
)
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True)
class Cell:
    """One direction of one layer: its tensors, and their sizes."""

    kind: str
    """lstm, gru or rnn."""
    tensors: tuple[str, ...]
    """The names of weight_ih, weight_hh and, where it has biases, bias_ih and bias_hh."""
    features: int
    units: int


@dataclass(frozen=True)
class Layer:
    """One layer of a recurrent module."""

    module: str
    """The name of the module; empty where the state dict is its own."""
    number: int | None
    """Its number in the module, from 0; None if the module has one layer."""
    cells: tuple[Cell, ...]
    """One, or forward and backward."""

    @property
    def kind(self) -> str:
        """Of its cells: lstm, gru or rnn."""
        return self.cells[0].kind

    @property
    def width(self) -> int:
        """Of its output."""
        return sum(cell.units for cell in self.cells)


def left_out(shapes: Shapes, patterns: Iterable[str], where: str) -> set[str]:
    """The tensors that the user's patterns name.

    Raises:
        UserError: a pattern that names none.
    """
    found: set[str] = set()
    for pattern in patterns:
        named = {name for name in shapes if fnmatch.fnmatchcase(name, pattern)}
        if not named:
            raise UserError(
                f"{where}: model.leave_out has {pattern}, which names no tensor; it has "
                f"{listed(shapes, shapes)}"
            )
        found |= named
    return found


def stack(shapes: Shapes, wanted: list[str] | None, where: str) -> list[Layer]:
    """The recurrent layers from the bottom up.

    Args:
        shapes: of all tensors that are not left out.
        wanted: the names of the recurrent modules; None for the only one.
        where: how messages begin.

    Raises:
        UserError: there is none; several, and none is named; or one that Keras cannot compute.
    """
    names = modules(shapes)
    if not names:
        raise UserError(
            f"{where}: no recurrent module (tensors weight_ih_l0 [G U, F] and weight_hh_l0 "
            f"[G U, U]); it has {listed(shapes, shapes)}"
        )
    shown = listed(name or "(the network itself)" for name in names)
    if wanted is None and len(names) > 1:
        few = ",".join(names[:2])
        raise UserError(
            f"{where}: {len(names)} recurrent modules, {shown}: say which with model.modules="
            f"[{names[0]}], or as a stack from the bottom up, model.modules=[{few}]"
        )
    for name in wanted or ():
        if name not in names:
            raise UserError(
                f"model.modules=[{','.join(wanted or ())}]: no {name}; there is {shown}"
            )
    layers = [layer for name in wanted or names for layer in _layers(name, shapes, where)]
    for below, above in itertools.pairwise(layers):
        for cell in above.cells:
            if cell.features != below.width:
                raise UserError(
                    f"{where}: {cell.tensors[0]} reads {cell.features} values, and the layer "
                    f"below, {below.cells[0].tensors[0]}, gives {below.width}: they are no stack; "
                    "name those that are with model.modules=[...]"
                )
    return layers


def modules(shapes: Shapes) -> list[str]:
    """The names of the modules that have weights of recurrent cells, in the file's order."""
    found = (_PART.fullmatch(name) for name in shapes)
    return list(dict.fromkeys(match["module"] or "" for match in found if match))


def of_module(name: str, shapes: Shapes) -> list[str]:
    """The tensors of a recurrent module."""
    found = ((each, _PART.fullmatch(each)) for each in shapes)
    return [each for each, match in found if match and (match["module"] or "") == name]


def _layers(module: str, shapes: Shapes, where: str) -> list[Layer]:
    """The layers of one module, from the bottom up."""
    found: dict[tuple[int, bool], dict[str, str]] = {}
    for name in of_module(module, shapes):
        match = _PART.fullmatch(name)
        assert match is not None
        place = int(match["layer"] or 0), match["reverse"] is not None
        if match["part"] in found.setdefault(place, {}):
            other = found[place][match["part"]]
            raise UserError(f"{where}: {name} and {other} are of one place: leave one of them out")
        found[place][match["part"]] = name
    count = 1 + max(number for number, _ in found)
    backward = any(reverse for _, reverse in found)
    layers = []
    for number in range(count):
        ways = (False, True) if backward else (False,)
        cells = [_cell(found.get((number, way), {}), module, number, shapes, where) for way in ways]
        if len({(cell.kind, cell.units, cell.features) for cell in cells}) > 1:
            raise UserError(f"{where}: the directions of {cells[0].tensors[0]} differ in shape")
        layers.append(Layer(module, number if count > 1 else None, tuple(cells)))
    return layers


def _cell(parts: dict[str, str], module: str, number: int, shapes: Shapes, where: str) -> Cell:
    """A cell from the names of its tensors, whose shapes must be those of one kind."""
    named = f"{module or 'the module'}, layer {number}"
    if "weight_hr" in parts:
        raise UserError(
            f"{where}: {parts['weight_hr']}: a projection (proj_size), which Keras' LSTM does not "
            f"have: give another network, {ELSEWHERE}"
        )
    if missing := [name for name in PARTS[:2] if name not in parts]:
        there = listed(parts.values())
        raise UserError(
            f"{where}: {named} has no {missing[0]} (it has {there}): a part of it is missing, or "
            "its weights are parametrized: remove_parametrizations or remove_weight_norm where it "
            "was made, and save it again"
        )
    biases = [name for name in PARTS[2:] if name in parts]
    if len(biases) == 1:
        raise UserError(
            f"{where}: {parts[biases[0]]} has no partner: a cell has two biases or none"
        )
    tensors = tuple(parts[name] for name in (*PARTS[:2], *biases))
    kernel, recurrent = (shapes[name] for name in tensors[:2])
    units = recurrent[1] if len(recurrent) == 2 else 0
    gates = recurrent[0] // units if units else 0
    fits = (
        len(kernel) == 2
        and kernel[1] > 0
        and gates in KINDS
        and recurrent == (gates * units, units)
        and kernel[0] == gates * units
        and all(shapes[name] == (gates * units,) for name in tensors[2:])
    )
    if not fits:
        shown = ", ".join(f"{name} {list(shapes[name])}" for name in tensors)
        raise UserError(
            f"{where}: {shown}: no LSTM ([4 U, F], [4 U, U]), GRU (3 U) or RNN (U) has these shapes"
        )
    return Cell(KINDS[gates], tensors, kernel[1], units)
