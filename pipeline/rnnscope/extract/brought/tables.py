"""The tables of sequences and timesteps for brought states: lengths, labels, annotations."""

import numpy as np
import pandas as pd

from rnnscope import states
from rnnscope.data import Batch, Split
from rnnscope.extract.notes import Part
from rnnscope.states.steps import columns_of


def of_part(split: Split, batch: Batch, part: Part) -> dict[str, pd.DataFrame]:
    """The rows of a part in table sequences, and in table steps where timesteps have any.

    They are those that stage extract writes of a model without scores.

    Args:
        split: the test split.
        batch: the sequences of the part.
        part: which they are.
    """
    valid, y = batch.valid, batch.y
    word = "target" if split.numeric else "label"
    numbers = np.arange(part.start, part.stop, dtype=np.int32)
    sequences = pd.DataFrame({"sequence": numbers})
    if split.ids is not None:
        sequences["id"] = split.ids[part.start : part.stop]
    if split.groups is not None:
        sequences["group"] = split.groups[part.start : part.stop]
    sequences["length"] = valid.sum(axis=1, dtype=np.int32)
    if y is not None and not split.per_timestep:
        sequences[word] = y
    found = {states.SEQUENCES: sequences}
    if split.per_timestep or split.steps:
        number, timestep = np.nonzero(valid)
        steps = pd.DataFrame({"sequence": numbers[number], "timestep": timestep.astype(np.int32)})
        if y is not None and split.per_timestep:
            for name, values in columns_of(word, y[valid]).items():
                steps[name] = values
        for name, values in batch.steps.items():
            steps[name] = values[valid]
        found[states.STEPS] = steps
    return found
