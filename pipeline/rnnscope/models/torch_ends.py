"""The embedding before a PyTorch network's recurrent layers, and the linear read-out after them."""

from dataclasses import dataclass

from rnnscope.errors import UserError
from rnnscope.models.state_dict import ELSEWHERE, Shapes
from rnnscope.models.variables import listed


@dataclass(frozen=True)
class Readout:
    """The tensors of a linear read-out."""

    weight: str
    bias: str | None
    outputs: int
    """K."""
    transposed: bool
    """Whether the weight is [U, K], not [K, U] as nn.Linear has it."""


def embedding(
    free: Shapes, features: int, wanted: str | None, tokens: bool, where: str
) -> str | None:
    """The tensor [V, F] of the embedding, if the data are tokens.

    Args:
        free: the tensors of no recurrent module.
        features: F that the lowest recurrent layer reads.
        wanted: the name that the user gave, or None.
        tokens: whether the data are whole numbers [N, T].
        where: how messages begin.

    Raises:
        UserError: several fit; or the one that is named does not, or there are no tokens.
    """
    fitting = [name for name, shape in free.items() if len(shape) == 2 and shape[1] == features]
    if wanted is not None:
        if wanted not in fitting:
            raise UserError(
                f"model.embedding={wanted}: must be a tensor [V, {features}], one of "
                f"{listed(fitting, free)}"
            )
        if not tokens:
            raise UserError(
                f"model.embedding={wanted}: the data has no tokens, whole numbers x_test "
                "[sequences, timesteps]; give them, or leave model.embedding out"
            )
        return wanted
    found = [name for name in fitting if _leaf(name) == "weight" and _beside(name) not in free]
    if not tokens or not found:
        return None
    if len(found) > 1:
        raise UserError(
            f"{where}: {len(found)} tensors [V, {features}] may be the embedding of the tokens: "
            f"say which with model.embedding=<name>, one of {listed(found, free)}"
        )
    return found[0]


def readout(
    free: Shapes,
    every: Shapes,
    features: int,
    width: int,
    wanted: str | None,
    bias: str | None,
    tied: str | None,
    where: str,
) -> Readout | None:
    """The read-out of the recurrent layers' output; None where no tensor fits.

    Args:
        free: the tensors of no recurrent module that are not left out, without the embedding.
        every: the same with those left out and the embedding.
        features: F that the lowest recurrent layer reads.
        width: of the read-out's input.
        wanted: the name of its weight that the user gave, or None.
        bias: likewise of its bias.
        tied: the embedding that the file says is the weight of the read-out too.
        where: how messages begin.

    Raises:
        UserError: several fit, or one that may come before; or the one that is named does not.
    """
    if wanted is not None:
        if wanted not in every or len(shape := every[wanted]) != 2 or width not in shape:
            fitting = [name for name, each in every.items() if len(each) == 2 and width in each]
            raise UserError(
                f"model.readout={wanted}: must be a tensor [K, {width}], one of "
                f"{listed(fitting, every)}"
            )
        if shape[0] == shape[1] and _leaf(wanted) != "weight":
            raise UserError(
                f"model.readout={wanted}: is square, {list(shape)}, and its name does not tell "
                "whether it is stored as nn.Linear has it, [K, U]: save it so, under a name that "
                "ends in .weight"
            )
        transposed = shape[1] != width
        return Readout(wanted, _bias(every, wanted, shape[transposed], bias), shape[transposed],
                       transposed)  # fmt: skip
    found = [
        name for name, shape in free.items()
        if len(shape) == 2 and shape[1] == width and _leaf(name) == "weight"
    ]  # fmt: skip
    found += [tied] if tied is not None and not found else []
    if not found:
        if bias is not None:
            raise UserError(f"model.readout_bias={bias}: needs model.readout=<its weight>")
        return None
    ask = f"say which with model.readout=<name>, one of {listed(found, every)}"
    if len(found) > 1:
        raise UserError(f"{where}: {len(found)} tensors [K, {width}] may be the read-out; {ask}")
    outputs = every[found[0]][0]
    if outputs == width == features and found[0] != tied:
        raise UserError(
            f"{where}: {listed(found, every)} may be the read-out, or come before the recurrent "
            f"layers, which read as many values: give model.readout={found[0]} if it comes after "
            f"them; if not, the network cannot be rebuilt: give another, {ELSEWHERE}"
        )
    after = [
        name for name, shape in every.items()
        if len(shape) == 2 and shape[1] == outputs and name != found[0] and _beside(name) in every
    ]  # fmt: skip
    if after:
        raise UserError(
            f"{where}: {listed([found[0]], every)} may not be the last layer, as "
            f"{listed(after, every)} may read it: give model.readout={found[0]}, or record the "
            f"states alone, model.leave_out=[{found[0].rpartition('.')[0]}.*,"
            f"{after[0].rpartition('.')[0]}.*]"
        )
    return Readout(found[0], _bias(every, found[0], outputs, bias), outputs, transposed=False)


def refuse_left(free: Shapes, every: Shapes, where: str) -> None:
    """Raise where tensors have no role: without them the network would be another.

    Args:
        free: the tensors without a role.
        every: all tensors.
        where: how messages begin.

    Raises:
        UserError: with their names.
    """
    if free:
        root = next(iter(free)).rpartition(".")[0]
        whole = all(name in free for name in every if name.startswith(f"{root}."))
        pattern = f"{root}.*" if root and whole else next(iter(free))
        raise UserError(
            f"{where}: {listed(free, free)} belong to no recurrent module, embedding or linear "
            f"read-out; if they come after the recurrent layers, or are not used, give "
            f"model.leave_out=[{pattern}]; if not, the network cannot be rebuilt: give another, "
            f"{ELSEWHERE}"
        )


def _bias(every: Shapes, weight: str, outputs: int, wanted: str | None) -> str | None:
    """The read-out's bias: as given, or the one beside its weight."""
    if wanted is None:
        beside = _beside(weight)
        return beside if every.get(beside) == (outputs,) else None
    if every.get(wanted) != (outputs,):
        fitting = [name for name, shape in every.items() if shape == (outputs,)]
        raise UserError(
            f"model.readout_bias={wanted}: must be a tensor [{outputs}], one of {listed(fitting)}"
        )
    return wanted


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _beside(weight: str) -> str:
    """The name of the bias of the module that a weight is of."""
    return f"{weight.rpartition('.')[0]}.bias".removeprefix(".")
