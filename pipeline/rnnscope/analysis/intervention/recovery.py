"""How far a patched state moves the output of a sequence to that of its donor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.models.scores import LOGITS, PROBABILITIES, SIGMOID

Float = NDArray[np.float64]
Output = NDArray[np.floating]

LEAST = float(np.finfo(np.float32).tiny)
"""Least probability of a softmax whose logarithm is taken: below it float32 has none in full
precision, and gives 0 from a logarithm of about -87 on."""
RESOLUTION = float(np.finfo(np.float32).epsneg)
"""How far the float32 before 1 is from it: from a logit of 16.6 on a sigmoid is 1."""


@dataclass(frozen=True)
class Moved:
    """How far outputs of B sequences move, in the same unit."""

    patched: Callable[[Output], Float]
    """From the outputs with a state patched to how far each has moved [B]."""
    whole: Float
    """How far the donor's output is from each sequence's own [B]."""
    signed: bool
    """Whether that may be below 0, as a difference of scores may, and a distance may not."""


def moved(
    clean: Output, donor: Output, kind: str | None, classes: tuple[Any, Any] | None
) -> Moved | None:
    """What recovery is computed from; None where outputs are not of sequences.

    Of classes it is the difference of the scores (logits, or logarithms of probabilities) of the
    donor's class and the sequence's own (Zhang & Nanda 2024); of other outputs the distance along
    the line from the sequence's output to the donor's.

    Args:
        clean: the model's output for the sequences [B, ...].
        donor: for their donors [B, ...].
        kind: what it holds, as ``models.scores`` has it.
        classes: of the sequences and of their donors, [B] each; None without classes.
    """
    if classes is not None and kind in (LOGITS, PROBABILITIES, SIGMOID):
        own, other = classes
        return _along(lambda output: _difference(output, str(kind), own, other), clean, donor)
    if clean.ndim > 2:
        return None
    flat = clean.reshape(len(clean), -1).astype(np.float64)
    line = donor.reshape(len(clean), -1) - flat

    def patched(output: Output) -> Float:
        return np.asarray(((output.reshape(len(flat), -1) - flat) * line).sum(axis=1))

    return Moved(patched, np.asarray((line**2).sum(axis=1)), signed=False)


def _along(score: Callable[[Output], Float], clean: Output, donor: Output) -> Moved:
    start = score(clean)
    return Moved(lambda output: score(output) - start, score(donor) - start, signed=True)


def _difference(output: Output, kind: str, own: Any, other: Any) -> Float:
    """The score of one class less that of another [B].

    A sigmoid p is taken no nearer to 1, and no nearer to 0, than float32 has numbers before 1, so
    that p and 1 - p are treated alike: beyond logits of ±16.6 the difference stays what it is
    there. Without that, 1 - p would be 0 where p could still be 1e-30.
    """
    scores = output.astype(np.float64)
    if kind == SIGMOID:
        p = np.clip(scores.reshape(-1, 1), RESOLUTION, 1 - RESOLUTION)
        scores = np.concatenate([1 - p, p], axis=1)
    if kind != LOGITS:
        scores = np.log(np.maximum(scores, LEAST))
    each = np.arange(len(scores))
    return np.asarray(scores[each, other] - scores[each, own])
