"""The schema of the configuration: each option's meaning, unit and range. Its values live in conf/.

A field's text stands right under it. ``load`` turns what Hydra composed into these dataclasses,
and says in one line what does not fit.
"""

import dataclasses
import itertools
import math
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from pipeline import custom
from pipeline.errors import UserError


def option(
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    length: int | None = None,
    rising: bool = False,
    pattern: str | None = None,
    file: bool = False,
    module: bool = False,
) -> Any:
    """Declare a field with its range: low <= value <= high, above < value < below, or choices.

    ``length`` is the number of values in a list, ``rising`` whether each must be above the one
    before, ``pattern`` what a text must match; ``file``
    marks a path whose content counts, ``module`` a Python module whose source does.
    """
    metadata = {key: value for key, value in locals().items() if value is not None}
    return dataclasses.field(default=MISSING, metadata=metadata)


@dataclass
class Data:
    """What every data set has."""

    name: str = option()
    validation_fraction: float = option(low=0, below=1)
    """Share of the training sequences held out for validation where the data brings none."""
    split_seed: int = option(low=0, high=2**32 - 1)
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
    """.npz, or a folder of .npy, with x_train, y_train, x_test, y_test and optionally x_val, y_val,
    lengths_train, ..., and x_<input>_train, ... for a model of several inputs; or .parquet, or a
    folder of them, or .csv with columns sequence, timestep, split, label; the rest are features."""


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
class Trained(Model):
    """A model that was trained elsewhere: nothing is trained here."""

    path: str = option(file=True)
    """Where it is; the form depends on the kind."""


@dataclass
class ModelFile(Trained):
    """A trained Keras model of the user's own: a .keras file, or an .h5 file, also of Keras 2."""

    custom_objects: str | None = option(module=True)
    """Python module with the classes and functions that the model is made of beyond Keras' own,
    such as package.module; it is imported, so its code runs. Null imports nothing."""


@dataclass
class Tf1Checkpoint(Trained):
    """LSTM cells of TensorFlow 1: BasicLSTMCell, LSTMCell, alone, stacked or in two directions.

    The path is the prefix of the checkpoint's files, its .index file, or the folder they are in.
    """

    forget_bias: float = option()
    """What the cell adds to the forget gate before its sigmoid, at run time and in no checkpoint;
    TensorFlow 1 adds 1 unless told otherwise."""
    readout: str | None = option()
    """Variable [U, K] that maps h to the K classes; null finds it where there is but one."""
    readout_bias: str | None = option()
    """Variable [K] that is added to it; null finds it, or does without where there is none."""
    readout_from: str = option(choices=("state", "output"))
    """Of two directions: state reads each one's h after its own last step; output reads both at
    the last timestep of the input, where the backward one has read one step only."""


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
    dtype: str = option(choices=("float32", "float16"))
    """Of the stored values; float16 is refused where a value exceeds 2,048."""
    layers: list[str] | None = option()
    """Which recurrent layers to write, by name; null means all."""
    signals: list[str] | None = option()
    """Which signals, of those that a layer has: h, c, i, f, o, g, z, r, s0, ...; null means all."""
    units: list[int] | None = option(low=0)
    """Which units, from 0; null means all."""
    timesteps: str = option(pattern=r"all|last|-?\d*:-?\d*(:\d+)?")
    """Which timesteps: all, last, or a slice such as 0:10 or ::2."""
    max_sequences: int | None = option(low=1)
    """Only the first so many test sequences; null means all."""


@dataclass
class Units:
    """Stage units: statistics of each unit of each signal."""

    gate_cuts: list[float] = option(low=0, high=1, length=2, rising=True)
    """Gates i, f, o, z, r: left-saturated below the first, right-saturated above the second."""
    tanh_cuts: list[float] = option(low=-1, high=1, length=2, rising=True)
    """Signals h and g, likewise."""
    dead_variance: float = option(low=0)
    """A unit whose variance is below this is dead."""
    memory_mb: int = option(low=1)
    """Memory for one signal's exact quantiles, in MB, of as many signals at a time as there are
    workers; past it a histogram of 4,096 bins."""


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
    seed: int = option(low=0, high=2**32 - 1)
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
    "model": {
        "lstm": Lstm,
        "gru": Recurrent,
        "simple_rnn": Recurrent,
        "file": ModelFile,
        "tf1_checkpoint": Tf1Checkpoint,
    },
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
    """The files whose content a section of the config stands for: field -> path."""
    found = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if value is not None and field.metadata.get("file"):
            found[field.name] = Path(value)
        if value is not None and field.metadata.get("module"):
            found[field.name] = custom.source(value)
    return found


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
        scalar = {key: bound for key, bound in rule.items() if key not in ("length", "rising")}
        return (
            len(value) == rule.get("length", len(value))
            and all(_fits(each, scalar) for each in value)
            and (not rule.get("rising") or all(a < b for a, b in itertools.pairwise(value)))
        )
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (
        ("low" not in rule or value >= rule["low"])
        and ("high" not in rule or value <= rule["high"])
        and ("above" not in rule or value > rule["above"])
        and ("below" not in rule or value < rule["below"])
        and ("choices" not in rule or value in rule["choices"])
        and ("pattern" not in rule or re.fullmatch(rule["pattern"], value) is not None)
    )


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _allowed(field: dataclasses.Field[Any], hint: Any) -> str:
    """What a field takes, in words."""
    rule = field.metadata
    if "choices" in rule:
        return f"one of {', '.join(rule['choices'])}"
    if "pattern" in rule:
        return f"of the form {rule['pattern']}"
    kinds = typing.get_args(hint) or (hint,)
    base = next((kind for kind in kinds if kind in _WORDS), None)
    text = "a group of options" if base is None else _WORDS[base]
    if typing.get_origin(hint) is list:
        order = "rising " if rule.get("rising") else ""
        text = f"a list of {rule.get('length', 'any number of')} {order}values, each {text}"
    bounds = [
        f"{word} {rule[key]:,}"
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
