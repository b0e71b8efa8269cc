"""A model's .keras file, the same bytes for the same model."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras

from rnnscope.models.keras2_json import Json

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member; the earliest that a zip archive can hold."""
_SHARED = "shared_object_id"


def save(model: keras.Model, path: Path) -> None:
    """Save a model as Keras does, without the time of day and addresses of memory.

    Keras stamps the archive's members and ``metadata.json`` with the time, and numbers objects that
    occur twice in ``config.json`` by where they lie in memory. It reads neither again.

    Args:
        model: what to save. Names that Keras gave it count the objects of the process: give names
            of your own to what is saved.
        path: where, ending in ``.keras``.
    """
    stamped = path.with_name(f"stamped-{path.name}")
    model.save(stamped)
    with zipfile.ZipFile(stamped) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            info = zipfile.ZipInfo(member.filename, _DATE)
            info.file_size = member.file_size  # whether it needs the form for more than 2 GB
            with old.open(member) as source, new.open(info, "w") as target:
                if member.filename in _TIMELESS:
                    plain = _TIMELESS[member.filename](json.load(source))
                    target.write(json.dumps(plain).encode())
                else:
                    shutil.copyfileobj(source, target, 2**24)
    stamped.unlink()


def _undated(metadata: Json) -> Json:
    """The metadata without the date."""
    return {key: value for key, value in metadata.items() if key != "date_saved"}


def _renumbered(config: Json) -> Json:
    """The config with shared objects numbered in the order in which they first occur."""
    numbers: dict[Any, int] = {}

    def walked(value: Json) -> Json:
        match value:
            case dict():
                return {
                    key: numbers.setdefault(each, len(numbers)) if key == _SHARED else walked(each)
                    for key, each in value.items()
                }
            case list():
                return [walked(each) for each in value]
            case _:
                return value

    return walked(config)


_TIMELESS = {"metadata.json": _undated, "config.json": _renumbered}
