"""Stage extract killed before any operation on its folder: the next run ends in the same bytes."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnscope import states
from rnnscope.extract import finishing, notes
from rnnscope.extract.notes import PARTS, Part
from rnnscope.store.contents import Content, of_folder
from rnnscope.store.tables import Column, Table
from tests.crashes import every_kill, killed_before, tree

SEQUENCES = Table("sequences", "sequence", (Column("sequence", "its number"),))
SPLIT = [Part(0, 0, 2, "key"), Part(1, 2, 5, "key")]
T, U = 3, 2


def extracted(folder: Path) -> dict[str, Content]:
    """What stage extract does with its folder, with states that cost nothing."""
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    done = [notes.read(folder, part) or recorded(folder, part) for part in SPLIT]
    contents, _ = finishing.finish(folder, SPLIT, done, {SEQUENCES: {}})
    (folder / "_manifest.json").write_text("{}")
    return contents


def recorded(folder: Path, part: Part) -> notes.Note:
    """Record one part."""
    count = part.stop - part.start
    rows = states.row_keys(part.start, np.full(count, T), None)
    values = np.arange(U * count * T, dtype=np.float32).reshape(U, -1) + part.start
    files = {}
    for signal in "hc":
        path = states.part_file(folder, "lstm", signal, part.number)
        origin = states.Origin(part.artefact, "lstm", signal, part.start, part.stop)
        content = states.write_part(path, signal, values, rows, "lz4", origin=origin)
        files[path.relative_to(folder).as_posix()] = content
    table = pd.DataFrame({"sequence": np.arange(part.start, part.stop), "length": T})
    return notes.write(folder, part, {}, files, {states.SEQUENCES: table})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("whole") / "extract"
    contents = extracted(folder)
    (folder / "_manifest.json").unlink()
    assert contents == of_folder(folder)  # digests taken while writing are those of the files
    (folder / "_manifest.json").write_text("{}")
    return tree(folder)


@pytest.mark.slow
def test_a_kill_before_any_operation_loses_nothing(whole: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "extract"
    for number in every_kill(tmp_path, lambda: extracted(folder)):
        killed_before(number // 2, tmp_path, lambda: extracted(folder))  # once more, earlier
        extracted(folder)
        assert tree(folder) == whole, number
        shutil.rmtree(folder)
    assert number > 40
    assert tree(folder) == whole


@pytest.mark.slow
def test_a_kill_at_the_end_records_no_part_again_but_for_the_last_steps(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All notes are there until everything else is written, then none."""
    folder = tmp_path / "extract"
    again = []
    for _ in every_kill(tmp_path, lambda: extracted(folder)):
        known = [notes.read(folder, part) is not None for part in SPLIT]
        again.append(sum(known))
        shutil.rmtree(folder, ignore_errors=True)
    runs = [(count, len(list(group))) for count, group in itertools.groupby(again)]
    assert [count for count, _ in runs] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    "name",
    [
        "lstm/c/part-00002.parquet",
        "lstm/c/part-00000 (1).parquet",
        "lstm/c/.part-00000.parquet.0123",
        "lstm/z/part-00000.parquet",
        "gru/h/part-00000.parquet",
        "steps.parquet",
        "stray.txt",
        "_parts/00007.json",
        "._parts.0123.gone/00000.json",
        "_manifest.json",
    ],
)
def test_what_no_part_wrote_does_not_stay(
    name: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "extract"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(b"foreign")
    extracted(folder)
    assert tree(folder) == whole


@pytest.mark.parametrize("change", ["flip", "cut", "swap", "gone", "foreign note"])
def test_a_part_that_was_spoiled_meanwhile_is_recorded_again(
    change: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "extract"
    (folder / PARTS).mkdir(parents=True)
    for part in SPLIT:
        recorded(folder, part)
    one, other = (folder / f"lstm/c/part-0000{n}.parquet" for n in (0, 1))
    content = one.read_bytes()
    match change:
        case "flip":
            one.write_bytes(content[:99] + bytes([content[99] ^ 4]) + content[100:])
        case "cut":
            one.write_bytes(content[: len(content) // 2])
        case "swap":
            one.write_bytes(other.read_bytes())
            other.write_bytes(content)
        case "gone":
            shutil.rmtree(one.parent)
        case "foreign note":
            recorded(folder, Part(0, 0, 1, "another"))
    extracted(folder)
    assert tree(folder) == whole
