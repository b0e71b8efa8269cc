"""Maps of effects on the page and as files, where stage intervention has run."""

import json
import re
from pathlib import Path

import pytest

from rnnscope.report.stage import run as run_stage
from rnnscope.store.inputs import Inputs
from tests.compose import composed
from tests.report.explorer.test_effects import written
from tests.report.test_report import finish, inputs_in, made, page_of

OPTIONS = {"windows": ["each", "1:4"], "add": 1.0, "methods": ["zero", "patch"]}


def with_changes(root: Path, *layers: str) -> dict[str, Path]:
    """The inputs of a page, with changes of the units of these layers."""
    inputs = inputs_in(root)
    folder = root / "intervention" / "made-up"
    folder.mkdir(parents=True)
    written(folder, layers=layers)
    left_out = {"odd": "all: its layer is not called once"}
    donors = {"patch": 6, "patch_same": 6}
    slice_ = {"intervention": OPTIONS}
    manifest = made("intervention", slice_, sequences=6, left_out=left_out, donors=donors)
    return {**inputs, "intervention": finish(folder, manifest)}


@pytest.mark.slow
def test_the_page_has_the_maps_below_the_scores_of_their_layer(tmp_path: Path) -> None:
    inputs = with_changes(tmp_path, "lstm", "<other>")
    page = page_of(tmp_path, inputs)
    (section,) = re.findall('<section id="decoding">.*?</section>', page, re.DOTALL)
    layers = re.findall('<div class="effects" data-layer="(.*?)"', section)
    assert layers == ["lstm", "&lt;other&gt;"]
    above = section[: section.index('data-layer="lstm"')]
    assert above.rstrip().endswith('<div class="effects"')
    assert "of a linear decoder" in above
    assert "Not drawn: windows 1:4." in section
    assert "In layer odd there was no change of anything: its layer is not called once." in section
    (explored,) = re.findall(
        '<script type="application/json" id="explore">(.*?)</script>', page, re.DOTALL
    )
    maps = json.loads(explored)["effects"]["maps"]
    assert {each["layer"] for each in maps} == {"lstm", "<other>"}
    assert len(maps) == 2 * 2 * 2
    command = re.findall("<code>(rnnscope .*?)</code>", page)[0]
    first, second = command.split(" &amp;&amp; ")
    assert first == f"{second} stage=intervention"
    without = {name: folder for name, folder in inputs.items() if name != "intervention"}
    assert 'class="effects"' not in page_of(tmp_path, without)


@pytest.mark.slow
def test_maps_are_files_too(tmp_path: Path) -> None:
    inputs = with_changes(tmp_path, "lstm")
    folder = tmp_path / "report"
    folder.mkdir()
    found = run_stage(composed(tmp_path, "report.format=[svg]"), Inputs(inputs), folder)
    names = {name for name in found["figures"] if name.startswith("intervention")}
    assert names == {
        f"intervention-{method}-each-{state}-lstm.svg"
        for method in ("zero", "patch")
        for state in "hc"
    }
    assert not [name for name in found["left_out"] if name.startswith("intervention")]
    assert ">rise of the loss, nats, h set to 0" in (
        folder / "intervention-zero-each-h-lstm.svg"
    ).read_text("utf-8")
