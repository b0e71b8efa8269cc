"""The schema of the configuration: each option's meaning, unit and range. Its values live in conf/.

A field's text stands right under it. ``load`` turns what Hydra composed into these dataclasses,
and says in one line what does not fit.
"""

import dataclasses
import math
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from pipeline.errors import UserError


def option(
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    length: int | None = None,
    file: bool = False,
) -> Any:
    """Declare a field with its range: low <= value <= high, above < value < below, or choices.

    ``length`` is the number of values in a list; ``file`` marks a path whose content counts.
    """
    metadata = {key: value for key, value in locals().items() if value is not None}
    return dataclasses.field(default=MISSING, metadata=metadata)


@dataclass
class Data:
    """What every data set has."""

    name: str = option()
    validation_fraction: float = option(low=0, below=1)
    """Share of the training sequences held out for validation where the data brings none."""
    split_seed: int = option(low=0)
    """Seed of that split; apart from the run's seed, so that runs share their test sequences."""


@dataclass
class Digits(Data):
    """scikit-learn's 1,797 digits, row by row: 8 timesteps of 8 features in [0, 1]."""

    test_fraction: float = option(above=0, below=1)
    """Share of all digits that is the test set."""


@dataclass
class Mnist(Data):
    """MNIST row by row: 28 timesteps of 28 features in [0, 1]."""

    path: str | None = option(file=True)
    """The data in Keras' mnist.npz form; null lets Keras download it."""


@dataclass
class Files(Data):
    """Sequences of the user's own."""

    path: str = option(file=True)
    """.npz with x_train, y_train, x_test, y_test and optionally x_val, y_val, lengths_train, ...;
    or .parquet or .csv with columns sequence, timestep, split, label; the rest are features."""


@dataclass
class Model:
    """What every model has."""

    name: str = option()


@dataclass
class Recurrent(Model):
    """A stack of recurrent layers, read out linearly from the last valid timestep."""

    units: int = option(low=1)
    """Units per layer and direction."""
    layers: int = option(low=1)
    """Recurrent layers, one on top of the other."""
    bidirectional: bool = option()
    """Whether each layer also reads its input backwards."""
    dropout: float = option(low=0, below=1)
    """Share of each layer's inputs dropped in training."""


@dataclass
class Lstm(Recurrent):
    """Long short-term memory."""

    forget_bias: float = option()
    """Initial bias of the forget gate, before its sigmoid."""


@dataclass
class ModelFile(Model):
    """A trained Keras model of the user's own."""

    path: str = option(file=True)
    """A .keras file."""


@dataclass
class Train:
    """Stage train: Adam on the cross-entropy of the classes."""

    steps: int = option(low=0)
    """Optimizer steps, one batch each; 0 keeps the network untrained."""
    batch_size: int = option(low=1)
    """Sequences per step."""
    learning_rate: float = option(above=0)
    """Adam's learning rate."""
    validate_every: int = option(low=1)
    """Steps between two rows of the history, and between two validations."""
    patience: int | None = option(low=1)
    """Stop after this many validations without a lower validation loss; null never stops early."""
    restore_best: bool = option()
    """Keep the weights with the lowest validation loss instead of the last."""


@dataclass
class Extract:
    """Stage extract: every signal of every recurrent layer over the test split."""

    batch_size: int = option(low=1)
    """Sequences per forward pass."""
    part_rows: int = option(low=1)
    """Timesteps per part, padding included: the unit of work, of resumption and of memory."""
    tolerance: float = option(above=0)
    """Largest residual of the proof that is accepted, in the signals' own unit."""
    compression: str = option(choices=("lz4", "zstd", "snappy", "none"))
    """Parquet codec; lz4 is fastest, zstd about a tenth smaller."""


@dataclass
class Units:
    """Stage units: statistics of each unit of each signal."""

    gate_cuts: list[float] = option(low=0, high=1, length=2)
    """Gates i, f, o, z, r: left-saturated below the first, right-saturated above the second."""
    tanh_cuts: list[float] = option(low=-1, high=1, length=2)
    """Signals h and g, likewise."""
    dead_variance: float = option(low=0)
    """A unit whose variance is below this is dead."""
    memory_mb: int = option(low=1)
    """Memory for exact quantiles, in MB over all workers; past it a histogram of 4,096 bins."""


@dataclass
class Engine:
    """Where parts run. Never part of a result's identity."""

    name: str = option(choices=("local",))
    workers: int | None = option(low=1)
    """Threads; null means one per core."""


