"""The maps of effects on the page: the table's values, within a bound, and what is said of them."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import store
from rnnscope.report.explorer import effects
from rnnscope.report.explorer.blob import Blob

T = 5
OPTIONS = {"windows": ["each"], "add": 1.5}


def written(
    folder: Path,
    units: int = 3,
    states: str = "hc",
    methods: tuple[str, ...] = ("zero", "patch"),
    layers: tuple[str, ...] = ("lstm",),
    timesteps: int = T,
    left_out: dict[str, str] | None = None,
    labelled: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """What stage intervention might have found; unit u changes most at timestep u."""
    levels: dict[str, Any] = {"layer": layers, "state": list(states), "method": methods}
    levels |= {"start": range(timesteps), "unit": range(units)}
    rows = pd.MultiIndex.from_product(levels.values(), names=levels).to_frame(index=False)
    value = np.where(rows["start"] == rows["unit"], 1.0 + rows["unit"], 0.25)
    value = np.where(rows["state"] == "c", -2 * value, value)
    patched = rows["method"].str.startswith("patch")
    rows = rows.assign(stop=rows["start"] + 1, target=rows["unit"].astype(str), accuracy_change=0.0)
    rows = rows.assign(q_value=np.where(np.abs(value) >= 1, 0.01, 0.9), output_change=1.0)
    rows["sequences"] = 7 - rows["start"]  # the last timesteps are of fewer
    for name, where in (("loss_change", ~patched), ("recovery", patched)):
        rows[name] = np.where(where, value, np.nan)
        rows[f"{name}_low"], rows[f"{name}_high"] = rows[name] - 0.75, rows[name] + 0.75
    folder.mkdir(exist_ok=True)
    rows.to_parquet(folder / "intervention.parquet", index=False)
    manifest: dict[str, Any] = {"slice": {"intervention": OPTIONS | options}, "sequences": 7}
    manifest["donors"] = {"patch": 7} | ({"patch_same": 0} if labelled else {})
    text = json.dumps(manifest | {"left_out": left_out or {}})
    (folder / store.MANIFEST).write_text(text)
    return rows


def added(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What is said of the maps, and their arrays as a browser unpacks them."""
    blob = Blob()
    said = json.loads(json.dumps(effects.add(blob, folder)))
    every = zlib.decompress(base64.b64decode(blob.text))
    arrays = {
        name: np.frombuffer(
            every, entry["type"], int(np.prod(entry["shape"])), entry["at"]
        ).reshape(entry["shape"])
        for name, entry in blob.directory.items()
    }
    return said, arrays


def test_every_cell_is_its_row_of_the_table(tmp_path: Path) -> None:
    table = written(tmp_path).set_index(["state", "method", "unit", "start"])
    said, arrays = added(tmp_path)
    assert said["layers"] == ["lstm"]
    assert [(each["state"], each["method"]) for each in said["maps"]] == [
        ("h", "zero"),
        ("h", "patch"),
        ("c", "zero"),
        ("c", "patch"),
    ]
    for each in said["maps"]:
        name = "recovery" if each["method"] == "patch" else "loss_change"
        assert each["of_sequences"] == [7 - T + 1, 7]
        assert each["units"] == [0, 1, 2]  # by the timestep of their largest effect
        parts = {
            part: arrays[f"effects/{each['number']}/{part}"]
            for part in ("value", "low", "high", "sure", "starts", "sequences")
        }
        for line, unit in enumerate(each["units"]):
            for t in range(T):
                row = table.loc[(each["state"], each["method"], unit, t)]
                assert parts["value"][line, t] == np.float32(row[name])
                assert parts["low"][line, t] == np.float32(row[f"{name}_low"])
                assert parts["high"][line, t] == np.float32(row[f"{name}_high"])
                told = row[f"{name}_low"] > 0 or row[f"{name}_high"] < 0
                assert parts["sure"][line, t] == (told if name == "recovery" else t == unit)
                assert parts["starts"][line, t] == t
                assert parts["sequences"][line, t] == row["sequences"]


