"""The figures: what is drawn is what a formula of the table says, and nothing else is touched."""

import doctest
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import image as mpl_image
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from rnnscope import figures
from rnnscope.errors import UserError
from rnnscope.figures.class_means import apart
from rnnscope.figures.drawing import INK, PAPER, Figure

Values = NDArray[np.float64]
UNITS, CLASSES, T = 5, 3, 4
RANDOM = np.random.default_rng(0)
LAYERS = ("first", "se/cond")
SIGNALS = ("h", "c", "i", "f", "o")
ODD = r"a$\frac{$c/<b>d</b>{{ 7 }}%s"  # as math it would be an error


def keys(*names: str, **levels: Any) -> pd.DataFrame:
    """A table with one row for each combination of layer, signal and the given levels."""
    every = {"layer": LAYERS, "signal": SIGNALS, **levels}
    index = pd.MultiIndex.from_product([every[name] for name in names], names=names)
    table = index.to_frame(index=False)
    table["layer"] = table["layer"].astype("category")  # as in the files
    return table.sample(frac=1, random_state=0, ignore_index=True)  # rows are in no order


def random(table: pd.DataFrame, **ranges: tuple[float, float]) -> pd.DataFrame:
    """The table with random columns within ranges."""
    columns = {name: RANDOM.uniform(*ends, len(table)) for name, ends in ranges.items()}
    return table.assign(**columns)


HISTORY = random(
    pd.DataFrame({"step": [10, 20, 40]}),
    **dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy"), (0, 1)),
)
TUNING = random(
    keys(
        "layer",
        "signal",
        "unit",
        "label",
        "timestep",
        unit=range(UNITS),
        label=range(CLASSES),
        timestep=range(T),
    ),
    mean=(0, 1),
    standard_error=(0.1, 0.2),
).assign(count=lambda table: 1 + (table["label"] + 2 * table["timestep"]) % 5)
UNIT_TABLE = random(
    keys("layer", "signal", "unit", unit=range(UNITS)),
    **dict.fromkeys(("left_saturated", "right_saturated"), (0, 0.5)),
    timescale_low=(0.5, 1),
    timescale=(1, 5),
    timescale_high=(6, 9),
    forget_timescale=(1, 9),
    forget_timescale_log=(0.5, 1),
    eta2=(0, 1),
)
TIMESTEPS = random(
    keys("layer", "signal", "unit", "timestep", unit=range(UNITS), timestep=range(T)), eta2=(0, 1)
)
POPULATION = random(
    keys("layer", "signal", "timestep", timestep=range(T)).sort_values("timestep"),
    participation_ratio_low=(-1, 1),
    participation_ratio=(1, 4),
    participation_ratio_high=(5, 6),
)
PATHS = random(
    keys("layer", "signal", "label", "timestep", label=range(CLASSES), timestep=range(T)),
    component_1=(-1, 1),
    component_2=(-1, 1),
)
PAIRS = random(
    keys("layer", "signal", "unit", "other", unit=range(UNITS), other=range(UNITS)).query(
        "unit < other"
    ),
    correlation=(-1, 1),
)
DECODING = random(
    keys(
        "layer",
        "signal",
        "target",
        "train_timestep",
        "test_timestep",
        target=("label", "depth"),
        train_timestep=range(T),
        test_timestep=range(T),
    ).sort_values("test_timestep"),
    score_low=(-0.1, 0.1),
    score=(0.1, 0.9),
    score_high=(0.9, 1.2),
    chance=(0.1, 0.2),
).assign(task=lambda table: np.where(table["target"] == "label", "classification", "regression"))
FINAL = (DECODING["train_timestep"] == T - 1) & (DECODING["test_timestep"] == T - 1)
for column, value in (("shuffled", 0.15), ("shuffled_low", 0.1), ("shuffled_high", 0.2)):
    DECODING[column] = np.where(FINAL, value, np.nan)
