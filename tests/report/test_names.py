"""Names that a user chose, in figures and in the page's table: text, whatever is in them."""

import json
import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from rnnscope import figures
from rnnscope.errors import brief
from rnnscope.figures.drawing import LABEL, blank
from rnnscope.report import drawing, page, table

NAMES = (
    *("a$b", r"$\frac{", "$x$", "</script><script>alert(1)</script>", '" onload="alert(1)', "'\"&"),
    *("<b>bold</b>", "{{ 7 * 7 }}", "{% raw %}", "=cmd", "+1", "-1", "@sum", "a,b;c", r"\1\g<0>"),
    *("]]>", "<!--", "\N{RIGHT-TO-LEFT OVERRIDE}abc", "x" * 300),
)
"""Names of layers and classes that a page must show as they are."""


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_is_named_in_a_figure_as_it_is(name: str) -> None:
    rows = {"layer": "lstm", "signal": "c", "label": 0, "timestep": [0, 1]}
    paths = pd.DataFrame(rows | {"component_1": [0.0, 1.0], "component_2": [0.0, 2.0]})
    drawn = read(drawing.inline(figures.class_paths(paths, classes=[name]), "paths"))
    assert brief(name, LABEL) in [element.text for element in drawn.iter() if element.tag == "text"]
    assert {element.tag for element in drawn.iter()}.isdisjoint({"script", "b"})


@pytest.mark.parametrize("name", NAMES)
def test_a_figures_description_is_one_attribute(name: str) -> None:
    drawn = read(drawing.inline(blank(100, name), "a"))
    assert drawn.attrib["aria-label"] == name
    assert "onload" not in drawn.attrib


def units() -> pd.DataFrame:
    count = len(NAMES)
    return pd.DataFrame(
        {
            "layer": pd.Categorical(NAMES),
            "signal": pd.Categorical(["h"] * count),
            "unit": range(count),
            "std": [-0.5] * count,
            "preferred_class": pd.array(range(count), dtype="Int64"),
        }
    )


def test_the_tables_json_ends_where_it_should_and_holds_the_names() -> None:
    made = page.template().environment.from_string(
        '<script type="application/json" id="data">{{ table | tojson }}</script><p>after</p>'
    )
    text = made.render(table=table.contents(units(), list(NAMES)))
    (inside,) = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert text.endswith("</script><p>after</p>")
    assert json.loads(inside)["classes"] == list(NAMES)


MARKUP = (
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "setHTML", "parseFromString", "DOMParser"),
    *("createContextualFragment", "document.write", "srcdoc", "eval", "Function", "import"),
    *("setInterval", "src", "window", "fetch", "XMLHttpRequest", "WebSocket"),
)
"""What a script could take text for markup or code by, or load something by."""


def test_the_pages_scripts_write_names_as_text_and_never_as_markup() -> None:
    scripts = [(page.HERE / f"{name}.js").read_text() for name in page.SCRIPTS]
    assert {path.stem for path in page.HERE.glob("*.js")} == set(page.SCRIPTS)
    code = re.sub(r"//.*", "", "\n".join(scripts))
    assert [word for word in MARKUP if re.search(rf"\b{re.escape(word)}\b", code)] == []
    addresses = set(re.findall(r"href: ?(\w+[.\w]*)", code)) | set(
        re.findall(r"hash = (\w+)", code)
    )
    assert addresses <= {"hash", "hashOf", "URL.createObjectURL"}  # a name is never an address
    assert "=> `#${encodeURIComponent(layer)}/${signal}/${unit}`;" in code
