"""The prediction, loss and scores of each sequence, or of each timestep."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data import Batch
from rnnscope.extract.finite import refuse_outputs
from rnnscope.extract.records import TableRows
from rnnscope.models.scores import LOGITS, PROBABILITIES, SIGMOID
from rnnscope.states.steps import columns_of

TINY = float(np.finfo(np.float64).tiny)
"""Least probability whose logarithm is taken: of p = 0 the loss is 708.4 nats."""

SCORED = ("correct", "loss")
"""The columns whose means over sequences are a model's accuracy and loss."""


def outcomes(
    outputs: NDArray[np.floating],
    batch: Batch,
    lengths: NDArray[np.int32],
    first: int | NDArray[np.integer],
    kind: str | None,
) -> tuple[TableRows, TableRows | None]:
    """The rows of B sequences in table sequences, and of their R valid timesteps in table steps.

    The first has columns sequence, length, and the ``outcome`` of the sequences; where y belongs to
    timesteps, the means of correct and loss over each sequence's timesteps instead. The second has
    sequence, timestep, the ``outcome`` of the timesteps where y belongs to them, and annotations;
    it is None where timesteps have neither.

    Args:
        outputs: [B, ...]; timesteps are scored if they are [B, T, ...].
        batch: the sequences.
        lengths: recorded timesteps of each [B].
        first: number of the first sequence, or of each [B].
        kind: of the outputs, as ``models.scores`` gives it.

    Raises:
        UserError: an output that would be scored is not a finite number.
    """
    y, valid = batch.y, batch.valid
    if len(outputs) != len(valid):
        outputs = np.empty((len(valid), 0), np.float32)
    numbers = first + np.arange(len(valid)) if isinstance(first, int) else first
    sequences: TableRows = {
        "sequence": numbers.astype(np.int32),
        "length": lengths,
    }
    number, timestep = np.nonzero(valid)
    keys = {"sequence": sequences["sequence"][number], "timestep": timestep.astype(np.int32)}
    annotations = {name: each[valid] for name, each in batch.steps.items()}
    if y is None or y.ndim == 1:
        if _predicts(outputs, y, kind):
            refuse_outputs(outputs, sequences["sequence"])
        scored = sequences | outcome(outputs, y, kind)
        return scored, keys | annotations if annotations else None
    fits = outputs.shape[:2] == valid.shape
    each = outputs[valid] if fits else np.empty((len(number), 0), np.float32)
    if _predicts(each, y, kind):
        refuse_outputs(each, keys["sequence"], timestep)
    steps = outcome(each, y[valid], kind, scores=False)
    for name in (name for name in SCORED if name in steps):
        mean = pd.Series(steps[name]).groupby(number).mean()
        sequences[name] = mean.reindex(range(len(valid))).to_numpy()
        if name == "loss":
            steps[name] = steps[name].astype(np.float32)
    return sequences, keys | steps | annotations


def outcome(
    outputs: NDArray[np.floating], y: NDArray[Any] | None, kind: str | None, *, scores: bool = True
) -> dict[str, NDArray[Any]]:
    """Columns of sequences or timesteps [B]: label or target, the prediction and the loss.

    Of classes: label, prediction, correct, loss and p_0 to p_K-1; the loss is the cross-entropy in
    nats. Of numeric targets: target, prediction, loss; the loss is the squared error. Of D of them:
    target_0 to target_D-1, prediction_0 to prediction_D-1, and the mean of their squared errors.

    Args:
        outputs: one score per class [B, K], K > 1; one sigmoid [B, 1] or [B], the probability of
            class 1 of two; or one number [B, 1] or [B] where y holds numeric targets, or D numbers
            [B, D] where it holds so many. From outputs of any other shape nothing is predicted.
        y: classes [B] in whole numbers, numeric targets [B] or [B, D] in floats, or None.
        kind: as ``models.scores`` gives it; of "values" and None no classes are read.
        scores: whether p_0 to p_K-1 are wanted.
    """
    if y is not None and y.dtype.kind == "f":
        return _of_numbers(outputs, y, kind)
    known: dict[str, Any] = {} if y is None else {"label": y}
    given = _of_classes(outputs, kind)
    if given is None:
        return known
    probabilities, logarithms = _probabilities(given, kind)
    known["prediction"] = prediction = given.argmax(axis=1).astype(np.int32)
    if y is not None:
        known["correct"] = prediction == y
        known["loss"] = -logarithms[np.arange(len(y)), y]
    if scores:
        known |= {f"p_{k}": p.astype(np.float32) for k, p in enumerate(probabilities.T)}
    return known


def _predicts(outputs: NDArray[np.floating], y: NDArray[Any] | None, kind: str | None) -> bool:
    """Whether anything is predicted from outputs."""
    if y is not None and y.dtype.kind == "f":
        fitting = ((), (1,)) if y.ndim == 1 else (y.shape[1:],)
        return kind is not None and outputs.shape[1:] in fitting
    return _of_classes(outputs, kind) is not None


def _of_numbers(
    outputs: NDArray[np.floating], targets: NDArray[np.float32], kind: str | None
) -> dict[str, NDArray[Any]]:
    """Columns of targets, predictions and squared errors."""
    known: dict[str, Any] = columns_of("target", targets)
    if _predicts(outputs, targets, kind):
        prediction = outputs.reshape(targets.shape).astype(np.float32)
        known |= columns_of("prediction", prediction)
        squared = (prediction.astype(np.float64) - targets) ** 2
        known["loss"] = squared if squared.ndim == 1 else squared.mean(axis=1)
    return known


def _of_classes(outputs: NDArray[np.floating], kind: str | None) -> NDArray[np.float64] | None:
    """One score per class [B, K], K > 1; None where outputs are none."""
    scores = outputs.astype(np.float64)
    if kind == SIGMOID and scores.shape[1:] in ((), (1,)):
        p = scores.reshape(-1, 1)
        return np.concatenate([1 - p, p], axis=1)  # of equals the first is predicted: p = 0.5 is 0
    fits = kind in (PROBABILITIES, LOGITS) and scores.ndim == 2 and scores.shape[1] > 1
    return scores if fits else None


def _probabilities(
    x: NDArray[np.float64], kind: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and their logarithms, both [B, K]."""
    if kind != LOGITS:
        return x, np.log(np.maximum(x, TINY))
    x = x - x.max(axis=1, keepdims=True)
    logarithms = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return np.exp(logarithms), logarithms
