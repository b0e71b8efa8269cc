"""What the scripts on the page of a sweep draw, sort and save, in a browser where there is one."""

import html
import json
import math
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rnnscope.report.sweep import SWEEP, page
from rnnscope.stages import collect
from rnnscope.store.runs import Run
from tests import browser
from tests.report.sweep.made import collected, made, units
from tests.report.sweep.test_page import MARKUP
from tests.report.sweep.test_similarity import compared

CHROMIUM = browser.program()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason=browser.REMEDY
)

WATCH = """<script>
window.faults = [];
addEventListener("error", (event) => faults.push(event.message));
addEventListener("securitypolicyviolation", (event) => faults.push(event.blockedURI));
console.error = console.warn = (...words) => faults.push(words.join(" "));
</script>"""
DO = """<script>
const all = (which) => [...document.querySelectorAll(which)];
const choose = (id, text) => {
  const select = document.getElementById(id);
  select.value = [...select.options].find((option) => option.text === text).value;
  select.dispatchEvent(new Event("change"));
};
const texts = (which) => all(which).map((row) => [...row.cells].map((cell) => cell.textContent));
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
setTimeout(async () => {
  const found = await (async () => { %s })().catch((error) => ({error: String(error)}));
  const result = document.body.appendChild(document.createElement("pre"));
  result.id = "result";
  result.textContent = JSON.stringify({...found, faults});
}, 500);
</script>"""


