"""What is given twice on a command line is refused; what a file sets beside it is overridden."""

import subprocess
from pathlib import Path

import pytest

from rnnscope.config.twice import refuse_flags_twice, refuse_twice
from rnnscope.errors import UserError
from tests import forks
from tests.compose import PROJECT

TWICE = [
    (["train.steps=5", "train.steps=6"], "train.steps is given twice: 5 and 6; leave one out"),
    (["seed=0,1", "model.units=3", "seed=2,3"], "seed is given twice: 0,1 and 2,3; leave one out"),
    (["model=lstm", "model=gru"], "model is given twice: lstm and gru; leave one out"),
    (["model=lstm", "model@model=gru"], "model is given twice: model=lstm and model@model=gru"),
    (["hydra/launcher=slurm", "hydra/launcher=basic"], "hydra/launcher is given twice: slurm and"),
    (["analysis@units=a", "analysis@units=b"], "analysis@units is given twice: a and b"),
    (["experiment=widths", "+experiment=seed"], "experiment is given twice: experiment=widths"),
    (["train.steps=5", "++train.steps=5"], "twice: train.steps=5 and ++train.steps=5"),
    (["~train.steps", "train.steps=5"], "twice: ~train.steps and train.steps=5"),
    (["train={steps: 5}", "train.steps=6"], "train.steps is given twice: train={steps: 5} and"),
    (["a={b: {c: 1}}", "a={b: {d: 2, c: 3}}"], "a.b.c is given twice: a={b: {c: 1}} and a={b"),
    (["+hydra.sweeper.params.seed=0,1", "seed=2"], "seed is given twice: +hydra.sweeper.params"),
    (['hydra.sweeper.params={a.b: "1,2"}', "a.b=3"], "a.b is given twice: hydra.sweeper.params={"),
    (["hydra.searchpath=[a]", "hydra.searchpath=[b]"], "hydra.searchpath is given twice: [a] and"),
]
ONCE = [
    [],
    ["seed=1", "seed=1"],
    ["seed=0,1", "seed=0,1"],
    ["experiment=seed", "model=gru", "model.units=4", "train.steps=5"],
    ["train={steps: 5}", "train.batch_size=6"],
    ["model={a: 1}", "model={b: 2}"],
    ["+hydra.sweeper.params.seed=0,1", "model.units=2"],
    ["analysis@units=a", "analysis@population=a"],
    ["~train.patience", "train.steps=5"],
]


@pytest.mark.parametrize(("words", "said"), TWICE)
def test_two_values_of_one_option_are_both_named(words: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        refuse_twice(words)
    assert said in str(refused.value)


@pytest.mark.parametrize("words", ONCE)
def test_what_comes_once_or_says_the_same_again_is_taken(words: list[str]) -> None:
    refuse_twice(words)


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--config-dir", "a", "--config-dir=b", "seed=1"], "--config-dir"),
        (["-cd", "a", "--config-d", "b"], "--config-dir"),
        (["-c", "job", "--cfg", "hydra"], "--cfg"),
        (["-cn", "a", "--config-name=b"], "--config-name"),
    ],
)
def test_a_flag_with_two_values_is_refused(words: list[str], flag: str) -> None:
    with pytest.raises(UserError, match=f"{flag} is given twice: (a|job) and (b|hydra)"):
        refuse_flags_twice(words)
    refuse_flags_twice([])
    refuse_flags_twice(["-m", "--multirun", "--cfg", "job", "--config-dir", "a", "-cd=a", "b=a"])


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train.steps=5", "train.steps=6"], "train.steps is given twice: 5 and 6"),
        (["-m", "seed=0,1", "seed=2,3"], "seed is given twice: 0,1 and 2,3"),
        (["--cfg", "job", "model=gru", "model=lstm"], "model is given twice: gru and lstm"),
        (["--cfg", "job", "--cfg", "hydra"], "--cfg is given twice: job and hydra"),
        (["-m", "experiment=widths", "model.units=4"], ""),  # beside the experiment's own
    ],
)
def test_the_command_line_refuses_it_before_anything_is_made(
    words: list[str], says: str, tmp_path: Path
) -> None:
    command = [forks.interpreter(), "-m", "rnnscope", *words, "mode=plan", f"root={tmp_path / 'o'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == (2 if says else 0)
    assert len(done.stderr.splitlines()) == bool(says)
    assert says in done.stderr
    assert not list(tmp_path.iterdir())
