"""A trained model from a file: .keras, or .h5 of Keras 2 and 3, or weights with an architecture."""

import io
import re
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from rnnscope import data
from rnnscope.config import Data, Model, ModelFile, Tf1Checkpoint, TorchWeights
from rnnscope.data import Dataset, Roles
from rnnscope.errors import UserError, listed
from rnnscope.models import (
    archive,
    budget,
    checkpoint,
    custom,
    hdf5,
    pytorch,
    rebuilding,
    screening,
)
from rnnscope.models.finite import not_finite
from rnnscope.models.outputs import numbered
from rnnscope.models.times import roles
from rnnscope.store import digests

MODEL = "model.keras"
"""The file in which stage train saves its model."""


def checkpoint_file(step: int) -> str:
    """The file beside it in which stage train saves its model as it was after a step."""
    return f"step-{step:07d}.keras"


def of_run(
    model: Model, trained: Path | None, source: Data, step: int | None = None
) -> tuple[keras.Model, Dataset]:
    """A run's model, which stage train made or the user's file holds, and the data it is for.

    Args:
        model: the options of group model.
        trained: the output of stage train; None if the model comes from a file.
        source: the options of the data.
        step: the model as it was after this step of stage train; None for the final one.

    Raises:
        UserError: the file cannot be loaded, or training stopped before that step.
    """
    if trained is None and isinstance(model, Tf1Checkpoint | TorchWeights):
        dataset = data.load(source)  # it has one input, whatever its data
        if isinstance(model, TorchWeights):
            loaded = pytorch.load(model, dataset)
        else:
            loaded = checkpoint.load(model, padded=dataset.padded)
        _refuse_not_finite(loaded, Path(model.path))
        return loaded, numbered(loaded, dataset)
    if trained is not None:
        loaded = load(trained / MODEL if step is None else _checkpoint(trained, step))
    elif isinstance(model, ModelFile):
        architecture = None if model.architecture is None else Path(model.architecture)
        loaded = load(Path(model.path), model.custom_objects, architecture)
    else:
        raise TypeError(f"no loader for {type(model).__name__}")
    dataset = data.load(source, told(model, trained, loaded))
    return loaded, dataset.as_trained() if trained else numbered(loaded, dataset)


def told(model: Model, trained: Path | None, loaded: keras.Model) -> Roles | None:
    """What a run's model tells the data of its inputs; None where it is built for the data.

    Args:
        model: the options of group model.
        trained: the output of stage train; None if the model comes from a file.
        loaded: the model.
    """
    built = trained is None and isinstance(model, Tf1Checkpoint | TorchWeights)
    return None if built else roles(loaded)


def _checkpoint(trained: Path, step: int) -> Path:
    """The file of the model after a step."""
    file = trained / checkpoint_file(step)
    if not file.exists():  # options that contradict each other were refused before
        there = listed(int(each.stem.rpartition("-")[2]) for each in sorted(trained.glob("step-*")))
        raise UserError(
            f"extract.checkpoint={step}: training stopped early, before this step "
            f"(train.patience); it has {there or 'no checkpoint'}"
        )
    return file


def load(
    path: Path, custom_objects: str | None = None, architecture: Path | None = None
) -> keras.Model:
    """A model saved by Keras as .keras or .h5; code inside it is not run (safe mode).

    Args:
        path: the file.
        custom_objects: the user's module with the model's custom classes and functions; those that
            it registers with Keras are found too.
        architecture: a file with the text of ``model.to_json()``, if ``path`` holds weights alone.

    Raises:
        UserError: the file, or a layer in it, cannot be loaded.
    """
    _refuse_form(path)
    own = {} if custom_objects is None else custom.members(custom_objects)
    before = set(sys.modules)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Do not pass an `input_shape`")
            loaded = _loaded(path, own, architecture)
    except UserError as error:
        raise UserError(f"model.path={path}: {error}") from error
    except Exception as error:  # of Keras, HDF5 and the user's classes: whatever is in the file
        if (line := custom.blamed(error)) is not None:
            raise UserError(f"model.custom_objects={custom_objects}: {line}") from error
        raise UserError(f"model.path={path}: {_reason(error, custom_objects)}") from error
    if custom_objects is not None:
        custom.refuse_unseen(before)
    _refuse_not_finite(loaded, path)
    return loaded


