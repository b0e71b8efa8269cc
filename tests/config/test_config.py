"""The schema, and every file of conf/ against it."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import DictConfig, OmegaConf

from rnnscope import config, stages
from rnnscope.errors import UserError
from rnnscope.stages.table import CHECK
from tests.compose import PROJECT

CONF = PROJECT / "conf"
GATE_CUTS = "a list of 2 rising values, each a number at least 0 and at most 1"


def choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


@functools.cache
def text(*overrides: str) -> str:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_yaml(hydra.compose("config", ["root=outputs", *overrides]))


def composed(*overrides: str, **values: Any) -> DictConfig:
    """What Hydra composes from conf/, then ``values``, with __ for each dot, known or not."""
    raw = OmegaConf.create(text(*overrides))
    assert isinstance(raw, DictConfig)
    for key, value in values.items():
        OmegaConf.update(raw, key.replace("__", "."), value, merge=False, force_add=True)
    return raw


def complaint(raw: DictConfig) -> str:
    with pytest.raises(UserError) as caught:
        config.load(raw)
    message = str(caught.value)
    assert "\n" not in message
    return message


def paths(group: str, choice: str) -> list[str]:
    """Something for each option that a kind must be given."""
    values: Any = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{choice}.yaml"))
    return [f"{group}.{name}=some/file" for name, value in values.items() if value == "???"]


def test_the_default_config_holds_what_the_yaml_says() -> None:
    loaded = config.load(composed())
    assert isinstance(loaded.data, config.Digits)
    assert isinstance(loaded.model, config.Lstm)
    assert loaded.units.gate_cuts == [0.1, 0.9]
    assert loaded.train.patience is None


@pytest.mark.parametrize("model", choices("model"))
@pytest.mark.parametrize("data", choices("data"))
def test_every_data_set_goes_with_every_model_and_both_set_exactly_their_options(
    data: str, model: str
) -> None:
    raw = composed(f"data={data}", f"model={model}", *paths("data", data), *paths("model", model))
    loaded = config.load(raw)
    assert (loaded.data.name, loaded.model.name) == (data, model)
    for group in ("data", "model"):
        fields = {field.name for field in dataclasses.fields(getattr(loaded, group))}
        assert fields == set(raw[group])


@pytest.mark.parametrize("group", config.KINDS)
def test_each_kind_has_one_file(group: str) -> None:
    assert choices(group) == sorted(config.KINDS[group])


def test_the_yaml_sets_every_option_of_the_plain_groups() -> None:
    raw = composed()
    loaded = config.load(raw)
    assert set(raw) == {field.name for field in dataclasses.fields(loaded)}
    plain = {"train", "extract", "report", "engine", *choices("analysis")}
    for group in plain:
        assert set(raw[group]) == {each.name for each in dataclasses.fields(getattr(loaded, group))}


@pytest.mark.parametrize("group", ["train", "extract", "report"])
def test_every_file_of_the_plain_groups_loads(group: str) -> None:
    for choice in choices(group):
        config.load(composed(f"{group}={choice}"))


def test_every_analysis_has_a_group_of_its_own_that_loads() -> None:
    raw = composed()
    for choice in choices("analysis"):
        config.load(composed(f"analysis@{choice}={choice}"))
        assert choice in raw


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_loads_and_changes_something(experiment: str) -> None:
    raw = composed(f"experiment={experiment}")
    if OmegaConf.is_missing(raw.data, "path"):
        raw.data.path = "some/file"
    loaded = config.load(raw)
    file = OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml")
    assert loaded != config.load(composed()) or OmegaConf.select(file, "hydra.sweeper.params")


def test_every_file_of_conf_is_tried_here() -> None:
    tried = {"data", "model", "train", "extract", "analysis", "report", "engine", "experiment"}
    found = {
        file.relative_to(CONF).parts[0] for file in CONF.rglob("*.yaml") if file.parent != CONF
    }
    assert found <= tried | {"hydra"}


def test_the_help_names_every_stage_and_mode() -> None:
    header = OmegaConf.load(CONF / "hydra/help/rnnscope.yaml").header
    modes = dataclasses.fields(config.Config)[1].metadata["choices"]
    assert f"stage=  {', '.join(stages.STAGES)};\n" in header
    assert f"over several runs: {', '.join(stages.OVER_RUNS)};\n" in header
    assert f"\n        {CHECK} reads " in header
    assert f"mode=   {', '.join(modes)}\n" in header


@pytest.mark.parametrize(
    ("values", "start", "there"),
    [
        ({"sead": 1}, "sead: ", ["seed", "train", "units"]),
        ({"train__stpes": 1}, "train.stpes: ", ["steps", "batch_size", "learning_rate"]),
        ({"units__gate_cut": 1}, "units.gate_cut: ", ["gate_cuts", "tanh_cuts"]),
        ({"extract__batch": 1}, "extract.batch: ", ["batch_size", "part_rows"]),
        ({"engine__threads": 1}, "engine.threads: ", ["workers"]),
        ({"data__path": "x"}, "data.path: ", ["test_fraction", "split_seed"]),
        ({"model__path": "x"}, "model.path: ", ["units", "layers", "forget_bias"]),
    ],
)
def test_a_mistyped_option_names_what_there_is(
    values: dict[str, Any], start: str, there: list[str]
) -> None:
    message = complaint(composed(**values))
    assert message.startswith(start)
    assert not [name for name in there if name not in message]


def test_an_option_of_another_kind_of_model_is_unknown() -> None:
    message = complaint(composed("model=gru", model__forget_bias=1.0))
    assert message.startswith("model.forget_bias: ")
    assert "belongs to model=lstm or model=tf1_checkpoint" in message
    assert "dropout" in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": "one"}, "seed=one: must be a whole number at least 0 and at most 4,294,967,295"),
        ({"seed": 1.5}, "seed=1.5: must be a whole number at least 0 and at most 4,294,967,295"),
        (
            {"train__steps": "abc"},
            "train.steps=abc: must be a whole number at least 0 and at most 1,000,000,000",
        ),
        (
            {"train__steps": True},
            "train.steps=true: must be a whole number at least 0 and at most 1,000,000,000",
        ),
        (
            {"train__learning_rate": "fast"},
            "train.learning_rate=fast: must be a number above 0 and at most 1,000",
        ),
        ({"train__restore_best": "maybe"}, "train.restore_best=maybe: must be true or false"),
        ({"model__bidirectional": "no way"}, "model.bidirectional=no way: must be true or false"),
        (
            {"model__units": "many"},
            "model.units=many: must be a whole number at least 1 and at most 100,000",
        ),
        (
            {"data__split_seed": "x"},
            "data.split_seed=x: must be a whole number at least 0 and at most 4,294,967,295",
        ),
        (
            {"units__gate_cuts": 0.3},
            f"units.gate_cuts=0.3: must be {GATE_CUTS}; a list is written [a,b]",
        ),
        ({"units__gate_cuts": ["a", 0.9]}, f"units.gate_cuts=[a, 0.9]: must be {GATE_CUTS}"),
        (
            {"engine__workers": "all"},
            "engine.workers=all: must be a whole number at least 1 and at most 1,024, or null",
        ),
    ],
)
def test_a_wrong_type_says_what_is_taken(values: dict[str, Any], message: str) -> None:
    assert complaint(composed(**values)) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"train__steps": -1},
            "train.steps=-1: must be a whole number at least 0 and at most 1,000,000,000",
        ),
        (
            {"train__learning_rate": 0},
            "train.learning_rate=0: must be a number above 0 and at most 1,000",
        ),
        (
            {"train__learning_rate": float("nan")},
            "train.learning_rate=nan: must be a number above 0 and at most 1,000",
        ),
        (
            {"train__learning_rate": float("inf")},
            "train.learning_rate=inf: must be a number above 0 and at most 1,000",
        ),
        (
            {"model__forget_bias": float("nan")},
            "model.forget_bias=nan: must be a number at least -1,000 and at most 1,000",
        ),
        (
            {"data__test_fraction": 0},
            "data.test_fraction=0: must be a number above 0 and below 1",
        ),
        (
            {"data__test_fraction": 1},
            "data.test_fraction=1: must be a number above 0 and below 1",
        ),
        ({"units__gate_cuts": [0.1, 1.01]}, f"units.gate_cuts=[0.1, 1.01]: must be {GATE_CUTS}"),
        ({"units__gate_cuts": [-0.01, 0.9]}, f"units.gate_cuts=[-0.01, 0.9]: must be {GATE_CUTS}"),
        ({"units__gate_cuts": [0.1]}, f"units.gate_cuts=[0.1]: must be {GATE_CUTS}"),
        (
            {"units__gate_cuts": [0.1, 0.5, 0.9]},
            f"units.gate_cuts=[0.1, 0.5, 0.9]: must be {GATE_CUTS}",
        ),
        (
            {"train__patience": 0},
            "train.patience=0: must be a whole number at least 1 and at most 1,000,000,000, "
            "or null",
        ),
        (
            {"extract__compression": "gzip"},
            "extract.compression=gzip: must be one of lz4, zstd, snappy, none",
        ),
        ({"mode": "dry"}, "mode=dry: must be one of run, plan, force"),
        ({"engine__name": "cloud"}, "engine.name=cloud: must be one of local, dask, dask_slurm"),
        (
            {"data__name": "images"},
            f"data.name=images: must be one of {', '.join(config.KINDS['data'])}",
        ),
        (
            {"model__name": "lstn"},
            f"model.name=lstn: must be one of {', '.join(config.KINDS['model'])}",
        ),
    ],
)
def test_a_value_out_of_range_says_the_range(values: dict[str, Any], message: str) -> None:
    assert complaint(composed(**values)) == message


@pytest.mark.parametrize(
    "values",
    [
        {"train__steps": 0},
        {"model__units": 1},
        {"data__validation_fraction": 0},
        {"data__test_fraction": 0.999},
        {"model__dropout": 0},
        {"units__gate_cuts": [0, 1]},
        {"units__tanh_cuts": [-1, 1]},
        {"units__dead_variance": 0},
        {"engine__workers": 1},
        {"train__patience": 1},
    ],
)
def test_bounds_that_count_as_inside_are_taken(values: dict[str, Any]) -> None:
    loaded = config.load(composed(**values))
    ((key, value),) = values.items()
    assert functools.reduce(getattr, key.split("__"), loaded) == value


@pytest.mark.parametrize("key", ["train__patience", "engine__workers"])
def test_null_stays_null_where_it_means_something(key: str) -> None:
    loaded = config.load(composed(**{key: None}))
    assert functools.reduce(getattr, key.split("__"), loaded) is None


def test_null_is_a_path_of_mnist() -> None:
    loaded = config.load(composed("data=mnist", data__path=None))
    assert config.files(loaded.data) == {}


@pytest.mark.parametrize(
    "key", ["stage", "root", "seed", "train__steps", "units__gate_cuts", "extract__compression"]
)
def test_null_is_refused_where_it_means_nothing(key: str) -> None:
    message = complaint(composed(**{key: None}))
    assert message.startswith(f"{key.replace('__', '.')}=")
    assert ": must be " in message


@pytest.mark.parametrize("group", ["model", "train"])
@pytest.mark.parametrize("value", [None, 5])
def test_a_value_in_place_of_a_group_is_a_mistake_of_the_users(group: str, value: Any) -> None:
    assert complaint(composed(**{group: value})).startswith(group)


def test_an_option_that_is_called_as_a_group_is_meant() -> None:
    says = complaint(composed(units=32))
    assert says.endswith(
        "units is a group of options, not one option; did you mean model.units=32?"
    )
    assert complaint(composed(train=5)).endswith("train is a group of options, not one option")


def test_options_below_an_option_that_is_no_group_are_a_mistake_of_the_users() -> None:
    assert complaint(composed(train__steps={"first": 3})).startswith("train.steps")


@pytest.mark.parametrize(("group", "choice"), [("data", "files"), ("model", "file")])
def test_a_missing_path_says_how_to_give_it(group: str, choice: str) -> None:
    message = complaint(composed(f"{group}={choice}"))
    assert message == f"{group}.path is not set: give {group}.path=..."


def test_files_are_the_paths_whose_content_counts() -> None:
    loaded = config.load(composed("data=files", "data.path=a/b.npz", "model=file", "model.path=c"))
    assert config.files(loaded.data) == {"path": Path("a/b.npz")}
    assert config.files(loaded.model) == {"path": Path("c")}
    assert config.files(loaded.train) == {}
