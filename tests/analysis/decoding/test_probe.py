"""Folds, shuffles, fits, scores and intervals of a linear probe, against scikit-learn."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneOut,
    PredefinedSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from rnnscope.analysis.decoding import folds, probe
from rnnscope.analysis.decoding.probe import Problem

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
FEW = settings(QUICK, max_examples=15)

Float = NDArray[np.floating]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The stage limits BLAS likewise."""
    with threadpool_limits(1):
        yield


def made(
    seed: int,
    n: int = 90,
    steps: int = 3,
    units: int = 5,
    k: int = 3,
    of: int = 5,
    effect: float = 1,
) -> tuple[Float, Problem]:
    """States [R, D] of n sequences at some timesteps, and their classes, in so many folds."""
    random = np.random.default_rng(seed)
    label = random.permutation(np.arange(n) % k)
    fold = folds.deal(np.full(n, steps), label, np.arange(n), of, random)
    step = np.repeat(np.arange(steps), n)
    y, fold, source = (np.tile(each, steps) for each in (label, fold, np.arange(n)))
    x = random.normal(size=(n * steps, units)) + effect * random.normal(size=(k, units))[y]
    return x.astype(np.float32), Problem(y, step, fold, source, 3.0)


def held_out(*given: Any, **options: Any) -> NDArray[np.float64]:
    """The scores alone [F, S]."""
    return probe.held_out(*given, **options).score


def by_count(*given: Any) -> NDArray[np.float64]:
    """The scores alone [F, number of choices]."""
    return probe.by_count(*given).score


def as_target(x: Float, problem: Problem) -> tuple[NDArray[np.float64], Problem]:
    """A linear target with noise, in place of the class; x in the digits that targets get."""
    random = np.random.default_rng(0)
    y = x @ random.normal(size=x.shape[1]) + random.normal(size=len(x)) + 1000
    return x.astype(np.float64), replace(problem, y=y)


def by_hand(problem: Problem) -> Pipeline:
    """The same probe as scikit-learn's users write it."""
    if problem.numeric:
        return make_pipeline(StandardScaler(), RidgeCV(10.0 ** np.arange(-3, 7)))
    of_classes = LogisticRegression(
        C=1 / problem.penalty, solver="newton-cg", tol=3e-4, max_iter=2000
    )
    return make_pipeline(StandardScaler(), of_classes)


def weights(fitted: Pipeline) -> NDArray[np.float64]:
    """Of each unit the sum over classes of |weight| [D]."""
    return np.asarray(np.abs(np.atleast_2d(fitted[1].coef_)).sum(axis=0))


# folds


@QUICK
@given(st.integers(0, 999), st.integers(1, 80), st.integers(1, 5), st.integers(2, 7))
def test_of_each_class_and_length_the_folds_hold_equally_many(
    seed: int, n: int, k: int, count: int
) -> None:
    random = np.random.default_rng(seed)
    lengths, labels = random.integers(1, 9, n), random.integers(0, k, n)
    fold = folds.deal(lengths, labels, np.arange(n), count, random)
    for reached in range(9):
        for label in range(k):
            among = fold[(lengths > reached) & (labels == label)]
            assert np.ptp(np.bincount(among, minlength=count)) <= 1
    assert np.ptp(np.bincount(fold, minlength=count)) <= 1
    unlabelled = folds.deal(lengths, None, np.arange(n), count, random)
    for reached in range(9):
        assert np.ptp(np.bincount(unlabelled[lengths > reached], minlength=count)) <= 1


@QUICK
@given(
    st.integers(0, 999),
    st.integers(2, 90),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(2, 6),
    st.booleans(),
)
def test_folds_never_split_a_group(
    seed: int, n: int, groups: int, k: int, count: int, labelled: bool
) -> None:
    random = np.random.default_rng(seed)
    sources, labels = random.integers(0, groups, n), random.integers(0, k, n)
    fold = folds.deal(np.ones(n, int), labels if labelled else None, sources, count, random)
    for source in np.unique(sources):
        assert len(np.unique(fold[sources == source])) == 1
    assert ((fold >= 0) & (fold < count)).all()
    if count <= len(np.unique(sources)) < n:
        assert len(np.unique(fold)) == count


