"""The first-order estimate of what a change of a state does to the loss (attribution patching).

The change of the loss of a sequence is about the gradient of its loss with respect to the state at
the timestep, times the change of the state (Nanda 2023; Syed, Rager & Conmy 2023). One backward
pass gives the gradients of all units and timesteps.

Over several timesteps changes do not add up: a state that is held at 0 has nothing left to be
changed by at the next. Only what is added, as method add does, is the same at every timestep.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.intervention.targets import Target

Float = NDArray[np.floating]


def products(gradient: Float, change: Float, targets: Sequence[Target]) -> NDArray[np.float64]:
    """The estimated change of the loss of each sequence [K, T, B], for each target.

    Args:
        gradient: of each sequence's loss with respect to its state [T, B, U].
        change: of the state [T, B, U]; of it only what is in the target is done.
        targets: K of them.
    """
    whole = gradient.astype(np.float64) * change
    found = [
        (gradient @ each.along) * (change @ each.along)
        if each.directed
        else whole[:, :, each.along].sum(axis=2)
        for each in targets
    ]
    return np.array(found).reshape(len(targets), *whole.shape[:2])
