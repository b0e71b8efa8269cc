"""aⁿbⁿ and brackets: every word is of its language, and all that is known of it recomputed."""

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from rnnscope import data
from rnnscope.data import Dataset, Split
from rnnscope.data.tasks.dyck import BRACKETS, NAMES
from tests.compose import composed

CLOSES = {close: opening for opening, close in BRACKETS}


def loaded(name: str, **options: Any) -> Dataset:
    overrides = [f"data.{key}={value}" for key, value in options.items()]
    return data.load(composed(Path(), f"data={name}", *overrides).data)


def words(dataset: Dataset, split: Split) -> list[tuple[str, str, dict[str, list[float]]]]:
    """What each sequence reads, what is next at each of its timesteps, and its annotations."""
    batch = split.take(slice(None))
    assert batch.y is not None
    assert batch.lengths is not None
    found = []
    for row, length in enumerate(batch.lengths):
        assert (batch.x[row, :length].sum(axis=1) == 1).all()
        assert not batch.x[row, length:].any()
        read = "".join(dataset.symbols[place] for place in batch.x[row, :length].argmax(axis=1))
        following = "".join(dataset.classes[place] for place in batch.y[row, :length])
        steps = {name: each[row, :length].tolist() for name, each in batch.steps.items()}
        found.append((read, following, steps))
    return found


def test_anbn_is_counted() -> None:
    dataset = loaded("anbn", sequences=300, test_sequences=300, max_n=5, test_max_n=9)
    assert dataset.train is not None
    for split, most in ((dataset.train, 5), (dataset.test, 9)):
        seen = Counter()  # type: ignore[var-annotated]
        for read, following, steps in words(dataset, split):
            match = re.fullmatch(r"\^(a+)(b+)", read)
            assert match is not None
            assert len(match[1]) == len(match[2])
            assert f"{read}$" == f"^{following}"
            seen[len(match[1])] += 1
            count = [read[: t + 1].count("a") - read[: t + 1].count("b") for t in range(len(read))]
            assert steps["count"] == count
            assert steps["phase"] == ["^ab".index(symbol) for symbol in read]
            assert steps["position"] == list(range(len(read)))
        assert set(seen) == set(range(1, most + 1))
        assert stats.chisquare([seen[n] for n in range(1, most + 1)]).pvalue > 0.001


@pytest.mark.parametrize(("types", "deepest", "length"), [(1, 10, 20), (2, 3, 13), (4, 2, 16)])
def test_brackets_are_well_formed(types: int, deepest: int, length: int) -> None:
    dataset = loaded(
        "dyck", types=types, max_depth=deepest, length=length, sequences=50, test_sequences=200
    )
    reached, lengths = 0, set()
    for read, following, steps in words(dataset, dataset.test):
        assert f"{read}$" == f"^{following}"
        stack: list[str] = []
        for t, symbol in enumerate(read):
            if symbol in CLOSES:
                assert stack.pop() == CLOSES[symbol]
            elif symbol != "^":
                stack.append(symbol)
            assert steps["depth"][t] == len(stack)
            assert steps["position"][t] == t
            reached = max(reached, len(stack))
            if types > 1:
                tops = [BRACKETS[kind][0] == (stack or [""])[-1] for kind in range(types)]
                assert [steps[f"top_{name}"][t] for name in NAMES[:types]] == tops
        assert not stack
        lengths.add(len(read) - 1)
    assert reached == min(deepest, length // 2) or (types, reached > 6) == (1, True)
    assert lengths == set(range(2, length // 2 * 2 + 1, 2))


def test_each_word_of_a_length_is_as_likely_as_any_other() -> None:
    """Words of 6 brackets of two types: five shapes, each with 2³ types."""
    dataset = loaded("dyck", types=2, max_depth=3, length=6, sequences=20, test_sequences=6000)
    found = Counter(read[1:] for read, _, _ in words(dataset, dataset.test) if len(read) == 7)
    shapes = ["()()()", "(())()", "()(())", "(()())", "((()))"]
    want = {typed(shape, kinds) for shape in shapes for kinds in itertools.product("([", repeat=3)}
    assert set(found) == want
    assert stats.chisquare(list(found.values())).pvalue > 0.001


def typed(shape: str, kinds: tuple[str, ...]) -> str:
    """A word of round brackets with other types, in the order in which they open."""
    left, stack, word = list(kinds), [], ""
    for symbol in shape:
        if symbol == "(":
            stack.append(left.pop(0))
            word += stack[-1]
        else:
            word += {"(": ")", "[": "]"}[stack.pop()]
    return word


def test_one_type_has_no_annotation_of_types() -> None:
    assert list(loaded("dyck", sequences=20, test_sequences=1).test.steps) == ["depth", "position"]
