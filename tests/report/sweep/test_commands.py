"""Commands on the page of a sweep: Hydra reads them as the options that runs have."""

import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString

from rnnscope import config
from rnnscope.report.commands import command as command_of
from rnnscope.report.commands import value
from rnnscope.report.sweep import commands
from rnnscope.store.runs import Run
from tests.compose import composed
from tests.report.sweep.made import made

NAMES = ("data", "model", "train", "extract", "units")


def as_composed(root: Path, number: int, *overrides: str) -> Run:
    """A run with the options of a composed config."""
    whole = composed(root, *overrides)
    sections: dict[str, Any] = {name: config.counted(getattr(whole, name)) for name in NAMES}
    run = made(root, number, **sections, seed=whole.seed)
    run.stages["units"].manifest["slice"] = {"units": sections["units"]}
    return run


def words(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    assert program == "rnnscope"
    return rest


def plain(value: Any) -> Any:
    """A value without Hydra's quotes."""
    if isinstance(value, list):
        return list(map(plain, value))
    return value.text if isinstance(value, QuotedString) else value


@pytest.mark.parametrize(
    "given",
    [
        *(None, True, 0, -3, 1e-5, 0.1, "plain", "a b", "a,b", "a=b", "[x]", "{x: 1}", "1", "1e3"),
        *("null", "True", "0:10", "-5:", "::2", "it's", 'say "x"', "back\\slash", "back\\", "\\'"),
        *("<b>&</b>", "../data/mine.npz", "digits-lstm*", "héh", "", "a:b", "inf", " x "),
        *([0.1, 0.9], ["h", "c,f", "it's"], [1, None]),
    ],
)
def test_a_value_is_read_as_it_was(given: Any) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"a.b={value(given)}"])
    found = override.value()
    assert plain(found) == given
    assert not override.is_sweep_override()


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model=gru", "seed=3", "extract.signals=[h,z]"),
        ("model.units=16", "train.steps=50", "train.patience=7", "units.gate_cuts=[0.2,0.8]"),
        ("data=mnist", "data.path='a b.npz'", "extract.timesteps='0:10'", "extract.checkpoint=50"),
    ],
)
def test_the_command_of_a_run_composes_its_options(
    overrides: tuple[str, ...], tmp_path: Path
) -> None:
    given = words(command_of(commands.manifests(as_composed(tmp_path, 0, *overrides))))
    assert len(given) == len(overrides)
    assert composed(tmp_path, *given) == composed(tmp_path, *overrides)


def test_a_full_grid_is_one_sweep_of_just_these_runs(tmp_path: Path) -> None:
    swept = list(itertools.product(("8", "64"), ("0", "2"), ("[0.1,0.9]", "[0.2,0.8]")))
    runs = [
        as_composed(tmp_path, n, f"model.units={u}", f"seed={s}", f"units.gate_cuts={cuts}")
        for n, (u, s, cuts) in enumerate(swept)
    ]
    (command,) = commands.sweep(runs)
    flag, *given = words(command)
    assert flag == "-m"
    found = {
        override.key_or_group: list(override.sweep_string_iterator())
        for override in OverridesParser.create().parse_overrides(given)
    }
    assert found == {
        "model.units": ["8", "64"],
        "seed": ["0", "2"],
        "units.gate_cuts": ["[0.1,0.9]", "[0.2,0.8]"],
    }
    assert len(commands.sweep(runs[1:])) == len(runs) - 1


def test_a_shared_option_is_said_once_and_runs_without_pages_end_with_their_units(
    tmp_path: Path,
) -> None:
    runs = [made(tmp_path, n, model={"units": 64}, seed=n, page=False) for n in range(3)]
    assert commands.sweep(runs) == ["rnnscope -m seed=0,1,2 stage=units"]
    runs = [made(tmp_path, n, model={"units": 5}, seed=n) for n in range(3)]
    assert commands.sweep(runs) == ["rnnscope -m model.units=5 seed=0,1,2"]
    assert commands.sweep(runs[:1]) == ["rnnscope model.units=5"]


def test_files_are_named_and_modules_of_code_by_their_names(tmp_path: Path) -> None:
    run = made(
        tmp_path,
        0,
        data={"name": "files", "path": {"sha256": "ab"}},
        model={
            "name": "file",
            "path": {"sha256": "cd"},
            "custom_objects": {"sha256": "ef"},
            "custom_objects.helper": {"sha256": "01"},
        },
        files={
            "data.path": "/there/my data.npz",
            "model.path": "/there/mine.keras",
            "model.custom_objects": "/there/cells.py",
            "model.custom_objects.helper": "/there/helper.py",
        },
    )
    assert words(command_of(commands.manifests(run))) == [
        *("data=files", "data.path='/there/my data.npz'"),
        *("model=file", "model.path=/there/mine.keras", "model.custom_objects=cells"),
    ]


def test_what_was_collected_is_collected_again() -> None:
    assert commands.collect(None) == "rnnscope stage=collect"
    given = words(commands.collect(["digits-lstm*", "a b"]))
    assert given == ["stage=collect", "collect.runs=[digits-lstm*,'a b']"]
