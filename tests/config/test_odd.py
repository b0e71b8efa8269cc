"""Whatever an option is given: a checked config within its bounds, or one line that names it."""

import dataclasses
import math
import typing
import unicodedata
from typing import Any

import pytest

from rnnscope.config import KINDS, Config, options
from tests.config import odd

LINE = 300
"""Most characters of a message."""


def schemas() -> list[type]:
    found = [Config]
    for name, kind in typing.get_type_hints(Config).items():
        if dataclasses.is_dataclass(kind):
            found += [*KINDS.get(name, {"": kind}).values()]
    return list(dict.fromkeys(found))


def fields() -> list[Any]:
    return [
        pytest.param(
            typing.get_type_hints(schema)[field.name], field, id=f"{schema.__name__}.{field.name}"
        )
        for schema in schemas()
        for field in dataclasses.fields(schema)
        if not dataclasses.is_dataclass(typing.get_type_hints(schema)[field.name])
    ]


def within(value: Any, rule: Any) -> bool:
    """Whether a value keeps to its field's range; written apart from what loads it."""
    match value:
        case None | bool():
            return True
        case list() | dict():
            most = rule.get("length", rule.get("most", 0))
            least = rule.get("length", rule.get("fewest", 0 if isinstance(value, dict) else 1))
            return least <= len(value) <= most and all(within(each, rule) for each in value)
        case str():
            return 0 < len(value) <= rule.get("longest", 100) and not {"Cc", "Cs"} & {
                *map(unicodedata.category, value)
            }
        case _:
            low = rule.get("low", rule.get("above", -math.inf))
            return low <= value <= rule.get("high", rule.get("below", math.inf))


