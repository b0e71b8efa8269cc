"""What a command line gives twice, of which Hydra would take the last without a word."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from rnnscope.errors import UserError, brief

FLAGS = {
    "--config-dir": "-cd",
    "--config-name": "-cn",
    "--config-path": "-cp",
    "--package": "-p",
    "--cfg": "-c",
}
"""Hydra's flags that take a value, and their short forms."""
_SWEPT = "hydra.sweeper.params"


def refuse_twice(words: Sequence[str]) -> None:
    """Look at all overrides of a command line, whatever a file sets beside them.

    Raises:
        UserError: an option, or a group's file, that has two values.
    """
    seen: dict[str, tuple[str, Override]] = {}
    for override in OverridesParser.create().parse_overrides(list(words)):
        for key, value in _given(override):
            before, other = seen.setdefault(key, (value, override))
            if before == value and other.type == override.type:
                continue
            if override.get_key_element() == other.get_key_element() == key:
                raise _twice(key, before, value)
            raise _twice(key, str(other.input_line), str(override.input_line))


def refuse_flags_twice(words: Sequence[str]) -> None:
    """Look at the flags of a command line.

    Raises:
        UserError: a flag that has two values.
    """
    seen: dict[str, str] = {}
    for word, following in itertools.pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        flag = _flag(name)
        if flag is None:
            continue
        value = value if equals else following
        if seen.setdefault(flag, value) != value:
            several = "; hydra.searchpath=[...] takes several" if flag == "--config-dir" else ""
            raise UserError(f"{_twice(flag, seen[flag], value)}{several}")


def _twice(what: str, first: str, second: str) -> UserError:
    return UserError(
        f"{brief(what)} is given twice: {brief(first)} and {brief(second)}; leave one out"
    )


def _flag(name: str) -> str | None:
    """The flag that a word stands for, which may be cut short: ``--config-d``."""
    if name in FLAGS.values():
        return next(flag for flag, short in FLAGS.items() if short == name)
    if name in FLAGS:
        return name
    meant = [flag for flag in FLAGS if len(name) > len("--") and flag.startswith(name)]
    return meant[0] if len(meant) == 1 else None


def _given(override: Override) -> Iterator[tuple[str, str]]:
    """The options that an override sets, each with its value as a text: of a dictionary, each."""
    key = override.key_or_group
    if override.package not in (None, key.replace("/", ".")):
        key = f"{key}@{override.package}"
    value = None if override.is_delete() or override.is_sweep_override() else override.value()
    if isinstance(value, Mapping) and value:
        yield from _leaves(key, value)
    else:
        yield _option(key), str(override.input_line).partition("=")[2].strip()


def _leaves(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield _option(key), str(value)


def _option(key: str) -> str:
    """The option that a key sets; of the sweeper's own overrides, the option in each job."""
    return key.removeprefix(f"{_SWEPT}.").lstrip("+~")
