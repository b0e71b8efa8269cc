"""Maps of effects: each cell is the row that a formula gives, pale where it should be."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import figures
from rnnscope.errors import UserError
from rnnscope.figures.effect_grids import by_largest, effects, largest
from rnnscope.figures.interventions import PALE, UNITS

U, T = 5, 6
Values = NDArray[np.float64]


def effect(unit: NDArray[Any], start: NDArray[Any]) -> Values:
    """A made-up effect: of unit u largest at timestep (2 u + 1) mod T, where it is u + 1."""
    return np.where(start == (2 * unit + 1) % T, unit + 1, 0.01 * (start - 2))


def table(
    units: int = U, timesteps: int = T, *, width: int = 1, method: str = "zero"
) -> pd.DataFrame:
    """Rows of one layer and state, in no order, with intervals of ± 0.5."""
    starts = range(timesteps - width + 1)
    index = pd.MultiIndex.from_product([range(units), starts], names=["unit", "start"])
    rows = index.to_frame(index=False)
    value = effect(rows["unit"].to_numpy(), rows["start"].to_numpy())
    rows = rows.assign(layer="lstm", state="c", method=method, stop=rows["start"] + width)
    name = "recovery" if method.startswith("patch") else "loss_change"
    rows = rows.assign(loss_change=7.0, q_value=np.where(value > 1, 0.01, 0.6), accuracy_change=0.0)
    rows = rows.assign(recovery=np.nan, recovery_low=np.nan, recovery_high=np.nan)
    rows[name] = value
    rows[f"{name}_low"], rows[f"{name}_high"] = value - 0.5, value + 0.5
    for end in ("low", "high"):
        rows[f"loss_change_{end}"] = rows.get(f"loss_change_{end}", 0.0)
    rows["unit"] = rows["unit"].astype("Int32")
    return rows.sample(frac=1, random_state=0, ignore_index=True)


def expected(units: int = U, timesteps: int = T) -> Values:
    return effect(np.arange(units)[:, np.newaxis], np.arange(timesteps)[np.newaxis])


def test_a_map_has_the_rise_of_the_loss_and_what_is_told_from_0_by_its_q_value() -> None:
    found = effects(table(), "each", T, 400)
    assert found is not None
    assert found.name == "loss_change"
    np.testing.assert_array_equal(found.units, np.arange(U))
    np.testing.assert_array_equal(found.value, expected())
    np.testing.assert_allclose(found.low, expected() - 0.5)
    np.testing.assert_allclose(found.high, expected() + 0.5)
    np.testing.assert_array_equal(found.sure, expected() > 1)  # unit 0 reaches 1, with q = 0.6
    np.testing.assert_array_equal(found.starts, np.broadcast_to(np.arange(T), (U, T)))


@pytest.mark.parametrize("method", ["patch", "patch_same"])
def test_a_map_of_patches_has_the_recovery_and_what_is_told_from_0_by_its_interval(
    method: str,
) -> None:
    found = effects(table(method=method), "each", T, 400)
    assert found is not None
    assert found.name == "recovery"
    np.testing.assert_array_equal(found.value, expected())
    np.testing.assert_array_equal(found.sure, expected() > 0.5)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_below_0_does_not_hold_it(sign: int) -> None:
    rows = table(method="patch")
    names = ["recovery", "recovery_low", "recovery_high"]
    ends = names if sign > 0 else ["recovery", "recovery_high", "recovery_low"]
    rows[names] = sign * rows[ends].to_numpy()
    found = effects(rows, "each", T, 400)
    assert found is not None
    assert found.sure.sum() == U
    assert (np.sign(found.value[found.sure]) == sign).all()


def test_without_recovery_or_loss_there_is_what_there_is() -> None:
    rows = table(method="patch")
    assert effects(rows.assign(recovery=np.nan), "each", T, 400).name == "loss_change"  # type: ignore[union-attr]
    none = rows.assign(recovery=np.nan, loss_change=np.nan, output_change=2.0)
    moved = effects(none, "each", T, 400)
    assert moved is not None
    assert (moved.name, moved.tested) == ("output_change", False)
    assert moved.sure.all()
    assert np.isnan(moved.low).all()
    guessed = effects(none.assign(estimate=0.25), "each", T, 400)
    assert guessed is not None
    assert (guessed.name, guessed.value.tolist()) == ("estimate", np.full((U, T), 0.25).tolist())
    assert effects(none.drop(columns="output_change"), "each", T, 400) is None


def test_a_fall_of_the_loss_is_told_from_0_by_its_interval() -> None:
    rows = table()
    own = (rows["unit"] == 0) & (rows["start"] == 4)
    names = ["loss_change", "loss_change_low", "loss_change_high", "q_value"]
    rows.loc[own, names] = [-9.0, -9.1, -8.9, 1.0]  # the q-value asks whether it rises
    found = effects(rows, "each", T, 400)
    assert found is not None
    assert found.sure[0].tolist() == [False] * 4 + [True, False]
    assert largest(found, 1).tolist() == [0]
    assert by_largest(found).tolist().index(0) < U - 1
    rows.loc[own, "loss_change_high"] = 0.1
    unsure = effects(rows, "each", T, 400)
    assert unsure is not None
    assert not unsure.sure[0].any()


def test_the_column_of_a_map_is_one_that_its_own_windows_have() -> None:
    slid = table(width=3).assign(loss_change=np.nan, output_change=0.5)
    every = pd.concat([table().assign(output_change=2.0), slid])
    names = []
    for kind in ("each", "sliding:3"):
        found = effects(every, kind, T, 400)
        assert found is not None
        names.append(found.name)
    assert names == ["loss_change", "output_change"]
    # With exact=false windows of several timesteps have nothing at all.
    guessed = every.assign(loss_change=np.nan, output_change=np.nan)
    guessed["estimate"] = np.where(guessed["stop"] - guessed["start"] == 1, 0.25, np.nan)
    assert effects(guessed, "sliding:3", T, 400) is None
    assert effects(guessed, "each", T, 400) is not None


def test_the_last_windows_of_other_kinds_are_not_those_onward() -> None:
    both = pd.concat([table(), table(width=3)])
    assert effects(both, "onward", T, 400) is None
    assert effects(table(width=3), "onward", T, 400) is None
    with pytest.raises(UserError, match="no effects of single units in windows onward here"):
        figures.intervention(both, windows="onward")


def test_windows_of_a_kind_are_drawn_where_they_start_and_others_left_alone() -> None:
    every = pd.concat([table(), table(width=3).assign(loss_change=3.0)])
    onward = table().assign(stop=T, loss_change=5.0).query("start < @T - 1")
    every = pd.concat([every, onward[onward["start"] != T - 3]])  # that one is of 3 timesteps
    each, slid, on = (effects(every, kind, T, 400) for kind in ("each", "sliding:3", "onward"))
    assert each is not None
    assert slid is not None
    assert on is not None
    np.testing.assert_array_equal(each.value, expected())
    np.testing.assert_array_equal(slid.value[:, : T - 2], np.full((U, T - 2), 3.0))
    assert np.isnan(slid.value[:, T - 2 :]).all()
    wanted = [5.0, 5.0, 5.0, 3.0, 5.0]
    np.testing.assert_array_equal(on.value[:, : T - 1], np.broadcast_to(wanted, (U, T - 1)))
    assert effects(every, "sliding:2", T, 400) is None  # but for the last but one of those onward
    with pytest.raises(UserError, match='windows=12:15: must be "each", "onward" or such as'):
        effects(every, "12:15", T, 400)


def test_a_single_window_of_a_list_is_no_map() -> None:
    assert effects(table().query("start == 2"), "each", T, 400) is None
    whole = table(timesteps=1)  # but of one timestep there is no more
    assert effects(whole, "each", 1, 400) is not None


def test_sets_of_units_and_directions_have_no_line() -> None:
    rows = table()
    others = rows.head(4).assign(unit=pd.array([pd.NA] * 4, "Int32"), loss_change=100.0)
    found = effects(pd.concat([rows, others]), "each", T, 400)
    assert found is not None
    np.testing.assert_array_equal(found.value, expected())


def test_of_many_timesteps_each_run_shows_its_largest_effect_and_where_it_is() -> None:
    found = effects(table(timesteps=7), "each", 7, 3)  # runs of 3, 3 and 1 timesteps
    assert found is not None
    assert found.value.shape == (U, 3)
    dense, sure = expected(timesteps=7), expected(timesteps=7) > 1
    for unit in range(U):
        for run, steps in enumerate((range(3), range(3, 6), range(6, 7))):
            best = max(steps, key=lambda t: (sure[unit, t], abs(dense[unit, t])))
            assert found.starts[unit, run] == best
            assert found.value[unit, run] == dense[unit, best]
            assert found.low[unit, run] == pytest.approx(dense[unit, best] - 0.5)
            assert found.sure[unit, run] == sure[unit, best]


def test_an_effect_that_is_told_from_0_stands_for_its_run_before_a_larger_one() -> None:
    rows = table(timesteps=4).query("unit == 2").sort_values("start")
    rows = rows.assign(loss_change=[9.0, 1, 2, 3], q_value=[0.5, 0.01, 0.5, 0.5])
    found = effects(rows, "each", 4, 2)
    assert found is not None
    assert found.value.tolist() == [[1, 3]]
    assert found.starts.tolist() == [[1, 3]]
    assert found.sure.tolist() == [[True, False]]


def test_the_largest_units_are_kept_those_told_from_0_first() -> None:
    found = effects(table(), "each", T, 400)
    assert found is not None
    # Of units 1 to 4 the largest is u + 1; unit 0 reaches 1 and cannot be told from 0.
    assert largest(found, 2).tolist() == [3, 4]
    assert largest(found, 4).tolist() == [1, 2, 3, 4]
    rows = table()
    rows.loc[rows["unit"] == 0, "loss_change"] *= 1000
    huge = effects(rows, "each", T, 400)
    assert huge is not None
    assert largest(huge, 4).tolist() == [1, 2, 3, 4]
    assert largest(huge, 9).tolist() == [0, 1, 2, 3, 4]


def test_units_are_ordered_by_the_timestep_of_their_largest_effect() -> None:
    found = effects(table(), "each", T, 400)
    assert found is not None
    peaks = {unit: (2 * unit + 1) % T for unit in range(1, U)}  # 3, 5, 1, 3
    in_time = sorted(peaks, key=lambda unit: (peaks[unit], unit + 1))
    assert by_largest(found).tolist() == [*in_time, 0]  # 0 has none that is told from 0


def test_the_figure_draws_the_effects_and_makes_pale_what_cannot_be_told_from_0() -> None:
    figure = figures.intervention(table(), order="unit")
    (picture,) = figure.axes[1].images
    drawn: Values = np.ma.filled(np.ma.asarray(picture.get_array()), np.nan)
    np.testing.assert_array_equal(drawn, expected())
    np.testing.assert_array_equal(picture.get_alpha(), np.where(expected() > 1, 1.0, PALE))
    low, high = picture.get_clim()
    assert -low == high == pytest.approx(np.percentile(np.abs(expected()), 99))
    assert figure.axes[0].get_title(loc="left") == "rise of the loss, nats, c set to 0"
    assert figure.axes[1].get_xlim() == (-0.5, T - 0.5)
    many = figures.intervention(table(units=UNITS + 20))
    shown = many.axes[1].images[0].get_array()
    assert shown is not None
    assert shown.shape == (UNITS, T)
    squared = figures.intervention(table().assign(accuracy_change=np.nan))
    assert squared.axes[0].get_title(loc="left") == "rise of the squared error, c set to 0"


def test_of_several_states_and_methods_one_is_to_be_named() -> None:
    rows = pd.concat([table(), table(method="patch").assign(state="h")])
    with pytest.raises(UserError, match="has the states c, h; give state= one of them"):
        figures.intervention(rows)
    with pytest.raises(UserError, match="has no state f; it has c, h"):
        figures.intervention(rows, state="f")
    both = rows.assign(state="c")
    with pytest.raises(UserError, match="has the methods zero, patch; give method= one of them"):
        figures.intervention(both)
    moved = figures.intervention(both, method="patch")
    assert moved.axes[0].get_title(loc="left") == "way to the donor's output, c patched"
    with pytest.raises(UserError, match='order=size: must be "peak" or "unit"'):
        figures.intervention(table(), order="size")
    with pytest.raises(UserError, match="no effects of single units in windows onward here"):
        figures.intervention(table(), windows="onward")


def test_a_method_without_the_last_timesteps_has_the_axis_of_the_others() -> None:
    rows = table().query("start < @T - 2")
    found = effects(rows, "each", T, 400)
    assert found is not None
    np.testing.assert_array_equal(found.value[:, : T - 2], expected()[:, : T - 2])
    assert np.isnan(found.value[:, T - 2 :]).all()
    assert not found.sure[:, T - 2 :].any()
    assert effects(rows.assign(stop=T), "onward", T, 400) is not None
    assert effects(rows.assign(stop=T - 1), "onward", T, 400) is None
    both = pd.concat([rows, table(method="patch")])
    figure = figures.intervention(both, method="zero")
    assert figure.axes[1].get_xlim() == (-0.5, T - 0.5)
