"""The states of sequences: chosen, read, brushed, matched, opened; all held against the files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, RunOf
from tests.browser.runs import LAYER

pytestmark = pytest.mark.tensorflow

T, U = 8, 4
"""Timesteps and units of the digits."""
CODES = 250
"""Values on the page are so many steps of a signal's range."""


def opened(run: Path, open_page: Open, **options: Any) -> Page:
    page = open_page((run / "report" / "report.html").resolve(), **options)
    page.wait_for_function("() => document.documentElement.dataset.ready")
    return page


def states_of(run: Path, signal: str, layer: str = "lstm") -> NDArray[np.float32]:
    """The states of a signal as they were written, [N, T, U]."""
    table = pd.read_parquet(run / "extract" / layer / signal)
    values = table.filter(regex=rf"^{signal}_\d+$").to_numpy()
    return values.reshape(table["sequence"].nunique(), -1, values.shape[1])


def sequences_of(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "extract" / "sequences.parquet").set_index("sequence")


def shown(page: Page) -> list[int]:
    """The numbers of the sequences in the list."""
    take = "all => all.map(each => Number(each.dataset.sequence))"
    numbers: list[int] = page.locator("#list button").evaluate_all(take)
    return numbers


def heat_map(page: Page, signal: str, pane: int = 0) -> Locator:
    figures = page.locator("#panes .pane").nth(pane).locator("figure.map")
    return figures.filter(has=page.locator(f"b:text-is('{signal}')")).locator("canvas")


