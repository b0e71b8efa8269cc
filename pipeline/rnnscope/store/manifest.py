"""Manifests: what an artefact was made from and what it holds, sealed by a digest of themselves.

    "format": 1           a later one is refused
    "contents": {name: {"bytes": …, "xxh3": …}}     every file of the artefact but the manifest
    "seal": "…"           XXH3-128 of all other entries

A manifest that is cut, edited or damaged is no manifest, and its artefact is unfinished.
"""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from rnnscope.errors import UserError
from rnnscope.store import sightings
from rnnscope.store.contents import Damaged
from rnnscope.terminal import short_path

MANIFEST = "_manifest.json"
FORMAT = 1
"""Raised when manifests of this form cannot be read by an earlier version of rnnscope."""

TYPES: dict[str, type] = {"key": str, "contents": dict, "seal": str}
"""What a manifest of this format must have."""


class NewerError(UserError):
    """A manifest of a format that only a later version of rnnscope knows."""


class OlderError(Damaged):
    """A manifest without a format, as earlier versions wrote it."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The entries of a folder's manifest, as they stand there.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it cannot be read.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _damaged(path, "is no file")
        text = sightings.retried(path.read_bytes)
    except NotADirectoryError as error:
        raise FileNotFoundError(path) from error
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from error
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "cannot be read" if text.strip(b"\0 \n") else "is empty") from error
    if not isinstance(manifest, dict):
        raise _damaged(path, "is none of ours")
    return manifest


def whole(folder: Path) -> dict[str, Any]:
    """The manifest of a finished artefact, which is as it was written.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is not what was written.
        NewerError: it is of a format that is not known here.
    """
    manifest, path = read_manifest(folder), folder / MANIFEST
    if "format" not in manifest and isinstance(manifest.get("key"), str):
        raise OlderError(
            f"{short_path(path)}: is of an earlier version of rnnscope, which noted no digests; "
            "run the same config again, which makes it again"
        )
    number = manifest.get("format")
    if type(number) is int and number > FORMAT:
        raise NewerError(
            f"{short_path(path)}: is of format {number}, this version of rnnscope knows {FORMAT}: "
            "update rnnscope, give another root=, or delete that folder"
        )
    if type(number) is not int or number != FORMAT:
        raise _damaged(path, f"has no valid format ({str(number)[:20]!r})")
    for name, kind in TYPES.items():
        if not isinstance(manifest.get(name), kind):
            raise _damaged(path, f"has no valid {name}")
    if manifest["seal"] != seal(manifest):
        raise _damaged(path, "was changed after it was written")
    return manifest


def sealed(manifest: Mapping[str, Any]) -> str:
    """The text of a manifest, with its format and its seal.

    Raises:
        TypeError: a value that JSON does not have.
    """
    entries = json.loads(json.dumps({"format": FORMAT, **manifest}))
    return json.dumps(entries | {"seal": seal(entries)}, indent=2) + "\n"


def seal(manifest: Mapping[str, Any]) -> str:
    """XXH3-128, in hex, of a manifest's entries but the seal itself."""
    entries = {name: value for name, value in manifest.items() if name != "seal"}
    return xxhash.xxh3_128_hexdigest(json.dumps(entries, sort_keys=True).encode())


def _damaged(path: Path, what: str) -> Damaged:
    return Damaged(f"{short_path(path)}: {what}; run the same config again, which makes it again")
