"""A recording in which a file is missing, extra, foreign or changed is not read."""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnnscope import states, store
from rnnscope.states import selection
from rnnscope.store.contents import Damaged, of_folder
from tests.compose import composed

LENGTHS = np.array([3, 1, 4, 2, 4, 3, 2, 2])
CUTS = (0, 2, 5, 8)
U = 4


def record(
    folder: Path,
    key: str = "key",
    *,
    layers: tuple[str, ...] = ("lstm", "top"),
    signals: str = "hc",
    origin: bool = True,
    manifest: bool = True,
    compression: str = "none",
) -> Path:
    """A recording as stage extract leaves it, its values drawn from the key."""
    random = np.random.default_rng(list(key.encode()))
    places = states.folders(layers)
    for part, (start, stop) in enumerate(itertools.pairwise(CUTS)):
        rows = states.row_keys(start, LENGTHS[start:stop], None)
        for layer, signal in itertools.product(layers, signals):
            values = random.normal(size=(U, len(rows.sequence))).astype(np.float32)
            made = states.Origin(key, layer, signal, start, stop) if origin else None
            path = states.part_file(folder, places[layer], signal, part)
            states.write_part(path, signal, values, rows, compression, origin=made)
    frame = pd.DataFrame({"sequence": np.arange(len(LENGTHS)), "length": LENGTHS})
    frame.to_parquet(folder / states.SEQUENCES, index=False)
    if manifest:
        write_manifest(folder, key, {name: [*signals] for name in layers})
    return folder


def write_manifest(folder: Path, key: str, layers: dict[str, list[str]]) -> None:
    """Write the manifest of what is there."""
    contents = {name: asdict(each) for name, each in of_folder(folder).items()}
    said = {
        "key": key,
        "contents": contents,
        "footers": states.footers_of(folder, (name for name in contents if "/" in name)),
        "layers": layers,
    }
    (folder / store.MANIFEST).write_text(json.dumps(said))


def part(folder: Path, number: int, signal: str = "c", layer: str = "lstm") -> Path:
    return states.part_file(folder, layer, signal, number)


def shorten(folder: Path) -> None:
    part(folder, 1).write_bytes(part(folder, 1).read_bytes()[:-50])


def folder_instead(folder: Path) -> None:
    part(folder, 1).unlink()
    part(folder, 1).mkdir()


