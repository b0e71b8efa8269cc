"""conf/README.md: equal to what is rendered from the schema, complete, and right in Markdown."""

import dataclasses
import re
import typing
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rnnscope.config import CONF, KINDS, Config
from rnnscope.config.options import allowed, option
from rnnscope.config.reference import meanings, options
from tests.compose import composed

TEXT = options()
ROWS = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
"""Option, default, allowed and meaning."""


def schemas() -> list[tuple[str, Any]]:
    """Every group with each of its schemas."""
    found = []
    for group, kind in typing.get_type_hints(Config).items():
        if dataclasses.is_dataclass(kind):
            found += [(group, each) for each in KINDS.get(group, {"": kind}).values()]
    return found


def _read(text: str) -> Any:
    """A value written in YAML."""
    values: Any = OmegaConf.to_container(OmegaConf.create(f"x: {text}"))
    return values["x"]


def test_the_file_is_what_is_rendered() -> None:
    """If not, write there what ``options`` gives."""
    assert (CONF / "README.md").read_text() == TEXT


def test_every_option_of_the_schema_is_there() -> None:
    listed = {row[0] for row in ROWS}
    wanted = {
        f"{group}.{each.name}" for group, kind in schemas() for each in dataclasses.fields(kind)
    }
    assert wanted < listed
    assert listed - wanted == {"stage", "mode", "seed", "root"}


def test_every_option_of_the_files_is_there_with_its_value() -> None:
    for path in CONF.rglob("*.yaml"):
        group = path.parent.relative_to(CONF).as_posix().replace("analysis", path.stem)
        if group == "." or group.split("/")[0] in ("hydra", "experiment"):
            continue
        file = path.relative_to(CONF).as_posix()
        section = TEXT[TEXT.index(f"[{file}]") :].split("\n#")[0]
        values: Any = OmegaConf.to_container(OmegaConf.load(path))
        for name, value in values.items():
            (default,) = re.findall(rf"^\| `{group}\.{name}` \| (.*?) \|", section, re.MULTILINE)
            if value == "???":
                assert default == "*required*"
            elif f" ({path.stem})" in default:
                assert f"`{value}` ({path.stem})" in default
            else:
                assert _read(default.strip("`")) == value, name


def test_every_choice_is_there_and_links_to_its_file() -> None:
    files = {path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")}
    linked = set(re.findall(r"\]\(([\w/.]+\.yaml)\)", TEXT))
    assert linked <= files
    assert {file for file in files - linked if not file.startswith("hydra/")} == set()
    assert {"hydra/launcher/local.yaml", "hydra/launcher/slurm.yaml"} <= linked


def test_every_row_has_four_literals_and_says_something() -> None:
    tables = [line for line in TEXT.splitlines() if line.startswith("| `") and "=" not in line[:30]]
    for line in tables:
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        assert len(cells) == 4, line
        assert all(cell.strip() for cell in cells), line
    assert len(tables) == len(ROWS)


def test_a_text_with_signs_of_markdown_means_itself() -> None:
    meaning = {row[0]: row[3] for row in ROWS}
    takes = {row[0]: row[2] for row in ROWS}
    assert r"mean \|r\| is" in meaning["population.redundant"]
    assert r"x_\<input\>_train" in options()  # in the text of the class
    assert r"data=\<kind\>" in meaning["data.name"]
    assert takes["extract.timesteps"] == "all, last, or a slice such as 0:10, ::2 or -5:"


def test_the_text_under_a_field_is_its_meaning_also_of_inherited_ones() -> None:
    @dataclasses.dataclass
    class Above:
        """No option's."""

        first: int
        """Over
        two lines."""

    @dataclasses.dataclass
    class Below(Above):
        second: int
        third: int
        """Third."""

    assert meanings(Below) == {"first": "Over two lines.", "third": "Third."}


@pytest.mark.parametrize(
    ("hint", "rule", "says"),
    [
        (list[str] | None, {}, "a list of at least 1 different values, each a text, or null"),
        (
            list[int] | None,
            {"low": 0},
            "a list of at least 1 different values, each a whole number at least 0, or null",
        ),
        (
            list[str],
            {"choices": ("a", "b"), "most": 2},
            "a list of 1 to 2 different values, each one of a, b",
        ),
        (
            dict[str, Any],
            {"longest": 9},
            "names with values, {name: value}, each value a text of 1 to 9 characters, "
            "a number, true or false",
        ),
        (
            str | list[str] | None,
            {"longest": 9, "most": 3},
            "a text of 1 to 9 characters or a list of 1 to 3 different values, "
            "each a text of 1 to 9 characters, or null",
        ),
        (float | None, {"above": 0, "below": 1}, "a number above 0 and below 1, or null"),
    ],
)
def test_what_an_option_takes_is_said_of_every_type(hint: Any, rule: Any, says: str) -> None:
    assert allowed(option(**rule), hint) == says


def test_an_experiment_outside_the_clone_is_found_as_the_reference_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "wide.yaml").write_text(example)
    monkeypatch.chdir(tmp_path)
    loaded = composed(tmp_path, "hydra.searchpath=[file://mine]", "experiment=wide")
    assert (loaded.model.name, loaded.model.units) == ("gru", 256)  # type: ignore[attr-defined]
