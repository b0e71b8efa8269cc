"""Targets that earlier stages found, from their artefacts to the table."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from rnnscope import stages, store
from rnnscope.analysis.intervention.plan import blocks
from rnnscope.analysis.intervention.targets import Target
from rnnscope.analysis.intervention.windows import Window
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages.chain import chain
from tests.analysis.intervention import held
from tests.analysis.intervention.held import TIMESTEPS, UNITS
from tests.compose import composed

COUNT = 60
FEW = ("decoding.folds=2", "decoding.memory_lags=null", "decoding.generalise=false")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, tensorflow: None) -> Path:
    """A model with two units that are the same, and data with an annotation."""
    folder = tmp_path_factory.mktemp("mine")
    model = held.network(keras.layers.LSTM(UNITS, name="lstm"))
    kernel, recurrent, bias, readout = model.get_weights()
    for weights in (kernel, recurrent, bias):  # unit 3 as unit 1
        weights.reshape(-1, 4, UNITS)[:, :, 3] = weights.reshape(-1, 4, UNITS)[:, :, 1]
    model.set_weights([kernel, recurrent, bias, readout])
    given = held.classified(model, held.arrays(COUNT))
    sums = {f"sum_{part}": given[f"x_{part}"][..., 0].cumsum(1) for part in ("train", "test")}
    np.savez(folder / "data.npz", **given | sums)
    model.save(folder / "model.keras")
    return folder


def config(mine: Path, root: Path, *overrides: str) -> Config:
    return composed(
        root,
        "stage=intervention",
        *("model=file", f"model.path={mine / 'model.keras'}"),
        *("data=files", f"data.path={mine / 'data.npz'}", "data.annotations=[sum]"),
        "intervention.units=[]",
        *FEW,
        *overrides,
    )


def run(made: Config) -> tuple[dict[str, Path], pd.DataFrame]:
    """The folders of the stages, and the table."""
    folders = {step.stage.name: step.artefact.folder for step in stages.run(made)}
    return folders, pd.read_parquet(folders["intervention"] / "intervention.parquet")


@pytest.mark.tensorflow
def test_the_stage_needs_only_what_its_options_ask_for(mine: Path, tmp_path: Path) -> None:
    def needed(*overrides: str) -> list[str]:
        return [step.stage.name for step in chain(config(mine, tmp_path, *overrides))]

    assert needed("intervention.groups=[0+1]") == ["extract", "intervention"]
    assert needed("intervention.groups=[clusters]") == ["extract", "population", "intervention"]
    assert needed("intervention.decoded=[label]") == ["extract", "decoding", "intervention"]

    def key(*overrides: str) -> str:
        return chain(config(mine, tmp_path, *overrides))[-1].artefact.key

    both = "intervention.groups=[clusters,0+1]", "intervention.decoded=[label]"
    assert key(*both) != key(*both, "decoding.penalty=2")
    assert key(*both) != key(*both, "population.redundant=0.8")
    assert key(both[1]) == key(both[1], "population.redundant=0.8")
    assert key(both[0]) == key(both[0], "decoding.penalty=2")


@pytest.mark.tensorflow
def test_clusters_are_those_of_the_layer_and_state(mine: Path, tmp_path: Path) -> None:
    folders, table = run(
        config(
            mine,
            tmp_path,
            "intervention.groups=[clusters,1+3]",
            "intervention.methods=[zero]",
            "intervention.states=[h,c,f]",
            "population.signals=[h,c]",
            "population.redundant=0.999",
        )
    )
    pairs = pd.read_parquet(folders["population"] / "correlation.parquet").dropna(subset="cluster")
    assert set(pairs[["unit", "other"]].itertuples(index=False, name=None)) == {(1, 3)}
    of_h = table[table["state"] == "h"]
    assert of_h["target"].unique().tolist() == ["1+3", "cluster 0"]
    assert table["unit"].isna().all()
    names = ["state", "method", "start", "loss", "loss_change", "output_change"]
    by_numbers = table[(table["target"] == "1+3") & (table["state"] != "f")][names]
    by_cluster = table[table["target"] == "cluster 0"][names]
    pd.testing.assert_frame_equal(
        by_numbers.reset_index(drop=True), by_cluster.reset_index(drop=True), rtol=1e-6
    )
    left_out = store.read_manifest(folders["intervention"])["left_out"]
    assert list(left_out) == ["clusters of lstm/f"]
    assert "no clusters of redundant units" in left_out["clusters of lstm/f"]


@pytest.mark.tensorflow
def test_directions_of_decoders_are_those_of_their_weights(mine: Path, tmp_path: Path) -> None:
    """Each row as the float64 equations have it, along the weights of the nearest decoder."""
    folders, table = run(
        config(
            mine,
            tmp_path,
            "intervention.decoded=[label:2,label,sum]",
            "intervention.methods=[add,patch]",
            "intervention.windows=[each,2:5]",
            "decoding.timesteps=::2",
            "intervention.add=0.8",
        )
    )
    named = [*(f"label:{label}" for label in (2, 0, 1)), "sum"]
    names = [f"{kind} {name}" for name in named for kind in ("decoder", "pattern")]
    assert table["target"].unique().tolist() == names
    assert not table.duplicated(["state", "target", "method", "start", "stop"]).any()
    assert len(table) == 2 * 8 * 3 * (TIMESTEPS + 1)
    window = table[["start", "stop"]].drop_duplicates().itertuples(index=False, name=None)
    nearest = {(0, 1): 0, (1, 2): 0, (2, 3): 2, (3, 4): 2, (4, 5): 4, (2, 5): 2}
    assert {*window} == {*nearest}
    weights = pd.read_parquet(folders["decoding"] / "decoder_weights.parquet")
    given = dict(np.load(mine / "data.npz"))
    *own, kernel = keras.models.load_model(mine / "model.keras").get_weights()
    free, labels = held.lstm(own, given["x_test"]), given["y_test"]
    base = held.losses(free["h"][-1] @ kernel, labels)
    assert (table["decoder_timestep"] >= 0).all()
    for row in table[table["method"] == "add"].itertuples():
        at = nearest[row.start, row.stop]
        assert row.decoder_timestep == at
        kind, _, name = row.target.partition(" ")
        target, _, label = name.partition(":")
        chosen = weights[(weights["signal"] == row.state) & (weights["timestep"] == at)]
        chosen = chosen[chosen["target"] == target]
        if label:
            chosen = chosen[chosen["label"] == int(label)]
        along = chosen.sort_values("unit")[
            {"decoder": "weight", "pattern": "pattern"}[kind]
        ].to_numpy(np.float64)
        assert len(along) == UNITS
        along /= np.linalg.norm(along)
        rows = free[row.state].reshape(-1, UNITS)
        step = 0.8 * (rows @ along).std(ddof=1) * along
        hold = held.within((row.start, row.stop), row.state, lambda _, now, __, s=step: now + s)
        found = held.losses(held.lstm(own, given["x_test"], hold)["h"][-1] @ kernel, labels)
        assert row.loss_change == pytest.approx((found - base).mean(), abs=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            ["intervention.decoded=[depth]"],
            r"intervention\.decoded: depth: stage decoding has decoders of label, sum, and of "
            r"classes label:0 to label:2",
        ),
        (["intervention.decoded=['label:3']"], r"intervention\.decoded: label:3: .*label:2"),
        (
            ["intervention.decoded=[sum]", "decoding.signals=[h]", "intervention.states=[c]"],
            r"has decoders of sum in lstm/h, none of them among",
        ),
        (
            ["intervention.decoded=[label]", "decoding.timesteps=last"],
            r"intervention\.decoded=\[label\]: .* decoding\.timesteps=last has none",
        ),
        (
            ["intervention.groups=[clusters]", "population.redundant=1", "intervention.states=[f]"],
            r"there is nothing to change; clusters of lstm/f: no clusters of redundant units",
        ),
    ],
)
def test_what_earlier_stages_have_not_found_is_refused(
    overrides: list[str], says: str, mine: Path, tmp_path: Path
) -> None:
    if "population.redundant=1" in overrides:
        overrides.append("population.signals=[h]")
    with pytest.raises(UserError, match=says):
        stages.run(config(mine, tmp_path, *overrides))


def test_a_window_has_the_decoder_that_was_fitted_nearest_to_its_middle() -> None:
    def fitted(name: str, *timesteps: int) -> list[Target]:
        return [Target(name, np.array([1.0, 0.0]), at) for at in timesteps]

    unit = Target("0", np.array([True, False]))
    some: dict[Any, Any] = {("a", "h"): [unit, *fitted("one", 7, 0, 3), *fitted("two", 4)]}
    windows = [Window(0, 1), Window(1, 3), Window(2, 3), Window(4, 7), Window(5, 6), Window(0, 9)]
    planned = blocks({"a": ["h"]}, ["zero"], some, {"a": windows})
    rows = [row for block in planned for row in block.rows()]
    assert [block.first for block in planned] == [0, 6, 10]
    assert [row.window for row in rows[:6]] == windows
    found = {row.window: row.target.timestep for row in rows if row.target.name == "one"}
    # 1.5 is as near to 0 as to 3, and 5 to 3 as to 7: the earlier one.
    assert found == dict(zip(windows, [0, 0, 3, 3, 3, 3], strict=True))
    assert all(row.target.timestep == 4 for row in rows if row.target.name == "two")
    assert len(rows) == 3 * len(windows)