def test_a_method_without_the_last_timestep_has_the_axis_of_the_others(tmp_path: Path) -> None:
    rows = written(tmp_path, states="c")
    late = (rows["method"] == "patch") & (rows["start"] == T - 1)  # no donor is as long
    rows[~late].to_parquet(tmp_path / "intervention.parquet", index=False)
    said, arrays = added(tmp_path)
    assert [(each["timesteps"], each["run"]) for each in said["maps"]] == [(T, 1), (T, 1)]
    assert arrays["effects/1/value"].shape == (3, T)
    assert np.isnan(arrays["effects/1/value"][:, -1]).all()
    assert not np.isnan(arrays["effects/0/value"]).any()


def test_states_share_a_scale_so_that_they_can_be_compared(tmp_path: Path) -> None:
    table = written(tmp_path)
    said, _ = added(tmp_path)
    for method, name in (("zero", "loss_change"), ("patch", "recovery")):
        ends = {
            (each["limit"], each["beyond"]) for each in said["maps"] if each["method"] == method
        }
        size = table.loc[table["method"] == method, name].abs()
        assert ends == {(np.percentile(size, 99), True)}


def test_the_caption_says_what_the_colours_mean(tmp_path: Path) -> None:
    written(tmp_path, states="c", methods=("zero", "add", "patch", "patch_same"))
    zero, add, patch, control = (each["caption"] for each in added(tmp_path)[0]["maps"])
    assert zero.startswith(
        "Colours: how much the loss rises when a unit is set to 0 at one timestep alone. Pale cells"
    )
    assert "of a rise q is at least 0.05" in zero
    assert "of a fall the 95 % interval, not adjusted for many, holds 0" in zero
    assert "when a unit is moved by 1.5 standard deviations at one timestep alone." in add
    assert patch.startswith(
        "Colours: how far the output moves to the donor's (0 not at all, 1 all the way) when a "
        "unit is patched with its value in a donor (a sequence of another class) at one timestep "
        "alone."
    )
    assert "1 in 20 is not pale by chance" in patch
    assert "in another sequence of the same class (a control) at one timestep alone" in control
    written(tmp_path, methods=("add",), add=1)
    assert "moved by 1 standard deviation at" in added(tmp_path)[0]["maps"][0]["caption"]


def test_what_a_donor_is_follows_from_whether_sequences_have_classes(tmp_path: Path) -> None:
    why = {"patch_same": "no sequence has a donor"}  # each is the only one of its class
    written(tmp_path, methods=("patch",), left_out=why)
    (said, *_) = added(tmp_path)[0]["maps"]
    assert "in a donor (a sequence of another class) at" in said["caption"]
    why = {"patch_same": "sequences have no classes"}
    written(tmp_path, methods=("patch",), left_out=why, labelled=False)
    (said, *_) = added(tmp_path)[0]["maps"]
    assert "in a donor (another sequence) at" in said["caption"]


def test_what_was_not_changed_is_said_in_sentences(tmp_path: Path) -> None:
    left_out = {
        "gru": "c: the cell has no such state; unit 17 and 3+18: there are 16 units",
        "odd": "all: its layer is not called once in the forward pass, or reads nothing",
        "patch": "no sequence has a donor",
        "patch_same": "sequences have no classes",
        "clusters of a/gru/h": "no clusters of redundant units in correlation.parquet",
        "decoder label:3 of gru/h": "stage decoding has none",
    }
    written(tmp_path, left_out=left_out)
    said, _ = added(tmp_path)
    assert said["unchanged"] == [
        "In layer gru there was no change of c: the cell has no such state.",
        "In layer gru there was no change of unit 17 and 3+18: there are 16 units.",
        "In layer odd there was no change of anything: its layer is not called once in the forward "
        "pass, or reads nothing.",
        "Nothing was patched: no sequence has a donor. A donor is another sequence that is at "
        "least as long, of another class where sequences have classes.",
        "There is no control, patches from a sequence of the same class: sequences have no "
        "classes.",
        "In layer a/gru, clusters of units were not changed in h: no clusters of redundant units "
        "in correlation.parquet.",
        "In layer gru, the directions of decoder label:3 were not changed in h: stage decoding has "
        "none.",
    ]