MEMORY = random(
    keys("layer", "signal", "feature", "lag", feature=(0, 3), lag=range(T)).sort_values("lag"),
    r2_low=(-0.1, 0.1),
    r2=(0.1, 0.9),
    r2_high=(0.9, 1.2),
    from_input=(0, 0.1),
)
ABLATION = random(
    keys("layer", "unit", "method", unit=range(UNITS), method=("h_zero", "c_mean")),
    loss_change=(-1, 1),
    accuracy_change=(-1, 1),
    output_change=(0, 1),
    q_value=(0, 0.1),
)
INTERVENTION = random(
    keys("layer", "unit", "start", unit=range(UNITS), start=range(T)),
    loss_change=(-1, 1),
    loss_change_low=(-2, -1),
    loss_change_high=(1, 2),
    q_value=(0, 0.1),
).assign(state="c", method="zero", stop=lambda table: table["start"] + 1)
POINTS = random(
    keys("layer", "input", "point", input=("zeros", "mean"), point=range(4)),
    **dict.fromkeys(("h_pc_1", "h_pc_2", "c_pc_1", "c_pc_2"), (-1, 1)),
).assign(
    kind=lambda table: np.where(table["point"] < 3, "fixed", "slow"),
    stability=lambda table: np.where(table["point"] % 2, "saddle", "stable"),
)
MODES = random(
    keys(
        *("layer", "input", "point", "mode"),
        layer=(*LAYERS, ODD),
        input=("zeros", "mean"),
        point=range(4),
        mode=range(3),
    ),
    **dict.fromkeys(("h_pc_1", "h_pc_2", "c_pc_1", "c_pc_2"), (-1, 1)),
).assign(modulus=lambda table: 1.2 - 0.15 * table["mode"] - 0.3 * (table["point"] % 2 == 0))
EVERY_PATH = pd.concat([PATHS, PATHS[PATHS["layer"] == "first"].assign(layer=ODD)])
SEQUENCES = pd.DataFrame({"label": [0, 0, 1, 3, 3, 3], "prediction": [0, 1, 1, 3, 3, 0]})
SEQUENCES["length"] = [2, 5, 5, 3, 2, 5]
STATES = random(
    pd.DataFrame({"sequence": [0, 0, 0, 2, 2], "timestep": [0, 1, 2, 0, 1], "label": 1}),
    c_000=(-1, 1),
    c_002=(-1, 1),
    c_011=(-1, 1),
)
EVERY: dict[str, tuple[Callable[..., Figure], pd.DataFrame, dict[str, Any]]] = {
    "ablation": (figures.ablation, ABLATION, {}),
    "class_means": (figures.class_means, TUNING, {"unit": 2}),
    "class_paths": (figures.class_paths, PATHS, {}),
    "confusion_matrix": (figures.confusion_matrix, SEQUENCES, {}),
    "decoding": (figures.decoding, DECODING, {}),
    "dimension": (figures.dimension, POPULATION, {}),
    "eta2_over_time": (figures.eta2_over_time, TIMESTEPS, {}),
    "fixed_points": (
        figures.fixed_points,
        POINTS,
        {"modes": MODES, "trajectories": EVERY_PATH, "input": "mean"},
    ),
    "forget_timescales": (figures.forget_timescales, UNIT_TABLE, {}),
    "gate_means": (figures.gate_means, TUNING, {}),
    "gate_saturation": (figures.gate_saturation, UNIT_TABLE, {}),
    "generalisation": (figures.generalisation, DECODING, {}),
    "heat_map": (figures.heat_map, STATES, {}),
    "intervention": (figures.intervention, INTERVENTION, {}),
    "lengths": (figures.lengths, SEQUENCES, {}),
    "mean_heat_map": (figures.mean_heat_map, TUNING, {}),
    "memory": (figures.memory, MEMORY, {}),
    "timescales": (figures.timescales, UNIT_TABLE, {}),
    "training_curve": (figures.training_curve, HISTORY, {}),
    "unit_correlations": (figures.unit_correlations, PAIRS, {}),
}
OF_LAYERS = [name for name, (_, table, _) in EVERY.items() if "layer" in table]


def of(name: str, layer: str = "se/cond", **options: Any) -> Figure:
    """The figure of the made-up table, of one layer where there are several."""
    function, table, given = EVERY[name]
    named = {"layer": layer} if name in OF_LAYERS else {}
    return function(table, **{**given, **named, **options})


def axes_of(figure: Figure, place: int = 0) -> Axes:
    return figure.axes[place]


def lines(figure: Figure, place: int = 0) -> list[tuple[list[float], list[float]]]:
    """Each line's x and y."""
    found = axes_of(figure, place).lines
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in found]  # type: ignore[arg-type]


