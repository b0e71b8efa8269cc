"""How far patches move outputs: where it can be said, and what is clipped."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from rnnscope.analysis.intervention import ratios, recovery
from rnnscope.analysis.intervention.columns import INTERVENTION, Changed
from rnnscope.analysis.intervention.losses import losses
from rnnscope.analysis.intervention.plan import Row
from rnnscope.analysis.intervention.ratios import Ratio
from rnnscope.analysis.intervention.targets import Target
from rnnscope.analysis.intervention.windows import Window
from rnnscope.extract.outcome import outcome
from rnnscope.models.scores import PROBABILITIES, SIGMOID, VALUES

pytestmark = pytest.mark.tensorflow

NOT_FURTHER = "the donors' outputs are not further towards their class"
NO_DIFFERENCE = "the outputs of donors do not differ"
ALONE = "a single sequence, or source of sequences"
NO_PATCH = "the method is not patch, or outputs are not of whole sequences"
INEXACT = "intervention.exact=false: the model is not run"


def changed(found: list[Ratio | None], *, exact: bool = True) -> Changed:
    """Rows of a table with these ratios."""
    row = Row("lstm", "h", Target("0", np.arange(2) == 0), "patch", Window(0, 1))
    count = len(found)
    nothing = np.full(count, np.nan)
    rows = [row] * count
    return Changed(
        rows, [None] * count, found, nothing, np.full(count, 5), labelled=True, scored=True,
        exact=exact,
    )  # fmt: skip


def nulls(found: Changed, name: str) -> dict[str, int]:
    """Reason -> rows, of one column."""
    counted = INTERVENTION.nulls(found, INTERVENTION.frame(found))
    return {why: count for (column, why), count in counted.items() if column == name}


@pytest.mark.parametrize("grouped", [False, True])
def test_a_recovery_is_given_where_the_whole_way_is_known_to_be_above_0(grouped: bool) -> None:
    """Against the interval of the mean by SciPy, of as many sequences from each source."""
    random = np.random.default_rng(0)
    found: list[Ratio | None] = []
    want = []
    for mean in np.linspace(-1, 1.5, 60):
        b = mean + np.repeat(random.normal(size=10), 3) + random.normal(size=30)
        a = 0.4 * b + random.normal(0, 0.1, 30)
        each = b.reshape(10, 3).mean(axis=1) if grouped else b
        low = scipy.stats.ttest_1samp(each, 0).confidence_interval(0.95).low
        sources = np.repeat(np.arange(10), 3) if grouped else None
        found.append(ratios.ratio(a, b, sources, 10))
        want.append(a.sum() / b.sum() if low > 0 else np.nan)
    assert 15 < np.isnan(want).sum() < 45
    table = changed(found)
    frame = INTERVENTION.frame(table)
    np.testing.assert_allclose(frame["recovery"], want)
    for name in ("recovery", "recovery_low", "recovery_high"):
        assert nulls(table, name) == {NOT_FURTHER: np.isnan(want).sum()}


def test_each_missing_recovery_has_its_reason() -> None:
    random = np.random.default_rng(1)
    b = 3 + random.normal(size=6)
    some = ratios.ratio(0.5 * b, b, None, 0)
    away = ratios.ratio(0.5 * b, -b, None, 0)
    equal = ratios.ratio(0 * b, 0 * b, None, 0)
    single = ratios.ratio(b[:1] / 2, b[:1], None, 0)
    backwards = ratios.ratio(b[:1] / 2, -b[:1], None, 0)
    one_source = ratios.ratio(b / 2, b, np.zeros(6, int), 2)
    found = changed([some, None, away, equal, single, backwards, one_source])
    why = {NO_PATCH: 1, NOT_FURTHER: 2, NO_DIFFERENCE: 1}
    assert nulls(found, "recovery") == why
    assert nulls(found, "recovery_low") == nulls(found, "recovery_high") == why | {ALONE: 2}
    np.testing.assert_allclose(found.recovery[[0, 4, 6]], 0.5)
    never_run = changed([None, None], exact=False)
    assert nulls(never_run, "recovery") == nulls(never_run, "recovery_low") == {INEXACT: 2}


def test_a_distance_is_never_below_0_however_few_sequences() -> None:
    """Of outputs without classes: along the line from one output to the other."""
    clean, donor = np.zeros((2, 1), np.float32), np.array([[1.0], [8.0]], np.float32)
    moved = recovery.moved(clean, donor, VALUES, None)
    assert moved is not None
    a, b = moved.patched(donor / 4), moved.whole
    assert changed([ratios.ratio(a, b, None, 0, signed=moved.signed)]).recovery[0] == 0.25
    assert np.isnan(changed([ratios.ratio(a, b, None, 0)]).recovery[0])


def sigmoid(logits: Any) -> Any:
    """In float32, as a model has it."""
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)[:, np.newaxis]


def recovered(logits: Any, share: float) -> float:
    """Of patches that take the logits so far to their negatives, by outputs of a sigmoid."""
    own = (logits > 0).astype(int)
    moved = recovery.moved(sigmoid(logits), sigmoid(-logits), SIGMOID, (own, 1 - own))
    assert moved is not None
    a = moved.patched(sigmoid(logits * (1 - 2 * share)))
    return float(a.sum() / moved.whole.sum())


def test_both_sides_of_a_sigmoid_are_clipped_alike() -> None:
    """Where float32 tells p from 1 a tenth is a tenth; beyond, as of logits clipped at ±16.6."""
    random = np.random.default_rng(2)
    signs = random.choice([-1, 1], 400)
    small, large = random.uniform(10, 13, 400), random.uniform(10, 25, 400)
    assert recovered(signs * small, 0.1) == pytest.approx(0.1, abs=1e-3)
    clipped = np.minimum(large, -np.log(np.finfo(np.float32).epsneg))
    after = np.minimum(0.8 * large, clipped.max())
    want = (clipped - after).sum() / (2 * clipped.sum())
    found = recovered(signs * large, 0.1)
    assert found == pytest.approx(want, abs=3e-3)
    assert found < 0.1
    # Both classes the same, to what float32 near 1 keeps of p.
    assert recovered(large, 0.1) == pytest.approx(recovered(-large, 0.1), abs=1e-3)
    assert recovered(np.array([30.0, -30]), 1.0) == pytest.approx(1)


@pytest.mark.parametrize("kind", [SIGMOID, PROBABILITIES])
def test_the_loss_that_has_a_gradient_is_the_recorded_one_at_p_0_and_1(kind: str) -> None:
    p = np.array([0, 1, 1e-30, 1e-37, 0.25, 1 - 2**-24], np.float32)
    output = p[:, np.newaxis] if kind == SIGMOID else np.stack([1 - p, p], axis=1)
    for label in (0, 1):
        y = np.full(len(p), label, np.int32)
        want = outcome(output, y, kind)["loss"]
        assert want[label] == 0  # p of the class is 1
        given = tf.constant(output)
        with tf.GradientTape() as tape:
            tape.watch(given)
            found = losses(given, tf.constant(y), tf.constant(np.ones((len(p), 1), bool)), kind)
        np.testing.assert_allclose(found, want, 1e-6, 1e-12)
        assert want.max() == pytest.approx(-np.log(np.finfo(np.float64).tiny))
        assert np.isfinite(tape.gradient(found, given)).all()