def test_windows_to_the_end_and_sliding_ones_have_maps_and_single_ones_are_named(
    tmp_path: Path,
) -> None:
    rows = written(tmp_path, states="c", methods=("zero",), windows=["each", "onward", "1:4"])
    onward = rows.query("start < @T - 1").assign(stop=T)
    single = rows.query("start == 1").assign(stop=4)
    pd.concat([rows, onward, single]).to_parquet(tmp_path / "intervention.parquet", index=False)
    said, _ = added(tmp_path)
    assert [each["windows"] for each in said["maps"]] == ["each", "onward"]
    assert "set to 0 from one timestep to the end" in said["maps"][1]["caption"]
    assert said["not_here"] == ["windows 1:4"]


@pytest.mark.filterwarnings("error")
def test_windows_without_an_estimate_have_no_map(tmp_path: Path) -> None:
    rows = written(tmp_path, states="c", methods=("zero",), windows=["each", "sliding:3"])
    scores = [name for name in rows if "_change" in name or "recovery" in name]
    rows = rows.assign(**dict.fromkeys(scores, np.nan), estimate=rows["loss_change"])
    slid = rows.query("start < @T - 2").assign(stop=rows["start"] + 3, estimate=np.nan)
    pd.concat([rows, slid]).to_parquet(tmp_path / "intervention.parquet", index=False)
    said, _ = added(tmp_path)
    assert [each["windows"] for each in said["maps"]] == ["each"]


def test_sets_and_directions_are_counted_and_not_drawn(tmp_path: Path) -> None:
    rows = written(tmp_path)
    others = rows.query("unit == 0").assign(unit=pd.NA)
    every = [rows, others.assign(target="0+1"), others.assign(target="direction 0")]
    table = pd.concat(every).astype({"unit": "Int32"})
    table.to_parquet(tmp_path / "intervention.parquet", index=False)
    said, _ = added(tmp_path)
    assert said["not_here"] == ["2 sets of units or directions"]
    assert {tuple(each["units"]) for each in said["maps"]} == {(0, 1, 2)}
    others.assign(target="0+1").to_parquet(tmp_path / "intervention.parquet", index=False)
    said, arrays = added(tmp_path)
    assert (said["maps"], said["layers"], arrays) == ([], [], {})


@pytest.mark.parametrize(
    ("units", "timesteps", "methods", "layers"),
    [(300, 5, 2, 1), (40, 900, 2, 2), (20, 300, 4, 12)],
)
def test_the_page_is_bounded_whatever_the_table_holds(
    units: int, timesteps: int, methods: int, layers: int, tmp_path: Path
) -> None:
    names = ("zero", "mean", "freeze", "patch")[:methods]
    every = tuple(f"layer_{number}" for number in range(layers))
    written(tmp_path, units, "hc", names, every, timesteps)
    said, arrays = added(tmp_path)
    cells = sum(values.size for name, values in arrays.items() if name.endswith("/value"))
    assert cells <= effects.CELLS
    for each in said["maps"]:
        assert effects.FEWEST <= len(each["units"]) <= 100
        assert each["of"] == units
        # Unit u changes by 1 + u, where there is a timestep u; others are alike.
        wanted = sorted(range(units), key=lambda unit: -unit if unit < timesteps else 1)
        assert set(each["units"]) == set(wanted[: len(each["units"])])
    left = 2 * methods * layers - len(said["maps"])
    assert (left > 0) == (layers == 12)
    if left:
        assert said["not_here"][0].startswith(f"{left} maps of layer_")
