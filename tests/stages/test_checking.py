"""Stage check: every damaged, missing or foreign file below the root is named, and nothing else."""

import dataclasses
import logging
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rnnscope import stages, store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import checking
from rnnscope.store import sidecar
from tests import forks
from tests.compose import composed
from tests.stages.tiny import LUCK, folders
from tests.store import damages


def check(quick: Config, caplog: pytest.LogCaptureFixture) -> tuple[bool, list[str]]:
    """Whether all is whole, and the lines."""
    caplog.set_level(logging.INFO)
    caplog.clear()
    return stages.check(Path(quick.root)), list(caplog.messages)


def test_what_is_whole_is_counted(quick: Config, caplog: pytest.LogCaptureFixture) -> None:
    whole, (line,) = check(quick, caplog)
    assert whole
    there = folders(quick).values()
    files = [path for each in there for path in each.rglob("*") if path.is_file()]
    held = [path for path in files if path.name != store.MANIFEST]
    size = sum(path.stat().st_size for path in held)
    assert re.fullmatch(
        rf"check      whole: 3 artefacts, {len(held)} files, {size:,} bytes, \d+\.\d s", line
    )


@pytest.mark.parametrize("name", damages.EVERY)
def test_every_damage_is_one_line_and_nothing_is_written(
    name: str,
    quick: Config,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = folders(quick)["extract"]
    damages.EVERY[name](folder)
    before = {path: path.lstat().st_mtime_ns for path in Path(quick.root).rglob("*")}
    whole, (*lines, count, remedy) = check(quick, caplog)
    assert not whole
    assert all(line.startswith(f"{folder}/") and line.isprintable() for line in lines)
    assert f"{len(lines)} fault" in count
    assert {path: path.lstat().st_mtime_ns for path in Path(quick.root).rglob("*")} == before
    assert "made again" in remedy


def test_bytes_that_went_bad_on_the_disk_are_found(
    quick: Config,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Size, times and inode are as they were, so that only reading tells."""
    path = damages.files_of(folders(quick)["units"])[-1]
    monkeypatch.setattr(sidecar, "seen", lambda about: (about.st_size, 0, 0, 0))
    stages.run(quick)
    damages.flip(path, 99)
    assert not stages.chain(quick)[-1].waits
    whole, (line, *_) = check(quick, caplog)
    assert not whole
    assert stages.chain(quick)[-1].waits  # the remedy works: the next command makes it again
    assert line == f"{path}: other bytes than were written"


def test_several_damages_are_all_named(quick: Config, caplog: pytest.LogCaptureFixture) -> None:
    there = folders(quick)
    damages.EVERY["missing"](there["train"])
    damages.EVERY["cut to nothing"](there["extract"])
    damages.EVERY["a stray file"](there["extract"])
    damages.EVERY["manifest: zeros"](there["units"])
    whole, lines = check(quick, caplog)
    assert not whole
    assert "4 faults: 3 artefacts" in lines[-2]
    assert len(lines) == 4 + 2


def test_what_is_no_artefact_stops_nothing(quick: Config, caplog: pytest.LogCaptureFixture) -> None:
    root = Path(quick.root)
    (root / "train" / "notes.txt").write_text("mine")
    (root / "compare").write_text("mine")
    store.open_partial(store.locate(root, "units", "begun", "f" * 64), resume=False)
    assert check(quick, caplog)[0]
    (root / "train" / "a folder").mkdir()
    whole, (line, *_) = check(quick, caplog)
    assert not whole
    assert line == f"{root}/train/a folder/{store.MANIFEST}: missing"


def test_a_plan_of_a_check_reads_nothing(
    quick: Config,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    caplog.clear()
    monkeypatch.setattr("rnnscope.store.contents.of_file", None)
    assert checking.check(Path(quick.root), read=False)
    assert caplog.messages[0].endswith(" bytes to read")


def test_a_root_without_artefacts_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stage=check: there are no artefacts in root="):
        stages.check(tmp_path / "nowhere")


@pytest.mark.process
def test_the_command_says_by_its_status_whether_all_is_whole(quick: Config) -> None:
    def ran(*words: str) -> tuple[int, str, str]:
        words = ("-m", "rnnscope", f"root={quick.root}", "stage=check", *words)
        command = [forks.interpreter(), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    status, said, complained = ran()
    assert (status, complained) == (0, "")
    assert said.startswith("check      whole: 3 artefacts")
    damages.EVERY["missing"](folders(quick)["units"])
    status, said, complained = ran()
    assert (status, complained) == (1, "")
    assert ": missing\n" in said
    status, _, complained = ran("seed=0,1", "-m")
    assert status == 2
    assert complained.startswith("rnnscope: stage=check: covers all runs")


def test_check_is_no_stage_that_makes_an_artefact(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be one of .*, check$"):
        stages.chain(composed(tmp_path, "stage=chekc"))


@pytest.mark.parametrize("name", ["{}-backup", "digits-lstm64-s1-01234567"])
def test_a_copy_or_a_renamed_folder_is_named(
    name: str, quick: Config, caplog: pytest.LogCaptureFixture
) -> None:
    folder = folders(quick)["units"]
    shutil.copytree(folder, folder.with_name(name.format(folder.name)))
    whole, (line, *_) = check(quick, caplog)
    assert not whole
    assert f"a copy or renamed, it was made as units/{folder.name}" in line


@pytest.mark.parametrize("gone", [True, False])
def test_what_was_made_from_something_that_is_gone_or_another_is_named(
    gone: bool, quick: Config, caplog: pytest.LogCaptureFixture
) -> None:
    there = folders(quick)
    if gone:
        sidecar.beside(there["train"]).touch()  # what was verified of it outlives it
        shutil.rmtree(there["train"])
        word = r"was made from train [0-9a-f]{8}, which is gone"
    else:
        LUCK[0] = 1  # as training on a GPU, which gives other weights under the same key
        stages.run(dataclasses.replace(quick, stage="train", mode="force"))
        word = "was made from another train than there is now"
    whole, lines = check(quick, caplog)
    assert not whole
    assert [
        line for line in lines if re.search(f"{re.escape(str(there['extract']))}: {word}", line)
    ]
