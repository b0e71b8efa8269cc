"""The range of each option: declared at its field, checked, and put into words."""

import dataclasses
import itertools
import math
import re
import types
import typing
from typing import Any

from omegaconf import MISSING

from rnnscope.errors import UserError


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
    guard: bool = False,
) -> Any:
    """Declare a field with its range: low <= value <= high, above < value < below, or choices.

    ``length`` is the number of values in a list, ``rising`` whether each must be above the one
    before, ``pattern`` a regular expression for a text; ``file`` marks a path whose content is part
    of keys, ``module`` a Python module whose source is; ``guard`` marks what only refuses, and
    changes no result: it is no part of keys.
    """
    metadata = {key: value for key, value in locals().items() if value is not None}
    return dataclasses.field(default=MISSING, metadata=metadata)


def check(section: Any, prefix: str = "") -> None:
    """Raise UserError for the first value that is out of range."""
    hints = typing.get_type_hints(type(section))
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            check(value, f"{prefix}{field.name}.")
        elif not _fits(value, field.metadata):
            text = allowed(field, hints[field.name])
            raise UserError(f"{prefix}{field.name}={value}: must be {text}")


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


def allowed(field: dataclasses.Field[Any], hint: Any) -> str:
    """The values that a field accepts, in words."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) is types.UnionType else (hint,)
    (kind,) = (kind for kind in kinds if kind is not types.NoneType)
    text = _allowed(kind, field.metadata)
    return f"{text}, or null" if types.NoneType in kinds else text


def _allowed(kind: Any, rule: Any) -> str:
    """The values of a type that keep to a rule, in words."""
    if typing.get_origin(kind) is list:
        (inner,) = typing.get_args(kind)
        order = "rising values" if rule.get("rising") else "values"
        count = f"{rule['length']} {order}" if "length" in rule else order
        return f"a list of {count}, each {_allowed(inner, rule)}"
    if "choices" in rule:
        return f"one of {', '.join(rule['choices'])}"
    if "pattern" in rule:
        return f"of the form {rule['pattern']}"
    if kind is Any:
        return "a value or a list of values, or null"
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
    return " ".join([_WORDS.get(kind, "a group of options"), " and ".join(bounds)]).strip()


def spelled(value: Any) -> str:
    """An option's value as it is written on the command line."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(spelled, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {spelled(each)}' for key, each in value.items())}}}"
        case _:
            return str(value)
