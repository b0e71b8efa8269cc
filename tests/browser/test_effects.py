"""Maps of effects: what is read is in the table, and a click opens the unit at the timestep."""

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from rnnscope.report.page import HERE
from tests.browser.conftest import Open, RunOf
from tests.browser.test_states import middle, opened
from tests.browser.watching import faults

pytestmark = pytest.mark.tensorflow

T, U = 8, 4
"""Timesteps and units of the digits."""
LAYERS = ("lstm_1", "lstm_2")


@pytest.fixture
def needed(run_of: RunOf) -> Path:
    return run_of("needed")


def changes(
    run: Path, layer: str, state: str, method: str, *, onward: bool = False
) -> pd.DataFrame:
    """The rows of the table by unit and first timestep."""
    rows = pd.read_parquet(run / "intervention" / "intervention.parquet")
    rows = rows[(rows["layer"] == layer) & (rows["state"] == state) & (rows["method"] == method)]
    kind = rows["stop"] == T if onward else rows["stop"] == rows["start"] + 1
    return rows[kind & rows["unit"].notna()].set_index(["unit", "start"])


def box_of(page: Page, layer: str) -> Locator:
    return page.locator(f".effects[data-layer='{layer}']")


def map_of(page: Page, layer: str, state: str) -> Locator:
    figures = box_of(page, layer).locator("figure.map")
    return figures.filter(has=page.locator(f"b:text-is('{state}')")).locator("canvas")


def chosen(page: Page, layer: str, **options: str) -> None:
    for name, value in {"order": "number", **options}.items():
        box_of(page, layer).locator(f"select[name={name}]").select_option(value)


def said(page: Page, layer: str) -> tuple[int, int, list[float]]:
    """The timestep, the unit and the numbers that are read out."""
    text = box_of(page, layer).locator(".effect-said").inner_text().replace("−", "-")
    found = re.match(r"timestep (\d+), unit (\d+), \w: .* = (\S+)(?: \((\S+) to (\S+)\))?", text)
    assert found, text
    numbers = [float(each.rstrip(",")) for each in found.groups()[2:] if each is not None]
    return int(found[1]), int(found[2]), numbers


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("state", "method", "onward"),
    [("h", "patch", False), ("c", "zero", False), ("c", "patch", True), ("h", "zero", True)],
)
def test_what_is_read_is_what_the_table_says(
    layer: str, state: str, method: str, onward: bool, needed: Path, open_page: Open
) -> None:
    page = opened(needed, open_page)
    chosen(page, layer, method=method, windows="onward" if onward else "each")
    table = changes(needed, layer, state, method, onward=onward)
    name = "recovery" if method == "patch" else "loss_change"
    canvas = map_of(page, layer, state)
    for unit, t in ((0, 0), (3, 7), (1, 4), (2, 6)):
        page.mouse.move(*middle(canvas, unit, t))
        row = table.loc[(unit, t)]
        timestep, of, numbers = said(page, layer)
        assert (timestep, of) == (t, unit)
        wanted = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
        assert numbers == pytest.approx(wanted, rel=0.06, abs=6e-5)
        text = box_of(page, layer).locator(".effect-said").inner_text()
        holds = row["recovery_low"] <= 0 <= row["recovery_high"]
        unsure = holds if method == "patch" else row["q_value"] >= 0.05
        assert ("not told from 0" in text) == unsure


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_click_opens_the_unit_at_that_timestep(
    width: int, dark: bool, needed: Path, open_page: Open
) -> None:
    page = opened(needed, open_page, width=width, dark=dark)
    chosen(page, "lstm_1")
    page.mouse.click(*middle(map_of(page, "lstm_1", "c"), 2, 5))
    title = page.locator("#unit-title")
    expect(title).to_have_text("Unit 2 of lstm_1: c cell state, timestep 5")
    expect(title).to_be_focused()
    assert page.evaluate("location.hash") == "#lstm_1/c/2/5"
    expect(page.locator("#readout")).to_contain_text("timestep 5, unit 2: h ")
    marks = page.locator("#unit-figures .opened")
    assert marks.locator("title").all_text_contents() == ["timestep 5"] * 2
    grid = "each => [each.x1.baseVal.value, each.ownerSVGElement.viewBox.baseVal.width]"
    for place, (x, across) in enumerate(marks.evaluate_all(f"all => all.map({grid})")):
        assert across == 420, place
        assert x == pytest.approx(44 + 5 / (T - 1) * (420 - 44 - 8), abs=0.01)
    facts = page.locator("#unit-facts p").filter(has_text="timestep 5").all_inner_texts()
    donor = "c patched with its value in a donor (a sequence of another class)"
    for method, text in (("zero", "c set to 0"), ("patch", donor)):
        assert [each for each in facts if each.startswith(f"{text} from timestep 5 to the end: ")]
        (fact,) = (each for each in facts if each.startswith(f"{text} at timestep 5: "))
        row = changes(needed, "lstm_1", "c", method).loc[(2, 5)]
        assert fact.endswith(f"; {row['sequences']:.0f} sequences.")
        value = row["recovery"] if method == "patch" else row["loss_change"]
        shown = re.findall(r"= (\S+)", fact.replace("−", "-"))[0].rstrip(",.")
        assert float(shown) == pytest.approx(value, rel=0.06, abs=6e-5)
    page.locator("#unit-number").fill("3")
    page.locator("#unit-number").press("Enter")
    expect(title).to_have_text("Unit 3 of lstm_1: c cell state, timestep 5")
    page.go_back()
    expect(title).to_have_text("Unit 2 of lstm_1: c cell state, timestep 5")


