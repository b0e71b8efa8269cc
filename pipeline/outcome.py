"""What a model made of each sequence: prediction, loss and scores."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def kind_of_scores(model: Any) -> str | None:
    """Whether a model ends in "probabilities" or "logits"; None where neither can be told.

    Told from the activation of the layer that gives the output. A subclassed model does not say
    which that is: its outputs are then "unknown".
    """
    outputs = getattr(model, "outputs", None)
    if not outputs or len(outputs) != 1:
        return "unknown" if outputs is None else None
    layer = outputs[0]._keras_history.operation
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None) or type(layer).__name__.lower()
    match name:
        case "softmax":
            return "probabilities"
        case "linear":
            return "logits"
    return None


def outcome(
    outputs: NDArray[np.floating], labels: NDArray[np.int32] | None, kind: str | None
) -> pd.DataFrame:
    """One row per sequence: label, prediction, correct, loss and p_0 to p_K-1, as far as they are.

    Args:
        outputs: one score per class [B, K], K > 1; of outputs of any other shape nothing is said.
        labels: classes [B], or None.
        kind: as ``kind_of_scores`` gives it. Of None nothing is said; "unknown" outputs are
            probabilities if all rows are non-negative and sum to 1, else logits.

    The loss is the cross-entropy in nats.
    """
    known: dict[str, Any] = {} if labels is None else {"label": labels}
    if kind is None or outputs.ndim != 2 or outputs.shape[1] < 2:
        return pd.DataFrame(known, index=range(len(outputs)))
    probabilities, logarithms = _scores(outputs.astype(np.float64), kind)
    known["prediction"] = prediction = outputs.argmax(axis=1).astype(np.int32)
    if labels is not None:
        known["correct"] = prediction == labels
        known["loss"] = -logarithms[np.arange(len(labels)), labels]
    scores = {f"p_{k}": p.astype(np.float32) for k, p in enumerate(probabilities.T)}
    return pd.DataFrame({**known, **scores})


def _scores(x: NDArray[np.float64], kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and their logarithms, both [B, K]."""
    looks_so = (x >= 0).all() and np.allclose(x.sum(axis=1), 1, atol=1e-4)
    if kind == "probabilities" or (kind == "unknown" and looks_so):
        return x, np.log(np.maximum(x, np.finfo(np.float64).tiny))
    x = x - x.max(axis=1, keepdims=True)
    logarithms = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return np.exp(logarithms), logarithms