def test_folds_of_groups_hold_about_as_many_of_each_class() -> None:
    random = np.random.default_rng(0)
    sources = np.repeat(np.arange(40), 5)
    labels = random.permutation(np.arange(40) % 2)[sources]
    fold = folds.deal(np.ones(200, int), labels, sources, 5, random)
    for label in (0, 1):
        assert np.bincount(fold[labels == label]).tolist() == [20] * 5


def test_folds_are_random_and_have_a_seed() -> None:
    lengths, labels = np.full(60, 4), np.arange(60) % 3
    one, same, other = (
        folds.deal(lengths, labels, np.arange(60), 5, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.5


@QUICK
@given(st.integers(0, 999), st.integers(1, 60), st.integers(1, 4), st.integers(2, 4))
def test_rows_take_part_where_every_fold_can_be_scored_on_what_the_others_know(
    seed: int, rows: int, k: int, count: int
) -> None:
    random = np.random.default_rng(seed)
    y, step, fold = (random.integers(0, most, rows) for most in (k, 3, count))
    got = folds.readable(y, step, fold, count)
    for each in range(3):
        here = step == each
        known = [label for label in range(k) if len(set(fold[here & (y == label)])) > 1]
        able = here & np.isin(y, known)
        enough = (np.bincount(fold[able], minlength=count) >= 2).all() and len(known) > 1
        np.testing.assert_array_equal(got & here, able if enough else np.zeros(rows, bool))


def test_targets_that_are_missing_or_all_the_same_take_no_part() -> None:
    step, fold = np.repeat([0, 1], 8), np.tile([0, 1], 8)
    y = np.where(step == 0, np.arange(16.0), 3.0)
    y[[0, 5]] = np.nan
    expected = (step == 0) & ~np.isnan(y)
    np.testing.assert_array_equal(folds.readable(y, step, fold, 2), expected)


@QUICK
@given(st.integers(0, 999))
def test_a_shuffle_keeps_what_each_fold_has_and_loses_the_rest(seed: int) -> None:
    random = np.random.default_rng(seed)
    fold, y = (random.integers(0, most, 400) for most in (4, 5))
    moved = folds.shuffled(y, fold, np.arange(400), random)
    for each in range(4):
        np.testing.assert_array_equal(np.sort(moved[fold == each]), np.sort(y[fold == each]))
    assert (moved == y).mean() == pytest.approx(1 / 5, abs=0.1)


@QUICK
@given(st.integers(0, 999))
def test_groups_that_have_one_label_exchange_theirs_within_their_fold(seed: int) -> None:
    random = np.random.default_rng(seed)
    source = random.integers(0, 30, 200)
    of_source, fold = random.normal(size=30), random.integers(0, 3, 30)[source]
    moved = folds.shuffled(of_source[source], fold, source, random)
    first = np.unique(source, return_index=True)[1]
    np.testing.assert_array_equal(moved, dict_of(source, moved))
    for each in range(3):
        among = first[fold[first] == each]
        np.testing.assert_array_equal(np.sort(moved[among]), np.sort(of_source[source[among]]))
    assert (moved != of_source[source]).mean() > 0.5


def dict_of(source: NDArray[np.integer], y: Float) -> Float:
    """The y of each sequence's source, from the first sequence of each."""
    known: dict[int, float] = {}
    for each, value in zip(source.tolist(), y.tolist(), strict=True):
        known.setdefault(each, value)
    return np.array([known[each] for each in source.tolist()])


# scores


@FEW
@given(st.integers(0, 999), st.booleans(), st.integers(2, 5))
def test_at_its_own_timestep_a_read_out_scores_as_in_cross_val_score(
    seed: int, numeric: bool, count: int
) -> None:
    x, problem = made(seed, n=60, of=count)
    x, problem = as_target(x, problem) if numeric else (x, problem)
    got = probe.held_out(x, problem, 1)
    here = problem.step == 1
    given = {"X": x[here], "y": problem.y[here], "cv": PredefinedSplit(problem.fold[here])}
    constant = DummyRegressor() if numeric else DummyClassifier(strategy="most_frequent")
    np.testing.assert_allclose(
        got.score[:, 1], cross_val_score(by_hand(problem), **given), rtol=1e-6
    )
    np.testing.assert_allclose(
        got.chance[:, 1], cross_val_score(constant, **given), rtol=1e-6, atol=1e-12
    )
    if numeric:
        assert np.isnan(got.balanced).all()
    else:
        balanced = cross_val_score(by_hand(problem), **given, scoring="balanced_accuracy")
        np.testing.assert_allclose(got.balanced[:, 1], balanced, rtol=1e-6)


@FEW
@given(st.integers(0, 999), st.booleans())
def test_at_other_timesteps_it_scores_as_it_is_on_the_fold_it_never_saw(
    seed: int, numeric: bool
) -> None:
    x, problem = made(seed, n=60)
    x, problem = as_target(x, problem) if numeric else (x, problem)
    got = held_out(x, problem, 2)
    measure = r2_score if numeric else accuracy_score
    for fold in range(5):
        train = (problem.step == 2) & (problem.fold != fold)
        fitted = by_hand(problem).fit(x[train], problem.y[train])
        for step in range(3):
            test = (problem.step == step) & (problem.fold == fold)
            expected = measure(problem.y[test], fitted.predict(x[test]))
            assert got[fold, step] == pytest.approx(expected, rel=1e-6)
    alone = held_out(x, problem, 2, across=False)
    np.testing.assert_array_equal(alone[..., 2], got[..., 2])
    assert np.isnan(alone[..., :2]).all()


def test_the_scale_is_that_of_the_sequences_it_learns_from() -> None:
    x, problem = made(0, steps=1, effect=0.7)
    x[problem.fold == 3, 2] *= 1000  # would drown the others of its unit, were it to count
    got = held_out(x, problem, 0)[:, 0]
    split = PredefinedSplit(problem.fold)
    expected = cross_val_score(by_hand(problem), x, problem.y, cv=split)
    whole = StandardScaler().fit_transform(x)
    leaked = cross_val_score(by_hand(problem).steps[1][1], whole, problem.y, cv=split)
    np.testing.assert_allclose(got, expected)
    assert np.abs(leaked - expected).max() > 0.1


def test_who_is_known_by_a_mark_of_its_own_teaches_nothing_of_others() -> None:
    n, steps = 100, 3
    label = np.random.default_rng(0).integers(0, 2, n)
    _, problem = made(0, n=n, steps=steps, k=2)
    problem = replace(problem, y=np.tile(label, steps))
    marks = np.tile(np.eye(n, dtype=np.float32), (steps, 1))
    learnt = by_hand(problem).fit(marks[:n], label)
    assert learnt.score(marks[:n], label) == 1
    scores = held_out(marks, problem, 0)
    assert np.abs(scores.mean(axis=0) - 0.5).max() < 0.1


def test_many_units_of_noise_score_at_chance() -> None:
    found = [
        held_out(*made(seed, n=60, steps=2, units=200, k=2, effect=0), 0) for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("numeric", [False, True])
def test_the_order_of_rows_and_of_units_does_not_matter(numeric: bool) -> None:
    x, problem = made(3)
    x, problem = as_target(x, problem) if numeric else (x, problem)
    expected = held_out(x, problem, 1)
    random = np.random.default_rng(0)
    order = random.permutation(len(x))
    fields = ("y", "step", "fold", "source")
    moved = replace(problem, **{name: getattr(problem, name)[order] for name in fields})
    got = held_out(x[order][:, random.permutation(5)], moved, 1)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_scale_offset_and_dead_units_do_not_matter() -> None:
    x, problem = made(1)
    expected = held_out(x, problem, 0)
    changed = np.hstack([x * [1, 10, 0.1, -1, 2] + [3, -40, 0, 0, 1], np.full((len(x), 2), 0.1)])
    np.testing.assert_allclose(held_out(changed.astype(np.float32), problem, 0), expected)


def test_a_class_that_was_not_there_to_learn_is_not_read() -> None:
    x, problem = made(0, steps=2, effect=9)
    unknown = (problem.step == 0) & (problem.y == 2)
    y = np.where(unknown, 1, problem.y)
    scores = held_out(x, replace(problem, y=y), 0)
    for fold in range(5):
        test = (problem.step == 1) & (problem.fold == fold)
        assert scores[fold, 1] == (problem.y[test] != 2).mean()


@pytest.mark.parametrize("kind", [np.int32, np.float64])
def test_a_timestep_without_rows_or_without_differences_has_no_score(kind: Any) -> None:
    y = np.array([0, 1, 1, 0.1, 0.1, 0.1]).astype(kind)
    step = np.array([0, 0, 0, 2, 2, 2])
    measure = probe.r_squared if kind is np.float64 else probe.accuracy
    scores = measure(y, y + 1, step, 4)
    assert np.isnan(scores[[1, 3]]).all()
    assert np.isnan(scores[2]) == (kind is np.float64)
    assert scores[0] == (r2_score(y[:3], y[:3] + 1) if kind is np.float64 else 0)


@QUICK
@given(st.integers(0, 999))
def test_balanced_accuracy_is_scikit_learns_at_each_timestep(seed: int) -> None:
    random = np.random.default_rng(seed)
    y, predicted = random.integers(0, 6, (2, 90))
    step = random.integers(0, 4, 90)
    y[step == 2] = 3  # one class alone
    predicted[(step == 2) | ~np.isin(predicted, y)] = 3
    scores = probe.balanced_accuracy(y, predicted, step, 5)
    for each in range(4):
        here = step == each
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of predicted classes that do not occur
            expected = balanced_accuracy_score(y[here], predicted[here])
        assert scores[each] == pytest.approx(expected)
    assert np.isnan(scores[4])


def test_r2_of_nothing_is_about_nothing() -> None:
    found = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(100, 64)), random.normal(size=100)
        fold = folds.deal(np.ones(100, int), None, np.arange(100), 5, random)
        problem = Problem(y, np.zeros(100, int), fold, np.arange(100), 1.0)
        found.append(held_out(x, problem, 0).mean())
    assert np.mean(found) > -0.15
    fixed = make_pipeline(StandardScaler(), Ridge(1.0))
    assert cross_val_score(fixed, x, y, cv=PredefinedSplit(fold)).mean() < -1


def test_a_penalty_is_chosen_by_leaving_out_each_sequence_of_the_training_folds() -> None:
    x, problem = as_target(*made(0, n=40, steps=1, units=20, effect=0))
    got = held_out(x, problem, 0)[:, 0]
    penalties = {"alpha": 10.0 ** np.arange(-3, 7)}
    search = GridSearchCV(Ridge(), penalties, cv=LeaveOneOut(), scoring="neg_mean_squared_error")
    for fold in range(2):
        train = problem.fold != fold
        scale = StandardScaler().fit(x[train])
        search.fit(scale.transform(x[train]), problem.y[train])
        predicted = search.predict(scale.transform(x[~train]))
        assert got[fold] == pytest.approx(r2_score(problem.y[~train], predicted), rel=1e-6)


def test_a_penalty_is_chosen_by_leaving_out_whole_groups() -> None:
    random = np.random.default_rng(0)
    source = np.repeat(np.arange(50), 4)
    x = np.repeat(random.normal(size=(50, 40)), 4, axis=0) + 0.1 * random.normal(size=(200, 40))
    y = random.normal(size=50)[source] + 0.1 * random.normal(size=200)
    fold = folds.deal(np.ones(200, int), None, source, 5, random)
    problem = Problem(y, np.zeros(200, int), fold, source, 1.0)
    got = held_out(x, problem, 0)[:, 0]
    for each in range(5):
        train = fold != each
        scale = StandardScaler().fit(x[train])
        inner = GroupKFold(5).split(x[train], groups=source[train])
        search = GridSearchCV(Ridge(), {"alpha": 10.0 ** np.arange(-3, 7)}, cv=list(inner))
        search.fit(scale.transform(x[train]), y[train])
        expected = search.score(scale.transform(x[~train]), y[~train])
        assert got[each] == pytest.approx(expected, rel=1e-6)
    assert got.mean() > -0.5
    alone = held_out(x, replace(problem, source=np.arange(200)), 0)[:, 0]
    assert alone.mean() < -2  # a sequence that is left out is known from others of its group


# few units


@pytest.mark.slow
@FEW
@given(st.integers(0, 999), st.booleans())
def test_the_best_units_are_those_that_weigh_most_where_it_learns(seed: int, numeric: bool) -> None:
    x, problem = made(seed, n=60, steps=2, effect=0.5)
    x, problem = as_target(x, problem) if numeric else (x, problem)
    got = by_count(x, problem, 1, np.array([1, 2, 5]))
    for fold in range(5):
        train, test = (
            (problem.step == 1) & among for among in (problem.fold != fold, problem.fold == fold)
        )
        y = problem.y
        weight = weights(by_hand(problem).fit(x[train], y[train]))
        for place, count in enumerate((1, 2, 5)):
            best = np.sort(np.argsort(weight)[::-1][:count])
            fitted = by_hand(problem).fit(x[train][:, best], y[train])
            expected = (r2_score if numeric else accuracy_score)(
                y[test], fitted.predict(x[test][:, best])
            )
            assert got[fold, place] == pytest.approx(expected, rel=1e-6)
    whole = held_out(x, problem, 1)[..., 1]
    np.testing.assert_allclose(got[..., 2], whole, rtol=1e-6)


def test_the_best_units_of_noise_score_at_chance() -> None:
    counts = np.array([1, 4, 16])
    found = [
        by_count(*made(seed, n=60, steps=1, units=100, k=2, effect=0), 0, counts)
        for seed in range(20)
    ]
    np.testing.assert_allclose(np.mean(found, axis=(0, 1)), 0.5, atol=0.03)


# intervals


@QUICK
@given(st.integers(0, 999), st.integers(2, 10))
def test_intervals_are_those_of_a_t_test_but_for_the_variance(seed: int, count: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(count, 3, 2))
    mean, low, high = probe.interval(scores)
    naive = scipy.stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    wider = np.sqrt(1 + count / (count - 1))  # 1/F + test/train instead of 1/F
    np.testing.assert_allclose(mean, scores.mean(axis=0))
    np.testing.assert_allclose(high - mean, (naive.high - mean) * wider)
    np.testing.assert_allclose(mean - low, high - mean)


@pytest.mark.slow
@pytest.mark.parametrize("numeric", [False, True])
def test_of_nothing_a_probe_scores_no_more_than_a_constant(numeric: bool) -> None:
    missed, differences = 0, []
    for seed in range(150):
        x, problem = made(seed, n=80, steps=1, units=10, k=2, effect=0)
        if numeric:
            problem = replace(problem, y=np.random.default_rng(seed).normal(size=80))
        scores = probe.held_out(x, problem, 0)
        mean, low, _ = probe.interval((scores.score - scores.chance)[:, 0])
        missed += int(low > 0)
        differences.append(mean)
    assert missed / 150 <= 0.07
    assert np.mean(differences) < 2 * np.std(differences) / np.sqrt(150)


@pytest.mark.slow
def test_intervals_hold_the_score_on_many_new_sequences() -> None:
    held = []
    for seed in range(60):
        x, problem = made(seed, n=4100, steps=1, units=6, k=3, effect=0.5)
        few = np.arange(4100) < 100
        y, each = problem.y[few], np.arange(100)
        fold = folds.deal(np.ones(100, np.intp), y, each, 5, np.random.default_rng(seed))
        seen = Problem(y, np.zeros(100, np.intp), fold, each, 1.0)
        _, low, high = probe.interval(held_out(x[few], seen, 0)[:, 0])
        truth = np.mean(
            [
                by_hand(seen)
                .fit(x[few][fold != each], y[fold != each])
                .score(x[~few], problem.y[~few])
                for each in range(5)
            ]
        )
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.9
