"""The page of a sweep: right numbers, links that hold, no trust in any text, whatever runs have."""

import copy
import html.parser
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from rnnscope.report.sweep import SWEEP, page
from rnnscope.report.sweep.listing import as_csv
from rnnscope.report.sweep.metrics import OverUnits
from rnnscope.report.sweep.timescales import DRAWN, FEWEST
from rnnscope.stages import collect
from rnnscope.store.runs import Run
from tests.report.sweep.made import collected, made, units

MARKUP = "</script><img src=x onerror=alert(1)>&<b>"


class Reader(html.parser.HTMLParser):
    """What a browser finds on a page: elements, links, text, and the data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_data(self, data: str) -> None:
        self.words += data


def written(root: Path, runs: list[Run], compared: Path | None = None) -> str:
    folder = root / "collect" / "some"
    folder.mkdir(parents=True, exist_ok=True)
    page.write(collected(runs), compared, None, folder)
    return (folder / SWEEP).read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def grid(root: Path) -> list[Run]:
    """Two widths with three seeds each."""
    return [
        made(root, 3 * n + seed, model={"units": width}, seed=seed)
        for n, width in enumerate((8, 16))
        for seed in range(3)
    ]


def as_numbers(values: list[Any]) -> list[float]:
    words = {None: np.nan, "∞": np.inf}
    return [float(words.get(value, value)) for value in values]


def test_scores_and_costs_are_those_of_the_runs_table(tmp_path: Path) -> None:
    runs = grid(tmp_path)
    data = data_of(written(tmp_path, runs))
    table = collect.table(runs)
    assert [run["name"] for run in data["runs"]] == table["run"].tolist()
    shown = {each["name"]: each["values"] for each in data["metrics"] if "of" not in each["group"]}
    assert set(shown) == {
        *("accuracy", "loss", "seconds", "peak_memory_bytes"),
        *(f"{stage}.{cost}" for stage in ("extract", "units", "report") for cost in
          ("seconds", "peak_memory_bytes")),
    }  # fmt: skip
    for name, values in shown.items():
        assert values == pytest.approx(table[name].to_list(), rel=1e-5), name
    swept = {axis["name"]: axis["values"] for axis in data["axes"]}
    assert swept["model.units"] == table["model.units"].to_list()
    assert swept["seed"] == table["seed"].to_list()


def test_medians_are_over_the_units_that_have_a_value_infinite_ones_among_them(
    tmp_path: Path,
) -> None:
    data = data_of(written(tmp_path, grid(tmp_path)))
    shown = {
        (each["group"], each["name"]): as_numbers(each["values"])
        for each in data["metrics"]
        if each["group"].startswith("Median")
    }
    assert len(shown) == 3 * 3 + 1
    for (group, name), values in shown.items():
        signal = group.split(": ")[1][0]
        assert group == f"Median over units: {signal} of lstm"
        for number in range(6):
            table = units(number)
            found = table.loc[table["signal"] == signal, name].dropna().sort_values().to_list()
            middle = found[(len(found) - 1) // 2], found[len(found) // 2]
            assert values[number] == pytest.approx(sum(middle) / 2, rel=1e-5)
    assert any(np.isinf(values).any() for values in shown.values())


def test_of_correlations_the_strongest_unit_is_shown_whatever_its_sign(tmp_path: Path) -> None:
    over = OverUnits(3)
    for number, strongest in enumerate((-0.9, 0.8, -0.1)):
        values = np.array([strongest, 0.05, np.nan])
        over.add(number, {("lstm", "c"): {"best_correlation": values, "std": np.abs(values)}})
    first = next(over.metrics())
    assert first["label"] == "strongest best_correlation of c in lstm"
    assert first["values"] == pytest.approx([0.9, 0.8, 0.1])
    assert sum("strongest" in each["label"] for each in over.metrics()) == 1


def test_timescales_are_taken_together_and_infinite_and_missing_ones_counted(
    tmp_path: Path,
) -> None:
    data = data_of(written(tmp_path, grid(tmp_path)))
    labels = [each["label"] for each in data["timescales"]]
    assert labels == [
        *(f"timescale of {signal} in lstm" for signal in "hcf"),
        "forget_timescale of f in lstm",
    ]
    of_c = data["timescales"][1]["groups"]
    for group, width, numbers in zip(of_c, (8, 16), (range(3), range(3, 6)), strict=True):
        tau = pd.concat([units(n).query("signal == 'c'")["timescale"] for n in numbers])
        assert (group["place"], group["runs"], group["units"]) == (width, 3, 21)
        assert group["infinite"] == np.isinf(tau).sum() > 0
        assert group["none"] == tau.isna().sum() > 0
        assert group["points"] == pytest.approx(sorted(tau[np.isfinite(tau)]), rel=1e-3)
        # Ranks do not care how much larger the infinite ones are.
        ordered = tau.dropna().replace(np.inf, 1e300).sort_values().to_list()
        for level, value in zip((0.25, 0.5, 0.75), as_numbers(group["quartiles"]), strict=True):
            expected = np.quantile(ordered, level)
            assert value == (np.inf if expected > 1e200 else pytest.approx(expected, rel=1e-5))


def test_of_very_many_units_some_are_drawn_and_all_are_counted(tmp_path: Path) -> None:
    runs = [made(tmp_path, n, table=units(n, count=DRAWN)) for n in range(2)]
    for series in data_of(written(tmp_path, runs))["timescales"]:
        for group in series["groups"]:
            assert FEWEST < len(group["points"]) < group["units"]
            assert group["points"] == sorted(group["points"])
            assert group["units"] == DRAWN


def test_markup_in_an_option_or_a_layer_is_text(tmp_path: Path) -> None:
    runs = [
        made(
            tmp_path,
            n,
            table=units(n, layer=f"{MARKUP}{n}"),
            data={"name": "files", "path": {"sha256": "ab"}, "labels": f"{MARKUP}{n}"},
            files={"data.path": f"/{MARKUP}.npz"},
            page=n > 0,
        )
        for n in range(2)
    ]
    text = written(tmp_path, runs)
    found = Reader(text)
    assert not found.tags & {"img", "b"}
    assert f"{MARKUP}0" in found.words
    data = data_of(text)
    assert data["axes"][0]["labels"] == [f"{MARKUP}0", f"{MARKUP}1"]
    assert any(each["group"] == f"Median over units: c of {MARKUP}1" for each in data["metrics"])


def test_links_lead_to_each_runs_page_wherever_the_root_is_moved(tmp_path: Path) -> None:
    root = tmp_path / "outputs"
    runs = [*grid(root), made(root, 6, page=False)]
    text = written(root, runs)
    moved = tmp_path / "else where"
    shutil.move(root, moved)
    links = [each for each in Reader(text).links if not each.startswith(("#", "data:"))]
    assert len(links) == 2 * 6  # at the name, and at the end of the row
    for link in links:
        assert (moved / "collect" / "some" / unquote(link)).resolve().read_text() == "page"
    assert [run["href"] for run in data_of(text)["runs"]] == [*links[::2], None]
    assert "<code>rnnscope model.units=8</code>" in text


def test_the_same_runs_give_the_same_bytes_in_any_root(tmp_path: Path) -> None:
    first, again = (written(tmp_path / "one", grid(tmp_path / "one")) for _ in range(2))
    assert first == again == written(tmp_path / "other", grid(tmp_path / "other"))
    assert str(tmp_path) not in first


@pytest.mark.parametrize(
    "options",
    [
        {"headline": {}},
        {"headline": {"squared error": 0.25}},
        {"table": units(0, labelled=False)},
        {"table": units(0).assign(timescale=np.nan, forget_timescale=np.nan)},
        {"table": units(0).head(0)},
        {"page": False},
        {"data": {"name": "files", "path": {"sha256": "ab"}, "annotations": ["a", "b"]}},
    ],
)
def test_a_run_may_be_alone_and_lack_what_others_have(
    options: dict[str, Any], tmp_path: Path
) -> None:
    alone = data_of(written(tmp_path, [made(tmp_path, 0, **options)]))
    assert [axis["name"] for axis in alone["axes"]] == ["run"]
    both = data_of(written(tmp_path, [made(tmp_path, 0, **options), made(tmp_path, 1, seed=1)]))
    values = {each["name"]: each["values"] for each in both["metrics"]}
    assert values["accuracy"][1] == pytest.approx(37 / 101, rel=1e-5)
    assert (values["accuracy"][0] is None) == ("headline" in options)


def test_values_that_are_null_or_lists_have_their_places(tmp_path: Path) -> None:
    given = (None, [0.1, 0.9], [0.2, 0.8])
    train = {"patience": None}, {"patience": 10}, {"patience": 3}
    runs = [
        made(tmp_path, n, extract={"units": of}, train=more)
        for n, (of, more) in enumerate(zip(given, train, strict=True))
    ]
    listed, patience, _ = data_of(written(tmp_path, runs))["axes"]
    assert (listed["kind"], listed["labels"]) == ("category", ["[0.1,0.9]", "[0.2,0.8]"])
    assert listed["values"] == [None, 0, 1]
    assert (patience["kind"], patience["values"]) == ("linear", [None, 10, 3])


def test_runs_that_share_all_options_but_data_differ_in_its_digest(tmp_path: Path) -> None:
    runs = [
        made(
            tmp_path,
            n,
            data={"name": "files", "path": {"sha256": f"{n}" * 64}},
            files={"data.path": "/same.npz"},
        )
        for n in range(2)
    ]
    text = written(tmp_path, runs)
    assert [axis["name"] for axis in data_of(text)["axes"]] == ["data.path.sha256", "run"]
    assert "over the same test sequences" in text


def again(run: Run, number: int, rate: float) -> Run:
    """Another run with the same tables and another learning rate."""
    stages = copy.deepcopy(run.stages)
    stages["extract"].manifest["slice"]["train"]["learning_rate"] = rate
    return Run(f"again-{number}", stages)


def test_five_hundred_runs_fit_on_a_page(tmp_path: Path) -> None:
    rates = np.random.default_rng(0).uniform(-5, -1, 500)
    few = [made(tmp_path, n, seed=n, train={"learning_rate": 0.1}) for n in range(5)]
    runs = [again(few[n % 5], n, float(10**rate)) for n, rate in enumerate(rates)]
    text = written(tmp_path, runs)
    assert len(text) < 2_000_000
    data = data_of(text)
    kinds = {axis["name"]: axis["kind"] for axis in data["axes"]}
    assert kinds == {"seed": "linear", "train.learning_rate": "log", "run": "category"}
    assert len(data["timescales"][0]["groups"]) == 500


def test_as_csv_is_the_runs_table_with_harmless_text() -> None:
    words = ["=1+1", "+x", "-1:", "@x", "\tx", " =x", "−1", 'a,"b"', "a\nb", "plain", None]
    frame = pd.DataFrame(
        {
            "run": [f"r{n}" for n in range(11)],
            "=option": pd.Series(words, dtype="str"),
            "loss": [-1.5, 1 / 3, np.nan, *range(8)],
            "patience": pd.Series([-1, None, *range(9)], dtype="Int64"),
        }
    )
    found = pd.read_csv(io.StringIO(as_csv(frame)), dtype={"patience": "Int64"})
    assert list(found) == ["run", "'=option", "loss", "patience"]
    assert found["loss"].equals(frame["loss"])
    assert found["patience"].equals(frame["patience"])
    expected = [f"'{word}" for word in words[:7] if word] + ['a,"b"', "a\nb", "plain"]
    assert found["'=option"].to_list()[:-1] == expected
    assert found["'=option"].isna().to_list()[-1]


def test_the_csv_on_the_page_has_every_column_in_full(tmp_path: Path) -> None:
    runs = grid(tmp_path)
    found = pd.read_csv(io.StringIO(data_of(written(tmp_path, runs))["csv"]))
    table = collect.table(runs)
    pd.testing.assert_frame_equal(found, table, check_dtype=False, rtol=0, atol=0)
