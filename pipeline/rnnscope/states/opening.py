"""The parts of a recorded signal, checked to be those that were written, by their footers.

Where the recording has a manifest, names and sizes are held against it. Everywhere the parts must
be of one recording, layer and signal, without a gap or a file too many. Values are checked when
they are read (``store.parquet``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import xxhash

from rnnscope.states.listing import Listing, hold, listing, places
from rnnscope.states.parts import KEYS, SEQUENCES, Origin, is_backward, origin_of
from rnnscope.store import parquet
from rnnscope.store.contents import Content, Damaged, of_file

NAME = re.compile(r"part-(\d{5,})\.parquet")


@dataclass(frozen=True)
class PartFile:
    """One part's file and what its footer says."""

    path: Path
    names: tuple[str, ...]
    """Of its columns."""
    rows: int
    first: int
    last: int
    """The least and largest sequence; 0 and -1 where it has no rows."""
    timesteps: int
    """One more than the largest timestep."""
    backward: bool
    origin: Origin | None


def part_files(folder: Path, layer: str, signal: str) -> list[PartFile]:
    """The parts of a signal, in the order of their sequences; none if it was not recorded.

    Raises:
        Damaged: a part is missing, of another size, from elsewhere, or cannot be read.
    """
    place = places(folder).get(layer, layer)
    inside = folder / place / signal
    known = listing(folder)
    if known is not None and signal in known.layers.get(layer, []):
        _as_listed(inside, known, f"{place}/{signal}")
    there = _parquet(inside)
    numbers = {}
    for path in there:
        if (match := NAME.fullmatch(path.name)) is None:
            raise Damaged(f"{path}: is no part of the recording; remove it")
        if not path.is_file():
            raise Damaged(f"{path}: is no file; {parquet.AGAIN}")
        numbers[int(match[1])] = path
    for number in range(len(numbers)):
        if number not in numbers:
            missing = inside / f"part-{number:05d}.parquet"
            raise Damaged(f"{missing}: is missing; {parquet.AGAIN}")
    footers = [parquet.footer(path) for path in there]
    if known is not None and (digest := known.footers.get(f"{place}/{signal}")) is not None:
        _as_written(there, footers, digest, known.within(f"{place}/{signal}"))
    pairs = zip(there, footers, strict=True)
    found = [_read(path, signal, footer) for path, footer in pairs]
    _agree(found, layer, signal, None if known is None else known.key)
    found.sort(key=lambda part: (_start(part), part.path))
    _follow(found)
    if found and found[0].origin is not None and [part.path for part in found] != there:
        odd = next(part for part, path in zip(found, there, strict=True) if part.path != path)
        raise Damaged(f"{odd.path}: is not in its place; {parquet.AGAIN}")
    if known is None:  # else the last part is known to be there
        _reaches(found, folder)
    return found


def _as_listed(inside: Path, known: Listing, place: str) -> None:
    """Raise where a signal's folder does not hold just the files that the manifest names."""
    expected = known.within(place)
    for name, content in expected.items():
        hold(inside / name, content)
    for path in _parquet(inside):
        if path.name not in expected:
            raise Damaged(f"{path}: is no part of the recording; remove it")


