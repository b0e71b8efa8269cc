"""Hostile input: data, models and configs that must be refused in one line, in little time.

The cases are those of the tests; here they meet the whole command, which must leave nothing behind.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import environments
from tests.config import odd
from tests.data import hostile, hostile_tables
from tests.environments import Environment
from tests.models import hostile as hostile_models
from tests.torture import command, forks
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome
from tests.torture.forks import Forks

WITHIN = 5.0
"""Seconds that a refusal may take; six times as many where others keep the machine busy."""
MEMORY = 10**9
LEFT = ("logs", "latest")
LONGEST = 300
"""Characters of a config's refusal."""
CONFIGS = 1920


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Every case of the tests that is to be refused; as many odd configs as were tried by hand."""
    with forks.opened() as forked:
        arrays = [
            functools.partial(_data, forked, case.name, case.make)
            for case in hostile.CASES
            if case.says is not None
        ]
        yield Fault("hostile arrays", arrays)
        tables = [
            functools.partial(_data, forked, case.name, functools.partial(_written, case))
            for case in hostile_tables.CASES
            if case.says
        ]
        yield Fault("hostile tables", tables)
        models = [
            functools.partial(_model, forked, name, make)
            for name, make in hostile_models.CASES.items()
        ]
        yield Fault("hostile models", models)
    words = odd.configs(0, CONFIGS)
    yield Fault("odd configs", [functools.partial(_config, *each) for each in words])
    yield Fault(
        "hostile environments",
        [functools.partial(_environment, each) for each in environments.ENVIRONMENTS],
    )


def _written(case: hostile_tables.Case, folder: Path) -> list[str]:
    return [f"data.{name}={_spelled(value)}" for name, value in case.write(folder).items()]


def _spelled(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value)
    return f"'{text}'" if isinstance(value, str | Path) else text.replace("'", "")


def _data(forked: Forks, name: str, make: Callable[[Path], list[str]], folder: Path) -> Outcome:
    options = make(folder)
    return _refused(forked, name, ["stage=train", "data=files", *options, *command.SMALL], folder)


def _model(forked: Forks, name: str, make: Callable[[Path], Path], folder: Path) -> Outcome:
    words = ["stage=extract", "model=file", f"model.path={make(folder)}", "extract.max_sequences=8"]
    outcome = _refused(forked, name, words, folder)
    if (folder / hostile_models.MARK).exists():
        return Outcome("wrong", f"{name}: its code ran")
    return outcome


def _refused(forked: Forks, name: str, words: list[str], folder: Path) -> Outcome:
    """Run a command that must be refused, and look at what it took and left."""
    root = folder / "root"
    measured = forked.run([f"root={root}", *words], folder, 6 * WITHIN)
    ended = measured.ended
    if ended.code == -9:  # computing after a fork may hang, where nothing was refused before it
        ended = command.run(root, *words, cwd=folder, within=120)
    if bad := command.refused(ended):
        return Outcome(bad.verdict, f"{name}: {bad.detail}")
    if measured.memory > MEMORY:
        return Outcome("wrong", f"{name}: took {measured.memory / 1e9:.1f} GB")
    there = root.glob("*") if root.is_dir() else ()
    stages = [path for path in there if path.name not in LEFT and path.is_dir()]
    if left := [path for stage in stages for path in stage.iterdir()]:
        return Outcome("lost", f"{name}: left {left[0].name}")
    return SURVIVED


def _config(base: tuple[str, ...], words: list[str], folder: Path) -> Outcome:
    told = f"{' '.join(words)[:120]}: "
    try:
        found = odd.outcome(base, words)
    except Exception as error:
        return Outcome("traceback", f"{told}{type(error).__name__}: {error}"[:300])
    if isinstance(found, str) and ("\n" in found or len(found) > LONGEST):
        return Outcome("traceback", f"{told}{found[:300]}")
    return SURVIVED


def _environment(each: Environment, folder: Path) -> Outcome:
    words = [word.format(folder=folder) for word in each.words]
    small = [word for word in command.SMALL if "model=file" not in words or "model." not in word]
    (root, *_) = [word[5:] for word in words if word.startswith("root=")] or [str(folder / "o")]
    others = [word for word in words if not word.startswith("root=")]
    with each.prepared(folder):
        ended = command.run(root, *small, *others, under=each.before, cwd="/")
    if bad := command.refused(ended):
        return Outcome(bad.verdict, f"{each.name}: {bad.detail}")
    said = [text.format(folder=folder) for text in each.says]
    if missing := [text for text in said if text not in ended.err]:
        return Outcome("wrong", f"{each.name}: does not say {missing[0]}: {ended.last[:200]}")
    return SURVIVED
