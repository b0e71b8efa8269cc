"""Which of a model's outputs is scored against y, and what it holds.

What an output holds follows from the graph of a forward pass, so it does not matter how the layers
are nested. From the output it leads back, past operations that only move values (a reshape, the
stacking of timesteps, a dropout that rests), to the one that computed them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from rnnscope.data import Dataset
from rnnscope.errors import UserError, brief, listed
from rnnscope.models.moves import moved

PROBABILITIES, LOGITS, SIGMOID, VALUES = "probabilities", "logits", "sigmoid", "values"
PRODUCTS = ("MatMul", "BatchMatMulV2", "Einsum", "Conv1D", "Conv2D", "Conv3D")
SUMS = ("BiasAdd", "AddV2")
WEIGHTS = ("ReadVariableOp", "Const")


@dataclass(frozen=True)
class Output:
    """One output of a model."""

    kind: str
    """What it holds along its last axis: "probabilities" of classes, their "logits", a "sigmoid" of
    each value, or other "values"."""
    shape: tuple[int | None, ...] | None
    """[B, ...], None for any size; None if not even its rank is known."""
    made_by: str
    """The operation that computed it."""


@dataclass(frozen=True)
class Scores:
    """What is scored."""

    kind: str | None
    """Of the output, as in ``Output``; None if no output is scored."""
    output: int = 0
    """Its number among the model's outputs."""
    why_not: str = ""
    """Why there is no score though the data has labels or targets."""


def scores_of(outputs: Any, dataset: Dataset) -> Scores:
    """What is scored of a model's outputs on the test split: the one that y fits, if only one does.

    Args:
        outputs: symbolic, in any structure, within the graph that computes them.
        dataset: its test split may have y.

    Raises:
        UserError: the only output has fewer classes than the data; or more, and these are names.
    """
    found = [output_of(tensor) for tensor in tf.nest.flatten(outputs)]
    misfits = [_misfit(output, dataset) for output in found]
    fit = [number for number, misfit in enumerate(misfits) if not misfit]
    if len(fit) == 1:
        if dataset.test.y is not None and not dataset.test.numeric:
            _refuse_unplaced(found[fit[0]], dataset)
        return Scores(found[fit[0]].kind, fit[0])
    if dataset.test.y is None:
        return Scores(None)
    if len(found) == 1:
        _refuse_few(found[0], dataset)
    y = f"y has a {dataset.test.labels}"
    if fit:
        each = ", ".join(map(str, fit))
        return Scores(
            None, why_not=f"{y}, which fits outputs {each} of the model; save it with one of them"
        )
    each = ", ".join(f"output {number} {misfit}" for number, misfit in enumerate(misfits))
    return Scores(None, why_not=f"{y}; of the model {each}")


def output_of(tensor: Any) -> Output:
    """What an output holds; ``tensor`` is symbolic."""
    rank = tensor.shape.rank
    kind, made_by = _traced(tensor, None if rank is None else rank - 1)
    return Output(kind, None if rank is None else tuple(tensor.shape), made_by)


def _misfit(output: Output, dataset: Dataset) -> str:
    """Why y cannot be scored against an output; empty if it can."""
    test, shape = dataset.test, output.shape
    lead = 2 if test.per_timestep else 1
    shown = "of unknown rank" if shape is None else _shown(shape)
    if shape is None or len(shape) not in (lead, lead + 1):
        return f"is {shown}"
    if test.y is not None and test.per_timestep and shape[1] not in (None, test.y.shape[1]):
        return f"is {shown}, y has {test.y.shape[1]} timesteps"
    single = shape[lead:] in ((), (1,))
    if test.numeric:
        wanted = "one number" if test.targets == 1 else f"{test.targets:,} numbers"
        fits = single if test.targets == 1 else shape[lead:] == (test.targets,)
        return "" if fits else f"is {shown}, not {wanted}"
    if single:
        if output.kind != SIGMOID or test.y is None:
            return f"is {shown}, from {output.made_by}, not from a sigmoid"
        few = len(dataset.classes) <= 2
        return "" if few else f"is one sigmoid, y has {len(dataset.classes)} classes"
    if output.kind == SIGMOID:
        return f"is {shown}, sigmoids, of which several may be true at once"
    if output.kind == VALUES:
        return f"is {shown}, from {output.made_by}, not from a softmax or a linear layer"
    if test.y is not None and (shape[lead] or len(dataset.classes)) < len(dataset.classes):
        return f"is {shown}, y has {len(dataset.classes)} classes"
    return ""


