"""Patches drawn at random against the equations in float64, with intervals and tests by SciPy."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from rnnscope.analysis.intervention.gathering import donors_of
from rnnscope.data import Split
from tests.analysis.intervention import held
from tests.analysis.intervention.held import TIMESTEPS, UNITS, Float
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

COUNT = 24
CELLS: dict[str, Any] = {
    "LSTM": (held.lstm, "hcifog"),
    "GRU": (held.gru, "hzrg"),
    "SimpleRNN": (held.simple, "h"),
}


def asked_at_random(seed: int, states: str, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Options of a unit, a set, a direction, a state and two windows; and target -> along."""
    random = np.random.default_rng(seed)
    unit, *pair = random.permutation(UNITS)[:3].tolist()
    direction = random.normal(size=UNITS)
    np.save(folder / "directions.npy", direction[np.newaxis])
    group = "+".join(map(str, sorted(pair)))
    every = [(a, b) for a in range(TIMESTEPS) for b in range(a + 1, TIMESTEPS + 1)]
    windows = [every[n] for n in random.choice(len(every), 2, replace=False)]
    options = [
        "intervention.methods=[zero,patch]",
        f"intervention.states=[{random.choice(list(states))}]",
        f"intervention.units=[{unit}]",
        f"intervention.groups=[{group}]",
        f"intervention.directions_path={folder / 'directions.npy'}",
        f"intervention.windows=[{','.join(f'{a}:{b}' for a, b in windows)}]",
        f"intervention.seed={seed}",
    ]
    along = {str(unit): np.arange(UNITS) == unit, group: np.isin(np.arange(UNITS), pair)}
    return options, along | {"direction 0": direction / np.linalg.norm(direction)}


def ratio_of_means(a: Float, b: Float) -> tuple[float, float, float]:
    """The ratio with its 95 % interval (Cochran 1977, 6.4), sequence by sequence; NaN without."""
    if scipy.stats.ttest_1samp(b, 0).confidence_interval(0.95).low <= 0:
        return np.nan, np.nan, np.nan
    ratio, count = a.mean() / b.mean(), len(a)
    error = np.std(a - ratio * b, ddof=1) / np.sqrt(count) / b.mean()
    half = scipy.stats.t.ppf(0.975, count - 1) * error
    return ratio, ratio - half, ratio + half


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("cell", CELLS)
def test_patches_are_those_of_the_equations(cell: str, seed: int, tmp_path: Path) -> None:
    equations, states = CELLS[cell]
    options, targets = asked_at_random(seed, states, tmp_path)
    drawn = composed(tmp_path, "stage=intervention", *options).intervention
    model = held.network(getattr(keras.layers, cell)(UNITS, name="r"))
    every = np.arange(COUNT)

    def run(hold: Any) -> tuple[Any, Float]:
        signals = equations(weights, x, hold, reset_after=True)
        return signals, np.asarray(signals["h"][-1] @ kernel)

    def difference(logits: Float) -> Float:
        return np.asarray(logits[every, other] - logits[every, labels])

    for weights_of in range(seed, 1_000, 100):  # until its classes are apart
        given = held.classified(held.drawn(model, weights_of), held.arrays(COUNT))
        x, labels = given["x_test"], given["y_test"]
        *weights, kernel = model.get_weights()
        donors = donors_of(drawn, Split(x, labels), COUNT)
        other = labels[donors["patch"]]
        free, clean = run(held.free)
        whole = difference(clean[donors["patch"]]) - difference(clean)
        if np.isfinite(ratio_of_means(whole, whole)).all():
            break
    assert (other != labels).all()
    assert (labels[donors["patch_same"]] == labels).all()
    table, _ = held.run(tmp_path, model, given, *options)
    assert len(table) == 3 * len(targets) * 2
    base = held.losses(clean, labels)
    p_values = []
    for row in table.itertuples():
        along, said = targets[row.target], f"{row.state} {row.target} {row.method} {row.start}"
        if row.method == "zero":
            from_where = np.zeros_like(free[row.state])
        else:
            from_where = free[row.state][:, donors[row.method]]

        def change(t: int, now: Float, _: Float, wanted: Any = from_where, on: Any = along) -> Any:
            return held.onto(on, wanted[t], now)

        _, found = run(held.within((row.start, row.stop), row.state, change))
        rises = held.losses(found, labels) - base
        assert row.loss_change == pytest.approx(rises.mean(), abs=1e-5), said
        p_values.append(scipy.stats.ttest_1samp(rises, 0, alternative="greater").pvalue)
        assert row.p_value == pytest.approx(p_values[-1], abs=1e-3), said
        if row.method == "zero":
            assert np.isnan([row.recovery, row.recovery_low, row.recovery_high]).all(), said
            continue
        want = ratio_of_means(difference(found) - difference(clean), whole)
        assert np.isfinite(want).all()  # or the draw tests nothing
        got = row.recovery, row.recovery_low, row.recovery_high
        assert got == pytest.approx(want, abs=1e-4), said
    q_values = pd.Series(p_values).groupby(table["method"], observed=True)
    adjusted = q_values.transform(scipy.stats.false_discovery_control)
    np.testing.assert_allclose(table["q_value"], adjusted, 0, 1e-3)
