"""Outcomes: labels, predictions and losses of sequences and of timesteps, against scikit-learn."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error

from rnnscope.data import Batch
from rnnscope.extract import outcome as by_column
from rnnscope.extract.outcome import outcome
from rnnscope.extract.records import table_of

pytestmark = pytest.mark.tensorflow

CLASSES, NUMBERS = np.array([0, 1], np.int32), np.array([0.5, 1], np.float32)
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


def batch(y: NDArray[Any] | None, lengths: NDArray[np.int32], steps: int, **known: Any) -> Batch:
    return Batch(np.zeros((len(lengths), steps, 1), np.float32), y, lengths, steps=known)


def outcomes(*of: Any) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Both tables, as they are made of batches."""
    sequences, steps = by_column.outcomes(*of)
    return table_of([sequences]), None if steps is None else table_of([steps])


def drawn(seed: int) -> tuple[np.random.Generator, int, int, int, NDArray[np.int32]]:
    """A generator; B, T and K; and lengths [B], some of them T."""
    random = np.random.default_rng(seed)
    count, steps, k = random.integers(1, 7, 3)
    lengths = random.integers(1, steps + 1, count).astype(np.int32)
    return random, int(count), int(steps), int(k) + 1, lengths


@given(st.integers(0, 10_000), st.sampled_from(["logits", "probabilities"]))
@EXAMPLES
def test_classes_of_timesteps_are_scored_at_each_and_over_each_sequence(
    seed: int, kind: str
) -> None:
    random, count, steps, k, lengths = drawn(seed)
    scores = random.normal(size=(count, steps, k)).astype(np.float32)
    outputs = scores if kind == "logits" else softmax(scores, axis=2)
    y = random.integers(0, k, (count, steps)).astype(np.int32)
    depth = random.integers(0, 9, (count, steps)).astype(np.int32)
    sequences, at = outcomes(outputs, batch(y, lengths, steps, depth=depth), lengths, 11, kind)
    assert at is not None
    names = ["sequence", "timestep", "label", "prediction", "correct", "loss", "depth"]
    types = ["int32", "int32", "int32", "int32", "bool", "float32", "int32"]
    assert at.dtypes.astype(str).to_dict() == dict(zip(names, types, strict=True))
    assert list(sequences) == ["sequence", "length", "correct", "loss"]
    assert sequences["sequence"].tolist() == list(range(11, 11 + count))
    for number, length in enumerate(lengths):
        rows = at[at["sequence"] == 11 + number]
        assert rows["timestep"].tolist() == list(range(length))
        for name, values in (("label", y), ("depth", depth), ("prediction", scores.argmax(2))):
            np.testing.assert_array_equal(rows[name], values[number, :length])
        p = softmax(scores[number, :length].astype(np.float64), axis=1)
        one = sequences.loc[number]
        assert one["correct"] == pytest.approx(
            accuracy_score(y[number, :length], p.argmax(axis=1)), abs=1e-12
        )
        want = log_loss(y[number, :length], p, labels=range(k))
        assert one["loss"] == pytest.approx(want, rel=1e-5)
        assert rows["loss"].mean() == pytest.approx(want, rel=1e-5)


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from(["logits", "values", "sigmoid"]))
@EXAMPLES
def test_numbers_have_their_squared_error(seed: int, flat: bool, kind: str) -> None:
    random, count, steps, _, lengths = drawn(seed)
    for shape in ((count,), (count, steps)):
        y = random.normal(size=shape).astype(np.float32)
        got = random.normal(size=shape).astype(np.float32)
        outputs = got if flat else got[..., np.newaxis]
        sequences, at = outcomes(outputs, batch(y, lengths, steps), lengths, 0, kind)
        if len(shape) == 1:
            assert at is None
            assert list(sequences) == ["sequence", "length", "target", "prediction", "loss"]
            np.testing.assert_array_equal(sequences["prediction"], got)
            assert sequences["loss"].mean() == pytest.approx(mean_squared_error(y, got), rel=1e-5)
            continue
        assert at is not None
        assert list(at) == ["sequence", "timestep", "target", "prediction", "loss"]
        assert list(sequences) == ["sequence", "length", "loss"]
        for number, length in enumerate(lengths):
            want = mean_squared_error(y[number, :length], got[number, :length])
            assert sequences["loss"][number] == pytest.approx(want, rel=1e-5)
        valid = np.arange(steps) < lengths[:, np.newaxis]
        np.testing.assert_array_equal(at["target"], y[valid])
        np.testing.assert_array_equal(at["prediction"], got[valid])


@given(st.integers(0, 10_000), st.booleans())
@EXAMPLES
def test_one_sigmoid_is_the_probability_of_class_1(seed: int, flat: bool) -> None:
    random, count, steps, _, lengths = drawn(seed)
    for shape in ((count,), (count, steps)):
        p = (1 / (1 + np.exp(-random.normal(0, 3, shape)))).astype(np.float32)
        y = random.integers(0, 2, shape).astype(np.int32)
        given = batch(y, lengths, steps)
        sequences, at = outcomes(p if flat else p[..., np.newaxis], given, lengths, 0, "sigmoid")
        rows = sequences if at is None else at
        valid = np.arange(steps) < lengths[:, np.newaxis]
        if at is not None:
            p, y = p[valid], y[valid]
        np.testing.assert_array_equal(rows["prediction"], p > 0.5)
        assert rows["correct"].mean() == pytest.approx(accuracy_score(y, p > 0.5))
        two = np.stack([1 - p.astype(np.float64), p], axis=-1)
        assert rows["loss"].mean() == pytest.approx(log_loss(y, two, labels=[0, 1]), rel=1e-5)
        if at is None:
            np.testing.assert_allclose(sequences[["p_0", "p_1"]], two, rtol=1e-6)
        else:
            assert list(sequences) == ["sequence", "length", "correct", "loss"]


