"""A .keras file before anything in it is used: its members' names, sizes and checksums.

Keras itself reads weights without their checksum where the archive is damaged, and unpacks all
members where there are more than three.
"""

import json
import zipfile
from pathlib import Path
from typing import NamedTuple

from rnnscope.errors import UserError
from rnnscope.models.keras2_json import Json

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MOST_TEXT = 2**24
"""Bytes of a config; a layer takes about a thousand."""
MOST_EXPANSION = 100
"""Times that a member may be larger than what is stored of it; Keras does not compress."""
_FREE = 2**20
"""Bytes up to which a member may be of any size."""


class Content(NamedTuple):
    """What a .keras file holds beside its weights."""

    version: str
    """Of the Keras that wrote it."""
    config: Json


def checked(path: Path) -> Content:
    """The content of a .keras file whose members are whole and of plausible sizes.

    Raises:
        UserError: it is no such file, or it is damaged.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(
            "not the zip archive that a .keras file is, or cut short: copy it again, or save it "
            "again where it was made, model.save('x.keras')"
        )
    try:
        with zipfile.ZipFile(path) as file:
            names = [member.filename for member in file.infolist()]
            for member in file.infolist():
                _refuse_member(member)
            if missing := sorted({CONFIG, METADATA, WEIGHTS} - set(names)):
                raise UserError(f"an archive without {', '.join(missing)}: it is not Keras' own")
            if len(set(names)) < len(names):
                raise UserError("an archive in which two members have one name")
            damaged = file.testzip()
            if damaged is not None:
                raise UserError(f"{damaged} in it is damaged: copy the file again")
            config = read_json(file.read(CONFIG), CONFIG)
            metadata = read_json(file.read(METADATA), METADATA)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise UserError(f"it is damaged ({error}): copy it again") from error
    return Content(str(metadata.get("keras_version", "")), config)


def _refuse_member(member: zipfile.ZipInfo) -> None:
    """Raise for a member that Keras does not write, or that unpacks to more than it can hold."""
    name, size = member.filename, member.file_size
    assets = name.startswith("assets/") and ".." not in name.split("/") and "\\" not in name
    if name not in (CONFIG, METADATA, WEIGHTS) and not assets:
        raise UserError(
            f"an archive with {name!r}, which Keras does not write: save it again where it was "
            "made, model.save('x.keras')"
        )
    if member.flag_bits & 1:
        raise UserError(f"{name} in it is encrypted")
    if size > _FREE and size > MOST_EXPANSION * member.compress_size:
        raise UserError(
            f"{name} in it takes {member.compress_size:,} bytes and unpacks to {size:,}: not read"
        )
    if name in (CONFIG, METADATA) and size > MOST_TEXT:
        raise UserError(f"{name} in it has {size:,} bytes, above {MOST_TEXT:,}: not read")


def read_json(text: str | bytes, name: str) -> Json:
    """An object in JSON.

    Raises:
        UserError: it is none.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply") from error
    except ValueError as error:
        raise UserError(f"{name} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{name} is not an object in JSON")
    return value
