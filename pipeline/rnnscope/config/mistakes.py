"""One-line messages for mistakes in the command line, from the errors of Hydra and OmegaConf."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
    ValidationError,
)

from rnnscope.config.loading import is_option, no_such_option
from rnnscope.config.location import CONF, installing
from rnnscope.errors import UserError, brief
from rnnscope.libraries import blamed
from rnnscope.trouble import explained

UNRESOLVED = (
    InterpolationKeyError,
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    GrammarParseError,
)
LONGEST = 300
"""Most characters of a message of Hydra's own."""
OURS = ("rnnscope.sweep.task", "rnnscope.sweep.sweeping", "rnnscope.config.loading")
"""The modules that are called with a composed config."""


def one_line(
    error: BaseException, words: Sequence[str] = (), root: Path | None = None
) -> str | None:
    """What is wrong and where, and if the error tells, what would be right.

    Args:
        error: what ended the command.
        words: the command line's, to name the one that is meant.
        root: folder to which everything is written, as far as it is known.

    Returns:
        None for an error that is neither the user's nor the machine's.
    """
    match error:
        case UserError():
            return str(error)
        case MissingConfigException(missing_cfg_file="hydra/launcher/submitit_slurm"):
            return f"hydra/launcher=slurm: needs the extra slurm: {installing('slurm')}"
        case MissingConfigException(missing_cfg_file=str(missing), options=options) if options:
            group, _, name = missing.rpartition("/")
            return f"{group}={brief(name)}: must be one of {', '.join(options)}"
        case OverrideParseException(override=override):
            return f"{brief(override)}: cannot be parsed; write key=value or \"key='value'\""
        case HydraException(__cause__=OmegaConfBaseException() as cause):
            return one_line(cause, words)
        case RecursionError():
            return f"{_with(words, '${')}cannot be resolved: it leads back to itself"
        case OmegaConfBaseException() if isinstance(error, UNRESOLVED):
            why = brief(str(error).partition("\n")[0], 160)
            named = _with(words, "${") or f"{error.full_key}: "
            return f"{named}cannot be resolved: {why}"
        case ValidationError(full_key=str(key)):
            return f"{key}: {brief(str(error).partition(chr(10))[0], 160)}"
        case OmegaConfBaseException(full_key=str(key), parent_node=DictConfig() as node):
            return _missing(key, node)
        case HydraException() | OmegaConfBaseException():
            return _any_other(error, words)
        case _:
            line = explained(error, root) or blamed(error)
            return line or (_any_other(error, words) if before_the_task(error) else None)


def _missing(key: str, node: DictConfig) -> str:
    """The message that a key is not in a group, or that what it is in is no group."""
    outer, _, _ = key.rpartition(".")
    if is_option(outer):
        return f"{brief(key)}: {outer} is an option, not a group of options: give {outer}=..."
    return no_such_option(brief(key), {*map(str, node)} - {"hydra", "_target_"})


def _any_other(error: BaseException, words: Sequence[str]) -> str:
    text = brief(" ".join(str(error).split()), LONGEST)
    if text.startswith("Ambiguous value for argument"):
        (word,) = re.findall(r"'([^']*)' 1\.", text) or [""]
        key, _, values = word.partition("=")
        return f"{brief(word)}: a list is written {key}=[{brief(values)}]; a sweep needs -m"
    if text.startswith("Config group override must be"):
        odd = [
            word
            for word in words
            if _is_group(word) and re.search(r"=(\W|\d|null|true|false)", word)
        ]
        group = f"{brief(odd[0])}: " if odd else ""
        return f"{group}a group takes the name of one of its files; leave it out for the default"
    if isinstance(error, AssertionError) and (given := _with(words, "hydra.verbose=")):
        return f"{given}must be true, false, or the names of loggers, [rnnscope]"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return text
    kind = type(error).__name__
    of_hydra = _with(words, "hydra") or _with(sorted(words, key=len, reverse=True), "=")
    return f"{of_hydra}{kind}{': ' * bool(text)}{brief(text, 150)}; HYDRA_FULL_ERROR=1 shows where"


def _is_group(word: str) -> bool:
    """Whether a word of the command line chooses a file of a group, or has no key at all."""
    key = word.partition("=")[0].lstrip("+~").partition("@")[0]
    return not key or (CONF / key).is_dir()


def _with(words: Sequence[str], part: str) -> str:
    """The first word of the command line with this part, as a message begins with it."""
    return next((f"{brief(word)}: " for word in words if part in word), "")


def before_the_task(error: BaseException) -> bool:
    """Whether an error came from Hydra itself, before it called the task: a mistake in its config.

    Hydra lets some of them pass as they are, such as ValueError of ``experiment=null``.
    """
    frame = error.__traceback__
    while frame is not None:
        if str(frame.tb_frame.f_globals.get("__name__")).startswith(OURS):
            return False
        frame = frame.tb_next
    return isinstance(error, ValueError | TypeError | AssertionError | RecursionError | KeyError)