def test_an_address_opens_a_unit_at_a_timestep_and_another_without(
    needed: Path, open_page: Open
) -> None:
    page = opened(needed, open_page, fragment="#lstm_1/h/1/3")
    title = page.locator("#unit-title")
    expect(title).to_have_text("Unit 1 of lstm_1: h hidden state, timestep 3")
    page.locator("#rows tbody a").first.click()
    expect(title).not_to_contain_text("timestep")
    expect(page.locator("#unit-figures .opened")).to_have_count(0)
    for fragment in ("#lstm_1/h/1/x", "#lstm_1/h/1/-1", "#lstm_1/h/1/2/3"):
        again = opened(needed, open_page, fragment=fragment)
        expect(again.locator("#unit-title")).not_to_contain_text("timestep")
    late = opened(needed, open_page, fragment="#lstm_1/h/1/999")
    expect(late.locator("#unit-title")).to_contain_text("timestep 999")
    expect(late.locator("#unit-figures .opened")).to_have_count(0)


def test_a_map_is_worked_by_keys(needed: Path, open_page: Open) -> None:
    page = opened(needed, open_page)
    chosen(page, "lstm_1")
    map_of(page, "lstm_1", "h").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert said(page, "lstm_1")[:2] == (2, 1)
    spoken = box_of(page, "lstm_1").locator(".effect-said")
    assert spoken.get_attribute("aria-live") == "polite"
    page.keyboard.press("Enter")
    expect(page.locator("#unit-title")).to_be_focused()
    expect(page.locator("#unit-title")).to_have_text("Unit 1 of lstm_1: h hidden state, timestep 2")


def test_units_stand_by_the_timestep_of_their_largest_effect(needed: Path, open_page: Open) -> None:
    page = opened(needed, open_page)
    chosen(page, "lstm_1", order="peak")
    rows = changes(needed, "lstm_1", "c", "patch").reset_index()
    told = rows[(rows["recovery_low"] > 0) | (rows["recovery_high"] < 0)]
    peaks = {}
    for unit, own in rows.groupby("unit"):
        counted = told[told["unit"] == unit]
        of = counted if len(counted) else own
        best = of.loc[of["recovery"].abs().idxmax()]
        peaks[int(str(unit))] = (not len(counted), best["start"], best["recovery"])
    found = []
    for line in range(U):
        page.mouse.move(*middle(map_of(page, "lstm_1", "c"), line, 3))
        found.append(said(page, "lstm_1")[1])
    assert found == sorted(peaks, key=lambda unit: peaks[unit])


