"""What should lie in a recording, by its manifest: files with their sizes, and layers."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from natsort import natsorted

from rnnscope.states.naming import folders
from rnnscope.states.parts import origin_of
from rnnscope.store import parquet
from rnnscope.store.artefacts import MANIFEST, read_manifest
from rnnscope.store.contents import Content, Damaged, of_file

WHOLE = 2**28
"""Bytes up to which a table is digested before it is read: a few hundredths of a second."""


@dataclass(frozen=True)
class Listing:
    """What a finished recording holds."""

    key: str
    """Of the artefact."""
    contents: Mapping[str, Content]
    """Of every file, by its name within the folder."""
    footers: Mapping[str, str]
    """XXH3-128 of the footers of each signal's parts, one after another, by the signal's folder."""
    layers: Mapping[str, list[str]]
    """The recorded layers, each with its signals in the usual order."""
    places: Mapping[str, str] = field(default_factory=dict)
    """The folder of each layer."""

    def within(self, place: str) -> dict[str, Content]:
        """What a folder of the recording holds, by name."""
        names = [name for name in self.contents if name.rpartition("/")[0] == place]
        return {name.rpartition("/")[2]: self.contents[name] for name in names}


def listing(folder: Path) -> Listing | None:
    """What a recording should hold; None where no manifest says so.

    Older versions wrote no contents into the manifest, and other tools write none.

    Raises:
        Damaged: a manifest that cannot be read.
    """
    path = folder / MANIFEST
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _read(path.resolve(), about.st_mtime_ns, about.st_size, path)


@functools.lru_cache(maxsize=16)
def _read(resolved: Path, changed: int, size: int, path: Path) -> Listing | None:
    """The listing of a manifest, which is kept while the file is the same."""
    try:
        manifest = read_manifest(path.parent)
        if manifest.get("footers") is None:
            return None
        contents = {name: Content(**each) for name, each in manifest["contents"].items()}
        layers = {str(name): list(signals) for name, signals in manifest["layers"].items()}
        footers = {str(place): str(found) for place, found in manifest["footers"].items()}
        return Listing(manifest["key"], contents, footers, layers, folders(layers))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path}: is not a manifest of a recording; {parquet.AGAIN}") from error


def held(folder: Path, name: str) -> Path:
    """A table of a recording, which is as its manifest says, where there is one.

    Page checksums do not cover the names of columns. So tables up to ``WHOLE`` are digested.

    Raises:
        Damaged: it is missing, or of another size or other bytes.
    """
    known, path = listing(folder), folder / name
    if known is not None and name in known.contents:
        content = known.contents[name]
        hold(path, content)
        if content.bytes <= WHOLE and of_file(path) != content:
            raise Damaged(f"{path}: has other bytes than were written; {parquet.AGAIN}")
    return path


def hold(path: Path, content: Content) -> None:
    """Hold a file's size against what was written.

    Raises:
        Damaged: it is missing, or of another size.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise Damaged(f"{path}: is missing; {parquet.AGAIN}") from None
    if size != content.bytes:
        raise Damaged(
            f"{path}: has {size:,} bytes where {content.bytes:,} were written; {parquet.AGAIN}"
        )


def places(folder: Path) -> dict[str, str]:
    """The folder of each recorded layer, by the layer's name, in natural order of the folders."""
    if (known := listing(folder)) is not None:
        return dict(known.places)
    inside = natsorted(path.name for path in folder.iterdir() if path.is_dir())
    shown = [name for name in inside if not name.startswith(("_", "."))]
    return {_true_name(folder / name): name for name in shown}


def layers(folder: Path | str) -> dict[str, list[str]]:
    """The recorded layers by name, each with its signals in the usual order."""
    folder = Path(folder)
    if (known := listing(folder)) is not None:
        return {layer: list(signals) for layer, signals in known.layers.items()}
    found = {}
    for layer, place in places(folder).items():
        signals = {path.name for path in (folder / place).iterdir() if path.is_dir()}
        found[layer] = sorted((name for name in signals if name[0] not in "._"), key=usual)
    return found


def one_layer(there: Iterable[str], layer: str | None, where: object) -> str:
    """The layer's name, that of the only one if None.

    Raises:
        ValueError: it was not recorded, or several were.
    """
    names = list(there)
    if layer is None and len(names) == 1:
        return names[0]
    if layer is None:
        raise ValueError(f"{where}: say which layer=; it has {', '.join(names) or 'none'}")
    if layer not in names:
        raise ValueError(f"{where}: no layer '{layer}'; it has {', '.join(names) or 'none'}")
    return layer


def by_layer(signals: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Layers in natural order, each with its signals in the usual order, of (layer, signal)."""
    found: dict[str, list[str]] = {}
    for layer, signal in natsorted(signals):
        found.setdefault(layer, []).append(signal)
    return {layer: sorted(names, key=usual) for layer, names in found.items()}


def usual(signal: str) -> tuple[int, str]:
    """Sort key: states first, then gates, then any other signal."""
    return ("hcifozrg".find(signal) % 99, signal)


def _true_name(folder: Path) -> str:
    """The layer's name as its parts have it, or that of its folder if they have none."""
    part = next(folder.glob("*/part-*.parquet"), None) if "~" in folder.name else None
    if part is None:
        return folder.name
    with parquet.whole(part):
        origin = origin_of(parquet.metadata(part))
    return folder.name if origin is None else origin.layer
