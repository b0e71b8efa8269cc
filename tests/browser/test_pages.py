"""The pages of real runs, as a reader meets them: quiet, readable, in any size and colour."""

from pathlib import Path

import pandas as pd
import pytest

from tests.browser.conftest import Open, RunOf
from tests.browser.runs import RUNS
from tests.browser.watching import faults

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

LOOKS = [(1280, False), (1280, True), (390, False), (390, True)]
"""Widths in CSS pixels, and whether the colours are dark."""
BY_LOOK = ("color-contrast", "scrollable-region-focusable", "target-size", "aria-hidden-focus")
"""The rules of axe-core whose answer depends on width and colours."""


def report(run: Path) -> Path:
    return (run / "report" / "report.html").resolve()


@pytest.mark.parametrize("name", RUNS)
def test_a_page_is_accessible_and_whole(name: str, run_of: RunOf, open_page: Open) -> None:
    page = open_page(report(run_of(name)))
    ids = page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
    assert len(set(ids)) == len(ids)
    targets = page.locator('a[href^="#"]').evaluate_all(
        "all => all.map(each => each.getAttribute('href').slice(1))"
    )
    assert targets
    assert {each for each in targets if "/" not in each} <= set(ids)  # others name units
    rows = len(pd.read_parquet(run_of(name) / "units" / "units.parquet"))
    assert page.locator("#status").inner_text().startswith(f"{rows} of {rows} rows")
    assert faults(page) == []


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_a_page_is_readable_in_each_width_and_colour(
    width: int, dark: bool, run_of: RunOf, open_page: Open
) -> None:
    page = open_page(report(run_of("digits")), width, dark)
    assert faults(page, BY_LOOK) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 24, 28)" if dark else "rgb(255, 255, 255)"
    )


@pytest.mark.parametrize("name", RUNS)
def test_a_narrow_page_scrolls_in_one_direction(name: str, run_of: RunOf, open_page: Open) -> None:
    page = open_page(report(run_of(name)), 390, dark=True)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
