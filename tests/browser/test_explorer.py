"""States, match and unit on the page: what a reader does, held against the files and Python."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

import rnnscope
from rnnscope import states
from rnnscope.errors import UserError
from tests.browser.conftest import Open, RunOf
from tests.browser.runs import CLASSES, LAYER

pytestmark = pytest.mark.tensorflow

READY = "document.documentElement.dataset.ready === 'true'"


def opened(run: Path, open_page: Open, **options: Any) -> Page:
    page = open_page((run / "report" / "report.html").resolve(), **options)
    page.wait_for_function(READY)
    return page


def number(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.mark.parametrize(("name", "signal"), [("digits", "c"), ("tokens", "h"), ("series", "h")])
def test_a_match_is_that_of_the_python_function(
    name: str, signal: str, run_of: RunOf, open_page: Open
) -> None:
    run = run_of(name)
    page = opened(run, open_page)
    page.locator("#match-signal").select_option(signal)
    opened_states = rnnscope.open_states(run / "extract")
    assert len(opened_states) == 1
    compared = 0
    for sequence, start, stop in ((0, 1, 3), (2, 2, 3), (5, 0, 3)):
        page.locator("#sequence").fill(str(sequence))
        page.locator("#sequence").press("Enter")
        page.locator("#match-start").fill(str(start))
        page.locator("#match-stop").fill(str(stop - 1))
        for step in (100, 126, 140):
            page.locator("#match-threshold").fill(str(step))
            page.get_by_role("button", name="Find").click()
            threshold = float(page.locator("#match-value").get_attribute("data-exact") or "nan")
            compared += held_against(page, opened_states, sequence, start, stop, threshold, signal)
    assert compared >= 4


def held_against(
    page: Page,
    recorded: Any,
    sequence: int,
    start: int,
    stop: int,
    threshold: float,
    signal: str,
) -> bool:
    """Whether there is a match, which must be that of Python."""
    said = page.locator("#match-said").inner_text()
    try:
        found = rnnscope.match(recorded, sequence, start, stop, threshold, signal=signal)
    except UserError as error:
        why = str(error)
        assert "no unit" in why or "no rows" in why
        assert ("No unit" if "no unit" in why else "has no rows") in said
        assert page.locator("#matches .card").count() == 0
        return False
    units = [int(text) for text in page.locator("#match-units a").all_text_contents()]
    assert units == found.units
    shown, scores = [], []
    for card in page.locator("#matches .card").all():
        head, score, where = card.locator("span, small").all_inner_texts()[-3:]
        shown.append((int(re.findall(r"#(\d+)", head)[0]), *map(int, re.findall(r"\d+", where))))
        scores.append(float(score.split(",")[0].removeprefix("score ")))
    expected = found.places.head(24)
    np.testing.assert_allclose(scores, expected["score"], atol=0.00501)
    stops = expected["stop"] - 1
    assert shown == list(zip(expected["sequence"], expected["start"], stops, strict=True))
    assert f"in {len(found.places)} of" in said
    return True


def test_an_address_opens_a_unit_with_what_drives_it(run_of: RunOf, open_page: Open) -> None:
    run = run_of("digits")
    page = opened(run, open_page, fragment="#lstm/c/3")
    expect(page.locator("#unit-title")).to_have_text("Unit 3 of lstm: c cell state")
    rows = states.read_states(run / "extract", "c").sort_values("c_003", ascending=False)
    most = rows.drop_duplicates("sequence").head(4)
    box = page.locator("#unit-drive > div").filter(has_text="c is largest in")
    shown = box.locator(".card").all_inner_texts()
    for text, row in zip(shown, most.itertuples(), strict=True):
        assert f"#{row.sequence} " in text
        assert f"timestep {row.timestep}" in text
        assert f"{row.c_003:.3f}".replace("-", "−") in text
    units = pd.read_parquet(run / "units" / "units.parquet")
    row = units[(units["signal"] == "c") & (units["unit"] == 3)].iloc[0]
    facts = dict(
        zip(
            *(page.locator(f"#unit-row {at}").all_inner_texts() for at in ("dt", "dd")), strict=True
        )
    )
    for name in ("eta2", "std", "max", "lag1", "skewness"):
        assert number(facts[name]) == pytest.approx(row[name], abs=6e-4)
    page.locator("#rows tbody tr").nth(2).locator("td.eta2").click()
    expect(page.locator("#unit-title")).not_to_have_text("Unit 3 of lstm: c cell state")
    page.go_back()
    expect(page.locator("#unit-title")).to_have_text("Unit 3 of lstm: c cell state")


def test_names_are_text_everywhere_and_no_formula_in_a_download(
    run_of: RunOf, open_page: Open, tmp_path: Path
) -> None:
    page = opened(run_of("markup"), open_page)
    page.locator("#rows tbody tr").first.locator("a").click()
    expect(page.locator("#unit-title")).to_contain_text(LAYER)
    assert set(page.locator("#of-class option").all_text_contents()) == {"all", *CLASSES}
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "units.csv")
    table = pd.read_csv(tmp_path / "units.csv")
    written = pd.read_parquet(run_of("markup") / "units" / "units.parquet")
    assert len(table) == len(written)
    assert set(table["layer"]) == {LAYER}
    assert "'" + CLASSES[2] in set(table["preferred_class"])
    assert not any(str(name).startswith("=") for name in table["preferred_class"])
    eta2 = written.sort_values("eta2", ascending=False)["eta2"]
    np.testing.assert_allclose(table["eta2"], eta2, rtol=1e-5)


def test_the_page_of_another_run_is_shown_beside(run_of: RunOf, open_page: Open) -> None:
    page = opened(run_of("digits"), open_page)
    page.locator("#sequence").fill("4")
    page.locator("#sequence").press("Enter")
    page.locator("#other").set_input_files(run_of("tokens") / "report" / "report.html")
    title = page.locator(".pane h3").nth(1)
    expect(title).to_contain_text("tokens-tokens")
    expect(title).to_contain_text("sequence 4,")
    dense = states.read_states(run_of("tokens") / "extract", "c", as_array=True)
    plot = page.locator(".pane").nth(1).locator(".map canvas").nth(1)
    plot.focus()
    page.keyboard.press("ArrowRight")
    said = page.locator("#readout").inner_text()
    unit, shown = re.findall(r"timestep 1, unit (\d):.* c ([−\d.]+)", said)[0]
    assert number(shown) == pytest.approx(
        float(dense[4, 1, int(unit)]), abs=0.0051 + float(np.nanmax(dense)) / 60
    )
    page.locator("#other").set_input_files(
        {"name": "x.html", "mimeType": "text/html", "buffer": b"<p>no page of ours"}
    )
    expect(page.locator("#other-said")).to_contain_text("x.html is no page of rnnscope")
