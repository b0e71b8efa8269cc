"""Which of the data's classes a model's outputs stand for."""

from typing import Any

from rnnscope.data import Dataset


def numbered(model: Any, dataset: Dataset) -> Dataset:
    """The data set with its classes numbered as the outputs of a model that was trained elsewhere.

    One output stands for two classes. Where the model does not say how many outputs it has, the
    classes keep their numbers.
    """
    k = count(model, dataset)
    return dataset if k is None else dataset.as_outputs(k)


def count(model: Any, dataset: Dataset) -> int | None:
    """How many classes a model tells apart; None without classes, or where it does not say so."""
    labelled = dataset.labelled
    if labelled is None or labelled.numeric:
        return None
    rank = 3 if labelled.per_timestep else 2
    shapes = [output.shape for output in getattr(model, "outputs", None) or []]
    sizes = {shape[-1] for shape in shapes if len(shape) == rank and shape[-1]}
    return max(*sizes, 2) if len(sizes) == 1 else None
