"""The unit table: its numbers are those of the files; it sorts, filters and is worked by keys."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, RunOf
from tests.browser.runs import ANNOTATION, CLASSES, LAYER

pytestmark = pytest.mark.tensorflow

SIGNALS = list("hcifog")


def units_of(run: Path) -> pd.DataFrame:
    """The unit table as it was written, by signal and unit."""
    units = pd.read_parquet(run / "units" / "units.parquet")
    return units.astype({"layer": str, "signal": str})


def opened(run: Path, open_page: Open, **options: Any) -> Page:
    return open_page((run / "report" / "report.html").resolve(), **options)


def cells(page: Page, column: str) -> list[str]:
    """The texts of a column, from the first row down, without the interval behind a value."""
    take = "cells => cells.map(cell => cell.firstChild.textContent)"
    texts: list[str] = page.locator(f"#rows tbody td.{column}").evaluate_all(take)
    return texts


def names(page: Page) -> list[tuple[str, int]]:
    """The signal and the unit of each row, from the first down."""
    return [(s, int(u)) for s, u in zip(cells(page, "signal"), cells(page, "unit"), strict=True)]


def head(page: Page, column: str) -> Any:
    return page.locator(f"#rows th.{column}")


def every_column(page: Page) -> None:
    page.get_by_text("Choose columns").click()
    for box in page.locator("#choose-columns input").all():
        box.check()


def choice(page: Page, name: str) -> Any:
    return page.locator("#filters").get_by_role("combobox", name=name)


def in_order(units: pd.DataFrame, column: str, ascending: bool) -> list[Any]:
    """The values of a column in order, unknown ones last."""
    return units[column].sort_values(ascending=ascending, na_position="last").to_list()


def value(text: str) -> float:
    return float({"–": "nan", "∞": "inf", "−∞": "-inf"}.get(text, text.replace("−", "-")))


def assert_same(texts: list[str], values: list[float]) -> None:
    """Numbers as shown are values rounded to three places, or small ones to two figures."""
    assert len(texts) == len(values)
    for text, known in zip(texts, values, strict=True):
        if pd.isna(known) or math.isinf(known):
            assert value(text) == pytest.approx(known, nan_ok=True)
        else:
            scale = 10 ** math.floor(math.log10(abs(known))) / 10 if "e" in text else 1e-3
            assert abs(value(text) - known) <= 0.501 * scale, (text, known)


@pytest.mark.parametrize("column", ["eta2", "std", "selectivity"])
def test_numbers_on_the_page_are_those_of_the_file(
    column: str, run_of: RunOf, open_page: Open
) -> None:
    run = run_of("digits")
    page = opened(run, open_page)
    every_column(page)
    units = units_of(run).set_index(["signal", "unit"])
    shown = names(page)
    assert len(shown) == len(units) == 24
    assert_same(cells(page, column), [units[column][name] for name in shown])


@pytest.mark.parametrize("column", ["eta2", "left_saturated", "unit"])
def test_a_click_on_a_head_sorts_and_another_turns_the_order(
    column: str, run_of: RunOf, open_page: Open
) -> None:
    run = run_of("digits")
    page = opened(run, open_page)
    every_column(page)
    units = units_of(run)
    if column != "eta2":  # by which it is sorted already
        head(page, column).get_by_role("button").click()
    before = head(page, column).get_attribute("aria-sort")
    assert before == ("ascending" if column == "unit" else "descending")
    assert_same(cells(page, column), in_order(units, column, before == "ascending"))
    head(page, column).get_by_role("button").click()
    after = head(page, column).get_attribute("aria-sort")
    assert {before, after} == {"ascending", "descending"}
    assert_same(cells(page, column), in_order(units, column, after == "ascending"))
    assert page.locator("#rows [aria-sort]").count() == 1


@pytest.mark.slow
def test_filters_leave_the_rows_of_a_layer_and_a_signal(run_of: RunOf, open_page: Open) -> None:
    run = run_of("unlabelled")
    page = opened(run, open_page)
    units = units_of(run)
    layer = "bidirectional_1.backward"
    choice(page, "Layer").select_option(layer)
    assert set(cells(page, "layer")) == {layer}
    choice(page, "Signal").select_option("c")
    kept = units[(units["layer"] == layer) & (units["signal"] == "c")]
    assert sorted(names(page)) == [("c", unit) for unit in sorted(kept["unit"])]
    expect(page.locator("#status")).to_have_text(f"{len(kept)} of {len(units)} rows")
    choice(page, "Layer").select_option("all")
    assert {signal for signal, _ in names(page)} == {"c"}
    assert len(names(page)) == (units["signal"] == "c").sum()


def test_choices_are_offered_only_where_there_is_something_to_choose(
    run_of: RunOf, open_page: Open
) -> None:
    page = opened(run_of("digits"), open_page)
    expect(page.locator("#by-layer")).to_be_hidden()
    options = choice(page, "Signal").locator("option")
    assert options.all_text_contents() == ["all", *SIGNALS]


def test_further_columns_appear_when_chosen(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page)
    for part in ("th", "td"):
        expect(page.locator(f"#rows {part}.median").first).to_be_hidden()
        expect(page.locator(f"#rows {part}.eta2").first).to_be_visible()
    page.get_by_text("Choose columns").click()
    chosen = page.locator("#choose-columns")
    chosen.get_by_label("median", exact=True).check()
    chosen.get_by_label("eta2", exact=True).uncheck()
    for part in ("th", "td"):
        expect(page.locator(f"#rows {part}.median").first).to_be_visible()
        expect(page.locator(f"#rows {part}.eta2").first).to_be_hidden()


def test_bounds_on_columns_leave_the_rows_within_and_can_be_taken_back(
    run_of: RunOf, open_page: Open
) -> None:
    run = run_of("digits")
    page = opened(run, open_page)
    units = units_of(run)
    for column, side, bound in (("eta2", "above", 0.3), ("std", "below", 0.2)):
        page.locator("#bound-name").select_option(column)
        page.locator("#bound-side").select_option(side)
        page.locator("#bound-value").fill(str(bound))
        page.locator("#bound").get_by_role("button", name="Filter").click()
    kept = units[(units["eta2"] >= 0.3) & (units["std"] <= 0.2)]
    assert 0 < len(kept) < (units["eta2"] >= 0.3).sum()
    assert sorted(names(page)) == sorted(zip(kept["signal"], kept["unit"], strict=True))
    page.locator("#bounds button").first.click()
    assert len(names(page)) == (units["std"] <= 0.2).sum()


def test_the_download_is_the_table_as_it_is_filtered(
    run_of: RunOf, open_page: Open, tmp_path: Path
) -> None:
    run = run_of("digits")
    page = opened(run, open_page)
    choice(page, "Signal").select_option("f")
    with page.expect_download() as coming:
        page.locator("#download").click()
    assert coming.value.suggested_filename.endswith(".csv")
    coming.value.save_as(tmp_path / "units.csv")
    found = pd.read_csv(tmp_path / "units.csv").set_index("unit").sort_index()
    known = units_of(run).query("signal == 'f'").set_index("unit").sort_index()
    numeric = [name for name in found if name in known and known[name].dtype.kind == "f"]
    assert len(numeric) > 20
    for name in numeric:
        assert found[name].to_numpy() == pytest.approx(known[name].to_numpy(), 1e-5, nan_ok=True), (
            name
        )


def test_a_row_opens_its_unit(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page)
    (signal, unit), *_ = names(page)
    page.locator("#rows tbody tr").first.locator("td.signal").click()
    expect(page.locator("#unit-title")).to_contain_text(f"Unit {unit} of lstm: {signal}")


def test_the_table_is_sorted_and_scrolled_by_keys(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page, width=390)
    page.locator("#rows").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('rows').scrollLeft > 0")
    page.keyboard.press("Tab")
    focused = page.locator("#rows th:has(button:focus)")
    assert focused.get_attribute("aria-sort") is None
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert focused.get_attribute("aria-sort") == "ascending"


@pytest.mark.slow
def test_names_with_markup_are_shown_as_text(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("markup"), open_page)
    every_column(page)
    for name in (LAYER, ANNOTATION, CLASSES[0]):
        assert page.get_by_text(name).count() >= 1, name
    assert set(cells(page, "layer")) == {LAYER}
    assert {text.strip(" ↑↓") for text in cells(page, "preferred_class")} <= {*CLASSES, "–"}
    assert page.locator("body img, b:text-is('bold'), i:text('depth')").count() == 0
