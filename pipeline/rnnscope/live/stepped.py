"""The recordings of one training: a folder with one for each of some steps."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from rnnscope.errors import UserError
from rnnscope.live.measuring import measure
from rnnscope.live.opened import open_states
from rnnscope.live.states import States
from rnnscope.states import SEQUENCES
from rnnscope.store import atomic, manifest
from rnnscope.store.atomic import GONE

_NAME = re.compile(r"step-([0-9]{7,})")
_ARTEFACT = re.compile(r"([0-9a-f]{32})-(step-[0-9]{7,})")
_LEFT = re.compile(
    rf"\.(step-[0-9]{{7,}}\.[0-9a-f]{{32}}\.partial|[0-9a-f]{{32}}{re.escape(GONE)})"
)
"""What a process leaves of one that is killed while it is written or removed."""


def name(step: int) -> str:
    """The folder of the recording at a step."""
    return f"step-{step:07d}"


def artefact(training: str, step: int) -> str:
    """The key of a recording: no file of another training, or of another step, is taken for it."""
    return f"{training}-{name(step)}"


def open_steps(folder: Path | str) -> dict[int, States]:
    """Open the recordings of one training, by ``RecordStates``, in the order of their steps.

    >>> import keras, numpy as np, rnnscope, tempfile
    >>> model = keras.Sequential([keras.Input((20, 3)), keras.layers.LSTM(1, name="lstm")])
    >>> model.compile("adam", "mse")
    >>> x, folder = np.zeros((8, 20, 3), "float32"), tempfile.mkdtemp()
    >>> recording = rnnscope.RecordStates(x, folder=folder)
    >>> _ = model.fit(x, x[:, 0, :1], callbacks=[recording], verbose=0)
    >>> {step: states["lstm"]["c"].shape for step, states in rnnscope.open_steps(folder).items()}
    {0: (8, 20, 1), 1: (8, 20, 1)}

    Args:
        folder: the folder of a ``RecordStates``.

    Returns:
        Step -> its states, of which only what is asked for is read.

    Raises:
        FileNotFoundError: the folder holds no such recording.
        rnnscope.errors.UserError: recordings of several trainings, or under other names.
    """
    found = _steps(Path(folder))
    if not found:
        raise FileNotFoundError(f"{folder}: no recordings by step, such as {name(100)}")
    _refuse_mixed(found)
    return {step: open_states(found[step]) for step in sorted(found)}


def measure_steps(folder: Path | str, labels: Any = None, **options: Any) -> pd.DataFrame:
    """The unit tables of all recordings of one training, one after the other.

    >>> import keras, numpy as np, rnnscope, tempfile
    >>> model = keras.Sequential([keras.Input((20, 3)), keras.layers.GRU(1, name="gru")])
    >>> model.compile("adam", "mse")
    >>> x, folder = np.zeros((8, 20, 3), "float32"), tempfile.mkdtemp()
    >>> recording = rnnscope.RecordStates(x, folder=folder, signals="h")
    >>> _ = model.fit(x, x[:, 0, :1], callbacks=[recording], verbose=0)
    >>> rnnscope.measure_steps(folder)[["step", "layer", "signal", "unit"]].values.tolist()
    [[0, 'gru', 'h', 0], [1, 'gru', 'h', 0]]

    Args:
        folder: the folder of a ``RecordStates``.
        labels: as ``measure`` takes them, in place of those that were recorded, if any were.
        **options: as ``measure`` takes them.

    Returns:
        The table of ``measure`` for each step, with a first column ``step``, int64.

    Raises:
        FileNotFoundError: the folder holds no such recording.
        rnnscope.errors.UserError: an option or labels that do not fit, or files that are damaged.
    """
    tables = []
    for step, states in open_steps(folder).items():
        table = measure(states, labels, **options)
        table.insert(0, "step", step)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _refuse_mixed(found: dict[int, Path]) -> None:
    """Raise where folders are not those that one training recorded at their steps."""
    trainings: dict[str, Path] = {}
    for step in sorted(found):
        match = _ARTEFACT.fullmatch(_key(found[step]))
        training, of = match.groups() if match else ("", name(step))
        if of != name(step):
            raise UserError(f"{found[step]}: was recorded as {of}; give it that name again")
        trainings.setdefault(training, found[step])
    if len(trainings) > 1:
        one, other = list(trainings.values())[:2]
        raise UserError(
            f"{other}: is of another training than {one.name}; keep each training's recordings in "
            "a folder of its own"
        )


def _key(path: Path) -> str:
    """What a recording was made as; "" of one that nobody said that of."""
    try:
        return str(manifest.read_manifest(path).get("key", ""))
    except FileNotFoundError:
        return ""


def refuse_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise for a folder into which a training must not be recorded.

    Raises:
        UserError: it is a file, is not empty, or holds more than may be removed.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"folder={folder}: is a file; give another folder")
    foreign = [each.name for each in sorted(folder.iterdir()) if not _ours(each)]
    if foreign:
        raise UserError(
            f"folder={folder}: holds '{foreign[0]}', which is no recording of RecordStates; give "
            "another folder"
        )
    if not overwrite and any(folder.iterdir()):
        raise UserError(
            f"folder={folder}: holds the recordings of a training; give another folder, or "
            "overwrite=True, which removes them"
        )


def clear(folder: Path) -> None:
    """Make a folder, or remove the recordings in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in filter(_ours, list(folder.iterdir())):
        atomic.remove(each)


def _ours(path: Path) -> bool:
    """Whether this is a recording, or what is left of one: others may have chosen such names."""
    if _LEFT.fullmatch(path.name):
        return True
    return bool(_NAME.fullmatch(path.name)) and _is_recording(path)


def _is_recording(path: Path) -> bool:
    """Whether a folder is one that ``States.write`` wrote."""
    if path.is_symlink() or not path.is_dir():
        return False
    try:
        manifest.whole(path)
    except (OSError, UserError):
        return False
    return (path / SEQUENCES).is_file()


def _steps(folder: Path) -> dict[int, Path]:
    """The recordings in a folder, by step."""
    if not folder.is_dir():
        return {}
    matches = ((_NAME.fullmatch(each.name), each) for each in folder.iterdir())
    return {int(match[1]): each for match, each in matches if match}
