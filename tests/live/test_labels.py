"""Labels in pandas and in decimals: by the names of their columns, their index and their value."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import rnnscope
from rnnscope.errors import UserError

pytestmark = pytest.mark.tensorflow

N, T, K = 12, 4, 3
X = np.random.default_rng(0).normal(size=(N, T, K)).astype(np.float32)
Y = X[:, -1].argmax(axis=-1)
"""What the model says of X, whose last values are its scores."""
NAMES = np.array(["a", "b", "c"])[Y]
IN_ORDER = "classes a, b, c are taken as the model's outputs, in order"


def same(each: bool = False) -> Any:
    """A recurrent layer whose h is x."""
    return keras.layers.SimpleRNN(
        K,
        activation="linear",
        use_bias=False,
        kernel_initializer="identity",
        recurrent_initializer="zeros",
        return_sequences=each,
        name="rnn",
    )


@pytest.fixture(scope="module")
def model() -> keras.Model:
    x = keras.Input((T, K))
    last = keras.layers.Dense(K, activation="softmax", kernel_initializer="identity")
    return keras.Model(x, last(same()(x)))


@pytest.fixture(scope="module")
def of_steps() -> keras.Model:
    x = keras.Input((T, K))
    return keras.Model(x, keras.layers.Softmax()(same(each=True)(x)))


def dummies(order: str, names: Any = NAMES) -> pd.DataFrame:
    return pd.get_dummies(pd.Series(names))[list(order)]


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
@pytest.mark.parametrize("kind", [bool, float, "boolean", "Int64"])
def test_columns_of_one_hot_tables_are_names(model: keras.Model, order: str, kind: Any) -> None:
    with pytest.warns(UserWarning, match=IN_ORDER):
        states = rnnscope.record(model, X, labels=dummies(order).astype(kind))
    assert states.classes == ["a", "b", "c"]
    assert states.sequences["correct"].all()


@pytest.mark.parametrize("order", ["abc", "cba"])
def test_so_are_those_of_tables_of_timesteps(of_steps: keras.Model, order: str) -> None:
    names = np.array(["a", "b", "c"])[X.argmax(axis=-1)]
    labels = [dummies("abc", [*each, *"abc"])[:T][list(order)] for each in names]
    with pytest.warns(UserWarning, match=IN_ORDER):
        states = rnnscope.record(of_steps, X, labels=labels)
    assert states.steps is not None
    assert states.steps["correct"].all()


@pytest.mark.parametrize("kind", [int, float])
def test_columns_that_are_numbers_are_those_of_the_outputs(model: keras.Model, kind: Any) -> None:
    two = np.where(Y == 1, 2, Y)
    table = pd.get_dummies(pd.Series(two.astype(kind)))
    states = rnnscope.record(model, X, labels=table[table.columns[::-1]])
    assert states.sequences["label"].tolist() == two.tolist()
    whole = rnnscope.record(model, X, labels=pd.DataFrame(np.eye(K)[Y]))
    assert whole.sequences["label"].tolist() == Y.tolist()
    assert whole.classes == ["0", "1", "2"]


REFUSED: dict[str, tuple[Any, str]] = {
    "two of three names": (dummies("ab", np.where(Y == 2, "a", NAMES)), "classes a, b, and the"),
    "two columns": (np.eye(2)[Y % 2], "one-hot, of 2 classes, and the model has 3 outputs"),
    "two counted columns": (pd.DataFrame(np.eye(2)[Y % 2]), "one-hot, of 2 classes, and the mod"),
    "five columns": (np.eye(5)[Y + 1], "the model has 3 outputs; the data has a class 4"),
    "as many as timesteps": (
        dummies("abcd", np.where(np.arange(N) == 0, "d", NAMES)),
        r"give labels\.idxmax\(axis=1\); if .* labels\.to_numpy\(\)\[\.\.\., None\]",
    ),
    "two of a name": (dummies("abc").set_axis(["a", "a", "c"], axis=1), "columns .* named 'a'"),
    "categories": (
        pd.get_dummies(pd.Series(pd.Categorical(NAMES, ["c", "b", "a"]))),
        r"in the order 'c', 'b', 'a', .*argmax\(axis=1\) .* labels\.idxmax\(axis=1\)\.ast",
    ),
    "shuffled": (pd.Series(Y).sample(frac=1, random_state=0), r"0 to 11 in another .*\.sort_index"),
    "shuffled table": (dummies("abc").sample(frac=1, random_state=0), "0 to 11 in another order"),
    "decimals and text": ([Decimal(2)] * 11 + ["a"], "decimals and 'a', a str"),
    "decimals and nothing": ([Decimal(2)] * 11 + [None], "decimals and None, a NoneType"),
    "many digits": ([Decimal("0.1234567890123456789")] * N, "of more digits than a float has"),
    "a third": ([Fraction(1, 3)] * N, "of more digits than a float has"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_be_either_is_refused(model: keras.Model, case: str) -> None:
    labels, said = REFUSED[case]
    with pytest.raises(UserError, match=said) as caught:
        rnnscope.record(model, X, labels=labels)
    assert "\n" not in str(caught.value)


def test_the_remedies_work(model: keras.Model) -> None:
    for labels in (dummies("cba").idxmax(axis=1), REFUSED["categories"][0].idxmax(axis=1)):
        with pytest.warns(UserWarning, match=IN_ORDER):
            states = rnnscope.record(model, X, labels=labels.astype(str))
        assert states.sequences["correct"].all()
    shuffled = pd.Series(Y).sample(frac=1, random_state=0)
    assert rnnscope.record(model, X, labels=shuffled.sort_index()).sequences["correct"].all()
    kept = rnnscope.record(model, X, labels=shuffled.to_numpy()).sequences["label"]
    assert kept.tolist() == shuffled.tolist()


@pytest.mark.parametrize("index", [np.arange(N), np.arange(N) + 5, np.arange(N)[::-1] * 2])
def test_any_other_index_counts_for_nothing(model: keras.Model, index: Any) -> None:
    assert rnnscope.record(model, X, labels=pd.Series(Y, index)).sequences["correct"].all()


@pytest.mark.parametrize("given", ["lengths", "annotations"])
def test_a_shuffled_index_of_anything_else_is_refused(model: keras.Model, given: str) -> None:
    values = pd.DataFrame(X[..., 0]).sample(frac=1, random_state=0)
    shuffled = {"lengths": values[0] * 0 + T, "annotations": {"a": values}}[given]
    with pytest.raises(UserError, match=f"{given}.*its index is 0 to 11 in another order"):
        rnnscope.record(model, X, **{given: shuffled})


@pytest.mark.parametrize("given", ["x", "annotations", "labels"])
def test_tables_whose_columns_differ_in_order_are_refused(
    of_steps: keras.Model, given: str
) -> None:
    orders = [list("abc"), list("cba")]
    tables = [pd.DataFrame(each, columns=list("abc"))[orders[n % 2]] for n, each in enumerate(X)]
    known: dict[str, Any] = {"x": {}, "annotations": {"annotations": {"a": tables}}}
    known["labels"] = {"labels": tables}
    x = tables if given == "x" else X
    with pytest.raises(UserError, match=r"\[1\] has column 'c' at another place than .*\[0\]"):
        rnnscope.record(of_steps, x, **known[given])
    if given == "x":
        states = rnnscope.record(of_steps, [table[orders[0]] for table in tables])
        np.testing.assert_allclose(states["rnn"]["h"], X, atol=1e-6)


@pytest.mark.parametrize("kind", [Decimal, Fraction])
def test_decimals_are_the_numbers_that_they_are(model: keras.Model, kind: Any) -> None:
    whole = rnnscope.record(model, X, labels=[kind(int(each)) for each in Y])
    assert whole.sequences["label"].tolist() == Y.tolist()
    x = keras.Input((T, K))
    one = keras.Model(x, keras.layers.Dense(1)(same()(x)))
    targets = [0.5, 10.5, 2, 3, 1.25, 7, 8, 9, 11, 12, 13, 14.5]
    for labels in ([kind(str(each)) for each in targets], np.array(list(map(kind, targets)))):
        states = rnnscope.record(one, X, labels=labels)
        assert states.sequences["target"].tolist() == targets
        assert states.classes == []


@pytest.fixture(scope="module")
def written() -> rnnscope.States:
    """States of sequences with names, in the order of these."""
    table = pd.DataFrame(X.reshape(-1, K), columns=["f0", "f1", "f2"])
    table.insert(0, "sequence", np.repeat([f"s{n:02d}" for n in range(N)], T))
    table.insert(1, "timestep", np.tile(np.arange(T), N))
    x = keras.Input((T, K))
    return rnnscope.record(keras.Model(x, same(each=True)(x)), table)


def eta2(states: rnnscope.States, labels: Any) -> float:
    return float(rnnscope.measure(states, labels, permutations=0)["eta2"].iloc[0])


def test_measure_takes_labels_by_the_names_of_the_sequences(written: rnnscope.States) -> None:
    label = (X[:, -1, 0] > 0).astype(int)
    right = eta2(written, label)
    named = pd.Series(label, written.sequences["id"].to_numpy())
    mixed = named.sample(frac=1, random_state=0)
    for form in (named, mixed, mixed.to_frame(), pd.get_dummies(mixed.map({0: "n", 1: "p"}))):
        assert eta2(written, form) == right
    assert eta2(written, mixed.to_numpy()) != right
    for index in (range(N), range(5, 5 + N), [f"t{n}" for n in range(N)][::-1]):
        assert eta2(written, pd.Series(label, index)) == right
    with pytest.raises(UserError, match="its index is 0 to 11 in another order"):
        eta2(written, mixed.reset_index(drop=True).sample(frac=1, random_state=1))


def test_names_of_another_type_in_another_order_are_refused() -> None:
    table = pd.DataFrame(X.reshape(-1, K), columns=["f0", "f1", "f2"])
    table.insert(0, "sequence", np.repeat([str(n + 1) for n in range(N)], T))
    table.insert(1, "timestep", np.tile(np.arange(T), N))
    x = keras.Input((T, K))
    with pytest.warns(UserWarning, match="another order than that of their names"):
        states = rnnscope.record(keras.Model(x, same(each=True)(x)), table)
    with pytest.raises(UserError, match="in another type and order"):
        eta2(states, pd.Series(Y, np.arange(N) + 1))
    assert eta2(states, pd.Series(Y)) == eta2(states, Y)
