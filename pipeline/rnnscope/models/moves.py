"""Operations of a TensorFlow graph that move values and compute none: what went into them."""

from typing import Any

import tensorflow as tf

SAME = ("Identity", "Cast", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")

Place = tuple[Any, int | None]
"""A symbolic tensor, and where in it an axis lies; None if it is no longer one axis."""


def moved(tensor: Any, axis: int | None) -> list[Place]:
    """The tensors whose values ``tensor`` holds in another place or shape, and the axis in each.

    Empty if the operation computes something, or is none of those known here.
    """
    op = tensor.op
    values = op.inputs[0] if len(op.inputs) else None
    match op.type:
        case kind if kind in SAME:
            return [(values, axis)]
        case "Transpose":
            order = tf.get_static_value(op.inputs[1])
            return [(values, None if axis is None or order is None else int(order[axis]))]
        case "Reshape" | "Squeeze" | "ExpandDims":
            return [(values, _kept_last(tensor, values, axis))]
        case "Pack":
            return [(each, _without(axis, op.get_attr("axis"), tensor)) for each in op.inputs]
        case "ConcatV2":
            along = tf.get_static_value(op.inputs[-1])
            joined = along is None or axis is None or along % tensor.shape.rank == axis
            return [(each, None if joined else axis) for each in op.inputs[:-1]]
        case "StridedSlice":
            return [(values, _kept_last(tensor, values, axis) if _leads(op) else None)]
        case kind if kind in CALLS:
            graph = op.graph._get_function(op.get_attr("f").name).graph
            return [(graph.outputs[tensor.value_index], axis)]
    return []


def _kept_last(after: Any, before: Any, axis: int | None) -> int | None:
    """The last axis before, if ``axis`` is the last after and holds the same runs of values."""
    if axis is None or None in (after.shape.rank, before.shape.rank) or not before.shape.rank:
        return None
    size = after.shape[-1]
    same = axis == after.shape.rank - 1 and size is not None and size == before.shape[-1]
    return before.shape.rank - 1 if same else None


def _without(axis: int | None, stacked: int, tensor: Any) -> int | None:
    """The axis in each of the tensors that were stacked."""
    if axis is None or stacked % tensor.shape.rank == axis:
        return None
    return axis - (stacked % tensor.shape.rank < axis)


def _leads(op: Any) -> bool:
    """Whether a slice is of leading axes alone, so that the last one is whole."""
    begin = tf.get_static_value(op.inputs[1])
    plain = not op.get_attr("ellipsis_mask") and not op.get_attr("new_axis_mask")
    return plain and begin is not None and len(begin) < op.inputs[0].shape.rank