def _refuse_not_finite(model: keras.Model, path: Path) -> None:
    """Raise for a model from whose weights no number could be computed."""
    if found := not_finite(model.weights):
        raise UserError(
            f"model.path={path}: {len(found)} of its {len(model.weights)} variables hold NaN or an "
            f"infinity ({listed(found)}): its training diverged, or the file is damaged"
        )


def _loaded(path: Path, own: Mapping[str, Any], architecture: Path | None) -> keras.Model:
    """The model in a file, by what the file holds."""
    if path.suffix == ".keras":
        content = archive.checked(path)
        if architecture is not None:
            raise UserError("it has its own architecture: leave model.architecture=null")
        if content.version.startswith("2."):
            screening.refuse(content.config, None)
            return rebuilding.of_zip(path, content.config, own)
        screening.refuse(content.config, own)
        with zipfile.ZipFile(path) as zipped:
            weights = io.BytesIO(zipped.read(archive.WEIGHTS))
        with h5py.File(weights, "r") as file:
            numbers = hdf5.checked(file)
        del weights
        return _by_keras(path, own, numbers)
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            return rebuilding.of_weights(path, file, own, architecture)
        if architecture is not None:
            raise UserError("it has its own architecture: leave model.architecture=null")
        if not rebuilding.version(file).startswith("3"):
            return rebuilding.of_h5(file, own)
        numbers = hdf5.checked(file)
        screening.refuse(rebuilding.described(file), own)
    return _of_keras_3(path, own, numbers)


def _by_keras(path: Path, own: Mapping[str, Any], numbers: int) -> keras.Model:
    """The model in a file that was judged, by Keras itself; its weights have so many numbers."""
    with budget.at_most(numbers):
        made = keras.saving.load_model(path, dict(own), compile=False, safe_mode=True)
    return rebuilding.whole_model(made)


def _of_keras_3(path: Path, own: Mapping[str, Any], numbers: int) -> keras.Model:
    """The model in an .h5 that Keras 3 wrote, from which it does not restore all of its layers."""
    try:
        return _by_keras(path, own, numbers)
    except UserError:
        raise
    except Exception as error:
        missing = _MISSING.search(str(error))
        if _LAMBDA in str(error) or (missing and not _is_operation(missing[1])):
            raise
        raise UserError(
            f"Keras 3 does not restore {missing[1] if missing else 'it'} from its .h5: save it as "
            "model.save('x.keras') where it was made"
        ) from error


def _is_operation(name: str) -> bool:
    """Whether a class is one of Keras' operations, which a model has of keras.ops or of slices."""
    rooms = [each for room, each in sys.modules.items() if room.startswith("keras.src.ops.")]
    return any(hasattr(each, name) for each in rooms)


_LAMBDA = "arries a potential risk of arbitrary code execution"
"""In Keras' messages on Python code in a file."""
_MISSING = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown (?:layer|object|\w* ?function):?) '([^']+)'"
)
"""Keras' messages for an unknown class or function: for .keras, then for .h5."""


def _reason(error: Exception, custom_objects: str | None) -> str:
    """Why Keras did not load a model, in one line, with what would help."""
    reason = re.sub(r"\x1b\[\d+m", "", " ".join(str(error).split())) or type(error).__name__
    reason = "".join(each if each.isprintable() else " " for each in reason)
    if missing := _MISSING.search(reason):
        here = "" if custom_objects is None else f" nor in {custom_objects}"
        return (
            f"'{missing[1]}' is not Keras' own{here}: give the module that defines it, "
            "model.custom_objects=package.module"
        )
    if _LAMBDA in reason:
        return screening.LAMBDA
    return f"Keras cannot load it ({reason[:300]})"


def _refuse_form(path: Path) -> None:
    """Raise for file formats from which Keras 3 cannot restore layers."""
    again = "where it was made: model.save('x.keras'), or with Keras 2 model.save('x.h5')"
    if (path / "saved_model.pb").is_file():
        raise UserError(
            f"model.path={path}: a SavedModel, which Keras 3 cannot load as layers; save it again "
            f"{again}; its LSTM cells of TensorFlow 1 load from {path / 'variables' / 'variables'} "
            "with model=tf1_checkpoint"
        )
    if digests.checkpoint(path):
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        raise UserError(
            f"model.path={path}: a checkpoint of TensorFlow; if Keras wrote it, make the model "
            f"with Keras 2, model.load_weights('{prefix.name}'), and save all of it, "
            "model.save('x.h5'); LSTM cells of TensorFlow 1 load with model=tf1_checkpoint"
        )
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise UserError(f"model.path={path}: must be a .keras or .h5 file; save it {again}")
