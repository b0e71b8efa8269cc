"""What a pass may be while a recording is open: a call of the model, and not one of Keras' loops.

``predict``, ``evaluate`` and ``fit`` run a graph of their own and keep it for the next time. Traced
inside a recording, it would hold the replaced loops ever after; traced before, it would run without
them and record nothing.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

import keras
import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.libraries import replacing

_INSTEAD = "write model(x, training=False) for one batch, rnnscope.record(model, x) for many"
_LOOPS = {
    **dict.fromkeys(("predict", "predict_on_batch", "evaluate", "test_on_batch"), _INSTEAD),
    **dict.fromkeys(
        ("fit", "train_on_batch"), "in fit, callbacks=[rnnscope.RecordStates(x)] records"
    ),
}
"""Keras' methods that run graphs of their own, and what to write instead."""


@contextlib.contextmanager
def without_loops_of_keras(model: keras.Model) -> Iterator[None]:
    """While open, Keras' loops over batches are refused on a model and on the models inside it."""
    refusals = [
        (each, name, _refusal(name))
        for each in model._flatten_layers()
        for name in (_LOOPS if isinstance(each, keras.Model) else ())
    ]
    with replacing.replaced(refusals):
        yield


def _refusal(name: str) -> Any:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise UserError(
            f"model.{name} inside recording: it runs a graph of its own, out of which nothing can "
            f"be kept; call it before or after, and {_LOOPS[name]}"
        )

    return refused


def refuse_inner_graph(layer: str) -> None:
    """Raise where a layer is called in a graph, while its recording was opened outside of any.

    Raises:
        UserError: with the layer's name, and where to open the recording.
    """
    if not tf.executing_eagerly():
        raise UserError(
            f"layer '{layer}': called in a graph, of a tf.function or of another model's predict, "
            "but recording was opened outside of it, where its tensors have no values: open it "
            f"inside the tf.function and return the signals, or {_INSTEAD}"
        )


def only_shapes() -> bool:
    """Whether Keras works out the shapes of a model that is not built yet, in a graph it drops."""
    return not tf.executing_eagerly() and str(
        getattr(tf.compat.v1.get_default_graph(), "name", "")
    ).startswith("scratch_graph")