@pytest.mark.parametrize("width", [1280, 390])
def test_a_timestep_of_the_map_lies_below_that_of_the_scores(
    width: int, needed: Path, open_page: Open
) -> None:
    page = opened(needed, open_page, width=width)
    column = page.locator(".column").filter(has=box_of(page, "lstm_1"))
    ticks = column.locator("figure svg").first.locator("text")
    centre = "each => { const box = each.getBoundingClientRect(); return box.x + box.width / 2; }"
    shown = {text: ticks.nth(n) for n, text in enumerate(ticks.all_text_contents())}
    compared = 0
    for t in range(T):
        if str(t) not in shown:
            continue
        x, _ = middle(map_of(page, "lstm_1", "c"), 0, t)
        assert shown[str(t)].evaluate(centre) == pytest.approx(x, abs=2)
        compared += 1
    assert compared >= 4


def test_what_no_map_shows_is_named(needed: Path, open_page: Open) -> None:
    page = opened(needed, open_page)
    text = page.locator("#decoding").inner_text()
    assert "Not drawn: 1 set of units or directions." in text
    assert "Not drawn: windows 2:5." in text
    assert page.locator(".command code").inner_text().count("rnnscope") == 2
    assert "stage=intervention && rnnscope" in page.locator(".command code").inner_text()


@pytest.mark.parametrize("dark", [False, True])
def test_maps_are_accessible(dark: bool, needed: Path, open_page: Open) -> None:
    page = opened(needed, open_page, dark=dark)
    expect(page.locator(".effects canvas")).to_have_count(2 * len(LAYERS))
    assert faults(page) == []


def test_without_an_intervention_there_is_no_map(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page)
    expect(page.locator(".effects")).to_have_count(0)
    assert "the maps below" not in page.locator("#decoding").inner_text()


def test_windows_and_numbers_of_sequences_are_said_in_plain_words(browser: Browser) -> None:
    script = (HERE / "effects.js").read_text("utf-8")
    (words,) = re.findall(r"^const widthOf.*?(?=^class )", script, re.DOTALL | re.MULTILINE)
    count = "const count = (n) => n.toLocaleString('en');"
    said = {
        "windowAt('each', 5)": "at timestep 5",
        "windowAt('onward', 5)": "from timestep 5 to the end",
        "windowAt('sliding:3', 5)": "at timesteps 5 to 7",
        "windowAt('sliding:1', 5)": "at timestep 5",
        "windowsName('each')": "each timestep alone",
        "windowsName('onward')": "each timestep and all after it",
        "windowsName('sliding:3')": "3 timesteps in a row",
        "sequencesSaid(3, 1000)": "3 to 1,000 sequences",
        "sequencesSaid(40, 40)": "40 sequences",
        "sequencesSaid(1)": "1 sequence",
    }
    page = browser.new_page()
    found = {call: page.evaluate(f"() => {{ {count} {words} return {call}; }}") for call in said}
    page.close()
    assert found == said


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_read_moves_no_map_and_ends_with_the_number_of_sequences(
    width: int, needed: Path, open_page: Open
) -> None:
    page = opened(needed, open_page, width=width)
    chosen(page, "lstm_1", method="zero")
    (count,) = changes(needed, "lstm_1", "c", "zero")["sequences"].unique()
    canvas = map_of(page, "lstm_1", "c")
    caption = box_of(page, "lstm_1").locator(".caption")
    expect(caption).to_contain_text(f"; {count} sequences.")
    before = middle(canvas, 0, 0)
    for t in range(T):
        page.mouse.move(*middle(canvas, 2, t))
        text = box_of(page, "lstm_1").locator(".effect-said").inner_text()
        assert text.endswith(f"; {count} sequences")
        assert middle(canvas, 0, 0) == before
