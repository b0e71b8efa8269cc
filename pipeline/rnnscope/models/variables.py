"""The roles of a TensorFlow 1 checkpoint's variables, from names and shapes alone."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rnnscope.errors import UserError

Shapes = dict[str, tuple[int, ...]]
"""Variable -> shape."""

_KERNEL = re.compile(r"(?P<scope>.*?[^/]*lstm[^/]*)(/linear)?/(kernel|weights|matrix|w_0)", re.I)
_BIAS = re.compile(r"(?P<scope>.*?[^/]*lstm[^/]*)(/linear)?/(bias|biases|b)", re.I)
"""Names of a cell's two variables since TensorFlow 0.8; the scope is the cell's."""
_DIRECTION = re.compile(r"(?<![a-z])(fw|bw)(?![a-z])", re.I)


@dataclass(frozen=True)
class Cell:
    """One LSTM cell as the checkpoint holds it."""

    scope: str
    """Its variables' common scope, such as rnn/multi_rnn_cell/cell_0/basic_lstm_cell."""
    kernel: str
    bias: str
    features: int
    units: int

    @property
    def direction(self) -> str:
        """``fw`` or ``bw`` in a bidirectional network, else empty."""
        found = _DIRECTION.search(self.scope)
        return found[0].lower() if found else ""

    @property
    def place(self) -> list[str | int]:
        """The scope without its direction, as a key that sorts cell_10 after cell_9."""
        parts = re.split(r"(\d+)", _DIRECTION.sub("", self.scope))
        return [int(part) if part.isdigit() else part for part in parts]

    @property
    def network(self) -> str:
        """The scope without direction, numbers and kind, which all cells of a network share."""
        scope = re.sub(r"(basic_?)?lstm_?cell$", "", self.scope, flags=re.IGNORECASE)
        return re.sub(r"_?\d+", "", _DIRECTION.sub("", scope))


def is_slot(name: str, shapes: Shapes) -> bool:
    """Whether a variable is another one's optimizer state or moving average: Adam, Momentum, ...

    An optimizer names a slot after its variable, possibly within its own scope, such as
    train/rnn/basic_lstm_cell/kernel/Adam.
    """
    parts = name.split("/")[:-1]
    return any("/".join(parts[start:]) in shapes for start in range(len(parts)))


def cells(shapes: Shapes, where: str) -> list[Cell]:
    """All LSTM cells, in the order of their places.

    Raises:
        UserError: there is none, or a cell has more variables than kernel and bias.
    """
    biases = {m["scope"]: name for name in shapes if (m := _BIAS.fullmatch(name))}
    kernels = {m["scope"]: name for name in shapes if (m := _KERNEL.fullmatch(name))}
    found = []
    for scope, kernel in kernels.items():
        if any(other.startswith(f"{scope}/") for other in kernels):
            continue  # a scope around the cells, called lstm too
        beside = {n for n in shapes if n.startswith(f"{scope}/")} - {kernel, biases.get(scope)}
        if beside:
            raise UserError(
                f"{where}: {scope} has {_extra(beside)}: only a kernel and a bias can be loaded"
            )
        size = shapes[kernel][-1] // 4
        shape = shapes.get(biases.get(scope, ""))
        if len(shapes[kernel]) == 2 and shape == (4 * size,) and shapes[kernel][0] > size > 0:
            features = shapes[kernel][0] - size
            found.append(Cell(scope, kernel, biases[scope], features, size))
    if not found:
        raise UserError(
            f"{where}: no LSTM cell (.../basic_lstm_cell/kernel [F + U, 4 U] with its bias [4 U], "
            f"or the like); it has {listed(shapes, shapes)}"
        )
    return sorted(found, key=lambda cell: (cell.place, cell.direction != "fw"))


def _extra(names: set[str]) -> str:
    """The meaning of a cell's further variables."""
    kinds = {
        "peepholes": r"w_[ifo]_diag$",
        "a projection": r"/(projection/\w+|w_p_\d+)$",
        "Keras' layout (load it where it was made, save it as .keras or .h5, give model=file)": (
            r"/recurrent_kernel$"
        ),
        "layer normalization": r"/(gamma|beta)$",
    }
    for kind, pattern in kinds.items():
        if found := sorted(name for name in names if re.search(pattern, name, re.I)):
            return f"{kind} ({listed(found)})"
    return listed(sorted(names))


