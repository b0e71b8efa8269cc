"""The commands that make runs again, from the options that their manifests list."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rnnscope.config import CONF
from rnnscope.config.options import spelled

CHOICES = {"data": "digits", "model": "lstm"}
"""Groups of several files, each with the one that is read by default."""
PLAIN = re.compile(r"[A-Za-z_/][\w/.@+%*-]*|-?\d+:-?\d*(:\d+)?|-?\d*:-?\d+(:\d+)?|::\d+", re.ASCII)
"""Texts that Hydra takes for themselves without quotes, unless they are ``WORDS``."""
WORDS = {"null", "true", "false", "yes", "no", "on", "off", "nan", "inf"}

Manifests = Iterable[Mapping[str, Any]]
"""Those of a run's finished stages."""
Overrides = dict[str, str]
"""Option, or group -> its value on the command line; those that have another than the default."""


def overrides(manifests: Manifests) -> Overrides:
    """What a run has other than the defaults, in the order of its stages."""
    found: Overrides = {}
    for group, section in _sections(manifests).items():
        if not isinstance(section, dict):
            found |= _other(group, section, _defaults("config").get(group))
            continue
        name = section.get("name")
        if group in CHOICES and name != CHOICES[group]:
            found[group] = value(name)
        defaults = _defaults(_file(group, name))
        for option, given in section.items():
            found |= _other(f"{group}.{option}", given, defaults.get(option))
    return found


def command(manifests: Manifests, stage: str = "report", before: Sequence[str] = ()) -> str:
    """The command that makes one run, up to a stage.

    Args:
        manifests: of all its stages.
        stage: the last one.
        before: stages that the last one does not run, and are run first.
    """
    options = overrides(manifests)
    return " && ".join(line([], options, each) for each in (*before, stage))


def line(flags: Iterable[str], options: Overrides, stage: str) -> str:
    """A command line: flags, options, and the last stage unless it is that by default."""
    words = [f"{name}={text}" for name, text in options.items()]
    last = [] if stage == "report" else [f"stage={stage}"]
    return shlex.join(["rnnscope", *flags, *words, *last])


def value(given: Any) -> str:
    """A value as Hydra reads it: text that it would take for something else in quotes."""
    match given:
        case list():
            return f"[{','.join(map(value, given))}]"
        case str() if not PLAIN.fullmatch(given) or given.lower() in WORDS:
            escaped = re.sub(r"(\\*)(?='|$)", r"\1\1", given).replace("'", r"\'")
            return f"'{escaped}'"
        case _:
            return spelled(given)


def _other(option: str, given: Any, usual: Any) -> Overrides:
    return {} if given == usual else {option: value(given)}


def usual(option: str) -> str:
    """The default of an option that another run has set otherwise."""
    if option in CHOICES:
        return CHOICES[option]
    group, _, name = option.rpartition(".")
    return value(_defaults(_file(group, CHOICES.get(group)) if group else "config").get(name))


def _sections(manifests: Manifests) -> dict[str, Any]:
    """The sections of the config that its stages read, with the paths of files."""
    found: dict[str, Any] = {}
    for manifest in manifests:
        files = manifest["files"]
        for group, section in manifest["slice"].items():
            if not isinstance(section, dict):
                found[group] = section
                continue
            mine = {
                name: _named(files[option]) if (option := f"{group}.{name}") in files else given
                for name, given in section.items()
            }
            found[group] = found.get(group, {}) | {n: v for n, v in mine.items() if "." not in n}
    return found


def _named(path: str) -> str:
    """How a file is named on the command line: a Python module by its name."""
    file = Path(path)
    if file.suffix != ".py":
        return path
    return file.parent.name if file.stem == "__init__" else file.stem


def _file(group: str, name: Any) -> str:
    if group in CHOICES:
        return f"{group}/{name}"
    return f"{group}/default" if (CONF / group / "default.yaml").is_file() else f"analysis/{group}"


@cache
def _defaults(file: str) -> Mapping[str, Any]:
    """The values in a file of conf/, as they are written there; none if there is no such file."""
    path = CONF / f"{file}.yaml"
    found: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else {}
    return found
