"""The search and the linear dynamics, against SciPy's root finder and the equations in NumPy."""

import contextlib
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import scipy.optimize
from numpy.typing import NDArray

from rnnscope.analysis.fixed_points import finding, linear
from rnnscope.analysis.fixed_points import search as searching
from rnnscope.analysis.fixed_points.cell import dynamics_of, features_of, why_not
from rnnscope.analysis.fixed_points.distinct import distinct
from rnnscope.analysis.fixed_points.points import Ended
from rnnscope.analysis.fixed_points.search import Found, Search
from rnnscope.config import FixedPoints
from tests.analysis.fixed_points.networks import (
    cell,
    equations,
    jacobian,
    ring,
    ring_weights,
    roots,
)

pytestmark = pytest.mark.tensorflow

Float = NDArray[np.float64]
TOLERANCE = 1e-20


def searched(
    made: Any,
    starts: Float,
    x: Float | None = None,
    block: int | None = None,
    large: float = 1e-6,
) -> Found:
    dynamics = dynamics_of(made, features_of(made))
    search = Search(dynamics)
    search.block = block or search.block
    given = np.zeros(dynamics.features) if x is None else x
    return search.minimise(starts, np.tile(given, (len(starts), 1)), 200, TOLERANCE, large)


def fixed(made: Any, starts: Float, x: Float | None = None) -> Float:
    """The distinct fixed points that are found from some starts."""
    found = searched(made, starts, x)
    states, q = found.states[found.q <= TOLERANCE], found.q[found.q <= TOLERANCE]
    return states[distinct(states, q, 1e-3, TOLERANCE).place]


def modes_at(made: Any, states: Float, x: Float | None = None) -> linear.Modes:
    dynamics = dynamics_of(made, features_of(made))
    given = np.zeros(dynamics.features) if x is None else x
    whole = {"all": (slice(None), np.eye(dynamics.size))}
    return finding.linearised(Search(dynamics), states, given, whole)


def wide(count: int, size: int, seed: int = 0) -> Float:
    return np.random.default_rng(seed).uniform(-1.2, 1.2, (count, size))


@pytest.mark.parametrize(
    ("n", "growing"),
    [(2, [0, 0, 1]), (3, [1, 1, 2]), (4, [0, 0, 1, 1, 2, 2, 2, 2, 3])],
)
def test_tanh_networks_have_the_fixed_points_and_unstable_modes_that_are_known(
    n: int, growing: list[int]
) -> None:
    made, starts = ring(n), wide(200, n)
    points = fixed(made, starts)
    assert sorted(modes_at(made, points).index) == growing
    known = roots(lambda h: np.tanh(h @ ring_weights(n)), starts)
    assert len(points) == len(known) == len(growing)
    distance = np.linalg.norm(points[:, np.newaxis] - known, axis=2)
    assert (distance.min(axis=1) < 1e-6).all()


def test_three_latches_have_the_eight_memories_and_all_points_between_them() -> None:
    """Uncoupled h' = tanh 3h: each unit is at −a, 0 or a, and repels at 0."""
    made = keras.layers.SimpleRNNCell(3, use_bias=False)
    made.build((None, 1))
    made.set_weights([np.zeros((1, 3)), 3 * np.eye(3)])
    points = fixed(made, wide(400, 3))
    at_zero = (np.abs(points) < 1e-9).sum(axis=1)
    np.testing.assert_array_equal(modes_at(made, points).index, at_zero)
    assert np.bincount(at_zero).tolist() == [8, 12, 6, 1]
    a = scipy.optimize.brentq(lambda h: np.tanh(3 * h) - h, 0.5, 1)
    np.testing.assert_allclose(np.abs(points[at_zero == 0]), a)


CELLS: list[tuple[Any, dict[str, Any], float]] = [
    (keras.layers.LSTMCell, {}, 2.0),
    (keras.layers.LSTMCell, {"use_bias": False, "recurrent_activation": "hard_sigmoid"}, 2.0),
    (keras.layers.GRUCell, {"reset_after": True}, 2.5),
    (keras.layers.GRUCell, {"reset_after": False, "use_bias": False}, 2.5),
    (keras.layers.SimpleRNNCell, {"activation": "softsign"}, 2.0),
]


