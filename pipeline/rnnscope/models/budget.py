"""Bounds what a model may allocate while it is made: no more weights than its file has numbers.

A layer's weights are made from the sizes in a config before the file's are put into them.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

import keras

from rnnscope.errors import UserError

SPARE = 2**22
"""Numbers that a model may have beyond those in its file, such as the states of dropout."""


class Budget:
    """The numbers that a model's weights may still have."""

    def __init__(self, left: int):
        self.left = left
        self.exceeded = ""
        """By which layer, in words."""

    def spend(self, layer: keras.layers.Layer, shape: Any) -> None:
        """Take the numbers of a weight of this shape.

        Raises:
            UserError: there are not so many left.
        """
        self.left -= math.prod(shape or ())
        if self.left < 0:
            self.exceeded = (
                f"layer '{layer.name}' makes a weight {list(shape)}, and the file does not hold so "
                "many numbers: its config and its weights do not belong together"
            )
            raise UserError(self.exceeded)


@contextlib.contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Make a model inside, whose file holds so many numbers.

    Raises:
        UserError: its layers make more weights; Keras wraps errors, hence in the end.
    """
    budget, stock = Budget(numbers + SPARE), keras.layers.Layer.add_weight

    @functools.wraps(stock)
    def add_weight(self: keras.layers.Layer, shape: Any = None, *args: Any, **kwargs: Any) -> Any:
        budget.spend(self, shape)
        return stock(self, shape, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    except Exception as error:
        if budget.exceeded:
            raise UserError(budget.exceeded) from error
        raise
    finally:
        keras.layers.Layer.add_weight = stock
