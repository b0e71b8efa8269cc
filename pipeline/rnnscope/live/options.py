"""Options of stages as keyword arguments: the values of conf/, their ranges, and what is given."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from omegaconf import OmegaConf

from rnnscope.config import CONF
from rnnscope.config.loading import no_such_option
from rnnscope.config.options import allowed, spelled
from rnnscope.config.values import MisfitError, fitting
from rnnscope.errors import UserError, brief

Section = TypeVar("Section")


def chosen(schema: type[Section], file: str, given: Mapping[str, Any]) -> Section:
    """A section of options: those that are given, the others as in conf/.

    Args:
        schema: the dataclass of the section.
        file: that holds its values, below conf/.
        given: by name.

    Raises:
        UserError: an unknown option, a wrong type, or a value out of range.
    """
    fields = {each.name: each for each in dataclasses.fields(schema)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(schema)
    values = dict(_values(file))
    for name, value in given.items():
        if name not in fields:
            raise UserError(no_such_option(name, fields))
        plain = _plain(value)
        try:
            values[name] = fitting(plain, hints[name], fields[name].metadata)
        except MisfitError as misfit:
            why = f"; {misfit}" if str(misfit) else ""
            must = allowed(fields[name], hints[name]).replace(", or null", ", or None")
            shown = brief(value if plain is None else spelled(plain))
            raise UserError(f"{name}={shown}: must be {must}{why}") from None
    return schema(**values)


@functools.cache
def _values(file: str) -> dict[str, Any]:
    """The values of a section in conf/."""
    found = OmegaConf.to_container(OmegaConf.load(CONF / file), throw_on_missing=False)
    assert isinstance(found, dict)
    return {str(name): value for name, value in found.items()}


def _plain(value: Any) -> Any:
    """A value as a config has it: of NumPy's types, tuples and slices the plain ones."""
    match value:
        case slice():
            bounds = ["" if each is None else str(each) for each in (value.start, value.stop)]
            return ":".join([*bounds, *([] if value.step is None else [str(value.step)])])
        case np.generic():
            return value.item()
        case np.ndarray() | range() | tuple() | list():
            return [_plain(each) for each in value]
    return value


def as_list(value: Any) -> Any:
    """A number alone, as the list that an option takes; anything else as it is."""
    single = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return [value] if single else value