@pytest.mark.parametrize(("hint", "field"), fields())
def test_every_option_has_a_type_and_both_bounds(hint: Any, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata
    accepted, _ = options.kinds(hint)
    for kind in accepted:
        inner = kind
        if typing.get_origin(kind) in (list, dict):
            assert rule.keys() & {"length", "most"}
            inner = typing.get_args(kind)[0]
        if inner in (int, float):
            assert rule.keys() & {"low", "above"}
            assert rule.keys() & {"high", "below"}
            ends = [rule[key] for key in ("low", "above", "high", "below") if key in rule]
            assert all(math.isfinite(end) for end in ends)
        elif inner is str:
            assert rule.keys() & {"choices", "longest"} or rule.keys() >= {"pattern", "words"}
        else:
            assert inner is bool
    said = options.allowed(field, hint)
    assert said
    assert "\\" not in said


def test_the_kinds_are_the_choices_of_their_name() -> None:
    for group, kinds in KINDS.items():
        for kind in kinds.values():
            (name,) = (each for each in dataclasses.fields(kind) if each.name == "name")
            assert name.metadata["choices"] == tuple(kinds), group


def judge(found: Config | str, words: list[str]) -> str:
    """Accepted or refused; asserts that either is as it must be."""
    if isinstance(found, Config):
        for section in (found, *vars(found).values()):
            if not dataclasses.is_dataclass(section):
                continue
            for field in dataclasses.fields(section):
                value = getattr(section, field.name)
                if not dataclasses.is_dataclass(value):
                    assert within(value, field.metadata), (field.name, value, words)
        return "accepted"
    assert len(found) <= LINE, (len(found), found)
    assert found.isprintable(), found
    return "refused"


def test_odd_values_are_taken_within_bounds_or_refused_in_one_line_that_names_the_option() -> None:
    ends = {"accepted": 0, "refused": 0}
    for base, words in odd.configs(seed=0, count=480):
        found = odd.outcome(base, words)
        end = judge(found, words)
        ends[end] += 1
        if end == "refused":
            named = [word.partition("=")[0] for word in words]
            assert any(name in found for name in named), (found, words)  # type: ignore[operator]
    assert min(ends.values()) > 20, ends


@pytest.mark.parametrize("word", odd.WORDS)
def test_odd_words_end_in_a_config_or_one_line(word: str) -> None:
    words = word.split(" ") if " " in word else [word]
    judge(odd.outcome(odd.BASES[0], words, whole=True), words)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("seed.x=1", "seed.x: seed is an option, not a group of options: give seed=..."),
        ("train.steps.x=1", "train.steps.x: train.steps is an option, not a group of options"),
        ("=1", "=1: a group takes the name of one of its files"),
        ("model=null", "model=null: a group takes the name of one of its files"),
        ("extract.layers={a:1}", "extract.layers={a: 1}: must be a list of 1 to 10,000 "),
        ("extract.layers=[]", "extract.layers=[]: must be a list of 1 to "),
        ("extract.layers=[a,a]", "or null; a comes twice"),
        ("extract.units=5", "; a list is written [a,b]"),
        ("extract.units=[1,1]", "; 1 comes twice"),
        ("extract.signals=[h,cc]", "each one of h, c, i, f, o, g, z, r, s0, s1, ..., or null"),
        ("extract.timesteps=-:", "must be all, last, or a slice such as 0:10, ::2 or -5:"),
        ("extract.timesteps='१:२'", "must be all, last, or a slice"),
        ("seed=${nope}", "seed=${nope}: cannot be resolved: Interpolation key 'nope' not found"),
        ("seed=${seed}", "seed=${seed}: cannot be resolved: "),
        ("train=${nope}", "train=${nope}: cannot be resolved: "),
        (
            "train.steps=${model.name}",
            "train.steps=${model.name}, which gives lstm: must be a whole",
        ),
        ("seed='१२'", "must be a whole number"),
        ("seed=010", "must be a whole number"),
        ("seed=1.0", "must be a whole number"),
        ("seed=true", "seed=true: must be a whole number"),
        ("train.learning_rate=1e999", "at most 1,000"),
        ("engine.workers=100000", "at most 1,024, or null"),
        ("units.permutations=1e23", "at most 1,000,000"),
        ("root=1e3", "needs quotes"),
        ("root='a\nb'", "it has a control character"),
        ("stage=[units]", "must be the name of a stage, which rnnscope --help lists"),
        ("train.restore_best=2", "must be true or false"),
        ("units.gate_cuts=[0.9,0.1]", "must be a list of 2 rising values"),
    ],
)
def test_an_odd_value_says_what_is_wrong_with_it(word: str, says: str) -> None:
    anew = word in ("seed.x=1", "train.steps.x=1", "=1", "model=null")
    found = odd.outcome(odd.BASES[0], [word], whole=anew)
    assert isinstance(found, str)
    assert found.startswith(word.partition("=")[0])
    assert says in found


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("extract.layers=lstm", "extract.layers", ["lstm"]),
        ("extract.layers=[lstm]", "extract.layers", ["lstm"]),
        ("ablation.methods=c_zero", "ablation.methods", ["c_zero"]),
        ("compare.runs=2024", "compare.runs", "2024"),
        ("root=2024", "root", "2024"),
        ("train.steps=1_000", "train.steps", 1_000),
        ("train.steps='1000'", "train.steps", 1_000),
        ("train.steps=${oc.decode:'5'}", "train.steps", 5),
        ("train.steps=${oc.env:NO_SUCH,5}", "train.steps", 5),
        ("data.split_seed=${seed}", "data.split_seed", 0),
        ("train.learning_rate=1", "train.learning_rate", 1.0),
        ("train.learning_rate='1e-2'", "train.learning_rate", 0.01),
        ("train.restore_best=yes", "train.restore_best", True),
        ("model.units=2048", "model.units", 2_048),
        ("model.layers=100", "model.layers", 100),
        ("extract.max_sequences=100000000", "extract.max_sequences", 10**8),
        ("extract.signals=[h,s12]", "extract.signals", ["h", "s12"]),
        ("extract.timesteps=-5::2", "extract.timesteps", "-5::2"),
    ],
)
def test_what_people_write_is_taken(word: str, key: str, value: Any) -> None:
    found = odd.outcome(odd.BASES[0], [word])
    assert isinstance(found, Config), found
    for name in key.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)
