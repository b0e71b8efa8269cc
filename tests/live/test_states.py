"""The states as an object: what was asked for, in memory and over files."""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import rnnscope
from rnnscope import states
from rnnscope.errors import UserError
from rnnscope.live import wording
from rnnscope.store.manifest import MANIFEST

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 8, 2)).astype(np.float32)
LENGTHS = np.array([7, 3, 1, 6, 2, 5] * 5)
Y = np.arange(30) % 3


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(2)
    x = keras.Input((None, 2))
    y = keras.layers.Masking()(x)
    both = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True), name="both")(y)
    h = keras.layers.LSTM(3, name="top")(both)
    return keras.Model(x, keras.layers.Dense(3, activation="softmax")(h))


@pytest.fixture(scope="module")
def recorded(model: keras.Model) -> rnnscope.States:
    return rnnscope.record(model, X, lengths=LENGTHS, labels=Y)


@pytest.fixture(scope="module")
def folder(recorded: rnnscope.States, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded.write(tmp_path_factory.mktemp("recorded") / "states")


def last_read(values: Any, *, backward: bool) -> Any:
    """The value [N, U] at the last timestep that was read, of all values [N, T, U]."""
    return values[:, 0] if backward else values[np.arange(30), LENGTHS - 1]


@pytest.mark.parametrize("layer", ["both.forward", "both.backward"])
def test_the_last_timestep_is_the_last_that_was_read(
    model: keras.Model, recorded: rnnscope.States, layer: str, tmp_path: Path
) -> None:
    last = rnnscope.record(model, X, lengths=LENGTHS, timesteps="last", layers=[layer])
    assert list(last) == [layer]
    assert last[layer]["h"].shape == (30, 1, 2)
    want = last_read(recorded[layer]["h"], backward=layer == "both.backward")
    np.testing.assert_array_equal(last[layer]["h"][:, 0], want)
    opened = rnnscope.open_states(last.write(tmp_path / "last"))
    np.testing.assert_array_equal(opened[layer]["h"], last[layer]["h"])
    (tmp_path / "last" / MANIFEST).unlink()
    opened = rnnscope.open_states(tmp_path / "last")
    np.testing.assert_array_equal(opened[layer]["h"], last[layer]["h"])


@pytest.mark.parametrize("chosen", [slice(1, 6, 2), "1:6:2", slice(-3, None), "5:6"])
def test_timesteps_and_units_are_those_that_were_asked_for(
    model: keras.Model, recorded: rnnscope.States, chosen: Any, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="of 30 sequences have none of these timesteps"):
        few = rnnscope.record(
            model, X, lengths=LENGTHS, timesteps=chosen, units=range(1, 3), signals=("c", "z")
        )
    assert {layer: list(few[layer]) for layer in few} == {
        "both.backward": ["z"],
        "both.forward": ["z"],
        "top": ["c"],
    }
    assert few.units("top", "c") == [1, 2]
    assert few.units("both.forward", "z") == [1]
    text = chosen if isinstance(chosen, str) else ""
    steps = chosen if text == "" else slice(*(int(n) for n in text.split(":")))
    np.testing.assert_array_equal(few["top"]["c"], recorded["top"]["c"][:, steps, 1:])
    frame = few.frame("top", "c")
    assert list(frame)[-2:] == ["c_001", "c_002"]
    opened = rnnscope.open_states(few.write(tmp_path / "few"))
    np.testing.assert_array_equal(opened["top"]["c"], few["top"]["c"])
    pd.testing.assert_frame_equal(opened.frame("top", "c"), frame)


def test_it_is_a_mapping_that_cannot_be_changed(recorded: rnnscope.States, folder: Path) -> None:
    for each in (recorded, rnnscope.open_states(folder)):
        assert list(each) == ["both.backward", "both.forward", "top"]
        assert list(each["top"]) == list("hcifog")
        assert each["top"]["c"].dtype == np.float32
        assert each["top"]["c"].shape == (30, 8, 3)
        with pytest.raises(ValueError, match="read-only"):
            each["top"]["c"][:] = 0
        with pytest.raises(KeyError, match="no layer 'lstm'; there is both"):
            each["lstm"]
        with pytest.raises(KeyError, match="top: no signal 'z'; it has h, c, i, f, o, g"):
            each["top"]["z"]
        with pytest.raises(KeyError, match="no signal 'z'"):
            each.frame("top", "z")
        assert "top" in each
        assert "States of 30 sequences" in repr(each)
        assert "top: h, c, i, f, o, g, each [30, 8, 3]" in repr(each)
        assert each.steps is None
    assert repr(recorded) == repr(rnnscope.open_states(folder))


def test_a_folder_is_written_whole_and_never_over_another(
    recorded: rnnscope.States, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"states: is there, and not empty; give another folder"):
        recorded.write(folder)
    (tmp_path / "empty").mkdir()
    recorded.write(str(tmp_path / "empty"))
    assert states.layers(tmp_path / "empty") == states.layers(folder)
    copy = rnnscope.open_states(folder).write(tmp_path / "deep" / "copy")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert sorted(p.relative_to(copy) for p in copy.rglob("*") if p.is_file()) == names
    for name in names:
        assert (copy / name).read_bytes() == (folder / name).read_bytes()
    monkeypatch.setattr("rnnscope.extract.finishing.finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        recorded.write(tmp_path / "broken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty"]


def test_a_folder_that_holds_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="give an extract stage's output"):
        rnnscope.open_states(tmp_path)


def test_files_are_read_when_they_are_asked_for(folder: Path, tmp_path: Path) -> None:
    copy = rnnscope.open_states(folder).write(tmp_path / "copy")
    (copy / MANIFEST).unlink()
    for part in (copy / "top" / "c").iterdir():
        part.write_bytes(b"damaged")
    opened = rnnscope.open_states(copy)
    np.testing.assert_array_equal(
        opened["top"]["h"][:, :7], rnnscope.open_states(folder)["top"]["h"][:, :7]
    )
    assert opened.residuals == {}
    with pytest.raises(UserError):
        opened["top"]["c"]


def test_another_recording_in_its_place_is_not_read_for_it(
    model: keras.Model, folder: Path, tmp_path: Path
) -> None:
    """A link is followed once; a folder that is replaced is told."""
    link, place = tmp_path / "latest", tmp_path / "one"
    rnnscope.open_states(folder).write(place)
    link.symlink_to(place)
    opened = rnnscope.open_states(link)
    before = opened["top"]["c"]
    few = rnnscope.record(model, X[:7])
    link.unlink()
    link.symlink_to(few.write(tmp_path / "two"))
    np.testing.assert_array_equal(opened["top"]["c"], before)
    place.rename(tmp_path / "away")
    few.write(place)
    reads: list[Any] = [
        lambda: opened["top"]["c"],
        lambda: opened.frame("top", "c"),
        lambda: opened.sequences,
        lambda: opened.steps,
        lambda: opened.classes,
        lambda: opened.residuals,
        lambda: rnnscope.measure(opened, permutations=0),
    ]
    for read in reads:
        with pytest.raises(UserError, match="was replaced since it was opened; open it again"):
            read()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("extract.tolerance=1e-05: past it", "tolerance=1e-05: past it"),
        ("layer 'model.lstm': residual", "layer 'model.lstm': residual"),
        ("/home/me/data.npz: gone; data.labels=sequence", "/home/me/data.npz: gone; labels="),
        ("my-data.path of x", "my-data.path of x"),
    ],
)
def test_words_of_names_and_paths_stay(message: str, said: str) -> None:
    assert wording.spoken(message).startswith(said)