def _refuse_few(output: Output, dataset: Dataset) -> None:
    """Raise where the output has the shape of scores, and fewer of them than there are classes."""
    shape, k = output.shape or (), len(dataset.classes)
    rank = 3 if dataset.test.per_timestep else 2
    if len(shape) == rank and 1 < (shape[-1] or k) < k:
        raise UserError(
            f"the model has {shape[-1]} outputs; the data has a class {dataset.classes[-1]}"
        )


def _refuse_unplaced(output: Output, dataset: Dataset) -> None:
    """Raise where classes are names or columns, fewer than the outputs: which of them is which?"""
    k = len(dataset.classes)
    count = 2 if output.kind == SIGMOID else (output.shape or (k,))[-1] or k
    if count > dataset.columns > 0:
        raise UserError(
            f"y is one-hot, of {dataset.columns} classes, and the model has {count} outputs: which "
            "of them is which is not known; write y as whole numbers, those of the outputs, "
            "counted from 0"
        )
    if count > k and not dataset.counted:
        raise UserError(
            f"y has the classes {brief(listed(dataset.classes), 80)}, and the model {count} "
            "outputs: which of them is which is not known; write y as whole numbers, those of the "
            "outputs, counted from 0"
        )


def _shown(shape: Sequence[int | None]) -> str:
    """A shape in words: [sequences, 5, 3]."""
    sizes = ["any" if size is None else str(size) for size in shape[1:]]
    return f"[{', '.join(['sequences', *sizes])}]"


def _traced(tensor: Any, axis: int | None) -> tuple[str, str]:
    """The kind of a tensor's values along an axis (None: unknown), and what operation made them."""
    op = tensor.op
    whole = axis is not None and axis == tensor.shape.rank - 1
    match op.type:
        case "Softmax":
            return (PROBABILITIES, "a softmax") if whole else (VALUES, "a softmax of another axis")
        case "LogSoftmax":
            return (LOGITS, "a log-softmax") if whole else (VALUES, "a log-softmax of another axis")
        case "Sigmoid":
            return SIGMOID, "a sigmoid"
    if _linear(tensor):
        return LOGITS, "a linear layer"
    before = moved(tensor, axis)
    if not before:
        return VALUES, f"operation '{op.name}'"
    kinds = [_traced(each, place) for each, place in before]
    return kinds[0] if len(set(kinds)) == 1 else (VALUES, f"operation '{op.name}'")


def _linear(tensor: Any) -> bool:
    """Whether a tensor is the product of something with weights, plus a bias or nothing."""
    op = tensor.op
    if op.type in SUMS and _weights(op.inputs[1]):
        return _product(op.inputs[0])
    return op.type in PRODUCTS and any(map(_weights, op.inputs))


def _product(tensor: Any) -> bool:
    """Whether a tensor is a product with weights, perhaps in another shape."""
    if tensor.op.type in PRODUCTS:
        return _linear(tensor)
    before = moved(tensor, None)
    return len(before) == 1 and _product(before[0][0])


def _weights(tensor: Any) -> bool:
    """Whether a tensor is a variable or a constant, perhaps in another shape."""
    if tensor.op.type in WEIGHTS:
        return True
    before = moved(tensor, None)
    return bool(before) and all(_weights(each) for each, _ in before)
