"""What a stage reads is replaced while it runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnscope import stages, store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import running
from rnnscope.store.inputs import Inputs
from tests.compose import composed
from tests.stages.test_stages import a_file, own_data, ready

Run = Callable[[Config, Inputs, Path], dict[str, Any]]


def runs(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Every stage that has to run is this function."""
    monkeypatch.setattr(running, "_imported", lambda _: (run, {}))


@pytest.mark.parametrize("fails", [False, True])
def test_data_that_changes_while_it_is_read_is_refused_and_nothing_is_kept(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = a_file(tmp_path, "mine.npz")
    config = own_data(tmp_path / "root", data, "stage=train")

    def run(config: Config, inputs: Inputs, folder: Path) -> dict[str, Any]:
        (folder / "made").touch()
        data.write_bytes(b"abd")
        if fails:
            raise OSError("half of the file is new")
        return {"headline": {}}

    runs(monkeypatch, run)
    with pytest.raises(UserError) as caught:
        stages.run(config)
    assert str(caught.value) == f"data.path={data}: changed while it was being read; run again"
    assert list((tmp_path / "root" / "train").iterdir()) == []


def test_a_model_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = a_file(tmp_path, "mine.keras")
    config = composed(tmp_path / "root", "stage=extract", "model=file", f"model.path={model}")

    def run(config: Config, inputs: Inputs, folder: Path) -> dict[str, Any]:
        model.unlink()
        return {"headline": {}}

    runs(monkeypatch, run)
    with pytest.raises(UserError, match=f"^model.path={model}: changed while it was being read"):
        stages.run(config)


@pytest.mark.parametrize("fails", [False, True])
def test_a_stage_runs_again_if_what_it_reads_was_replaced_meanwhile(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ready(tmp_path)
    extract = stages.chain(config)[-2].artefact
    calls = []

    def run(config: Config, inputs: Inputs, folder: Path) -> dict[str, Any]:
        assert list(folder.iterdir()) == []
        (folder / "made").touch()
        calls.append(folder)
        if len(calls) == 1:
            manifest = extract.manifest()
            with store.claim(extract) as holder:
                other = store.open_partial(extract, holder, resume=False)
                (other / "new").touch()
                store.commit(extract, manifest, holder, replace=True)
            if fails:
                raise FileNotFoundError(inputs.folders["extract"] / "lstm")
        return {"headline": {}}

    runs(monkeypatch, run)
    step = stages.run(config)[-1]
    assert step.artefact.finished
    assert len(calls) == 2


def test_a_stage_that_lost_its_lock_says_so_whatever_else_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ready(tmp_path)
    units = stages.chain(config)[-1].artefact

    def run(config: Config, inputs: Inputs, folder: Path) -> dict[str, Any]:
        units.lock.write_text("another-host:1:abc")
        raise FileNotFoundError("a folder that the other one took")

    runs(monkeypatch, run)
    with pytest.raises(store.LostLockError, match="process 1 on another-host took it over"):
        stages.run(config)
    assert units.lock.read_text() == "another-host:1:abc"