@pytest.mark.parametrize("annotations", [np.zeros((30, 8)), 7, "depth"])
def test_annotations_that_are_no_dictionary_are_one_line(
    model: keras.Model, annotations: Any
) -> None:
    with pytest.raises(UserError, match=r"annotations is a \w+; must be"):
        rnnscope.record(model, X, annotations=annotations)


@pytest.mark.parametrize(
    "labels",
    [Y, Y.astype(str), list("abc" * 10), np.eye(3)[Y], Y[:, np.newaxis], (Y * 7).tolist()],
)
def test_labels_that_are_given_to_measure_are_those_of_a_recording(
    model: keras.Model, labels: Any, recorded: rnnscope.States
) -> None:
    few: dict[str, Any] = {"permutations": 20, "lags": 3, "signals": ["c", "h"], "layers": "top"}
    want = rnnscope.measure(recorded, **few)
    bare = rnnscope.record(model, X, lengths=LENGTHS, signals=["h", "c"], layers="top")
    pd.testing.assert_frame_equal(rnnscope.measure(bare, labels, **few), want)


def test_labels_of_timesteps_are_measured(model: keras.Model, tmp_path: Path) -> None:
    y = RANDOM.integers(0, 3, (30, 8))
    known: dict[str, Any] = {"lengths": LENGTHS, "signals": "c", "layers": "top"}
    with pytest.warns(UserWarning, match="no accuracy and no loss"):
        recorded = rnnscope.record(model, X, labels=y, **known)
    bare = rnnscope.open_states(rnnscope.record(model, X, **known).write(tmp_path / "bare"))
    few = {"permutations": 0, "lags": 3}
    pd.testing.assert_frame_equal(
        rnnscope.measure(bare, labels=y, **few), rnnscope.measure(recorded, **few)
    )