def flip_names(folder: Path) -> None:
    """One bit of a footer: a column of unit 3 is called one of unit 2."""
    content = part(folder, 1).read_bytes()
    at = content.index(b"c_003", len(content) // 3)
    part(folder, 1).write_bytes(content[: at + 4] + b"2" + content[at + 5 :])


def foreign(folder: Path, number: int = 1) -> None:
    """A part of another seed, of the same size to the byte."""
    other = record(folder.parent / "other", "kez")
    assert part(other, number).stat().st_size == part(folder, number).stat().st_size
    shutil.copy(part(other, number), part(folder, number))


def swap(one: Path, other: Path) -> None:
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def edit(folder: Path) -> None:
    """What pandas makes of a part that somebody changed a value of."""
    frame = pd.read_parquet(part(folder, 1))
    frame.loc[0, "c_000"] += 1
    frame.to_parquet(part(folder, 1), index=False)


Change = Callable[[Path], object]
DAMAGE: dict[str, tuple[Change, str]] = {
    "a part is missing": (lambda f: part(f, 1).unlink(), r"part-00001\.parquet: is missing"),
    "the first part is missing": (lambda f: part(f, 0).unlink(), r"part-00000\S*: is missing"),
    "the last part is missing": (lambda f: part(f, 2).unlink(), "missing"),
    "a part is a folder": (folder_instead, r"part-00001\.parquet: "),
    "a second download": (
        lambda f: shutil.copy(part(f, 1), part(f, 1).with_name("part-00001 (1).parquet")),
        r"part-00001 \(1\)\.parquet: is no part of the recording; remove it",
    ),
    "another file of Parquet": (
        lambda f: shutil.copy(part(f, 1), part(f, 1).with_name("copy.PARQUET")),
        r"copy\.PARQUET: is no part",
    ),
    "a part too many": (lambda f: shutil.copy(part(f, 1), part(f, 3)), r"part-00003"),
    "a shortened part": (shorten, r"part-00001\.parquet: "),
    "an empty part": (lambda f: part(f, 1).write_bytes(b""), r"part-00001\.parquet: "),
    "text for a part": (lambda f: part(f, 1).write_text("x" * 3000), r"part-00001\.parquet: "),
    "zeros for a part": (
        lambda f: part(f, 1).write_bytes(bytes(part(f, 1).stat().st_size)),
        r"part-00001\.parquet: ",
    ),
    "a part of another seed": (foreign, r"part-00001\.parquet: is (of another|not what)"),
    "a part of another signal": (
        lambda f: shutil.copy(part(f, 1, "h"), part(f, 1)),
        r"part-00001\.parquet: (holds|has|is not what)",
    ),
    "a part of another layer": (
        lambda f: shutil.copy(part(f, 1, layer="top"), part(f, 1)),
        r"part-00001\.parquet: (holds|has|is not what)",
    ),
    "parts that were swapped": (
        lambda f: swap(part(f, 0), part(f, 1)),
        r"part-0000[01]\.parquet: (is not|has)",
    ),
    "a part twice": (lambda f: shutil.copy(part(f, 0), part(f, 1)), r"part-0000[01]\.parquet"),
    "a renamed column": (flip_names, r"part-00001\.parquet: "),
    "an edited part": (edit, r"part-00001\.parquet: "),
    "the signal is gone": (lambda f: shutil.rmtree(f / "lstm" / "c"), "lstm"),
}
BLIND = {"the signal is gone"}
"""What only a manifest tells."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A recording with its manifest, and the same without."""
    folder = tmp_path_factory.mktemp("good")
    return {kind: record(folder / str(kind), manifest=kind) for kind in (True, False)}


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_on_opening(
    what: str, manifest: bool, good: dict[bool, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(good[manifest], tmp_path / "recording")
    change, says = DAMAGE[what]
    change(folder)
    if not manifest and what in BLIND:
        with pytest.raises(ValueError, match="no signal 'c'"):
            states.read_states(folder, "c", layer="lstm")
        return
    for read in (
        lambda: states.read_states(folder, "c", layer="lstm"),
        lambda: states.read_states(folder, "c", layer="lstm", as_array=True, timesteps=-1),
        lambda: selection.signals(folder, composed(Path()).units, "units"),
    ):
        with pytest.raises(Damaged, match=says) as raised:
            read()
        assert "\n" not in str(raised.value)
        assert str(raised.value).count("; ") == 1
    states.read_states(folder, "h", layer="lstm")  # the other signal is whole


@pytest.mark.parametrize("manifest", [True, False])
def test_what_is_whole_is_read_as_before(manifest: bool, good: dict[bool, Path]) -> None:
    frame = states.read_states(good[manifest], "c", layer="top")
    plain = pd.read_parquet(good[manifest] / "top" / "c")
    pd.testing.assert_frame_equal(frame, plain)
    assert states.layers(good[manifest]) == {"lstm": ["h", "c"], "top": ["h", "c"]}


def test_hidden_files_of_a_desktop_are_passed_over(good: dict[bool, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(good[True], tmp_path / "recording")
    for name in (".DS_Store", "._part-00000.parquet", "Thumbs.db"):
        (folder / "lstm" / "c" / name).write_bytes(b"\0")
    states.read_states(folder, "c", layer="lstm")


@pytest.mark.parametrize("number", [0, 2])
def test_parts_without_origin_are_held_against_each_other(number: int, tmp_path: Path) -> None:
    """Such as those of an older version."""
    folder = record(tmp_path / "old", origin=False, manifest=False)
    states.read_states(folder, ["h", "c"], layer="lstm")
    shutil.copy(part(folder, number), part(folder, 1))
    with pytest.raises(Damaged, match=r"sequences \d to \d,"):
        states.read_states(folder, "c", layer="lstm")
    part(folder, 1).unlink()
    with pytest.raises(Damaged, match=r"part-00001\.parquet: is missing"):
        states.read_states(folder, "c", layer="lstm")
    part(folder, 2).unlink()
    states.read_states(folder, "c", layer="lstm")  # the end may have had no rows
    with pytest.raises(Damaged, match=r"part-0000\d.parquet: does not have the rows"):
        states.read_states(folder, ["h", "c"], layer="lstm")
    with pytest.raises(Damaged, match=r"part-0000\d.parquet: does not have the rows"):
        selection.signals(folder, composed(Path()).units, "units")


@pytest.mark.parametrize("name", [states.SEQUENCES, states.STEPS])
def test_tables_are_held_against_the_manifest(name: str, tmp_path: Path) -> None:
    folder = record(tmp_path / "recording", manifest=False)
    rows = pd.DataFrame({"sequence": range(8), "timestep": 0, "depth": range(8)})
    rows.to_parquet(folder / states.STEPS, write_page_checksum=True, index=False)
    rows.to_parquet(folder / states.SEQUENCES, write_page_checksum=True, index=False)
    write_manifest(folder, "key", {"lstm": ["h", "c"], "top": ["h", "c"]})
    read = {states.SEQUENCES: states.read_sequences, states.STEPS: states.read_steps}[name]
    read(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    with pytest.raises(Damaged, match=name):
        read(folder)
    rows.head(5).to_parquet(folder / name, index=False)
    with pytest.raises(Damaged, match=rf"{name}: has .* bytes where"):
        read(folder)
    (folder / name).unlink()
    with pytest.raises((Damaged, FileNotFoundError), match=name):
        read(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"footers": 3}',
        '{"footers": {}, "contents": {"a": {}}}',
        "[" * 100_000,
    ],
)
def test_a_manifest_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    folder = record(tmp_path / "recording")
    (folder / store.MANIFEST).write_text(text)
    with pytest.raises(
        Damaged,
        match=r"_manifest\.json: (is not a manifest|is empty|cannot be read|is none of ours)",
    ):
        states.read_states(folder, "c", layer="lstm")


def test_no_flip_of_a_bit_changes_a_value(tmp_path: Path) -> None:
    """Anywhere in a part: its pages, their headers, its footer."""
    folder = record(tmp_path / "recording", layers=("lstm",), signals="c", compression="lz4")
    good = states.read_states(folder)
    path, random = part(folder, 1), np.random.default_rng(0)
    content = path.read_bytes()
    found = 0
    for place in random.choice(len(content), 400, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        try:
            read = states.read_states(folder)
        except Damaged as error:
            found += "part-00001.parquet" in str(error)
        else:
            pd.testing.assert_frame_equal(read, good)
            found += 1
    assert found == 400


def test_a_part_keeps_checksums_that_the_format_defines(tmp_path: Path) -> None:
    """Another reader that knows nothing of rnnscope finds the flip too."""
    folder = record(tmp_path / "recording")
    path = part(folder, 1)
    column = pq.ParquetFile(path).metadata.row_group(0).column(3)
    at = column.data_page_offset + column.total_compressed_size - 2
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    pd.read_parquet(path)  # silently another value
    with pytest.raises(OSError, match="CRC"):
        pd.read_parquet(path, page_checksum_verification=True)
    with pytest.raises(Damaged, match=r"part-00001\.parquet: a page is not what was written"):
        states.read_states(folder, "c", layer="lstm")


def test_no_flip_of_a_bit_renames_a_column_of_a_table(tmp_path: Path) -> None:
    folder = record(tmp_path / "recording")
    path = folder / states.SEQUENCES
    good = path.read_bytes()
    for place in range(len(good) - 1, len(good) // 2, -7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        with pytest.raises(Damaged, match=r"sequences\.parquet"):
            states.read_sequences(folder)