@pytest.mark.parametrize(("kind", "options", "scale"), CELLS)
def test_points_are_roots_of_the_equations_and_every_root_that_scipy_finds_is_among_them(
    kind: Any, options: dict[str, Any], scale: float
) -> None:
    made = cell(kind, 3, 2, 1, scale, **options)
    x = np.array([0.3, -0.4])
    size = 3 * (2 if kind is keras.layers.LSTMCell else 1)
    starts = 2 * wide(150, size)
    step = equations(made, x)
    points = fixed(made, starts, x)
    assert len(points)
    for each in points:
        np.testing.assert_allclose(step(each), each, atol=1e-9)
    known = roots(step, starts[:40])
    # Far out, where a gate is 1 but for rounding, everything is a root.
    for each in known[np.abs(known).max(axis=1) < 3]:
        assert np.linalg.norm(points - each, axis=1).min() < 1e-5
    modes = modes_at(made, points, x)
    for number, each in enumerate(points):
        expected = np.linalg.eigvals(jacobian(step, each))
        expected = expected[np.argsort(-np.abs(expected))]
        np.testing.assert_allclose(modes.modulus[number], np.abs(expected), atol=1e-5)
        assert modes.index[number] == (np.abs(expected) > 1).sum()


def test_the_step_and_its_jacobian_are_those_of_the_equations() -> None:
    for kind, options, _ in CELLS:
        made = cell(kind, 3, 2, 4, 1.0, **options)
        dynamics = dynamics_of(made, 2)
        s, x = wide(5, dynamics.size, seed=3), wide(5, 2, seed=4)
        after, jacobians = (each.numpy() for each in dynamics.linearised(tf_(s), tf_(x)))
        for number in range(5):
            step = equations(made, x[number])
            np.testing.assert_allclose(after[number], step(s[number]), atol=1e-12)
            np.testing.assert_allclose(jacobians[number], jacobian(step, s[number]), atol=1e-7)


def tf_(values: Float) -> Any:
    return keras.ops.convert_to_tensor(values, "float64")


def rotation(angle: float) -> Float:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def linear_cell(recurrent: Float, bias: Float) -> Any:
    made = keras.layers.SimpleRNNCell(len(recurrent), activation=None)
    made.build((None, 1))
    made.set_weights([np.zeros((1, len(recurrent))), recurrent, bias])
    return made


def test_a_linear_networks_modes_are_those_of_its_weights() -> None:
    angle = 2 * np.pi / 12
    recurrent = np.zeros((4, 4))
    recurrent[:2, :2] = 0.9 * rotation(angle)
    recurrent[2, 2], recurrent[3, 3] = -0.5, 1.25
    bias = np.array([0.1, 0.2, -0.3, 0.4])
    made = linear_cell(recurrent, bias)
    kept = made.get_weights()[1].astype(np.float64)  # as float32 has them
    points = fixed(made, wide(30, 4))
    exact = np.linalg.solve(np.eye(4) - kept.T, made.get_weights()[2].astype(np.float64))
    np.testing.assert_allclose(points, exact[np.newaxis], atol=1e-9)
    modes = modes_at(made, points)
    np.testing.assert_allclose(modes.modulus[0], [1.25, 0.9, 0.9, 0.5], rtol=1e-6)
    assert modes.value[0, 1].imag > 0 > modes.value[0, 2].imag
    tau = linear.time_constants(modes.modulus)[0]
    expected = [-1 / np.log(1.25), *[-1 / np.log(0.9)] * 2, 1 / np.log(2)]
    np.testing.assert_allclose(tau, expected, rtol=1e-5)
    frequency = linear.frequencies(modes.value)[0]
    np.testing.assert_allclose(frequency, [0, 1 / 12, 1 / 12, 0.5], atol=1e-7)
    assert modes.index[0] == 1
    assert modes.slowest[0] == 1  # ln 0.9 is closer to 0 than ln 1.25 and ln 0.5
    assert modes.largest[0, 0] == 3
    assert modes.largest[0, 3] == 2
    spanned = modes.along["all"][0, 1:3]  # the plane in which it turns
    np.testing.assert_allclose(spanned[:, 2:], 0, atol=1e-9)
    assert abs(np.linalg.det(spanned[:, :2])) > 0.1