@pytest.mark.filterwarnings("ignore:no accuracy and no loss", "ignore:layer pooled")
def test_labels_of_timesteps_are_refused_for_layers_of_other_timesteps(tmp_path: Path) -> None:
    x = keras.Input((8, 2))
    h = keras.layers.LSTM(3, return_sequences=True, name="own")(x)
    h = keras.layers.MaxPooling1D(2)(h)
    model = keras.Model(x, keras.layers.LSTM(3, name="pooled")(h))
    random = np.random.default_rng(0)
    values = random.normal(size=(12, 8, 2)).astype(np.float32)
    y, few = random.integers(0, 2, (12, 8)), {"permutations": 0, "lags": 2}
    recorded = rnnscope.record(model, values, labels=y)
    for bare in (
        states := rnnscope.record(model, values),
        rnnscope.open_states(states.write(tmp_path / "states")),
    ):
        with pytest.raises(UserError, match=r"those of pooled: .* layers=\['own'\]\)"):
            rnnscope.measure(bare, labels=y, **few)
        pd.testing.assert_frame_equal(
            rnnscope.measure(bare, labels=y, layers=["own"], **few),
            rnnscope.measure(recorded, layers=["own"], **few),
        )
        with pytest.raises(UserError, match=r"^labels has shape \(12, 8\)"):
            rnnscope.measure(bare, labels=y, layers=["pooled"], **few)
        rnnscope.measure(bare, labels=y[:, 0], **few)


def test_files_that_are_copied_keep_their_key_and_are_read_again(
    recorded: rnnscope.States, tmp_path: Path
) -> None:
    folder = recorded.write(tmp_path / "states", artefact="0123abcd")
    opened = rnnscope.open_states(folder)
    copied = opened.write(tmp_path / "same", artefact="0123abcd")
    assert rnnscope.open_states(copied).residuals == recorded.residuals
    with pytest.raises(UserError, match="the states are files of 0123abcd, which their footers"):
        opened.write(tmp_path / "other", artefact="ffff0000")
    part = next((folder / "top" / "c").iterdir())
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(UserError, match=r"top/c/part-00000\.parquet: other bytes than were"):
        opened.write(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"labels": Y[:4]}, r"^labels has shape \(4,\); it must be \[30\], as states"),
        ({"labels": RANDOM.random(30)}, "^labels are numbers; unit statistics take classes"),
        ({"labels": [[0, 1]] * 29 + [[1]]}, "^labels differ in length, and not as the sequences"),
        ({"lag": 3}, "^lag: no such option; did you mean lags"),
        ({"lags": 0}, "^lags=0: must be a whole number at least 1"),
        ({"signals": ["q"]}, "^signals="),
        ({"layers": ["lstm"]}, "^layers: no 'lstm'; there is both"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    recorded: rnnscope.States, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        rnnscope.measure(recorded, **options)


def test_xarray_has_named_axes_or_a_line_says_what_to_install(
    recorded: rnnscope.States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(
        ImportError, match=r"^to_xarray needs xarray: python -m pip install xarray$"
    ):
        recorded.to_xarray("top")
    monkeypatch.undo()
    found = recorded.to_xarray("top")
    assert list(found) == list("hcifog")
    assert found["c"].dims == ("sequence", "timestep", "unit")
    np.testing.assert_array_equal(found["c"], recorded["top"]["c"])
    chosen = found["c"].sel(sequence=3, timestep=5, unit=1).item()
    assert chosen == recorded["top"]["c"][3, 5, 1]
    assert found.attrs == {"layer": "top"}
    means = found["h"].mean("timestep").groupby("label").mean()
    assert means.dims == ("label", "unit")
    want = pd.DataFrame(np.nanmean(recorded["top"]["h"], axis=1)).groupby(Y).mean()
    np.testing.assert_allclose(means, want, rtol=1e-5)
    with pytest.raises(ValueError, match="say which layer="):
        recorded.to_xarray()