def labels(figure: Figure) -> list[str]:
    return [str(line.get_label()) for line in axes_of(figure).lines]


def rows(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows whose columns have these values, one after the other in Python."""
    chosen = [
        all(getattr(row, name) == value for name, value in wanted.items())
        for row in table.itertuples()
    ]
    return table[chosen]


def bands(figure: Figure, place: int = 0) -> list[set[tuple[float, float]]]:
    """The corners of each filled band."""
    return [
        {(float(x), float(y)) for x, y in np.asarray(band.get_paths()[0].vertices)}
        for band in axes_of(figure, place).collections
    ]


def image(figure: Figure) -> Values:
    """What a heat map's picture is of; its bar of colours is the first axes."""
    return np.ma.filled(np.ma.asarray(axes_of(figure, 1).images[0].get_array()), np.nan)


# What all have in common


def test_every_public_figure_is_tested_here() -> None:
    assert sorted(EVERY) == sorted(figures.__all__)


@pytest.mark.parametrize("name", EVERY)
def test_the_example_runs_and_settings_stay_as_they_were(name: str) -> None:
    others = {"font.size": 31.0, "axes.facecolor": "red", "text.parse_math": True, "backend": "agg"}
    with mpl.rc_context(others):
        before: dict[str, Any] = dict(mpl.rcParams)
        (example,) = doctest.DocTestFinder(recurse=False).find(getattr(figures, name), name)
        assert len(example.examples) >= 3
        assert doctest.DocTestRunner().run(example) == (0, len(example.examples))
        assert dict(mpl.rcParams) == before


def test_neither_pyplot_nor_tensorflow_is_imported_and_no_backend_is_chosen() -> None:
    code = (
        "import os, sys\nos.environ['MPLBACKEND'] = 'svg'\nimport pandas as pd, rnnscope\n"
        "rnnscope.figures.lengths(pd.DataFrame({'length': [1, 2]}))._repr_png_()\n"
        "import matplotlib\n"
        "print(matplotlib.rcParams['backend'], [name for name in sys.modules\n"
        "    if name in ('matplotlib.pyplot', 'tensorflow')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["svg", "[]"]


@pytest.mark.parametrize("name", EVERY)
def test_a_table_that_does_not_fit_is_refused_in_one_line(name: str) -> None:
    function, table, given = EVERY[name]
    drawn = {"layer": "first"} if name in OF_LAYERS else {}
    for wrong, says in (
        (table[["sequence"]] if name == "heat_map" else table[table.columns[:1]], "no column"),
        (table.head(0), "no rows"),
        (table.to_dict(), "is a dict, not a DataFrame"),
    ):
        with pytest.raises(UserError, match=says) as error:
            function(wrong, **given, **drawn)
        assert "\n" not in str(error.value)
        assert ".parquet of outputs/latest/" in str(error.value)


@pytest.mark.parametrize("name", OF_LAYERS)
def test_of_several_layers_one_is_to_be_named(name: str) -> None:
    function, table, given = EVERY[name]
    with pytest.raises(UserError, match="has the layers first, se/cond; give layer="):
        function(table.sort_values("layer"), **given)
    with pytest.raises(UserError, match="has no layer third; it has "):
        function(table, layer="third", **given)
    alone = table[table["layer"] == "first"]
    titles = [axes.get_title(loc="left") for axes in function(alone, **given).axes]
    assert not any("first" in text for text in titles)


def test_several_runs_are_not_drawn_as_one() -> None:
    with pytest.raises(UserError, match="units is of the runs a, b; give the rows of one"):
        figures.timescales(UNIT_TABLE.assign(run=["a", "b"] * (len(UNIT_TABLE) // 2)))


@pytest.mark.parametrize("name", OF_LAYERS)
def test_a_layers_name_is_shown_as_text(name: str) -> None:
    function, table, given = EVERY[name]
    renamed = table.assign(layer=table["layer"].astype(str).replace("se/cond", ODD))
    figure = function(renamed, layer=ODD, **given)
    file = io.StringIO()
    with mpl.rc_context({"text.parse_math": True, "svg.fonttype": "none"}):  # the user's
        figure.savefig(file, format="svg")
    texts = [element.text or "" for element in ElementTree.fromstring(file.getvalue()).iter()]
    assert any(text.endswith(ODD) for text in texts)


def test_a_long_name_of_a_layer_is_cut_and_has_its_own_line() -> None:
    table = POPULATION.assign(layer="x" * 300)
    title = axes_of(figures.dimension(table, layer="x" * 300)).get_title(loc="left")
    assert title.splitlines() == ["dimension (participation ratio)", "x" * 57 + "…"]


def test_a_notebook_shows_a_figure_at_twice_its_points_and_it_can_be_pickled() -> None:
    figure = of("training_curve")
    data, size = figure._repr_png_()
    pixels = mpl_image.imread(io.BytesIO(data), format="png")
    assert size == {"width": 460, "height": 250}
    assert pixels.shape[:2] == (500, 920)
    assert (pixels[0, 0] == 1).all()  # white
    assert pickle.loads(pickle.dumps(figure)).alt == figure.alt == "loss over training steps"


# Each figure


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_training_curves_are_the_columns(quantity: str) -> None:
    figure = of("training_curve", quantity=quantity, step=20)
    steps: list[float] = [10, 20, 40]
    training, validation, marked = lines(figure)
    assert training == (steps, HISTORY[quantity].to_list())
    assert validation == (steps, HISTORY[f"val_{quantity}"].to_list())
    assert marked[0] == [20, 20]
    assert labels(figure) == ["training", "validation", "recorded, step 20"]
    with pytest.raises(UserError, match="history has no speed; give quantity= one of loss, acc"):
        of("training_curve", quantity="speed")


@pytest.mark.parametrize("sequence", [None, 0, 2])
def test_heat_maps_are_of_the_mean_over_sequences_or_of_one(sequence: int | None) -> None:
    figure = of("heat_map", sequence=sequence, order=[11, 0, 2])
    chosen = STATES if sequence is None else rows(STATES, sequence=sequence)
    steps = sorted(set(chosen["timestep"]))
    expected = [
        [np.mean(rows(chosen, timestep=step)[unit]) for step in steps]
        for unit in ("c_011", "c_000", "c_002")
    ]
    picture = axes_of(figure, 1).images[0]
    np.testing.assert_allclose(image(figure), expected)
    np.testing.assert_array_equal(picture.get_extent(), [-0.5, len(steps) - 0.5, 2.5, -0.5])
    end = np.percentile(np.abs(expected), 99)
    np.testing.assert_allclose(picture.get_clim(), (-end, end))
    assert [text.get_text()[:3] for text in axes_of(figure).get_xticklabels()] == [
        "≤ −",
        "0",
        "≥ 0",
    ]


def test_heat_maps_are_ordered_by_the_time_of_the_peak_or_by_number() -> None:
    of_unit = {
        f"c_{unit:03d}": values for unit, values in ((0, [0, 3]), (1, [-2, 1]), (2, [0, -3]))
    }
    states = pd.DataFrame({"sequence": 0, "timestep": [0, 2], **of_unit})
    for order, expected in (("peak", [1, 2, 0]), ("unit", [0, 1, 2])):
        drawn = image(figures.heat_map(states, order=order))
        assert drawn[:, 0].tolist() == [of_unit[f"c_{unit:03d}"][0] for unit in expected]
        assert np.isnan(drawn[:, 1]).all()  # no row of timestep 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"signal": "h"}, "states has no columns of signal h; it has c"),
        ({"sequence": 1}, "states has no rows of sequence 1"),
        ({"order": "size"}, 'order=size: must be "peak", "unit" or numbers of units'),
        ({"order": [0, 1]}, "order: no units 1; up to 11"),
        ({"order": []}, "order: name a unit"),
    ],
)
def test_what_a_heat_map_is_not_of_is_said(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=f"^{says}$"):
        of("heat_map", **options)


def weighted(signal: str, layer: str = "se/cond") -> list[list[float]]:
    """Each unit's mean over sequences at each timestep [U, T], from those of its classes."""
    found = []
    for unit in range(UNITS):
        chosen = [rows(TUNING, layer=layer, signal=signal, unit=unit, timestep=t) for t in range(T)]
        found.append([np.average(each["mean"], weights=each["count"]) for each in chosen])
    return found


def test_mean_heat_maps_weigh_classes_by_their_sequences() -> None:
    figure = of("mean_heat_map", order="unit")
    np.testing.assert_allclose(image(figure), np.array(weighted("c")))
    assert axes_of(figure).get_title(loc="left") == "mean c over sequences · se/cond"
    other = image(of("mean_heat_map", signal="o", order=[3]))
    np.testing.assert_allclose(other, np.array(weighted("o"))[[3]])


def test_class_means_have_a_band_of_one_standard_error() -> None:
    figure = of("class_means", signal="h", labels=[2, 0], classes=["<i>a", "b", "$c$"])
    assert len(lines(figure)) == 2
    for place, label in enumerate((2, 0)):
        chosen = rows(TUNING, layer="se/cond", signal="h", unit=2, label=label)
        chosen = chosen.sort_values("timestep")
        x, y = lines(figure)[place]
        assert (x, y) == (list(range(T)), chosen["mean"].to_list())
        ends = [chosen["mean"] + sign * chosen["standard_error"] for sign in (-1, 1)]
        corners = {(float(t), value) for end in ends for t, value in enumerate(end)}
        assert corners <= bands(figure)[place]
    assert [text.get_text() for text in axes_of(figure).texts] == ["$c$", "<i>a"]
    with pytest.raises(UserError, match="labels: no class 7 here; there are 0, 1, 2"):
        of("class_means", labels=[0, 7])
    with pytest.raises(UserError, match="tuning has no unit 9 of signal c here"):
        of("class_means", unit=9)


def test_many_classes_differ_in_colour_or_dashes_and_more_are_refused() -> None:
    table = pd.concat(
        [rows(TUNING, layer="first", unit=2, label=0).assign(label=k) for k in range(25)]
    )
    drawn = axes_of(figures.class_means(table, 2, labels=range(24))).lines
    looks = {(line.get_color(), str(line._dash_pattern)) for line in drawn}  # type: ignore[attr-defined]
    assert len(looks) == 24
    with pytest.raises(UserError, match="25 classes do not fit one figure; give labels= up to 24"):
        figures.class_means(table, 2)


def test_without_classes_the_unit_has_one_line() -> None:
    alone = rows(TUNING, layer="first", label=0).assign(label=pd.array([None] * 100, "Int32"))
    assert len(lines(figures.class_means(alone, 2))) == 1


def test_labels_are_moved_apart_no_further_than_needed() -> None:
    np.testing.assert_allclose(apart(np.array([5.0, 1.0, 3.0]), 2), [5, 1, 3])
    np.testing.assert_allclose(apart(np.array([0.0, 0.0, 9.0]), 2), [-1, 1, 9])
    np.testing.assert_allclose(apart(np.array([1.0, 0.0, 0.5]), 1), [1.5, -0.5, 0.5])


def test_gates_are_means_over_units_with_the_middle_of_them() -> None:
    figure = of("gate_means")
    assert labels(figure) == ["i input", "f forget", "o output"]
    for place, gate in enumerate("ifo"):
        means = np.array(weighted(gate))
        x, y = lines(figure)[place]
        assert x == list(range(T))
        np.testing.assert_allclose(y, means.mean(axis=0))
        low = np.sort(means, axis=0)[0] * 0.6 + np.sort(means, axis=0)[1] * 0.4
        assert any(np.isclose(low[1], y) for x, y in bands(figure)[place] if x == 1)


def test_saturation_is_right_against_left_for_each_gate() -> None:
    figure = of("gate_saturation")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "i input",
        "f forget",
        "o output",
    ]
    for place, gate in enumerate("ifo"):
        chosen = rows(UNIT_TABLE, layer="se/cond", signal=gate)
        x, y = lines(figure, place)[0]
        assert x == chosen["left_saturated"].to_list()
        assert y == chosen["right_saturated"].to_list()
    without = UNIT_TABLE[UNIT_TABLE["signal"].isin(["h", "c"])]
    with pytest.raises(UserError, match="units has no gate here"):
        figures.gate_saturation(without, layer="first")


def test_forget_timescales_are_sorted_by_that_of_the_mean() -> None:
    chosen = rows(UNIT_TABLE, layer="se/cond", signal="f").sort_values("forget_timescale")
    mean, log = lines(of("forget_timescales"))
    assert mean[1] == sorted(chosen["forget_timescale"])
    assert log[1] == chosen["forget_timescale_log"].to_list()
    assert mean[0] == log[0] == [1, 2, 3, 4, 5]


def test_timescales_are_sorted_with_their_intervals_and_infinite_ones_on_top() -> None:
    table = UNIT_TABLE.copy()
    longest = (table["layer"] == "first") & (table["signal"] == "c") & (table["unit"] == 1)
    table.loc[longest, ["timescale", "timescale_high"]] = np.inf
    figure = figures.timescales(table, layer="first", signals="c")
    chosen = rows(table, layer="first", signal="c").sort_values("timescale")
    (points,) = lines(figure)
    finite = chosen["timescale"].to_list()[:-1]
    assert points[1] == [*finite, 4 * finite[-1]]
    (bars,) = axes_of(figure).collections
    drawn = [segment[:, 1].tolist() for segment in bars.get_segments()]  # type: ignore[attr-defined]
    assert drawn[0] == [
        max(chosen["timescale_low"].iloc[0], finite[0] / 2),
        min(chosen["timescale_high"].iloc[0], 4 * finite[-1]),
    ]
    assert axes_of(figure).get_yticklabels()[-1].get_text() == "∞"
    with pytest.raises(UserError, match="units has no timescale here"):
        figures.timescales(table.assign(timescale=np.nan), layer="first")


def test_decoding_shows_each_signals_scores_chance_and_shuffled_labels() -> None:
    figure = of("decoding", signals=["c", "h"])
    assert labels(figure) == ["c", "h", "chance", "shuffled"]
    for place, signal in enumerate("ch"):
        every = rows(DECODING, layer="se/cond", signal=signal, target="label")
        same = [rows(every, train_timestep=t, test_timestep=t).iloc[0] for t in range(T)]
        assert lines(figure)[place] == (list(range(T)), [row["score"] for row in same])
        assert (1.0, min(max(same[1]["score_low"], 0), 1)) in bands(figure)[place]
        assert (1.0, min(same[1]["score_high"], 1)) in bands(figure)[place]
    assert lines(figure)[2][1] == [row["chance"] for row in same]
    assert lines(figure)[3] == ([T - 1], [0.15])
    other = of("decoding", target="depth", signals="o")
    assert axes_of(other).get_title(loc="left").startswith("R² of a linear decoder")
    with pytest.raises(UserError, match="decoding has no target age here; it has"):
        of("decoding", target="age")
    with pytest.raises(UserError, match="at each sequence's final step alone"):
        figures.decoding(DECODING.assign(train_timestep=-1, test_timestep=-1), layer="first")


def test_generalisation_is_a_grid_of_training_by_test() -> None:
    figure = of("generalisation")
    every = rows(DECODING, layer="se/cond", signal="c", target="label")
    for train in range(T):
        for test in range(T):
            (score,) = rows(every, train_timestep=train, test_timestep=test)["score"]
            assert image(figure)[train, test] == score
    assert axes_of(figure, 1).images[0].origin == "lower"
    same = DECODING[DECODING["train_timestep"] == DECODING["test_timestep"]]
    with pytest.raises(UserError, match="no scores at other timesteps"):
        figures.generalisation(same[same["test_timestep"] == 0], layer="first")


def test_memory_is_the_mean_over_features_or_one_with_its_interval() -> None:
    figure = of("memory", signals=["c", "h"])
    assert labels(figure) == ["c", "h", "input alone"]
    for place, signal in enumerate("ch"):
        every = rows(MEMORY, layer="se/cond", signal=signal)
        means = [rows(every, lag=lag)["r2"].mean() for lag in range(T)]
        x, y = lines(figure)[place]
        assert x == list(range(T))
        assert y == pytest.approx(means)
    assert bands(figure) == []
    one = of("memory", signals="c", feature=3)
    row = rows(MEMORY, layer="se/cond", signal="c", feature=3, lag=1).iloc[0]
    assert lines(one)[0][1][1] == row["r2"]
    assert {(1.0, row["r2_low"]), (1.0, min(row["r2_high"], 1))} <= bands(one)[0]
    with pytest.raises(UserError, match="memory has no feature 1; it has 0, 3"):
        of("memory", feature=1)
    with pytest.raises(UserError, match="no R² here"):
        figures.memory(MEMORY.assign(r2=np.nan), layer="first")


def test_eta2_has_the_median_the_middle_and_the_largest_unit() -> None:
    figure = of("eta2_over_time")
    h, c, largest_h, largest_c = (y for _, y in lines(figure))
    for signal, median, largest in (("h", h, largest_h), ("c", c, largest_c)):
        for t in range(T):
            values = sorted(rows(TIMESTEPS, layer="se/cond", signal=signal, timestep=t)["eta2"])
            assert (median[t], largest[t]) == (values[2], values[-1])
    with pytest.raises(UserError, match="timesteps has no eta2 here"):
        figures.eta2_over_time(TIMESTEPS.assign(eta2=np.nan), layer="first")


def test_the_dimension_is_never_drawn_below_0() -> None:
    figure = of("dimension", signals="o")
    chosen = rows(POPULATION, layer="se/cond", signal="o").sort_values("timestep")
    assert lines(figure) == [(list(range(T)), chosen["participation_ratio"].to_list())]
    low = chosen["participation_ratio_low"].to_numpy()
    assert (low < 0).any()
    corners = {(float(t), max(value, 0.0)) for t, value in enumerate(low)}
    assert corners <= bands(figure)[0]


@pytest.mark.parametrize("backward", [False, True])
def test_paths_end_at_the_final_step(backward: bool) -> None:
    figure = of("class_paths", classes=["zero", "one"], backward=backward)
    for label in range(CLASSES):
        chosen = rows(PATHS, layer="se/cond", signal="c", label=label)
        chosen = chosen.sort_values("timestep", ascending=not backward)
        path, end = lines(figure)[2 * label : 2 * label + 2]
        expected = chosen["component_1"].to_list(), chosen["component_2"].to_list()
        assert path == expected
        assert end == (expected[0][-1:], expected[1][-1:])
    assert [text.get_text() for text in axes_of(figure).texts] == ["zero", "one", "2"]
    with pytest.raises(UserError, match="trajectories has no classes"):
        figures.class_paths(PATHS.assign(label=np.nan), layer="first")


def test_correlations_are_ordered_so_that_clusters_are_blocks() -> None:
    group = np.array([0, 1, 2, 0, 1, 0])
    r = np.where(group[:, None] == group, -0.95, 0.1) + RANDOM.uniform(-0.02, 0.02, (6, 6))
    pairs = [(a, b, r[a, b]) for a in range(6) for b in range(a + 1, 6)]
    table = pd.DataFrame(pairs, columns=["unit", "other", "correlation"])
    table[["unit", "other"]] += 10  # numbers of units need not begin at 0
    figure = figures.unit_correlations(table.assign(layer="lstm", signal="c"))
    drawn = image(figure)
    np.testing.assert_array_equal(drawn, drawn.T)
    assert (np.diag(drawn) == 1).all()
    above = np.triu_indices(6, 1)
    assert sorted(drawn[above]) == sorted(value for *_, value in pairs)
    block = np.abs(drawn) > 0.9
    edges = [place for place in range(5) if not block[place, place + 1]]
    assert len(edges) == 2  # three groups, each in one piece
    assert block.sum() == 3**2 + 2**2 + 1


def test_ablation_ranks_the_changes_and_marks_needed_units() -> None:
    for change, most in (("loss_change", True), ("accuracy_change", False)):
        figure = of("ablation", change=change)
        drawn = lines(figure)
        for method, name in (("h_zero", "h at 0"), ("c_mean", "c at mean")):
            place = labels(figure).index(name)
            every = rows(ABLATION, layer="se/cond", method=method)
            ranked = sorted(every[change], reverse=most)
            assert drawn[place] == ([1, 2, 3, 4, 5], ranked)
            needed = {
                value for value, q in zip(every[change], every["q_value"], strict=True) if q < 0.05
            }
            assert set(drawn[place + 1][1]) == needed
    with pytest.raises(UserError, match="ablation has no speed here; give change= one of"):
        of("ablation", change="speed")


def test_confusion_counts_sequences_by_class_and_prediction() -> None:
    figure = of("confusion_matrix", classes=["a", "b"])
    counted = {(0, 0): 1, (0, 1): 1, (1, 1): 1, (3, 3): 2, (3, 0): 1}
    texts = {text.get_position(): text.get_text() for text in axes_of(figure).texts}
    assert texts == {(column, row): str(n) for (row, column), n in counted.items()}
    shade = np.array(axes_of(figure).images[0].get_array())
    assert shade.shape == (4, 4)
    assert shade[3, 3] == pytest.approx((2 / 3) ** 0.5)
    assert shade[2].tolist() == [0] * 4
    ticks = [text.get_text() for text in axes_of(figure).get_yticklabels()]
    assert ticks == ["a", "b", "2", "3"]
    with pytest.raises(UserError, match="sequences has no classes"):
        figures.confusion_matrix(SEQUENCES.assign(prediction=0.5))


def test_lengths_count_the_sequences_that_reach_a_timestep() -> None:
    (stairs,) = axes_of(of("lengths")).patches
    data = stairs.get_data()  # type: ignore[attr-defined]
    for timestep in range(5):
        step = np.searchsorted(data.edges, timestep) - 1
        assert data[0][step] == (SEQUENCES["length"] > timestep).sum()


def xy(line: Line2D) -> Values:
    """The points of a line [n, 2]."""
    return np.asarray(line.get_xydata())


@pytest.mark.parametrize("signal", ["h", "c"])
def test_points_lie_where_they_are_filled_where_stable_with_lines_along_slow_modes(
    signal: str,
) -> None:
    figure = of("fixed_points", signal=signal)
    columns = [f"{signal}_pc_1", f"{signal}_pc_2"]
    wanted = rows(POINTS, layer="se/cond", input="mean")
    drawn = axes_of(figure).lines
    marks = {tuple(xy(line)[0]): line for line in drawn if line.get_marker() in ("o", "D")}
    assert set(marks) == {tuple(place) for place in wanted[columns].to_numpy()}
    segments = [xy(line) for line in drawn if len(xy(line)) == 2]
    found = 0
    for _, row in wanted.iterrows():
        place = row[columns].to_numpy(float)
        mark = marks[tuple(place)]
        stable = row["stability"] == "stable"
        assert mark.get_markerfacecolor() == (INK if stable else PAPER)
        assert mark.get_marker() == ("o" if row["kind"] == "fixed" else "D")
        modes = rows(MODES, layer="se/cond", input="mean", point=row["point"])
        modes = modes.sort_values("modulus", ascending=False)
        slow = modes.head(1) if stable else modes[modes["modulus"] > 1]
        here: list[Values] = [each for each in segments if np.allclose(each.mean(axis=0), place)]
        assert len(here) == len(slow) == (1 if stable else 2)
        lengths = []
        for ends, vector in zip(here, slow[columns].to_numpy(), strict=True):
            across = ends[1] - ends[0]
            assert across[0] * vector[1] == pytest.approx(across[1] * vector[0])
            lengths.append(np.linalg.norm(across) / np.linalg.norm(vector))
        np.testing.assert_allclose(lengths, lengths[0])
        found += len(here)
    assert found == len(segments) == 6
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["2 fixed, stable", "1 fixed, saddle", "1 slow, saddle"]


def test_of_several_inputs_one_is_to_be_named_and_without_classes_there_is_one_path() -> None:
    with pytest.raises(UserError, match=r"fixed_points has the inputs .*; give input= one of them"):
        of("fixed_points", input=None)
    with pytest.raises(UserError, match="fixed_points has no input ones; it has"):
        of("fixed_points", input="ones")
    path = EVERY_PATH[EVERY_PATH["label"] == 0].assign(label=pd.NA)
    plain = axes_of(of("fixed_points", trajectories=path)).lines
    assert sum(len(xy(line)) == T for line in plain) == 1


def test_without_a_signal_a_layer_that_has_no_c_is_drawn_by_h() -> None:
    cells = [f"c_pc_{n}" for n in (1, 2)]
    without = [each.assign(**dict.fromkeys(cells, np.nan)) for each in (POINTS, MODES)]
    points, modes = without
    figure = figures.fixed_points(
        points, modes=modes, trajectories=EVERY_PATH, input="mean", layer="se/cond"
    )
    assert "points of h" in axes_of(figure).get_title(loc="left")
