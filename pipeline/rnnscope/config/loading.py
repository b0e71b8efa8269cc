"""From the composed Hydra config to checked dataclasses; mistakes are reported in one line."""

import dataclasses
import difflib
import typing
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from rnnscope.config.data import Digits, Files, Mnist
from rnnscope.config.engine import Dask, DaskSlurm, Engine
from rnnscope.config.model import Lstm, ModelFile, Recurrent, Tf1Checkpoint
from rnnscope.config.options import allowed, check
from rnnscope.config.paths import settled
from rnnscope.config.whole import Config
from rnnscope.errors import UserError

KINDS: dict[str, dict[str, type]] = {
    "data": {"digits": Digits, "mnist": Mnist, "files": Files},
    "model": {
        "lstm": Lstm,
        "gru": Recurrent,
        "simple_rnn": Recurrent,
        "file": ModelFile,
        "tf1_checkpoint": Tf1Checkpoint,
    },
    "engine": {"local": Engine, "dask": Dask, "dask_slurm": DaskSlurm},
}
"""The schema of each choice, for the groups that have several."""


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
                raise UserError(_no_group(name, raw.get(name)))
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
        key = str(error.full_key).partition("[")[0]  # errors in an entry are reported for the list
        value = OmegaConf.select(raw, key)
        raise UserError(f"{key}={value}: must be {allowed(*_find(schema, key))}") from error
    assert isinstance(config, Config)
    check(config)
    return settled(config)


def _no_group(name: str, value: Any) -> str:
    """The message that a group of options has a value, which may be meant for an option."""
    meant = [
        f"{group}.{name}"
        for group, kinds in KINDS.items()
        if any(name == field.name for kind in kinds.values() for field in dataclasses.fields(kind))
    ]
    hint = f"; did you mean {' or '.join(f'{each}={value}' for each in meant)}?" if meant else ""
    return f"{name}={value}: {name} is a group of options, not one option{hint}"


def unknown(key: str, schema: Any) -> str:
    """The message that ``key`` is not an option, with the options that exist there."""
    parent, _, _ = key.rpartition(".")
    node = OmegaConf.select(schema, parent) if parent else schema
    if not isinstance(node, DictConfig):
        return unknown(parent, schema)
    return no_such_option(key, map(str, node))


def no_such_option(key: str, there: Iterable[str]) -> str:
    """The message that a dotted key is not among the options that are ``there`` in its group.

    It says what was probably meant: an option of a similar name, or the kind of data, model or
    engine that has the option.
    """
    group, _, leaf = key.rpartition(".")
    known = sorted(there)
    said = f"{key}: no such option; "
    having = [
        f"{group}={name}"
        for name, kind in KINDS.get(group, {}).items()
        if leaf in {field.name for field in dataclasses.fields(kind)}
    ]
    if having:
        said += f"it belongs to {' or '.join(having)}, to be given too; "
    elif near := difflib.get_close_matches(leaf, known, 1):
        others = ", ".join(name for name in known if name not in near)
        return f"{said}did you mean {'.'.join(filter(None, (group, near[0])))}? Others are {others}"
    return f"{said}this group has {', '.join(known) or 'none'}"


def _find(schema: DictConfig, key: str) -> tuple[dataclasses.Field[Any], Any]:
    """The dataclass field that a dotted key names, and its type."""
    parent, _, leaf = key.rpartition(".")
    owner = OmegaConf.get_type(OmegaConf.select(schema, parent) if parent else schema)
    assert owner is not None
    field = next(field for field in dataclasses.fields(owner) if field.name == leaf)
    return field, typing.get_type_hints(owner)[leaf]
