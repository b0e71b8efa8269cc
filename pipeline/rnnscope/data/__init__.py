"""From config to sequences: one module per source, and one form for all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnscope import config
from rnnscope.data import tasks
from rnnscope.data.dataset import Batch, Dataset, Split
from rnnscope.data.digits import load_digits
from rnnscope.data.files import load_files
from rnnscope.data.inputs import MASK, Roles
from rnnscope.data.mnist import load_mnist
from rnnscope.data.recorded import Recorded
from rnnscope.data.reloading import Absent, fitting, how
from rnnscope.data.summary import never_trained
from rnnscope.errors import UserError

__all__ = [
    "MASK",
    "Absent",
    "Batch",
    "Dataset",
    "Recorded",
    "Roles",
    "Split",
    "again",
    "load",
    "never_trained",
]


def load(
    data: config.Data, roles: Roles | None = None, recorded: Recorded | None = None
) -> Dataset:
    """The data set that a config names, with its validation split.

    Args:
        data: the options of the data.
        roles: what the model that is to be fed tells of its inputs, where it is known.
        recorded: the states that were recorded of the test split, where there is no model.
    """
    match data:
        case config.Digits():
            return load_digits(data)
        case config.Mnist():
            return load_mnist(data)
        case config.Files():
            return load_files(data, roles, recorded)
        case config.Anbn():
            return tasks.load_anbn(data)
        case config.Dyck():
            return tasks.load_dyck(data)
        case config.FlipFlop():
            return tasks.load_flipflop(data)
        case config.Ar1():
            return tasks.load_ar1(data)
        case config.Delay():
            return tasks.load_delay(data)
        case config.Lagged():
            return tasks.load_lagged(data)
        case config.Text():
            return tasks.load_text(data)
    raise TypeError(f"no loader for {type(data).__name__}")


def again(data: config.Data, extract: Mapping[str, Any], recorded: Path) -> Dataset | Absent:
    """The data that a recording was made of, of which no values are read yet; or why not.

    Args:
        data: the options of the data, as they were then.
        extract: the manifest of stage extract.
        recorded: its output.
    """
    way = how(extract, recorded)
    if isinstance(way, Absent):
        return way
    try:
        return fitting(load(config.located(data), way.roles, way.recorded), recorded)
    except UserError as error:
        return Absent(str(error))
