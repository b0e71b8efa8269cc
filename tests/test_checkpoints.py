"""Training that keeps the model after some of its steps, and the states of these models."""

from pathlib import Path

import pandas as pd
import pytest

from rnnscope import stages, states, store
from rnnscope.errors import UserError
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

SMALL = (
    *("train.steps=12", "train.validate_every=5", "train.batch_size=16", "model.units=3"),
    *("model.dropout=0.3", "data.test_fraction=0.02", "units.permutations=2", "ablation.units=[0]"),
)
KEPT = "train.checkpoints=[0,7,12]"
TIMES = {"step-0000000.keras": 0, "step-0000007.keras": 7, "step-0000012.keras": 12}


def made(root: Path, stage: str, *overrides: str) -> Path:
    """The folder of a stage's artefact, after it was brought up to date."""
    config = composed(root, *SMALL, f"stage={stage}", *overrides)
    return stages.run(config, single=False)[-1].artefact.folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tensorflow: None) -> Path:
    """A root with a training that kept three models, and trainings of so many steps."""
    root = tmp_path_factory.mktemp("outputs")
    made(root, "train", KEPT)
    for steps in TIMES.values():
        made(root, "train", f"train.steps={steps}")
    return root


def test_a_checkpoint_is_the_file_that_so_many_steps_leave(root: Path) -> None:
    """Weights, the state of the optimizer and the streams of dropout, bit for bit."""
    kept = made(root, "train", KEPT)
    assert {path.name for path in kept.glob("step-*")} == set(TIMES)
    for name, steps in TIMES.items():
        alone = made(root, "train", f"train.steps={steps}")
        assert (kept / name).read_bytes() == (alone / "model.keras").read_bytes(), steps
    assert store.read_manifest(kept)["checkpoints"] == list(TIMES.values())


def test_what_is_trained_is_the_same_with_checkpoints_and_without(root: Path) -> None:
    kept, bare = made(root, "train", KEPT), made(root, "train")
    files = sorted(path.relative_to(bare) for path in bare.rglob("*") if path.is_file())
    assert len(files) == 5
    for file in files:
        if file.name != store.MANIFEST:
            assert (kept / file).read_bytes() == (bare / file).read_bytes(), file
    assert "checkpoints" not in store.read_manifest(bare)


def test_the_states_are_those_of_a_training_of_so_many_steps(root: Path) -> None:
    seen = set()
    for steps in TIMES.values():
        of_step = made(root, "extract", KEPT, f"extract.checkpoint={steps}")
        last = (KEPT,) if steps == 12 else (f"train.steps={steps}",)
        alone = made(root, "extract", *last)
        for signal in "hcifog":
            found = states.read_states(of_step, signal)
            pd.testing.assert_frame_equal(found, states.read_states(alone, signal))
        tables = [states.read_sequences(folder) for folder in (of_step, alone)]
        pd.testing.assert_frame_equal(*tables)
        seen.add(found.to_numpy().tobytes())
    assert len(seen) == len(TIMES)
    assert len(list((root / "train").glob("[!.]*"))) == 1 + len(TIMES)  # trained once for all


@pytest.mark.slow
def test_all_later_stages_are_of_the_chosen_model(root: Path) -> None:
    picked = KEPT, "extract.checkpoint=7"
    page = made(root, "report", *picked)
    assert page.name.startswith("digits-lstm3-s0-step7-")
    assert "as it\nwas after step 7 of 12" in (page / "report.html").read_text()
    assert "recorded, step 7" in (page / "report.html").read_text()
    alone = ("train.steps=7",)
    assert "was after step" not in (made(root, "report", *alone) / "report.html").read_text()
    for name in ("units", "population", "decoding", "ablation", "importance"):
        stage = {"importance": "ablation"}.get(name, name)
        files = [made(root, stage, *of) / f"{name}.parquet" for of in (picked, alone)]
        pd.testing.assert_frame_equal(*map(pd.read_parquet, files))
    last = store.read_manifest(made(root, "ablation", KEPT))["baseline"]
    assert store.read_manifest(made(root, "ablation", *picked))["baseline"] != last


def test_runs_at_several_steps_are_told_apart(root: Path) -> None:
    for step in (0, 7, "null"):
        made(root, "units", KEPT, f"extract.checkpoint={step}")
    made(root, "units")
    folder = made(root, "collect", "collect.runs=digits-lstm3-s0*")
    runs = pd.read_parquet(folder / "runs.parquet")
    assert runs["extract.checkpoint"].dtype == "Int64"
    by_key = runs.set_index("units_key")["extract.checkpoint"]
    for step in (0, 7):
        key = store.read_manifest(made(root, "units", KEPT, f"extract.checkpoint={step}"))["key"]
        assert by_key[key] == step
    assert by_key.isna().sum() >= 2
    units = pd.read_parquet(folder / "units.parquet")
    assert {"train.checkpoints", "extract.checkpoint"} <= set(units)
    assert units["extract.checkpoint"].isna().any()


def test_without_these_options_keys_are_those_of_before(tmp_path: Path) -> None:
    """And a list of checkpoints is part of what the artefact holds, so that it trains again."""
    train, extract = stages.chain(composed(tmp_path, "stage=extract"))
    assert "checkpoints" not in train.slice["train"]
    assert "checkpoint" not in extract.slice["extract"]
    other, picked = stages.chain(composed(tmp_path, "stage=extract", KEPT, "extract.checkpoint=7"))
    assert other.slice["train"] == train.slice["train"] | {"checkpoints": [0, 7, 12]}
    assert picked.slice["extract"] == extract.slice["extract"] | {"checkpoint": 7}
    assert other.artefact.key != train.artefact.key
    assert other.artefact.folder.name.startswith("digits-lstm64-s0-")
    assert picked.artefact.folder.name.startswith("digits-lstm64-s0-step7-")


def test_what_early_stopping_does_not_reach_is_said_and_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stops = (
        *("train.learning_rate=0.5", "train.steps=400", "train.patience=2"),
        *("train.restore_best=true", "train.checkpoints=[0,5,399,400]"),
    )
    folder = made(tmp_path, "train", *stops)
    last = store.read_manifest(folder)["headline"]["steps"]
    assert last < 399
    said = f"training stopped early, at step {last}: it has no checkpoint of 399, 400"
    assert said in caplog.text
    assert store.read_manifest(folder)["checkpoints"] == [0, 5]
    with pytest.raises(UserError) as caught:
        made(tmp_path, "extract", *stops, "extract.checkpoint=399")
    assert "extract.checkpoint=399: training stopped early" in str(caught.value)
    assert str(caught.value).endswith("it has 0, 5")
    made(tmp_path, "extract", *stops, "extract.checkpoint=5")