def test_a_line_of_fixed_points_neither_decays_nor_grows_along_it() -> None:
    made = linear_cell(np.diag([1.0, 0.5]), np.zeros(2))
    starts = wide(20, 2)
    found = searched(made, starts)
    assert (found.q <= TOLERANCE).all()
    np.testing.assert_allclose(found.states[:, 0], starts[:, 0], atol=1e-6)  # nothing moves along
    modes = modes_at(made, found.states)
    assert (modes.index == 0).all()
    assert np.isposinf(linear.time_constants(modes.modulus)[:, 0]).all()


def test_time_constants_of_known_moduli() -> None:
    tau = linear.time_constants(np.array([0.0, np.exp(-1), np.exp(-0.1), 1.0, np.exp(0.2)]))
    np.testing.assert_allclose(tau, [0, 1, 10, np.inf, -5])


def test_where_a_pair_of_points_has_just_vanished_the_minimum_of_q_is_a_slow_point() -> None:
    weight, bias = 2.0, 0.54  # fixed points near h = -0.7 vanish at a bias of 0.5329
    made = keras.layers.SimpleRNNCell(1)
    made.build((None, 1))
    made.set_weights([np.zeros((1, 1)), np.array([[weight]]), np.array([bias])])
    kept = float(made.get_weights()[2][0])

    def q(h: float) -> float:
        return 0.5 * (np.tanh(weight * h + kept) - h) ** 2

    found = searched(made, np.linspace(-1, -0.5, 15)[:, np.newaxis], large=1e-3)
    slow = scipy.optimize.minimize_scalar(q, bounds=(-0.9, -0.5), options={"xatol": 1e-10})
    ended = found.states[:, 0] < 0
    assert ended.sum() >= 10
    np.testing.assert_allclose(found.states[ended, 0], slow.x, atol=1e-4)
    np.testing.assert_allclose(found.q[ended], slow.fun, rtol=1e-6)
    assert 1e-8 < slow.fun < 1e-4
    up = scipy.optimize.root(lambda h: np.tanh(weight * h + kept) - h, 0.9).x
    np.testing.assert_allclose(found.states[~ended], np.tile(up, ((~ended).sum(), 1)), atol=1e-9)


def test_neither_the_order_of_starts_nor_their_blocks_change_what_is_found() -> None:
    made, starts = ring(4), wide(60, 4)
    whole = searched(made, starts)
    order = np.random.default_rng(5).permutation(60)
    for found, place in (
        (searched(made, starts[order], block=7), order),
        (searched(made, starts), ...),
    ):
        np.testing.assert_allclose(found.states, whole.states[place], atol=1e-10)
        points = distinct(found.states, found.q, 1e-3, TOLERANCE)
        expected = distinct(whole.states, whole.q, 1e-3, TOLERANCE)
        np.testing.assert_allclose(
            found.states[points.place], whole.states[expected.place], atol=1e-10
        )
        np.testing.assert_array_equal(points.starts, expected.starts)


OPTIONS = FixedPoints(
    layers=None,
    inputs=["zeros"],
    inputs_path=None,
    starts=60,
    settle=20,
    noise=0.1,
    seed=0,
    max_sequences=None,
    iterations=200,
    tolerance=TOLERANCE,
    slow_tolerance=1e-6,
    distinct=1e-3,
    max_points=100,
    max_state=None,
)


def ended(made: Any, starts: Float, options: FixedPoints = OPTIONS) -> Ended:
    """What the stage keeps of the search of a cell under an input of zeros."""
    dynamics = dynamics_of(made, features_of(made))
    axes = {"h": (np.eye(dynamics.size)[:2], np.zeros(dynamics.size))}
    given = {"zeros": np.zeros(dynamics.features)}
    (found,), _ = finding.search("rnn", dynamics, starts, given, axes, options)
    return found


