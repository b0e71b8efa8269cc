"""Options that contradict each other are refused by the chain, before anything runs."""

from pathlib import Path

import pytest

from rnnscope import stages
from rnnscope.errors import UserError
from tests.compose import composed

FILES = ("data=files", "data.path=a.npz", "model=file", "model.path=m.keras")
CONTRADICTIONS = (
    (["train.restore_best=true", "train.steps=0"], "train.restore_best=true: does not go with "),
    (["train.patience=2", "train.steps=0"], "train.patience=2: does not go with train.steps=0"),
    (["train.patience=2", "data.validation_fraction=0"], "data.validation_fraction=0 leaves none"),
    (
        ["train.steps=9", "train.checkpoints=[0,10]"],
        "train.checkpoints=[0, 10]: train.steps=9 ends",
    ),
    (["extract.checkpoint=5"], "train.checkpoints=null, those that are kept; give 'train.checkp"),
    (["extract.checkpoint=5", "train.checkpoints=[2,9]"], "give 'train.checkpoints=[2,5,9]'"),
    (["extract.checkpoint=5000"], "extract.checkpoint=5000: train.steps=1000 ends before it"),
    ([*FILES, "extract.checkpoint=5"], "extract.checkpoint=5: model=file is not trained here"),
    ([*FILES, "train.checkpoints=[5]"], "train.checkpoints=[5]: model=file is not trained here"),
    (["extract.signals=[z,r]"], "extract.signals=[z, r]: model=lstm has h, c, i, f, o, g"),
    (["extract.layers=gru"], "extract.layers: no 'gru'; there is lstm"),
    (["model.layers=2", "extract.layers=lstm"], "no 'lstm'; there is lstm_1, lstm_2"),
    (["model.bidirectional=true", "ablation.layers=lstm"], "is lstm.forward, lstm.backward"),
    (["extract.units=[64,70]"], "extract.units=[64, 70]: model.units=64, counted from 0"),
    (["extract.timesteps='5:2'"], "extract.timesteps=5:2: has no timestep"),
    (["extract.timesteps=':0'"], "extract.timesteps=:0: has no timestep"),
    (["population.timesteps='-2:-5'"], "population.timesteps=-2:-5: has no timestep"),
    (["extract.timesteps='0:3'", "decoding.timesteps='3:8'"], "decoding.timesteps=3:8: none of"),
    (["extract.timesteps='5:'", "population.timesteps=':5'"], "population.timesteps=:5: none of"),
    (["extract.signals=[h]", "units.signals=[h,c]"], "units.signals: no 'c'; there is h"),
    (["units.signals=[z]"], "units.signals: no 'z'; there is h, c, i, f, o, g"),
    (["decoding.layers=[a]"], "decoding.layers: no 'a'; there is lstm"),
    ([*FILES, "extract.layers=[a,b]", "units.layers=[c]"], "units.layers: no 'c'; there is a, b"),
    (["decoding.folds=10", "decoding.max_sequences=9"], "decoding.max_sequences=9: fewer than "),
    (["ablation.units=[64]"], "ablation.units=[64]: there are 64, from 0 to 63"),
    (["model=gru", "ablation.methods=[c_zero]"], "model=gru has no c to clamp"),
    (
        ["stage=intervention", "intervention.layers=gru"],
        "intervention.layers: no 'gru'; there is lstm",
    ),
    (
        ["stage=intervention", "intervention.units=[64]"],
        "intervention.units=[64]: there are 64, from 0 to 63",
    ),
    (
        ["stage=intervention", "model=gru", "intervention.states=[c]"],
        "intervention.states=[c]: model=gru has h, z, r, g",
    ),
    (
        ["stage=intervention", "intervention.groups=[1+3,2,3+1]"],
        "intervention.groups: 1+3 and 3+1 are the same units",
    ),
    (
        [*FILES, "stage=intervention", "intervention.groups=[2+2]"],
        "intervention.groups: 2+2 names a unit twice",
    ),
    (["fixed_points.layers=gru"], "fixed_points.layers: no 'gru'; there is lstm"),
    (["data=text", "data.path=a.txt", "data.split_seed=3"], "data.split_seed=3: has no effect on "),
    (["fixed_points.tolerance=1e-5"], "fixed_points.slow_tolerance=1e-06: below fixed_points.tol"),
    ([*FILES, "data.stride=2"], "data.stride=2: needs data.window"),
    ([*FILES, "data.horizon=2"], "data.horizon=2: needs data.window"),
    ([*FILES, "data.window=9", "data.layout=wide"], "does not go with data.layout=wide"),
    ([*FILES, "data.test_path=./a.npz"], "data.test_path=./a.npz: is data.path itself"),
    ([*FILES, "data.groups=a", "data.annotations=[a]"], "data.groups=a: is in data.annotations"),
)
"""Overrides, and what refuses them says."""


@pytest.mark.parametrize(("words", "says"), CONTRADICTIONS)
def test_contradictions_are_refused_in_one_line(words: list[str], says: str) -> None:
    with pytest.raises(UserError) as caught:
        stages.chain(composed(Path("nowhere"), *words))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("stage=train", "extract.signals=[z]"),
        ("stage=extract", "units.layers=[a]"),
        ("extract.signals=[h,c,z,r]",),
        ("extract.units=[0,100]",),
        ("extract.timesteps='-5:-2'",),
        ("extract.timesteps='2:-2'", "decoding.timesteps='0:5'"),
        ("extract.timesteps='::2'", "decoding.timesteps=last"),
        ("model=gru", "ablation.methods=[h_zero,c_zero]"),
        ("model.bidirectional=true", "extract.layers=[lstm.backward]"),
        ("model.layers=2", "ablation.layers=[lstm_2]"),
        ("train.steps=0",),
        ("train.steps=0", "train.checkpoints=[0]", "extract.checkpoint=0"),
        ("stage=train", "extract.checkpoint=5"),
    ],
)
def test_what_may_be_right_and_what_concerns_no_stage_is_taken(words: tuple[str, ...]) -> None:
    assert stages.chain(composed(Path("nowhere"), *words))
