"""Whether a value is of an option's type and within its range."""

import itertools
import math
import re
import typing
import unicodedata
from typing import Any

from rnnscope.config.options import kinds

WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,19})")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
LONGEST_NUMBER = 40
"""Most characters of a number given as a text."""


class MisfitError(ValueError):
    """A value that an option does not take; the text is a hint, mostly empty."""


def fitting(value: Any, hint: Any, rule: Any) -> Any:
    """The value as an option's type has it: a number for a field of numbers, a list for lists.

    Of a list of texts, a text alone is a list of one. A number is taken for a text if it is whole,
    because names of digits alone are read as numbers, and a text for a number if it is written as
    one, because environment variables are texts. A truth is no number, and 1.0 no whole number.

    Args:
        value: plain: None, a truth, a number, a text, or lists and dictionaries of these.
        hint: the field's type.
        rule: its range, as ``option`` keeps it.

    Raises:
        MisfitError: it is of another type, or out of range.
    """
    accepted, null = kinds(hint)
    if value is None:
        if not null:
            raise MisfitError
        return None
    hints = []
    for kind in accepted:
        try:
            return _of_kind(value, kind, rule)
        except MisfitError as misfit:
            hints.append(str(misfit))
    raise MisfitError(next(filter(None, hints), ""))


def _of_kind(value: Any, kind: Any, rule: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is list:
        return _list(value, typing.get_args(kind)[0], rule)
    if origin is dict:
        return _named_values(value, rule)
    reader = {bool: _truth, int: _whole, float: _number, str: _text}[kind]
    return reader(value, rule)


def _truth(value: Any, _: Any) -> bool:
    found = TRUTHS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise MisfitError
    return found


def _whole(value: Any, rule: Any) -> int:
    if isinstance(value, str) and WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisfitError
    _within(value, rule)
    return value


def _number(value: Any, rule: Any) -> float:
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER and NUMBER.fullmatch(value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MisfitError
    _within(value, rule)
    return float(value)


def _within(value: float, rule: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise MisfitError
    if not (
        ("low" not in rule or value >= rule["low"])
        and ("high" not in rule or value <= rule["high"])
        and ("above" not in rule or value > rule["above"])
        and ("below" not in rule or value < rule["below"])
    ):
        raise MisfitError


def _text(value: Any, rule: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = _digits(value)
    if isinstance(value, bool | float):
        raise MisfitError("a text that looks like a number or a truth needs quotes, '\"...\"'")
    if not isinstance(value, str) or not value.strip():
        raise MisfitError
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value):
        raise MisfitError("it has a control character, or one that is not UTF-8")
    if (
        len(value) > rule.get("longest", len(value))
        or ("choices" in rule and value not in rule["choices"])
        or ("pattern" in rule and re.fullmatch(rule["pattern"], value) is None)
    ):
        raise MisfitError
    return value


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:  # Python's limit is 4,300 digits
        raise MisfitError from error


def _list(value: Any, inner: Any, rule: Any) -> list[Any]:
    if inner is str and isinstance(value, str | int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list):
        raise MisfitError("a list is written [a,b]")
    fewest, most = rule.get("fewest", 1), rule.get("most", len(value))
    if "length" in rule:
        fewest = most = rule["length"]
    if not fewest <= len(value) <= most:
        raise MisfitError
    found = [_of_kind(each, inner, rule) for each in value]
    if rule.get("rising"):
        if any(a >= b for a, b in itertools.pairwise(found)):
            raise MisfitError
    elif not rule.get("repeats") and len(set(found)) < len(found):
        twice = next(each for n, each in enumerate(found) if each in found[:n])
        raise MisfitError(f"{twice} comes twice")
    return found


def _named_values(value: Any, rule: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > rule.get("most", len(value)):
        raise MisfitError
    for name, each in value.items():
        _text(name, {"pattern": r"[A-Za-z][A-Za-z0-9_-]*"})
        if isinstance(each, float):
            _within(each, {})
        elif not isinstance(each, bool | int):
            _text(each, rule)
    return value