def middle(
    canvas: Locator, line: int, timestep: int, shape: tuple[int, int] = (U, T)
) -> tuple[float, float]:
    """Where on the screen the middle of a cell is, of so many units and timesteps."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    return (
        box["x"] + (timestep + 0.5) / shape[1] * box["width"],
        box["y"] + (line + 0.5) / shape[0] * box["height"],
    )


def read(page: Page) -> tuple[int, int, dict[str, float]]:
    """The timestep, the unit and the values that are read out."""
    text = page.locator("#readout").inner_text().replace("−", "-")
    said = re.match(r"timestep (\d+), unit (\d+): (.*)", text)
    assert said, text
    values = {
        name: float(value) for name, value in (each.split(" ") for each in said[3].split(", "))
    }
    return int(said[1]), int(said[2]), values


def assert_read(page: Page, run: Path, sequence: int, timestep: int, unit: int) -> None:
    """What is read out is what the files say, to the precision of the page."""
    at, of, values = read(page)
    assert (at, of) == (timestep, unit)
    assert list(values) == list("hcifog")
    for signal, value in values.items():
        known = states_of(run, signal)
        step = (known.max() - known.min()) / CODES
        assert abs(value - known[sequence, timestep, unit]) <= step + 0.0051, signal


@pytest.fixture
def digits(run_of: RunOf) -> Path:
    return run_of("digits")


def by_number(page: Page) -> None:
    page.locator("#sort").select_option("number")


def test_a_sequence_is_chosen_by_its_number_and_its_values_are_read(
    digits: Path, open_page: Open
) -> None:
    page = opened(digits, open_page)
    by_number(page)
    for number, (line, timestep) in zip(
        shown(page)[1:5], [(0, 0), (1, 7), (3, 2), (2, 5)], strict=True
    ):
        page.locator("#sequence").fill(str(number))
        page.locator("#sequence").press("Enter")
        expect(page.locator("#panes h3").first).to_contain_text(f"sequence {number}")
        page.mouse.move(*middle(heat_map(page, "c"), line, timestep))
        assert_read(page, digits, number, timestep, line)


def test_a_sequence_that_is_not_there_is_said_to_be_missing(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    page.locator("#sequence").fill("99999")
    page.locator("#sequence").press("Enter")
    expect(page.locator("#listed")).to_have_text("sequence 99999 is not on this page")


def test_sequences_are_listed_by_class_and_outcome(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    known = sequences_of(digits)
    every = shown(page)
    assert set(known.loc[every, "label"]) == set(known["label"])
    page.locator("#of-class").select_option("3")
    assert shown(page) == [n for n in every if known.loc[n, "label"] == 3]
    page.locator("#of-class").select_option("")
    page.locator("#of-outcome").select_option("false")
    assert shown(page) == [n for n in every if not known.loc[n, "correct"]]
    assert 0 < len(shown(page)) < len(every)


def test_two_sequences_stand_side_by_side(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    by_number(page)
    other = shown(page)[5]
    page.locator(f"#list button[data-sequence='{other}']").click(modifiers=["Shift"])
    expect(page.locator("#panes .pane")).to_have_count(2)
    page.mouse.move(*middle(heat_map(page, "h", pane=1), 2, 4))
    assert_read(page, digits, other, 4, 2)
    page.get_by_role("button", name="close").click()
    expect(page.locator("#panes .pane")).to_have_count(1)


@pytest.mark.parametrize("statistic", ["std", "eta2"])
def test_units_are_sorted_by_a_statistic(statistic: str, digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    page.locator("#sort-by").select_option("c")
    page.locator("#sort").select_option(statistic)
    units = pd.read_parquet(digits / "units" / "units.parquet").query("signal == 'c'")
    want = units.sort_values(statistic, ascending=False)["unit"].to_list()
    canvas = heat_map(page, "c")
    found = []
    for line in range(U):
        page.mouse.move(*middle(canvas, line, 3))
        found.append(read(page)[1])
    assert found == want


def test_signals_are_chosen(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    by_number(page)
    page.locator("#signals").get_by_label("f", exact=True).check()
    page.locator("#signals").get_by_label("h", exact=True).uncheck()
    assert page.locator("#panes figcaption b").all_inner_texts() == ["c", "f"]
    page.mouse.move(*middle(heat_map(page, "f"), 1, 6))
    assert read(page)[:2] == (6, 1)


def test_the_heat_map_is_worked_by_keys(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    by_number(page)
    sequence = int(page.locator("#sequence").input_value())
    page.mouse.move(*middle(heat_map(page, "c"), 0, 0))
    heat_map(page, "c").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert_read(page, digits, sequence, 2, 1)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#match-start").input_value() == "2"
    assert page.locator("#match-stop").input_value() == "4"
    page.keyboard.press("Enter")
    expect(page.locator("#unit-title")).to_be_focused()
    expect(page.locator("#unit-title")).to_contain_text("Unit 1 of lstm: c")
    assert page.evaluate("location.hash") == "#lstm/c/1"


def test_a_click_opens_the_unit_and_back_returns(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page, fragment="#lstm/f/3")
    expect(page.locator("#unit-title")).to_contain_text("Unit 3 of lstm: f")
    by_number(page)
    page.mouse.click(*middle(heat_map(page, "h"), 2, 5))
    expect(page.locator("#unit-title")).to_contain_text("Unit 2 of lstm: h")
    assert page.evaluate("location.hash") == "#lstm/h/2"
    page.go_back()
    expect(page.locator("#unit-title")).to_contain_text("Unit 3 of lstm: f")


@pytest.mark.parametrize("fragment", ["#lstm/c/99", "#no/c/1", "#lstm/q/1", "#units", "#%ff/c/1"])
def test_an_address_without_such_a_unit_does_no_harm(
    fragment: str, digits: Path, open_page: Open
) -> None:
    page = opened(digits, open_page, fragment=fragment)
    expect(page.locator("#unit-title")).to_contain_text("of lstm")


def test_a_units_statistics_are_those_of_the_file(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page, fragment="#lstm/c/2")
    units = pd.read_parquet(digits / "units" / "units.parquet")
    row = units.query("signal == 'c' and unit == 2").iloc[0]
    told = dict(
        zip(
            page.locator("#unit-row dt").all_text_contents(),
            page.locator("#unit-row dd").all_text_contents(),
            strict=True,
        )
    )
    compared = 0
    for name, text in told.items():
        if name not in row.index or not re.fullmatch(r"−?\d+\.\d+", text):
            continue
        places = len(text.partition(".")[2])
        assert abs(float(text.replace("−", "-")) - row[name]) <= 0.51 * 10**-places, name
        compared += 1
    assert compared >= 20


def on(values: NDArray[np.float32], threshold: float, start: int, stop: int) -> NDArray[np.bool_]:
    """Which units are at or above the threshold throughout, [..., U]."""
    return np.all(values[..., start:stop, :] >= np.float32(threshold), axis=-2, keepdims=False)


def test_a_brushed_window_finds_what_the_definition_finds(digits: Path, open_page: Open) -> None:
    page = opened(digits, open_page)
    by_number(page)
    page.locator("#match-signal").select_option("f")
    values, numbers = states_of(digits, "f"), shown(page)
    sequence, start, stop = int(page.locator("#sequence").input_value()), 4, 6
    canvas = heat_map(page, "c")
    page.mouse.move(*middle(canvas, 1, start))
    page.mouse.down()
    page.mouse.move(*middle(canvas, 2, start + 1), steps=3)
    page.mouse.up()
    assert page.locator("#match-start").input_value() == str(start)
    assert page.locator("#match-stop").input_value() == str(stop - 1)
    # The edges of a gate's intervals are multiples of 1/250, which three decimals tell exactly.
    slider = page.locator("#match-threshold")
    for step in range(249, 0, -1):
        chosen = on(values[sequence], step / 250, start, stop)
        if 1 < chosen.sum() < U:
            break
    slider.fill(str(step))
    threshold = float(page.locator("#match-value").inner_text())
    assert threshold == pytest.approx(step / 250)
    slider.dispatch_event("change")
    chips = page.locator("#match-units a").all_inner_texts()
    assert [int(each) for each in chips] == np.flatnonzero(chosen).tolist()
    best: dict[int, float] = {}
    for number in numbers:
        for t in range(T - (stop - start) + 1):
            if number == sequence and t < stop and t + stop - start > start:
                continue
            there = on(values[number], threshold, t, t + stop - start)
            score = (there & chosen).sum() / (there | chosen).sum()
            if score and score > best.get(number, 0):
                best[number] = score
    want = sorted((round(score, 2) for score in best.values()), reverse=True)[:24]
    texts = page.locator("#matches button small:first-of-type").all_inner_texts()
    scores = [float(re.findall(r"score ([\d.]+),", each)[0]) for each in texts]
    assert scores == pytest.approx(want, abs=0.006)
    found = [
        int(each)
        for text in page.locator("#matches button span").all_inner_texts()
        for each in re.findall(r"#(\d+)", text)
    ]
    assert all(best[number] >= want[-1] - 0.006 for number in found)
    page.locator("#matches button").first.click()
    expect(page.locator("#panes .pane")).to_have_count(2)
    expect(page.locator("#panes h3").nth(1)).to_contain_text(f"sequence {found[0]}")


@pytest.mark.slow
def test_tokens_stand_beside_their_states(run_of: RunOf, open_page: Open) -> None:
    run = run_of("tokens")
    page = opened(run, open_page)
    known = sequences_of(run)
    given = np.load(run.parents[1] / "tokens.npz")["x_test"]
    for number in shown(page)[:3]:
        page.locator(f"#list button[data-sequence='{number}']").click()
        tokens = page.locator("#tokens-0 span")
        read_by_model = given[number, : known.loc[number, "length"]]
        assert tokens.all_text_contents() == [f"w{token} " for token in read_by_model]
    tokens.nth(1).hover()
    assert read(page)[0] == 1


@pytest.mark.slow
def test_layers_are_chosen_where_there_are_several(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("unlabelled"), open_page, fragment="#bidirectional_1.forward/o/1")
    expect(page.locator("#layer")).to_have_value("bidirectional_1.forward")
    page.locator("#layer").select_option("bidirectional.backward")
    expect(page.locator("#of-class")).to_be_hidden()
    canvas = page.locator("#panes figure.map canvas").first
    canvas.click()
    expect(page.locator("#unit-title")).to_contain_text("of bidirectional.backward")


@pytest.mark.slow
def test_a_layer_named_in_markup_has_links_to_its_units(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("markup"), open_page)
    page.locator("#panes figure.map canvas").first.click()
    expect(page.locator("#unit-title")).to_contain_text(f"of {LAYER}")
    again = opened(run_of("markup"), open_page, fragment=page.evaluate("location.hash"))
    expect(again.locator("#unit-title")).to_have_text(page.locator("#unit-title").inner_text())


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_the_states_are_read_in_each_width(
    width: int, dark: bool, digits: Path, open_page: Open
) -> None:
    page = opened(digits, open_page, width=width, dark=dark)
    by_number(page)
    sequence = int(page.locator("#sequence").input_value())
    page.mouse.move(*middle(heat_map(page, "h"), 3, 6))
    assert_read(page, digits, sequence, 6, 3)


@pytest.mark.slow
def test_timesteps_past_a_sequences_end_have_no_values(run_of: RunOf, open_page: Open) -> None:
    run = run_of("series")
    page = opened(run, open_page)
    lengths = sequences_of(run).loc[shown(page), "length"]
    number, length, longest = int(lengths.idxmin()), lengths.min(), lengths.max()
    page.locator("#sequence").fill(str(number))
    page.locator("#sequence").press("Enter")
    canvas = heat_map(page, "h")
    page.mouse.move(*middle(canvas, 0, length - 1, (4, longest)))
    assert "–" not in page.locator("#readout").inner_text()
    page.mouse.move(*middle(canvas, 0, length, (4, longest)))
    said = page.locator("#readout").inner_text()
    assert said.startswith(f"timestep {length}, ")
    assert said.count("–") == len("hzrg")
    page.locator("#match-start").fill(str(length - 1))
    page.locator("#match-stop").fill(str(length))
    page.locator("#match-form").get_by_role("button", name="Find").click()
    expect(page.locator("#match-said")).to_contain_text("has no rows")


def test_what_was_found_is_of_what_is_looked_at(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("unlabelled"), open_page)
    page.locator("#match-threshold").fill("100")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#matches button").first).to_be_visible()
    page.locator("#list button").nth(3).click()
    expect(page.locator("#matches button")).to_have_count(0)
    expect(page.locator("#match-said")).to_contain_text("Drag over timesteps")
    page.get_by_role("button", name="Find").click()
    page.locator("#layer").select_option("bidirectional.forward")
    expect(page.locator("#match-units a[href*='backward']")).to_have_count(0)
    expect(page.locator("#unit-title")).to_contain_text("of bidirectional.forward")


def test_bands_of_means_lie_within_the_axes(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page)
    sizes = """all => all.map(each => each.getBBox()).map(box => [box.y, box.y + box.height])"""
    bands = page.locator("#unit-figures path.band").evaluate_all(sizes)
    assert len(bands) > 1
    assert min(top for top, _ in bands) == pytest.approx(8, abs=0.2), "the padding above"
    assert max(bottom for _, bottom in bands) == pytest.approx(170, abs=0.2)


def test_a_unit_that_is_not_there_is_refused(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page)
    number = page.locator("#unit-number")
    title = page.locator("#unit-title").inner_text()
    number.fill("999")
    number.press("Enter")
    assert number.evaluate("field => field.validationMessage") == "c of this unit is not here"
    expect(page.locator("#unit-title")).to_have_text(title)
    number.fill("1")
    number.press("Enter")
    assert number.evaluate("field => field.validationMessage") == ""
    expect(page.locator("#unit-title")).to_contain_text("Unit 1 of lstm")