def test_of_eigenvectors_only_what_tables_have_is_kept() -> None:
    size = 64
    random = np.random.default_rng(0)
    made = linear_cell(random.normal(size=(size, size)) / 16, random.normal(size=size))
    found = ended(made, wide(3, size))
    assert len(found.state) == 1
    assert found.modes.value.shape == (1, size)
    assert len(pickle.dumps(found)) < 16 * size**2 / 4  # of one point's eigenvectors


def test_modes_are_the_same_however_many_points_are_linearised_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, modes = ring(4), linear.modes
    sizes: list[int] = []

    def noted(jacobians: Float, axes: Any) -> linear.Modes:
        sizes.append(len(jacobians))
        return modes(jacobians, axes)

    monkeypatch.setattr(finding, "modes", noted)
    search, points = Search(dynamics_of(made, 1)), fixed(made, wide(200, 4))
    given = points, np.zeros(1), {"h": (slice(None), np.eye(4)[:2])}
    whole = finding.linearised(search, *given)
    search.block = 4
    parts = finding.linearised(search, *given)
    assert sizes == [9, 4, 4, 1]
    for name in ("value", "largest", "loading"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-12)
    assert whole.along["h"].shape == (9, 4, 2)
    np.testing.assert_allclose(parts.along["h"], whole.along["h"], atol=1e-12)


def test_directions_along_all_states_make_up_the_eigenvectors() -> None:
    made, x = cell(keras.layers.LSTMCell, 3, 2, 1, 2.0), np.array([0.3, -0.4])
    axes = {state: (np.eye(3), np.zeros(3)) for state in "hc"}
    starts = 2 * wide(30, 6)
    (found,), _ = finding.search("lstm", dynamics_of(made, 2), starts, {"x": x}, axes, OPTIONS)
    assert len(found.state)
    modes = found.modes
    parts = np.concatenate([modes.along[state] for state in "hc"], axis=2)
    for s, value, part in zip(found.state, modes.value, parts, strict=True):
        vector, second = part.astype(complex), np.flatnonzero(value.imag < 0)
        vector[second - 1] += 1j * part[second]
        vector[second] = vector[second - 1].conj()
        np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1)
        turned = jacobian(equations(made, x), s) @ vector.T
        np.testing.assert_allclose(turned, vector.T * value, atol=1e-6)


@pytest.mark.parametrize("iterations", [200, 2])
def test_the_bar_counts_every_start_as_it_arrives(
    iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    class Bar:
        def update(self, count: int) -> None:
            counts.append(count)

    @contextlib.contextmanager
    def bar(**options: Any) -> Iterator[Bar]:
        assert options == {"total": 40, "desc": "rnn: fixed points", "unit": "start"}
        yield Bar()

    monkeypatch.setattr(searching, "bar", bar)
    ended(ring(3), wide(20, 3), replace(OPTIONS, iterations=iterations))
    assert sum(counts) == 40
    assert len([count for count in counts if count]) > 1 or iterations == 2


def test_points_are_those_further_apart_than_asked_and_the_least_q_stands_for_each() -> None:
    states = np.array([[0.0, 0], [0, 5e-4], [0, 2e-3], [1, 0], [1, 9e-4], [np.nextafter(1, 2), 0]])
    q = np.array([1e-8, 1e-9, 1e-7, 1e-29, 1e-10, 1e-30])
    found = distinct(states, q, 1e-3, 1e-20)
    assert found.place.tolist() in ([3, 1, 2], [5, 1, 2])
    assert found.starts.tolist() == [3, 2, 1]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6)
        again = distinct(states[order], q[order], 1e-3, 1e-20)
        np.testing.assert_allclose(states[order][again.place], states[found.place], atol=1e-15)
        np.testing.assert_array_equal(again.starts, found.starts)


def test_an_activation_that_holds_numbers_of_float32_is_named() -> None:
    made = keras.layers.SimpleRNNCell(
        2, activation=lambda a: keras.ops.tanh(a) * keras.ops.convert_to_tensor(0.5, "float32")
    )
    made.build((None, 1))
    assert why_not(dynamics_of(made, 1)) == "its activation does not compute in float64"
    assert why_not(dynamics_of(ring(2), 1)) is None
