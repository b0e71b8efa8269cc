"""The range of each option: declared at its field, and put into words."""

import dataclasses
import types
import typing
from typing import Any

from omegaconf import MISSING

SEED = 2**32 - 1
"""The largest seed."""
SEQUENCES = 10**9
"""More sequences than a data set has."""
TIMESTEPS = 10**8
"""More timesteps than a sequence has."""
UNITS = 100_000
"""More units than a layer has: its recurrent kernel alone would take 160 GB."""
NAMES = 10_000
"""Most names in a list, of layers, columns or runs."""
NAME = 1_000
"""Most characters of a name."""
PATH = 4_096
"""Most characters of a path, as in Linux."""
SIGNALS = r"[hcifogzr]|s(0|[1-9][0-9]?)"
"""The names of signals; the state tensors of cells that are not known are s0, s1, ..."""
SIGNAL_NAMES = "one of h, c, i, f, o, g, z, r, s0, s1, ..."
SLICE = r"(-?[0-9]{1,9})?:(-?[0-9]{1,9})?(:[1-9][0-9]{0,8})?"
"""A slice of timesteps, such as 0:10, ::2 or -5:."""
SLICE_WORDS = "a slice such as 0:10, ::2 or -5:"


def option(
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    pattern: str | None = None,
    words: str | None = None,
    longest: int | None = None,
    length: int | None = None,
    fewest: int | None = None,
    most: int | None = None,
    rising: bool = False,
    repeats: bool = False,
    file: bool = False,
    module: bool = False,
    no_key: bool = False,
    no_key_if_null: bool = False,
) -> Any:
    """Declare a field with its range; every one has a lower and an upper bound, or choices.

    Args:
        low: numbers are at least this.
        high: and at most this.
        above: numbers are above this.
        below: and below this.
        choices: the texts that are taken.
        pattern: regular expression of a whole text.
        words: what the pattern means.
        longest: most characters of a text; the least is one.
        length: number of values of a list.
        fewest: least number of values of a list, 1 by default.
        most: most values of a list, or names of a group.
        rising: whether each value of a list must be above the one before.
        repeats: whether a value may come twice in a list.
        file: marks a path whose content is part of keys.
        module: marks a Python module whose source is part of keys.
        no_key: marks what cannot change a result and is no part of keys.
        no_key_if_null: marks what is no part of keys, nor of what manifests list, where it is null:
            an option that came after results had been made without it, whose keys hold.
    """
    metadata = {key: value for key, value in locals().items() if value is not None}
    return dataclasses.field(default=MISSING, metadata=metadata)


def kinds(hint: Any) -> tuple[list[Any], bool]:
    """The types that a hint allows, without None; and whether it allows None."""
    union = isinstance(hint, types.UnionType)
    every = typing.get_args(hint) if union else (hint,)
    return [kind for kind in every if kind is not types.NoneType], types.NoneType in every


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def allowed(field: dataclasses.Field[Any], hint: Any) -> str:
    """The values that a field accepts, in words."""
    accepted, null = kinds(hint)
    text = " or ".join(_allowed(kind, field.metadata) for kind in accepted)
    return f"{text}, or null" if null else text


def _allowed(kind: Any, rule: Any) -> str:
    """The values of a type that keep to a rule, in words."""
    origin = typing.get_origin(kind)
    if origin is list:
        (inner,) = typing.get_args(kind)
        return f"a list of {_count(rule)}, each {_allowed(inner, rule)}"
    if origin is dict:
        most = f"at most {rule['most']:,} " if "most" in rule else ""
        each = f"{_allowed(str, rule)}, a number, true or false"
        return f"{most}names with values, {{name: value}}, each value {each}"
    if "choices" in rule:
        return f"one of {', '.join(rule['choices'])}"
    if "words" in rule:
        return str(rule["words"])
    if kind is str:
        return f"a text of 1 to {rule['longest']:,} characters" if "longest" in rule else "a text"
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
    return " ".join([_WORDS[kind], " and ".join(bounds)]).strip()


def _count(rule: Any) -> str:
    """How many values a list has, in words."""
    if "length" in rule:
        count = str(rule["length"])
    elif "most" in rule:
        count = f"{rule.get('fewest', 1)} to {rule['most']:,}"
    else:
        count = f"at least {rule.get('fewest', 1)}"
    order = "rising " if rule.get("rising") else "" if rule.get("repeats") else "different "
    return f"{count} {order}values"


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
