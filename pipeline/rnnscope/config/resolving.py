"""An entry of a composed config as a plain value, its interpolations resolved."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnscope.config.options import spelled
from rnnscope.errors import UserError, brief

ABSENT = object()
"""The value of an entry that is not there, or is still to be given (``???``)."""
DEPTH = 20
"""Most containers within each other; interpolations can nest them without end."""


@dataclass(frozen=True)
class Written:
    """One entry, and how a message shows it."""

    key: str
    """Its dotted name."""
    text: str
    """As it was written: interpolations are not resolved."""
    value: Any
    """Resolved: a scalar, a DictConfig or ListConfig, or ABSENT."""

    def __str__(self) -> str:
        given = "" if self.value is ABSENT else self.text
        said = f"{self.key}={brief(given)}"
        plain = isinstance(self.value, DictConfig | ListConfig)
        if "${" not in given or plain:
            return said
        return f"{said}, which gives {brief(spelled(self.value)) or 'an empty text'}"

    def plain(self) -> Any:
        """The value with plain lists and dictionaries."""
        return _plain(self.value, self, 0)


def entry(node: DictConfig, name: str, prefix: str) -> Written:
    """An entry of a group of options.

    Raises:
        UserError: an interpolation that cannot be resolved.
    """
    key = f"{prefix}{name}"
    if name not in node.keys() or OmegaConf.is_missing(node, name):  # noqa: SIM118
        return Written(key, "", ABSENT)
    text = _as_written(node, name)
    return Written(key, text, _got(node, name, Written(key, text, None)))


def _as_written(node: DictConfig, name: str) -> str:
    """An entry as it was written, with its interpolations."""
    if not OmegaConf.is_interpolation(node, name):
        value = node[name]
        if not isinstance(value, DictConfig | ListConfig):
            return spelled(value)
        return spelled(OmegaConf.to_container(value, resolve=False))
    plain: Any = OmegaConf.to_container(node, resolve=False)
    return spelled(plain[name])


def _got(node: Any, name: Any, where: Written) -> Any:
    """The value at ``name``, resolved."""
    try:
        return node[name]
    except RecursionError:
        why = "it leads back to itself"
    except OmegaConfBaseException as error:
        why = str(error).partition("\n")[0] or type(error).__name__
    raise UserError(
        f"{where.key}={brief(where.text)}: cannot be resolved: {brief(why, 120)}"
    ) from None


def _plain(value: Any, where: Written, depth: int) -> Any:
    if not isinstance(value, DictConfig | ListConfig):
        return value
    if depth == DEPTH:
        raise UserError(f"{where.key}={brief(where.text)}: cannot be resolved: it contains itself")
    if isinstance(value, DictConfig):
        return {name: _plain(_got(value, name, where), where, depth + 1) for name in value}
    return [_plain(_got(value, n, where), where, depth + 1) for n in range(len(value))]
