"""The matrices of similarity: values as stage compare wrote them, at the right runs."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnscope import store
from rnnscope.report.sweep import similarity
from rnnscope.store.runs import Run
from tests.report.sweep.made import collected, made

ENDS = ("", "_null", "_low", "_high")


def compared(folder: Path, runs: list[Run], names: list[str]) -> Path:
    """What stage compare might have found of these runs, which had other names then."""
    random = np.random.default_rng(0)
    rows = [
        {"run_a": a, "run_b": b, "layer": "lstm", "signal": signal}
        | {f"{m}{end}": random.uniform() for m in similarity.MEASURES for end in ENDS}
        for a, b in itertools.combinations(names, 2)
        for signal in "hc"
    ]
    table = pd.DataFrame(rows)
    table.loc[0, "cka"] = np.nan
    folder.mkdir(parents=True)
    table.to_parquet(folder / "compare.parquet")
    manifest = {
        "upstream": {
            f"{name}/extract": run.stages["extract"].artefact.key
            for name, run in zip(names, runs, strict=True)
        },
        "slice": {"compare": {"timesteps": "all", "runs": ["a*", "b"]}},
        "files": {},
        "sequences": {"compared": 100},
    }
    (folder / store.MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_each_pair_stands_at_the_runs_it_is_of_whatever_they_were_called(tmp_path: Path) -> None:
    runs = [made(tmp_path, n, seed=n) for n in range(5)]
    some = [runs[4], runs[1], runs[3]]
    folder = compared(tmp_path / "compare" / "x", some, ["z", "a", "m"])
    found = similarity.read(folder, collected(runs))
    assert found["command"] == "rnnscope 'compare.runs=[a*,b]' stage=compare"
    assert (found["runs"], found["compared"], found["of"]) == ([1, 3, 4], 3, 5)
    number = {"z": 4, "a": 1, "m": 3}
    table = pd.read_parquet(folder / "compare.parquet")
    assert [each["label"] for each in found["pairs"]] == ["h of lstm", "c of lstm"]
    for each in found["pairs"]:
        for measure, cells in each["cells"].items():
            assert len(cells) == 3
            for a, b, *values in cells:
                pair = {found["runs"][a], found["runs"][b]}
                (row,) = (
                    row
                    for row in table.to_dict("records")
                    if row["signal"] == each["label"][0]
                    if {number[row["run_a"]], number[row["run_b"]]} == pair
                )
                expected = [row[f"{measure}{end}"] for end in ENDS]
                got = [np.nan if value is None else value for value in values]
                assert got == pytest.approx(expected, rel=1e-5, nan_ok=True)
                assert a < b
    assert found["pairs"][0]["cells"]["cka"][0][2] is None


def test_as_many_runs_are_shown_as_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [made(tmp_path, n, seed=n) for n in range(5)]
    folder = compared(tmp_path / "compare" / "x", runs, list("abcde"))
    monkeypatch.setattr(similarity, "MOST", 3)
    found = similarity.read(folder, collected(runs))
    assert (found["runs"], found["compared"]) == ([0, 1, 2], 5)
    places = {place for cell in found["pairs"][0]["cells"]["cka"] for place in cell[:2]}
    assert places == {0, 1, 2}


@pytest.mark.parametrize(
    ("count", "data", "why"),
    [(1, False, "takes two"), (2, False, "not been compared"), (2, True, "of different data")],
)
def test_without_a_comparison_it_is_said_how_to_get_one(
    count: int, data: bool, why: str, tmp_path: Path
) -> None:
    runs = [
        made(tmp_path, n, seed=n, data={"name": "mnist" if data and n else "digits"})
        for n in range(count)
    ]
    found = similarity.read(None, collected(runs))
    assert why in found["why"]
    assert found["compare"] == (count > 1)
