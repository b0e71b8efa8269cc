"""The figures of a run as files: which there are, their names, and that they can be read."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib import image

from rnnscope import figures
from rnnscope.errors import UserError
from rnnscope.figures.drawing import SERIES, blank
from rnnscope.report import drawing, files
from rnnscope.report.stage import run as run_stage
from rnnscope.stages.summary import summary
from rnnscope.store.inputs import Inputs
from tests.compose import composed
from tests.report.test_report import inputs_in

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_figures_are_files_with_distinct_safe_names_that_can_be_read(tmp_path: Path) -> None:
    layers = ("a$b$", "a b")
    inputs = inputs_in(tmp_path, layers=layers)
    folder = tmp_path / "report"
    folder.mkdir()
    made = run_stage(composed(tmp_path, "report.format=[png,svg]"), Inputs(inputs), folder)
    assert made["page"] is None
    assert sorted(made["figures"]) == sorted(path.name for path in folder.iterdir())
    assert made["headline"] == {"files": len(made["figures"])}
    assert {"training-loss.svg", "confusion.png", "lengths.svg"} <= {*made["figures"]}
    names = [name.removesuffix(".svg") for name in made["figures"] if name.endswith(".svg")]
    names += made["left_out"]  # timescales, which noise does not have
    for name in ("means", "gates", "saturation", "timescales", "decoding", "paths", "ablation"):
        assert len([each for each in names if each.startswith(f"{name}-a-b")]) == 2, name
    for path in folder.glob("*.png"):
        pixels = image.imread(path)
        assert pixels.shape[1] == 920
        assert (pixels[[0, -1]][:, [0, -1]] == 1).all()  # white to the corners
    for layer in layers:
        shown = [
            path.name
            for path in folder.glob("*.svg")
            if any(
                layer in (element.text or "")
                for element in ElementTree.parse(path).iter(f"{SVG}text")
            )
        ]
        assert len(shown) >= 8, layer


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_figures_file_has_the_same_bytes_each_time(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"lengths.{ending}"
    written = []
    for _ in range(2):
        files._save(figures.lengths(pd.DataFrame({"length": [1, 2, 2]})), path)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_what_a_run_does_not_have_is_left_out_and_said(tmp_path: Path) -> None:
    inputs = inputs_in(tmp_path, history=None, labelled=False)
    folder = tmp_path / "report"
    folder.mkdir()
    made = run_stage(composed(tmp_path, "report.format=svg"), Inputs(inputs), folder)
    assert "means-lstm.svg" in made["figures"]
    for name in ("confusion", "class-means-lstm", "eta2-lstm", "paths-lstm", "decoding-lstm"):
        assert f"{name}.svg" not in made["figures"]
        assert made["left_out"][name]
    assert not [name for name in made["figures"] if name.startswith("training")]
    json.dumps(made)
    text = summary({"report": folder})
    assert f"figures    {folder}" in text
    assert "report.html" not in text


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("report.format=[pdf]", r"report.format=\[pdf\]: .*each one of html, png, svg"),
        ("report.format=[]", r"report.format=\[\]: must be a list of 1 to 3 different values"),
        ("report.format=[svg,svg]", r"report.format=\[svg, ?svg\]: must be"),
        ("report.formats=[svg]", "report.formats: no such option; did you mean report.format"),
    ],
)
def test_wrong_formats_are_refused_in_one_line(word: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{says}") as error:
        composed(tmp_path, f"+{word}" if "formats" in word else word)
    assert "\n" not in str(error.value)


def test_the_pages_colours_replace_the_figures_but_not_in_text() -> None:
    figure = blank(100, SERIES[0])
    axes = figure.subplots()
    axes.plot([1, 2], color=SERIES[0])
    axes.set_title(f'stroke: {SERIES[0]}; style="stroke: {SERIES[0]}"')
    drawn = drawing.inline(figure, "a")
    assert "stroke: var(--series-1)" in drawn
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == SERIES[0]
    texts = [element.text for element in root.iter("text")]
    assert f'stroke: {SERIES[0]}; style="stroke: {SERIES[0]}"' in texts
    assert pd.Series(texts).notna().all()