def stack(cells: list[Cell], where: str) -> list[list[Cell]]:
    """The network's layers from the bottom up, each of one cell, or of fw and bw.

    Raises:
        UserError: the cells do not form one stack.
    """
    layers: dict[tuple[str | int, ...], list[Cell]] = {}
    for cell in cells:
        layers.setdefault(tuple(cell.place), []).append(cell)
    found = list(layers.values())
    shown = ", ".join(f"{cell.scope} [{cell.features} -> {cell.units}]" for cell in cells)
    if len({cell.network for cell in cells}) > 1:
        raise UserError(f"{where}: more than one network, only one can be loaded: {shown}")
    directions = {tuple(cell.direction for cell in layer) for layer in found}
    fits = all(
        cell.features == sum(each.units for each in below)
        for below, above in itertools.pairwise(found)
        for cell in above
    )
    if directions not in ({("",)}, {("fw", "bw")}) or not (fits or apart(found)):
        raise UserError(f"{where}: these cells do not form one stack of layers: {shown}")
    return found


def apart(layers: list[list[Cell]]) -> bool:
    """Whether each direction is a stack of its own: MultiRNNCell inside a bidirectional network."""
    return len(layers) > 1 and all(
        [cell.units for cell in below] == [cell.features for cell in above]
        for below, above in itertools.pairwise(layers)
    )


def refuse_cudnn(cells: list[Cell], forget_bias: float, where: str) -> None:
    """Raise for a forget bias with weights of CudnnLSTM, whose cell adds none."""
    for cell in cells:
        if "cudnn" in cell.scope.rpartition("/")[2].lower() and forget_bias:
            raise UserError(f"{where}: {cell.scope} adds no forget bias: give model.forget_bias=0")


def readout(
    free: Shapes, units: int, kernel: str | None, bias: str | None, where: str
) -> tuple[str, str | None]:
    """The variables [units, K] and [K] of the readout; the latter is None if there is none.

    Args:
        free: the variables that belong to no cell and no optimizer.
        units: width of the readout's input.
        kernel: the name that the user gave, or None.
        bias: likewise.
        where: how an error message begins.

    Raises:
        UserError: there is no such variable, or more than one.
    """
    matrices = {name: shape for name, shape in free.items() if len(shape) == 2}
    fitting = [name for name, shape in matrices.items() if shape[0] == units]
    if kernel is None:
        ask = f"say which with model.readout=<name>, one of {listed(matrices, free)}"
        if len(fitting) != 1:
            raise UserError(f"{where}: {len(fitting)} variables [{units}, K] for a readout; {ask}")
        kernel = fitting[0]
        after = [n for n, shape in matrices.items() if n != kernel and shape[0] == free[kernel][1]]
        if after:
            raise UserError(f"{where}: {listed([kernel], free)} may not be the last layer; {ask}")
    if kernel not in fitting:
        raise UserError(
            f"model.readout={kernel}: must be a variable [{units}, K], one of "
            f"{listed(fitting, free)}"
        )
    return kernel, _bias(free, kernel, bias, where)


def _bias(free: Shapes, kernel: str, bias: str | None, where: str) -> str | None:
    """The readout's bias: as given, or the one in its scope, or else the only one that fits."""
    fitting = [name for name, shape in free.items() if shape == free[kernel][1:]]
    if bias is None:
        scope = kernel.rpartition("/")[0]
        beside = [name for name in fitting if name.rpartition("/")[0] == scope]
        found = beside or fitting
        if len(found) < 2:
            return found[0] if found else None
        ask = f"say which with model.readout_bias=<name>, one of {listed(found)}"
        raise UserError(f"{where}: {len(found)} variables could be the bias of {kernel}; {ask}")
    if bias not in fitting:
        raise UserError(
            f"model.readout_bias={bias}: must be a variable [{free[kernel][1]}], one of "
            f"{listed(fitting)}"
        )
    return bias


def listed(names: Iterable[str], shapes: Shapes | None = None) -> str:
    """Names, sorted, with their shapes if given; the first twenty."""
    shown = [name if shapes is None else f"{name} {list(shapes[name])}" for name in sorted(names)]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return (", ".join(shown[:20]) or "none") + more
