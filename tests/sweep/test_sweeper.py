"""The sweeper as Hydra finds and calls it: what of Hydra works in a sweep, and what is refused."""

import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from rnnscope.errors import UserError
from rnnscope.sweep.composing import SWEEPER
from rnnscope.sweep.jobs import combinations
from tests import forks
from tests.compose import PROJECT

TINY = ("stage=train", "model.units=4", "train.steps=2")


def ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``rnnscope -m root=<folder> <words>``, called in the folder."""
    command = [forks.interpreter(), "-m", "rnnscope", "-m", f"root={folder}", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def parsed(*words: str) -> list[list[str]]:
    return combinations(OverridesParser.create().parse_overrides(list(words)))


def test_hydra_finds_the_plugin_that_the_task_asks_for() -> None:
    found = Plugins.instance().discover(Sweeper)
    assert SWEEPER in {f"{each.__module__}.{each.__name__}" for each in found}


def test_jobs_are_all_combinations_the_last_override_varying_fastest() -> None:
    assert parsed("a=1,2", "b=x", "c=range(0,3,2)", "~d", "d.e=choice(5,6)") == [
        [f"a={a}", "b=x", f"c={c}", "~d", f"d.e={e}"]
        for a in (1, 2)
        for c in (0, 2)
        for e in (5, 6)
    ]


def test_an_override_that_comes_twice_counts_as_it_comes_last() -> None:
    assert parsed("seed=0,1", "model.units=4", "seed=7") == [["seed=7", "model.units=4"]]


def test_lists_and_quoted_values_are_not_swept_over() -> None:
    assert parsed("a=[1,2]", "b='1,2'") == [["a=[1,2]", "b='1,2'"]]


def test_a_range_of_numbers_without_a_list_of_values_is_refused() -> None:
    with pytest.raises(UserError, match=r"seed=interval\(0,3\): .*write seed=1,2,3"):
        parsed("seed=interval(0,3)")


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["hydra/sweeper=basic", "hydra/launcher=basic"], "hydra/sweeper=basic: must be rnnscope"),
        (["hydra.sweeper.max_batch_size=2"], "hydra.sweeper.max_batch_size: no such option"),
        (
            ["hydra/launcher=basic", "hydra.launcher.n_jobs=1"],
            "hydra.launcher.n_jobs: no such option; this group has none",
        ),
        (["train.steps=interval(1,2)"], "train.steps=interval(1,2): has no list of values"),
        (["stage=collect"], "stage=collect: covers all runs"),
    ],
)
def test_what_cannot_work_in_a_sweep_is_refused_in_one_line(
    words: list[str], why: str, tmp_path: Path
) -> None:
    given = {word.partition("=")[0] for word in words}
    tiny = [word for word in TINY if word.partition("=")[0] not in given]
    done = ran(tmp_path, *tiny, "seed=0,1", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"rnnscope: {why}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "train").exists()


@pytest.mark.process
def test_a_users_callbacks_are_not_run(tmp_path: Path) -> None:
    callback = "+hydra.callbacks.mine={_target_: mine.Log}"
    (tmp_path / "mine.py").write_text("raise RuntimeError('it ran')")
    done = ran(tmp_path, *TINY, "seed=-1,0", callback)
    assert done.returncode == 2
    assert done.stderr.startswith("rnnscope: hydra.callbacks.mine._target_=mine.Log: not run")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.process
@pytest.mark.parametrize("how", ["config-dir", "searchpath"])
def test_experiments_outside_the_clone_are_found(how: str, tmp_path: Path) -> None:
    experiment = tmp_path / "mine" / "experiment"
    experiment.mkdir(parents=True)
    sweep = "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '4,5'}}}"
    text = f"# @package _global_\nmodel: {{units: 3}}\n{sweep}\n"
    (experiment / "own.yaml").write_text(text)
    found = {
        "config-dir": ["--config-dir", str(tmp_path / "mine")],
        "searchpath": [f"hydra.searchpath=[file://{tmp_path / 'mine'}]"],
    }
    words = [f"root={tmp_path}", "mode=plan", "experiment=own", "stage=train"]
    done = subprocess.run(
        [forks.interpreter(), "-m", "rnnscope", *found[how], *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:3]] == [
        ["0", "seed=4"],
        ["1", "seed=5"],
    ]