def footers_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The digest of the footers of each signal's parts, by the signal's folder.

    Args:
        folder: a recording.
        names: of the files of its states.
    """
    found: dict[str, list[bytes]] = {}
    for name in sorted(names):
        found.setdefault(name.rpartition("/")[0], []).append(parquet.footer(folder / name))
    return {place: _digest(footers) for place, footers in found.items()}


def _digest(footers: Iterable[bytes]) -> str:
    """XXH3-128 of footers, one after another."""
    return xxhash.xxh3_128_hexdigest(b"".join(footers))


def _as_written(
    there: list[Path], footers: list[bytes], digest: str, contents: dict[str, Content]
) -> None:
    """Raise where the footers are not those that were written; names the file."""
    if _digest(footers) == digest:
        return
    odd = [path for path in there if of_file(path) != contents[path.name]]
    at = odd[0] if odd else there[0].parent
    raise Damaged(f"{at}: is not what was written: its digest differs; {parquet.AGAIN}")


def _parquet(inside: Path) -> list[Path]:
    """The Parquet files of a folder by name, without hidden ones; none if there is no folder."""
    every = inside.iterdir() if inside.is_dir() else ()
    return sorted(
        path for path in every if path.suffix.lower() == ".parquet" and path.name[0] not in "._"
    )


def _read(path: Path, signal: str, known: bytes) -> PartFile:
    """What a part's footer says."""
    footer = parquet.metadata(path, known)
    with parquet.whole(path):
        names, origin = tuple(footer.schema.names), origin_of(footer)
    for key in ("sequence", "timestep"):
        if key not in names:
            raise Damaged(f"{path}: has no column {key}: it is no part of a recording; remove it")
    for name in names:
        if name not in KEYS and re.fullmatch(rf"{re.escape(signal)}_\d+", name) is None:
            raise Damaged(f"{path}: holds {name}, which is no unit of {signal}; {parquet.AGAIN}")
    if len(set(names)) < len(names):
        raise Damaged(f"{path}: two of its columns share a name; {parquet.AGAIN}")
    first, last, timesteps = 0, -1, 0
    if footer.num_rows:
        least, last = _bounds(path, footer, names.index("sequence"))
        first, (_, timesteps) = least, _bounds(path, footer, names.index("timestep"))
    return PartFile(
        path,
        names,
        footer.num_rows,
        first,
        last,
        timesteps + 1 if footer.num_rows else 0,
        is_backward(footer),
        origin,
    )


def _bounds(path: Path, footer: pq.FileMetaData, column: int) -> tuple[int, int]:
    """The least and largest value of a key."""
    groups = [footer.row_group(number).column(column) for number in range(footer.num_row_groups)]
    kind = footer.schema.column(column).physical_type
    if kind != "INT32" or any(group.physical_type != kind for group in groups):
        raise Damaged(f"{path}: its keys are not of type int32; {parquet.AGAIN}")
    found = [group.statistics for group in groups if group.num_values]
    if not all(each is not None and each.has_min_max for each in found):
        raise Damaged(f"{path}: says nothing of its sequences and timesteps; {parquet.AGAIN}")
    return min(each.min for each in found), max(each.max for each in found)


def _agree(found: list[PartFile], layer: str, signal: str, key: str | None) -> None:
    """Raise for a part that is not of the same recording, layer and signal as the others.

    The odd one is that which differs from most.
    """
    looks = [(part.names, part.backward, _recording(part)) for part in found]
    usual = max(looks, key=looks.count, default=None)
    for part, look in zip(found, looks, strict=True):
        at = part.origin
        if at is not None and (at.layer, at.signal) != (layer, signal):
            raise Damaged(f"{part.path}: holds {at.signal} of '{at.layer}'; {parquet.AGAIN}")
        if look != usual or (key is not None and at is not None and at.artefact != key):
            raise Damaged(f"{part.path}: is of another recording; {parquet.AGAIN}")


def _recording(part: PartFile) -> str | None:
    return None if part.origin is None else part.origin.artefact


def _start(part: PartFile) -> int:
    return part.first if part.origin is None else part.origin.start


def _follow(found: list[PartFile]) -> None:
    """Raise where sequences are there twice or left out.

    Of parts that do not say which sequences they are of, only those with rows can be told.
    """
    after = 0
    for part in found:
        at = part.origin
        if part.rows and (part.first < after or (at and part.last >= at.stop)):
            raise Damaged(
                f"{part.path}: holds sequences {part.first} to {part.last}, where those from "
                f"{after} are expected; {parquet.AGAIN}"
            )
        if at is not None and at.start != after:
            raise Damaged(
                f"{part.path.parent}: sequences {after} to {at.start - 1} are missing; "
                f"{parquet.AGAIN}"
            )
        after = at.stop if at is not None else max(after, part.last + 1)


def _reaches(found: list[PartFile], folder: Path) -> None:
    """Raise where the last sequences are missing, as far as parts say which they are of."""
    path = folder / SEQUENCES
    if not found or (at := found[-1].origin) is None or not path.is_file():
        return
    if at.stop < (count := parquet.metadata(path).num_rows):
        raise Damaged(
            f"{found[-1].path.parent}: sequences {at.stop} to {count - 1} are missing; "
            f"{parquet.AGAIN}"
        )
