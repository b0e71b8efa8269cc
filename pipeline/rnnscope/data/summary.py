"""What was found in the user's data, in one line of the log, and what in it is unusual."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.classes import FEW
from rnnscope.data.dataset import Dataset, Split
from rnnscope.errors import listed

log = logging.getLogger(__name__)


def announce(dataset: Dataset, options: Files) -> None:
    """Log the splits, their lengths and their labels; warn of labels that may be none."""
    splits = _splits(dataset)
    sizes = ", ".join(f"{part} {len(split):,}" for part, split in splits.items())
    lengths = [split.timesteps for split in splits.values() if split.lengths is None]
    given = [split.lengths for split in splits.values() if split.lengths is not None]
    least = min([*lengths, *(int(each.min()) for each in given)])
    most = max([*lengths, *(int(each.max()) for each in given)])
    span = f"{most:,}" if least == most else f"{least:,}–{most:,}"
    log.info(f"{'':<10} {sizes} sequences of {span} timesteps; {_labels(dataset, options)}")
    if most == 1:
        log.warning(
            "every sequence has a single timestep, so that nothing is remembered: does the column "
            "sequence, or the axis of timesteps, hold what it should?"
        )
    labelled = [split for split in splits.values() if split.y is not None]
    classes, count = len(_names(dataset)), sum(map(len, labelled))
    each = any(split.per_timestep for split in labelled)
    if classes > FEW or (not each and 2 * classes > count > FEW):
        log.warning(
            f"{classes:,} classes in {count:,} sequences: numbers to predict need "
            "data.task=regression, names of sequences a column named sequence"
        )


def never_trained(dataset: Dataset) -> list[str]:
    """The classes that sequences of other splits have, and no training sequence."""
    split = dataset.labelled
    if dataset.train is None or split is None or split.numeric or split.per_timestep:
        return []
    seen = {part: _values(each) for part, each in _splits(dataset).items()}
    missing = np.setdiff1d(np.concatenate([*seen.values()]), seen["train"])
    return [dataset.classes[number] for number in missing]


def _splits(dataset: Dataset) -> dict[str, Split]:
    splits = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    return {part: split for part, split in splits.items() if split is not None}


def _names(dataset: Dataset) -> list[str]:
    """The classes that occur, as the data writes them; of names all."""
    return list(map(str, dataset.occurring)) or list(dataset.classes)


def _labels(dataset: Dataset, options: Files) -> str:
    split = dataset.labelled
    if split is None:
        return "no labels"
    of = " of timesteps" if split.per_timestep else ""
    if not split.numeric:
        return f"classes{of} {listed(_names(dataset))}"
    said = f"numeric targets{of}"
    if split.targets > 1:
        said += f", {split.targets:,} of each"
    if split.per_timestep or options.task is not None or options.horizon is not None:
        return said
    values = np.concatenate([_values(each) for each in _splits(dataset).values()])
    different = len(np.unique(values))
    if (values == np.rint(values)).all() and different <= min(FEW, len(values) / 2):
        said += (
            f", whole numbers, {different} different ones: data.task=classification takes them as "
            "classes (in a long table a column named label)"
        )
    return said


def _values(split: Split) -> NDArray[Any]:
    """Labels or targets of sequences [N]; none of a split without."""
    return np.zeros(0, np.int32) if split.y is None else np.asarray(split.y[:])