def done(text: str, script: str, folder: Path) -> dict[str, Any]:
    """What a script returns that runs on a page, and what the page complained of."""
    assert CHROMIUM
    file = folder / "tried.html"
    file.write_text(text.replace("<head>", f"<head>{WATCH}") + DO % script, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"]
    own = [f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=5000", "--dump-dom"]
    dump = subprocess.run(
        [CHROMIUM, *flags, *own, file.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
    match = re.search(r'<pre id="result">(.*?)</pre>', dump, re.DOTALL)
    assert match, dump[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    assert "error" not in found, found["error"]
    assert found["faults"] == []
    return found


def text_of(runs: list[Run], root: Path, comparison: Path | None = None) -> str:
    folder = root / "collect" / "some"
    folder.mkdir(parents=True)
    page.write(collected(runs), comparison, None, folder)
    return (folder / SWEEP).read_text(encoding="utf-8")


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "").replace("∞", "inf"))


def test_runs_are_points_and_means_are_over_repeats(tmp_path: Path) -> None:
    runs = [
        made(
            tmp_path,
            6 * (kind == "gru") + 2 * n + seed,
            model={"name": kind, "units": width},
            seed=seed,
            page=width > 8,
        )
        for kind in ("lstm", "gru")
        for n, width in enumerate((8, 32, 128))
        for seed in range(2)
    ]
    found = done(
        text_of(runs, tmp_path),
        """
        choose("metric", "loss");
        choose("option", "model.units");
        const points = all("#metric-plot .point").map((point) => [
          point.getAttribute("aria-label"), point.getAttribute("href"), point.tabIndex]);
        const title = all("#metric-plot .title").map((each) => each.textContent);
        const means = texts("#means tbody tr");
        all("#metric-plot .point")[0].closest("svg").querySelector("[tabindex='0']").focus();
        const first = document.activeElement.getAttribute("aria-label");
        const tip = document.querySelector(".tip").textContent;
        press("ArrowRight");
        const second = document.activeElement.getAttribute("aria-label");
        const paths = all("#metric-plot path.mean").map((path) => path.getAttribute("d"));
        choose("option", "model.name");
        const bars = all("#metric-plot line.mean").length;
        choose("option", "each run");
        return {points, title, means, first, second, tip, paths, bars,
                apart: all("#metric-plot .point").length};
        """,
        tmp_path,
    )
    table = collect.table(runs)
    said = {label.split(",")[0]: label for label, *_ in found["points"]}
    assert set(said) == set(table["run"])
    for row in table.to_dict("records"):
        assert f"loss {row['loss']:.4g}" in said[row["run"]]
        assert f"model.units {row['model.units']}" in said[row["run"]]
        (href,) = (href for label, href, _ in found["points"] if label == said[row["run"]])
        assert bool(href) == (row["model.units"] > 8)
    assert [index for *_, index in found["points"]].count(0) == 1
    assert found["title"] == ["model.units (logarithmic)", "loss"]
    expected = table.groupby(["model.name", "model.units"])["loss"].agg(["mean", "min", "max"])
    assert len(found["means"]) == len(expected) == 6
    for width, label, count, *values in found["means"]:
        row = expected.loc[label.removeprefix("model.name="), int(width)]
        assert count == "2"
        assert list(map(number, values)) == pytest.approx(row.to_list(), rel=1e-3)
    assert [path.count("L") for path in found["paths"]] == [2, 2]
    assert found["first"] != found["second"]
    assert found["tip"].startswith(found["first"].split(",")[0])
    assert found["apart"] == 12
    assert found["bars"] > 0


def test_timescales_similarity_order_and_csv_are_those_of_the_data(tmp_path: Path) -> None:
    runs = [made(tmp_path, n, seed=n % 2, model={"units": 8 * (n // 2 + 1)}) for n in range(4)]
    folder = compared(tmp_path / "compare" / "x", runs, [run.name for run in runs])
    found = done(
        text_of(runs, tmp_path, folder),
        """
        choose("timescale", "timescale of c in lstm");
        const quartiles = texts("#quartiles tbody tr");
        const dots = all("#timescale-plot .unit").length;
        choose("measure", "svcca");
        choose("pairs", "c of lstm");
        const matrix = texts("#matrix tbody tr");
        all("#matrix td[tabindex='0']")[0].focus();
        press("ArrowDown");
        const said = document.getElementById("unrelated").textContent;
        const button = all(".listed button").find((each) => each.textContent === "loss");
        button.click();
        const rising = all(".listed tbody th").map((each) => each.textContent);
        button.click();
        const falling = all(".listed tbody th").map((each) => each.textContent);
        const sort = button.parentElement.getAttribute("aria-sort");
        let blob;
        URL.createObjectURL = (given) => { blob = given; return "data:,"; };
        let name;
        HTMLAnchorElement.prototype.click = function () { name = this.download; };
        document.getElementById("download").click();
        return {quartiles, dots, matrix, said, rising, falling, sort, name, csv: await blob.text()};
        """,
        tmp_path,
    )
    of_c = [units(n).query("signal == 'c'")["timescale"] for n in range(4)]
    for row, some in zip(found["quartiles"], (of_c[:2], of_c[2:]), strict=True):
        tau = pd.concat(some)
        finite = [value for value in tau.dropna() if math.isfinite(value)]
        assert row[1:3] == ["2", "14"]
        assert number(row[6]) == len(tau.dropna()) - len(finite)
        assert number(row[7]) == tau.isna().sum()
        middle = sorted(tau.dropna())[(len(tau.dropna()) - 1) // 2 :][:2]
        if len(tau.dropna()) % 2:
            assert number(row[4]) == pytest.approx(middle[0], rel=1e-3)
    assert found["dots"] == sum(math.isfinite(value) for value in pd.concat(of_c))
    table = pd.read_parquet(folder / "compare.parquet").query("signal == 'c'")
    svcca = table.set_index(["run_a", "run_b"])["svcca"]
    for row, (name, *cells) in enumerate(found["matrix"]):
        assert name == runs[row].name
        for column, cell in enumerate(cells):
            a, b = sorted((row, column))
            assert cell == ("·" if a == b else f"{svcca[runs[a].name, runs[b].name]:.2f}")
    assert found["said"].startswith("Unrelated")  # at the diagonal nothing is said
    by_loss = collect.table(runs).sort_values("loss")["run"].to_list()
    assert (found["rising"], found["falling"]) == (by_loss, by_loss[::-1])
    assert found["sort"] == "descending"
    assert found["name"] == "runs.csv"
    assert found["csv"].startswith("run,data.name,")
    assert len(found["csv"].splitlines()) == 5


def test_no_choice_makes_markup_of_text(tmp_path: Path) -> None:
    runs = [
        made(
            tmp_path,
            n,
            table=units(n, layer=f"{MARKUP}{n}"),
            extract={"signals": [f"{MARKUP}{n}"] if n else None},
            headline={"accuracy": 0.5, "loss": math.inf if n else 1.0},
        )
        for n in range(3)
    ]
    found = done(
        text_of(runs, tmp_path),
        """
        for (const select of all("select")) for (const option of select.options) {
          select.value = option.value;
          select.dispatchEvent(new Event("change"));
        }
        choose("metric", "loss");
        choose("option", "extract.signals");
        all("#metric-plot .point").at(-1).dispatchEvent(new Event("pointerenter"));
        return {images: all("img, svg b").length, tip: document.querySelector(".tip").textContent,
                marks: all("#metric-plot text").map((each) => each.textContent)};
        """,
        tmp_path,
    )
    assert found["images"] == 0
    assert MARKUP in found["tip"]
    assert {"∞", "null"} <= set(found["marks"])