@dataclass
class Config:
    """The whole configuration of one run."""

    stage: str = option()
    """The stage to bring up to date, with what is missing before it."""
    mode: str = option(choices=("run", "plan", "force"))
    """run what is missing; plan says what would run, and why; force runs the stage again."""
    seed: int = option(low=0)
    """Seed of the initial weights, of dropout and of the order of the batches."""
    root: str = option()
    """Folder of everything written."""
    data: Data = option()
    model: Model = option()
    train: Train = option()
    extract: Extract = option()
    units: Units = option()
    engine: Engine = option()


KINDS: dict[str, dict[str, type]] = {
    "data": {"digits": Digits, "mnist": Mnist, "files": Files},
    "model": {"lstm": Lstm, "gru": Recurrent, "simple_rnn": Recurrent, "file": ModelFile},
}
"""For the groups that come in kinds, the schema of each."""


def load(raw: DictConfig) -> Config:
    """Turn a composed config into the schema's dataclasses.

    Raises:
        UserError: an unknown option, a wrong type, or a value out of range; with its key, the
            value, and what is allowed.
    """
    schema = OmegaConf.structured(Config)
    for name, kind in typing.get_type_hints(Config).items():
        if dataclasses.is_dataclass(kind):
            schema[name] = OmegaConf.structured(kind)
            if not isinstance(raw.get(name), DictConfig):
                raise UserError(f"{name}={raw.get(name)}: must be a group of options")
    for group, kinds in KINDS.items():
        name = OmegaConf.select(raw, f"{group}.name")
        if name not in kinds:
            raise UserError(f"{group}.name={name}: must be one of {', '.join(kinds)}")
        schema[group] = OmegaConf.structured(kinds[name])
    try:
        config = OmegaConf.to_object(OmegaConf.merge(schema, raw))
    except ConfigKeyError as error:
        raise UserError(unknown(str(error.full_key), schema)) from error
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is not set: give {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        key = str(error.full_key).partition("[")[0]  # an entry of a list speaks for the list
        value = OmegaConf.select(raw, key)
        raise UserError(f"{key}={value}: must be {_allowed(*_find(schema, key))}") from error
    assert isinstance(config, Config)
    _check(config)
    return config


def unknown(key: str, schema: Any) -> str:
    """Say that ``key`` is no option, and which ones stand in its place."""
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(schema, parent) if parent else schema
    if not isinstance(node, DictConfig):
        return unknown(parent, schema)
    where = parent or "the config"
    return f"{key}: no option '{leaf}' in {where}; it has {', '.join(sorted(map(str, node)))}"


def files(section: Any) -> dict[str, Path]:
    """The files that a section of the config names: field -> path."""
    return {
        field.name: Path(getattr(section, field.name))
        for field in dataclasses.fields(section)
        if field.metadata.get("file") and getattr(section, field.name) is not None
    }


def _find(schema: DictConfig, key: str) -> tuple[dataclasses.Field[Any], Any]:
    """The dataclass field that a dotted key names, and its type."""
    parent, _, leaf = key.rpartition(".")
    owner = OmegaConf.get_type(OmegaConf.select(schema, parent) if parent else schema)
    assert owner is not None
    field = next(field for field in dataclasses.fields(owner) if field.name == leaf)
    return field, typing.get_type_hints(owner)[leaf]


def _check(section: Any, prefix: str = "") -> None:
    """Raise UserError for the first value out of its range."""
    hints = typing.get_type_hints(type(section))
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            _check(value, f"{prefix}{field.name}.")
        elif not _fits(value, field.metadata):
            allowed = _allowed(field, hints[field.name])
            raise UserError(f"{prefix}{field.name}={value}: must be {allowed}")


def _fits(value: Any, rule: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, list):
        scalar = {key: bound for key, bound in rule.items() if key != "length"}
        return len(value) == rule.get("length", len(value)) and all(
            _fits(each, scalar) for each in value
        )
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (
        ("low" not in rule or value >= rule["low"])
        and ("high" not in rule or value <= rule["high"])
        and ("above" not in rule or value > rule["above"])
        and ("below" not in rule or value < rule["below"])
        and ("choices" not in rule or value in rule["choices"])
    )


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _allowed(field: dataclasses.Field[Any], hint: Any) -> str:
    """What a field takes, in words."""
    rule = field.metadata
    if "choices" in rule:
        return f"one of {', '.join(rule['choices'])}"
    kinds = typing.get_args(hint) or (hint,)
    base = next((kind for kind in kinds if kind in _WORDS), None)
    text = "a group of options" if base is None else _WORDS[base]
    if typing.get_origin(hint) is list:
        text = f"a list of {rule.get('length', 'any number of')} values, each {text}"
    bounds = [
        f"{word} {rule[key]:g}"
        for key, word in (
            ("low", "at least"),
            ("above", "above"),
            ("high", "at most"),
            ("below", "below"),
        )
        if key in rule
    ]
    text = " ".join([text, " and ".join(bounds)]).strip()
    return f"{text}, or null" if type(None) in kinds else text
