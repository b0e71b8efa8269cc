"""How a recurrent layer reads a batch: which timesteps, and in which order.

Keras skips masked timesteps wherever they are: the state passes over them unchanged. What a layer
computes is therefore determined by its *packed* sequences, in which the timesteps that it reads
come first, in the order in which they are read. Packing and unpacking reduce masks of any form
(left, right, with gaps) and both directions to one case: forward, without a mask.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any
"""A TensorFlow tensor, eager or symbolic."""


@dataclass(frozen=True)
class Reading:
    """The timesteps that a layer reads in a batch of B sequences of T timesteps."""

    mask: Tensor | None
    """Which are read [B, T], bool, in input time; None if all are."""
    backwards: bool
    """Whether it reads from the last to the first."""
    order: Tensor | None
    """The timesteps in packed order [B, T]; None without a mask."""
    place: Tensor | None
    """The packed position of each timestep [B, T]; None without a mask."""

    def pack(self, x: Tensor) -> Tensor:
        """x [T, B, ...] in the order of reading, with timesteps that are not read at the end."""
        if self.order is not None:
            return _taken(x, self.order)
        return tf.reverse(x, [0]) if self.backwards else x

    def unpack(self, x: Tensor) -> Tensor:
        """Packed x [T, B, ...] back in input time."""
        if self.place is not None:
            return _taken(x, self.place)
        return tf.reverse(x, [0]) if self.backwards else x

    def previous(self, state: Tensor, initial: Tensor) -> Tensor:
        """What a state [T, B, U] was before each timestep; ``initial`` [B, U] before the first."""
        packed = self.pack(state)
        return self.unpack(tf.concat([initial[tf.newaxis], packed[:-1]], axis=0))

    def final(self, packed: Tensor, initial: Tensor) -> Tensor:
        """A packed state [T, B, U] after the final step [B, U]."""
        if self.mask is None:
            return packed[-1]
        count = tf.reduce_sum(tf.cast(self.mask, tf.int32), axis=1)
        last = tf.gather(_swapped(packed), tf.maximum(count - 1, 0), axis=1, batch_dims=1)
        return tf.where(count[:, tf.newaxis] > 0, last, initial)

    def as_keras(self, packed: Tensor, zero_output_for_mask: bool) -> Tensor:
        """A packed output [T, B, U] as Keras' loop returns it: [B, T, U] in the order of its steps.

        At a masked step Keras repeats the output before it, or gives zero if there was none or the
        layer has ``zero_output_for_mask``.
        """
        if self.mask is None:
            return _swapped(packed)
        mask = tf.reverse(self.mask, [1]) if self.backwards else self.mask
        count = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
        repeated = tf.gather(_swapped(packed), tf.maximum(count - 1, 0), axis=1, batch_dims=1)
        shown = mask if zero_output_for_mask else count > 0
        return tf.where(shown[:, :, tf.newaxis], repeated, tf.zeros_like(repeated))


def reading(mask: Tensor | None, backwards: bool) -> Reading:
    """How a layer reads with this mask [B, T] and direction."""
    if mask is None:
        return Reading(None, backwards, None, None)
    mask = tf.cast(mask, tf.bool)
    timesteps = tf.shape(mask)[1]
    time = tf.range(timesteps)
    if backwards:
        time = tf.reverse(time, [0])
    order = tf.argsort(tf.where(mask, time, time + timesteps), axis=1, stable=True)
    return Reading(mask, backwards, order, tf.argsort(order, axis=1))


def _taken(x: Tensor, timesteps: Tensor) -> Tensor:
    """The given timesteps [B, T] of x [T, B, ...]."""
    return _swapped(tf.gather(_swapped(x), timesteps, axis=1, batch_dims=1))


def _swapped(x: Tensor) -> Tensor:
    """[T, B, ...] as [B, T, ...], and back."""
    return tf.transpose(x, (1, 0, *range(2, len(x.shape))))
