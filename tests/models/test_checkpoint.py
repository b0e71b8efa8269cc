"""Checkpoints of TensorFlow 1, written by its own API, against what it computes step by step."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnscope import config, stages, states
from rnnscope.errors import UserError
from rnnscope.models import checkpoint, variables
from tests.compose import PROJECT, composed

pytestmark = [pytest.mark.tensorflow, pytest.mark.process]

NETWORKS: dict[str, dict[str, Any]] = {
    "basic": {"network": "basic", "read_out": "unnamed"},
    "lstm": {"network": "lstm"},
    "forgetful": {"network": "basic", "cell": {"forget_bias": -0.5}},
    "multi": {"network": "multi"},
    "bidirectional": {"network": "bidirectional"},
    "bidirectional_output": {"network": "bidirectional_output"},
    "apart": {"network": "apart"},
    "peepholes": {"network": "lstm", "cell": {"use_peepholes": True}},
    "projection": {"network": "lstm", "cell": {"num_proj": 5}},
    "none": {"network": "none"},
    "second": {"network": "basic", "read_out": "second"},
    "hidden": {"network": "basic", "read_out": "hidden"},
}
"""What tests/tf1.py is to write, by folder."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of folders, each with a checkpoint that TensorFlow 1's API wrote."""
    folder = tmp_path_factory.mktemp("tf1")
    done = subprocess.run(
        [sys.executable, "-m", "tests.tf1", str(folder), json.dumps(NETWORKS)],
        cwd=PROJECT,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def basic(written: Path) -> Path:
    return written / "basic"


def options(path: Path, **values: Any) -> config.Tf1Checkpoint:
    known = {"forget_bias": 1.0, "readout": None, "readout_bias": None, "readout_from": "state"}
    return config.Tf1Checkpoint(name="tf1_checkpoint", path=str(path), **(known | values))


def complaint(path: Path, **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        checkpoint.load(options(path, **values))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_as_tensorflow_1(root: Path, folder: Path, *overrides: str) -> Path:
    """Extract by way of the command line's config, and compare states and predictions."""
    run = composed(
        root,
        "stage=extract",
        "model=tf1_checkpoint",
        f"model.path={folder / 'model.ckpt-7'}",
        "data=files",
        f"data.path={folder / 'data.npz'}",
        *overrides,
    )
    (step,) = stages.run(run)
    extracted = step.artefact.folder
    with np.load(folder / "states.npz") as file:
        want = dict(file)
    logits = want.pop("logits").astype(np.float64)
    assert {key.partition(":")[0] for key in want} == set(states.layers(extracted))
    for key, values in want.items():
        layer, signal = key.split(":")
        got = states.read_states(extracted, signal, layer=layer, as_array=True)
        np.testing.assert_allclose(got, values, rtol=0, atol=1e-5, err_msg=key)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = states.read_sequences(extracted)
    scores = table[[f"p_{k}" for k in range(logits.shape[1])]]
    np.testing.assert_allclose(scores, probabilities, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(table["prediction"], logits.argmax(axis=1))
    return extracted


def test_a_basic_lstm_cell_is_recorded_as_tensorflow_1_computes_it(
    tmp_path: Path, basic: Path
) -> None:
    extracted = assert_as_tensorflow_1(tmp_path, basic)
    assert extracted.name.startswith("data-model.ckpt-7-")


@pytest.mark.parametrize(
    ("network", "overrides"),
    [
        ("lstm", []),
        ("forgetful", ["model.forget_bias=-0.5"]),
        ("multi", []),
        ("bidirectional", []),
        ("bidirectional_output", ["model.readout_from=output"]),
        ("apart", []),
    ],
)
def test_other_networks_are_recorded_as_tensorflow_1_computes_them(
    tmp_path: Path, written: Path, network: str, overrides: list[str]
) -> None:
    assert_as_tensorflow_1(tmp_path, written / network, *overrides)


def test_a_checkpoint_goes_by_its_prefix_its_index_or_its_folder(
    tmp_path: Path, basic: Path
) -> None:
    moved = tmp_path / "moved"  # whose file `checkpoint` then names a place that is no more
    shutil.copytree(basic, moved)
    prefix = basic / "model.ckpt-7"
    weights = checkpoint.load(options(prefix)).get_weights()
    for path in (Path(f"{prefix}.index"), basic, moved):
        for one, other in zip(checkpoint.load(options(path)).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_its_key_covers_the_values_and_not_the_place(tmp_path: Path, basic: Path) -> None:
    def key(path: Path) -> str:
        run = ["stage=extract", "model=tf1_checkpoint", f"model.path={path}"]
        return stages.chain(composed(tmp_path, *run))[0].artefact.key

    for name in ("moved", "other"):
        (tmp_path / name).mkdir()
        for file in basic.glob("model.ckpt-7.*"):
            shutil.copy(file, tmp_path / name)
    data = tmp_path / "other" / "model.ckpt-7.data-00000-of-00001"
    data.write_bytes(bytes([255 - data.read_bytes()[0]]) + data.read_bytes()[1:])
    first = key(basic / "model.ckpt-7")
    assert key(basic / "model.ckpt-7.index") == key(tmp_path / "moved" / "model.ckpt-7") == first
    assert key(tmp_path / "other" / "model.ckpt-7") != first


def test_nothing_but_the_forget_bias_is_added(basic: Path) -> None:
    path = basic / "model.ckpt-7"
    with_one, with_none = (
        checkpoint.load(options(path, forget_bias=bias)).get_layer("lstm").get_weights()[2]
        for bias in (1.0, 0.0)
    )
    np.testing.assert_allclose(with_one - with_none, np.repeat([0, 1, 0, 0], 5), atol=1e-6)


@pytest.mark.parametrize("readout_from", ["state", "output"])
@pytest.mark.parametrize("network", ["bidirectional", "apart"])
def test_padding_does_not_change_a_prediction(
    written: Path, network: str, readout_from: str
) -> None:
    path = written / network / "model.ckpt-7"
    model = checkpoint.load(options(path, readout_from=readout_from), padded=True)
    x = np.random.default_rng(1).normal(size=(3, 6, 3)).astype(np.float32)
    lengths = np.array([6, 3, 1])
    mask = np.arange(6) < lengths[:, np.newaxis]
    whole = np.asarray(model({"x": x, "mask": mask}, training=False))
    plain = checkpoint.load(options(path, readout_from=readout_from))
    for row, length in enumerate(lengths):
        alone = np.asarray(plain(x[[row], :length], training=False))
        np.testing.assert_allclose(alone[0], whole[row], rtol=0, atol=1e-5)


def test_its_layers_are_stock_and_any_number_of_timesteps_fits(basic: Path) -> None:
    model = checkpoint.load(options(basic / "model.ckpt-7"))
    assert model.input_shape == (None, None, 3)
    assert type(model.get_layer("lstm")) is keras.layers.LSTM
    assert model.get_layer("readout").units == 4


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("peepholes", r"lstm_cell has peepholes \(.*w_f_diag"),
        ("projection", r"lstm_cell has a projection \(.*projection/kernel"),
        ("none", r"no LSTM cell .*; it has dense/bias \[4\], dense/kernel \[3, 4\]$"),
        (
            "second",
            r"2 variables \[5, K\].*model\.readout=.*dense/kernel \[5, 4\], other/kernel \[5, 4\]",
        ),
        ("hidden", r"dense/kernel \[5, 4\] may not be the last layer.*model\.readout="),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(
    written: Path, network: str, message: str
) -> None:
    said = complaint(written / network / "model.ckpt-7")
    assert re.search(message, said), said


@pytest.mark.parametrize("network", ["second", "hidden"])
def test_a_readout_may_be_named(written: Path, network: str) -> None:
    path = written / network / "model.ckpt-7"
    readout = checkpoint.load(options(path, readout="dense/kernel")).get_layer("readout")
    reader = tf.train.load_checkpoint(str(path))
    for value, name in zip(readout.get_weights(), ("kernel", "bias"), strict=True):
        np.testing.assert_array_equal(value, reader.get_tensor(f"dense/{name}"))


def test_a_readout_that_is_not_there_is_refused(basic: Path) -> None:
    said = complaint(basic / "model.ckpt-7", readout="softmax/w")
    assert "model.readout=softmax/w: must be a variable [5, K], one of Variable [5, 4]" in said
    said = complaint(basic / "model.ckpt-7", readout_bias="b")
    assert "model.readout_bias=b: must be a variable [4], one of Variable_1" in said


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"nothing")
    assert "cannot read this checkpoint" in complaint(tmp_path / "model.ckpt")
    assert "no latest checkpoint in this folder; it has none" in complaint(tmp_path)
    missing = composed(tmp_path, "stage=extract", "model=tf1_checkpoint", "model.path=nowhere")
    with pytest.raises(UserError, match=r"model\.path=nowhere: no such file or folder"):
        stages.chain(missing)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_checkpoint_is_refused_in_one_line(
    damage: str, basic: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(basic.parent if basic.is_file() else basic, tmp_path / "copy"))
    (data,) = folder.glob("*.data-*")
    content = bytearray(data.read_bytes())
    for place in range(0, len(content), 40):  # so that each variable is hit
        content[place] ^= damage == "flipped"
    data.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    said = complaint(folder)
    assert ("claim" in said) if damage == "cut" else ("is damaged" in said)
    assert "\n" not in said


def shapes(*cells: tuple[str, int, int], kernel: str = "kernel", bias: str = "bias") -> Any:
    """Variables of cells (scope, F, U)."""
    found: dict[str, Any] = {}
    for scope, f, u in cells:
        found |= {f"{scope}/{kernel}": (f + u, 4 * u), f"{scope}/{bias}": (4 * u,)}
    return found


def scopes(given: variables.Shapes) -> list[list[str]]:
    layers = variables.stack(variables.cells(given, "model.path=x"), "model.path=x")
    return [[cell.scope for cell in layer] for layer in layers]


@pytest.mark.parametrize(
    ("cell", "kernel", "bias"),
    [
        ("rnn/basic_lstm_cell", "kernel", "bias"),
        ("rnn/basic_lstm_cell", "weights", "biases"),
        ("RNN/BasicLSTMCell", "Linear/Matrix", "Linear/Bias"),
        ("RNN/LSTMCell", "W_0", "B"),
        ("rnn/my_lstm", "kernel", "bias"),
    ],
)
def test_names_of_all_versions_are_known(cell: str, kernel: str, bias: str) -> None:
    given = shapes((cell, 3, 5), kernel=kernel, bias=bias)
    (found,) = variables.cells(given, "model.path=x")
    assert (found.scope, found.features, found.units) == (cell, 3, 5)


def test_the_tenth_layer_stands_above_the_ninth() -> None:
    names = [f"rnn/multi_rnn_cell/cell_{n}/lstm_cell" for n in range(12)]
    given = shapes(*[(name, 3 if n == 0 else 5, 5) for n, name in enumerate(names)])
    assert scopes(dict(sorted(given.items()))) == [[name] for name in names]


def test_layers_of_both_directions_may_feed_each_other() -> None:
    ways = "stack_bidirectional_rnn/cell_{}/bidirectional_rnn/{}/lstm_cell"
    names = [[ways.format(n, way) for way in ("fw", "bw")] for n in (0, 1)]
    given = shapes(*[(name, (3, 10)[n], 5) for n in (0, 1) for name in names[n]])
    assert scopes(given) == names


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([("encoder/rnn/lstm_cell", 5, 5), ("decoder/rnn/lstm_cell", 5, 5)], "more than one"),
        ([("rnn/cell_0/lstm_cell", 3, 5), ("rnn/cell_1/lstm_cell", 4, 5)], "one stack"),
        ([("bi/fw/lstm_cell", 3, 5)], "one stack"),
    ],
)
def test_cells_that_make_no_stack_are_refused(cells: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scopes(shapes(*cells))


@pytest.mark.parametrize("beside", ["gamma", "recurrent_kernel", "w_i_diag", "projection/kernel"])
def test_a_cell_with_more_to_it_is_refused_by_name(beside: str) -> None:
    given = shapes(("rnn/lstm_cell", 3, 5)) | {f"rnn/lstm_cell/{beside}": (5,)}
    with pytest.raises(UserError, match=f"rnn/lstm_cell/{beside}"):
        variables.cells(given, "model.path=x")


def test_a_gru_is_not_taken_for_an_lstm() -> None:
    with pytest.raises(UserError, match="no LSTM cell"):
        variables.cells(
            {"rnn/gru_cell/gates/kernel": (8, 10), "rnn/gru_cell/gates/bias": (10,)}, ""
        )


def test_the_cell_of_cudnn_adds_no_forget_bias() -> None:
    cells = variables.cells(shapes(("rnn/cudnn_compatible_lstm_cell", 3, 5)), "")
    variables.refuse_cudnn(cells, 0.0, "")
    with pytest.raises(UserError, match=r"give model\.forget_bias=0"):
        variables.refuse_cudnn(cells, 1.0, "")