def test_a_sigmoid_of_one_half_is_class_0() -> None:
    half = np.full((2, 1), 0.5, np.float32)
    assert outcome(half, CLASSES, "sigmoid")["prediction"].tolist() == [0, 0]


def test_padding_counts_for_nothing() -> None:
    lengths = np.array([2, 3], np.int32)
    outputs = np.full((2, 3, 2), [2.0, 0.0], np.float32)
    outputs[0, 2] = np.nan
    y = np.array([[0, 1, 7], [0, 0, 0]], np.int32)  # there is no class 7
    sequences, at = outcomes(outputs, batch(y, lengths, 3), lengths, 0, "logits")
    assert at is not None
    assert len(at) == 5
    assert sequences["correct"].tolist() == [0.5, 1.0]


OF_TIMESTEPS = np.zeros((2, 3), np.int32)


@pytest.mark.parametrize(
    ("y", "shape", "kind", "first", "second"),
    [
        (CLASSES, (2, 2), "values", ["label"], None),  # sigmoids, say
        (CLASSES, (2, 2), None, ["label"], None),
        (CLASSES, (2, 1), "logits", ["label"], None),
        (CLASSES, (2, 2), "sigmoid", ["label"], None),  # two labels, each of which may be true
        (CLASSES, (2, 3, 2), "logits", ["label"], None),
        (CLASSES, (4, 2), "logits", ["label"], None),  # not of these sequences
        (None, (2, 3, 2), "logits", [], None),
        (None, (2, 2), "logits", ["prediction", "p_0", "p_1"], None),
        (NUMBERS, (2, 2), "logits", ["target"], None),
        (NUMBERS, (2, 3, 1), "logits", ["target"], None),
        (NUMBERS, (2, 1), None, ["target"], None),
        (OF_TIMESTEPS, (2, 2), "logits", [], ["label"]),
        (OF_TIMESTEPS, (2, 3), "logits", [], ["label"]),
        (OF_TIMESTEPS, (2, 4, 2), "logits", [], ["label"]),
        (OF_TIMESTEPS, (2, 3, 2), "values", [], ["label"]),
        (OF_TIMESTEPS.astype(np.float32), (2, 3, 2), "logits", [], ["target"]),
        (OF_TIMESTEPS.astype(np.float32), (2, 1), "logits", [], ["target"]),
    ],
)
def test_of_outputs_that_are_no_scores_nothing_is_said(
    y: Any, shape: tuple[int, ...], kind: str | None, first: list[str], second: list[str] | None
) -> None:
    lengths = np.array([3, 2], np.int32)
    outputs = np.zeros(shape, np.float32)
    sequences, at = outcomes(outputs, batch(y, lengths, 3), lengths, 0, kind)
    assert list(sequences) == ["sequence", "length", *first]
    assert len(sequences) == 2
    if second is None:
        assert at is None
    else:
        assert at is not None
        assert list(at) == ["sequence", "timestep", *second]
        assert len(at) == 5


def test_annotations_alone_make_a_table_of_timesteps() -> None:
    lengths = np.array([1, 3], np.int32)
    depth = np.array([[4, 0, 0], [1, 2, 3]], np.int32)
    surprise = np.array([[np.nan, 0, 0], [0.5, np.nan, 1]], np.float32)
    given = batch(CLASSES, lengths, 3, depth=depth, surprise=surprise)
    sequences, at = outcomes(np.zeros((2, 2), np.float32), given, lengths, 5, "logits")
    want = pd.DataFrame({"sequence": [5, 6, 6, 6], "timestep": [0, 0, 1, 2]}, dtype=np.int32)
    want = want.assign(depth=np.array([4, 1, 2, 3], np.int32))
    want["surprise"] = np.array([np.nan, 0.5, np.nan, 1], np.float32)
    assert at is not None
    pd.testing.assert_frame_equal(at, want)
    assert {"label", "p_1"} <= set(sequences)


def test_scores_are_left_out_where_they_are_not_wanted() -> None:
    given = np.eye(3, dtype=np.float32), np.arange(3, dtype=np.int32), "logits"
    table, without = outcome(*given), outcome(*given, scores=False)
    assert list(table)[-3:] == ["p_0", "p_1", "p_2"]
    assert list(table)[:-3] == list(without)
    assert all(np.array_equal(table[name], without[name]) for name in without)


@pytest.mark.parametrize("fits", [True, False])
def test_several_numbers_have_the_mean_of_their_squared_errors(fits: bool) -> None:
    random, count, steps, _, lengths = drawn(3)
    y = random.normal(size=(count, steps, 3)).astype(np.float32)
    got = random.normal(size=(count, steps, 3 if fits else 2)).astype(np.float32)
    sequences, at = outcomes(got, batch(y, lengths, steps), lengths, 0, "values" if fits else None)
    assert at is not None
    names = [f"target_{number}" for number in range(3)]
    if not fits:
        assert list(at) == ["sequence", "timestep", *names]
        assert list(sequences) == ["sequence", "length"]
        return
    assert list(at)[-7:] == [*names, *(f"prediction_{number}" for number in range(3)), "loss"]
    for number, length in enumerate(lengths):
        rows = at[at["sequence"] == number]
        np.testing.assert_array_equal(rows[names], y[number, :length])
        want = mean_squared_error(y[number, :length], got[number, :length])
        assert sequences.loc[number, "loss"] == pytest.approx(want, rel=1e-5)
