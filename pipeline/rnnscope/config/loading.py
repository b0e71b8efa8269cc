"""From the composed Hydra config to checked dataclasses; mistakes are reported in one line."""

import dataclasses
import difflib
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

from omegaconf import DictConfig

from rnnscope.config.data import Digits, Files, Mnist
from rnnscope.config.engine import Dask, DaskSlurm, Engine
from rnnscope.config.model import (
    Lstm,
    ModelFile,
    RecordedStates,
    Recurrent,
    Tf1Checkpoint,
    TorchWeights,
)
from rnnscope.config.options import allowed
from rnnscope.config.paths import settled
from rnnscope.config.resolving import ABSENT, Written, entry
from rnnscope.config.tasks import Anbn, Ar1, Delay, Dyck, FlipFlop, Lagged, Text
from rnnscope.config.values import MisfitError, fitting
from rnnscope.config.whole import Config
from rnnscope.errors import UserError

KINDS: dict[str, dict[str, type]] = {
    "data": {
        "digits": Digits,
        "mnist": Mnist,
        "files": Files,
        "anbn": Anbn,
        "dyck": Dyck,
        "flipflop": FlipFlop,
        "ar1": Ar1,
        "delay": Delay,
        "lagged": Lagged,
        "text": Text,
    },
    "model": {
        "lstm": Lstm,
        "gru": Recurrent,
        "simple_rnn": Recurrent,
        "file": ModelFile,
        "tf1_checkpoint": Tf1Checkpoint,
        "torch": TorchWeights,
        "states": RecordedStates,
    },
    "engine": {"local": Engine, "dask": Dask, "dask_slurm": DaskSlurm},
}
"""The schema of each choice, for the groups that have several."""
HINT = 40
"""Most characters of a key in a message, of those that nobody declared."""

Section = TypeVar("Section")


def load(raw: DictConfig) -> Config:
    """Turn a composed config into the schema's dataclasses.

    Raises:
        UserError: an unknown option, a wrong type, a value out of range, or an interpolation that
            cannot be resolved; with its key, the value, and what is allowed.
    """
    groups = {
        name: kind
        for name, kind in typing.get_type_hints(Config).items()
        if dataclasses.is_dataclass(kind)
    }
    for name in groups:
        found = entry(raw, name, "")
        if not isinstance(found.value, DictConfig):
            raise UserError(_no_group(name, found))
    sections = {}
    for name, kind in groups.items():
        node = entry(raw, name, "").value
        schema: Any = _kind(name, node) if name in KINDS else kind
        sections[name] = _section(schema, node, f"{name}.", {})
    return settled(_section(Config, raw, "", sections))


def _section(
    schema: type[Section], node: DictConfig, prefix: str, known: dict[str, Any]
) -> Section:
    """A dataclass of options, from what is given for each; ``known`` are those read already."""
    hints = typing.get_type_hints(schema)
    fields = {field.name: field for field in dataclasses.fields(schema)}  # type: ignore[arg-type]
    for name in node:
        if name not in fields:
            raise UserError(no_such_option(f"{prefix}{str(name)[:HINT]}", fields))
    values = dict(known)
    for name, field in fields.items():
        if name not in known:
            values[name] = _value(entry(node, name, prefix), field, hints[name])
    return schema(**values)


def _value(found: Written, field: dataclasses.Field[Any], hint: Any) -> Any:
    """The checked value of one option."""
    if found.value is ABSENT:
        raise UserError(f"{found.key} is not set: give {found.key}=...")
    try:
        return fitting(found.plain(), hint, field.metadata)
    except MisfitError as misfit:
        why = f"; {misfit}" if str(misfit) else ""
        raise UserError(f"{found}: must be {allowed(field, hint)}{why}") from None


def _kind(group: str, node: DictConfig) -> type:
    """The schema of the kind that a group's ``name`` chooses."""
    found = entry(node, "name", f"{group}.")
    name = None if found.value is ABSENT else found.plain()
    if not isinstance(name, str) or name not in KINDS[group]:
        raise UserError(f"{found}: must be one of {', '.join(KINDS[group])}")
    return KINDS[group][name]


def _no_group(name: str, found: Written) -> str:
    """The message that a group of options has a value, which may be meant for an option."""
    if found.value is ABSENT:
        return f"{name}: this group of options is gone; leave out ~{name}"
    meant = [
        f"{group}.{name}"
        for group, kinds in KINDS.items()
        if any(name == field.name for kind in kinds.values() for field in dataclasses.fields(kind))
    ]
    _, _, value = str(found).partition("=")
    hint = f"; did you mean {' or '.join(f'{each}={value}' for each in meant)}?" if meant else ""
    return f"{found}: {name} is a group of options, not one option{hint}"


def is_option(key: str) -> bool:
    """Whether a dotted name is an option of some kind, and no group of options."""
    group, _, leaf = key.rpartition(".")
    hints: dict[str, Any] = typing.get_type_hints(Config)
    if not group:
        return leaf in hints and not dataclasses.is_dataclass(hints[leaf])
    kinds = KINDS.get(group, {"": hints.get(group)}).values()
    return any(
        field.name == leaf and typing.get_origin(typing.get_type_hints(kind)[leaf]) is not dict
        for kind in kinds
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
    )


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
