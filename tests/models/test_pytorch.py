"""PyTorch's weights as Keras models: against PyTorch itself, and its documented equations."""

import functools
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rnnscope import config, stages, states, trace
from rnnscope.data import Dataset, Split
from rnnscope.errors import UserError
from rnnscope.models import pytorch
from tests import torch_reference
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

SEEDS = range(10)
Tensors = dict[str, Any]


def options(path: Path, **values: Any) -> config.TorchWeights:
    known = dict.fromkeys(
        ("modules", "nonlinearity", "embedding", "readout", "readout_bias", "readout_from",
         "leave_out")
    )  # fmt: skip
    return config.TorchWeights(name="torch", path=str(path), **(known | values))


def dataset(x: Any, lengths: Any = None, y: Any = None) -> Dataset:
    return Dataset(Split(x, y, lengths))


FRAMES = dataset(np.zeros((2, 4, 3), np.float32))
TOKENS = dataset(np.zeros((2, 4), np.int32))


def load(tensors: Tensors, data: Dataset = FRAMES, tmp: Path | None = None, **values: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = (tmp or Path(folder)) / "net.safetensors"
        save_file(tensors, path, metadata=values.pop("metadata", None))
        return pytorch.load(options(path, **values), data)


def complaint(tensors: Tensors, data: Dataset = FRAMES, **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(tensors, data, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@dataclass(frozen=True)
class Network:
    """A random network, what it is fed, and what Keras makes of it."""

    kind: str
    tensors: Tensors
    units: int
    layers: int
    bidirectional: bool
    bias: bool
    nonlinearity: str
    readout_from: str
    per_timestep: bool
    inputs: Any
    """[N, T, F], or tokens [N, T]."""
    lengths: Any
    padded: bool
    signals: dict[str, dict[str, Any]]
    """Layer -> signal -> [N, T, U]."""
    outputs: Any

    @property
    def x(self) -> Any:
        """[N, T, F]."""
        table = self.tensors.get("embed.weight")
        return self.inputs if table is None else table[self.inputs]


@functools.cache
def network(seed: int) -> Network:
    """One of each kind, then any; a third of them behind an embedding, half of them padded."""
    random = np.random.default_rng(seed)

    def maybe(share: float = 0.5) -> bool:
        return bool(random.random() < share)

    kind = ("lstm", "gru", "rnn")[seed % 3]
    units, features, layers = map(int, random.integers((2, 1, 1), (6, 5, 4)))
    bidirectional, bias, padded = maybe(), maybe(0.7), maybe()
    own = torch_reference.state_dict(
        kind, features, units, layers, random, bidirectional=bidirectional, bias=bias
    )
    tensors = {f"cells.{name}": value for name, value in own.items()}
    n, timesteps = 4, 7
    inputs: Any = random.normal(size=(n, timesteps, features)).astype(np.float32)
    if seed % 4 == 3:
        tensors["embed.weight"] = random.normal(size=(11, features))
        inputs = random.integers(0, 11, (n, timesteps)).astype(np.int32)
    width = units * (1 + bidirectional)
    tensors["head.weight"] = random.normal(size=(width + 6, width))
    if bias:
        tensors["head.bias"] = random.normal(size=width + 6)
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    lengths = np.array([7, 3, 1, 5], np.int32) if padded else np.full(n, timesteps, np.int32)
    nonlinearity, readout_from = ("tanh", "relu")[maybe()], ("state", "output")[maybe()]
    per_timestep = maybe(0.3)
    y = np.zeros((n, timesteps) if per_timestep else n, np.int32)
    model = load(
        tensors,
        dataset(inputs, lengths if padded else None, y),
        nonlinearity=nonlinearity if kind == "rnn" else None,
        readout_from=readout_from,
    )
    mask = np.arange(timesteps) < lengths[:, np.newaxis]
    with trace.recording(model) as traced:
        outputs = model({"x": inputs, "mask": mask} if padded else inputs, training=False)
    signals = {
        name: {key: np.swapaxes(value, 0, 1) for key, value in layer.signals.items()}
        for name, layer in traced.layers.items()
    }
    return Network(
        kind, tensors, units, layers, bidirectional, bias, nonlinearity, readout_from,
        per_timestep, inputs, lengths, padded, signals, np.asarray(outputs),
    )  # fmt: skip


def names(net: Network) -> list[list[str]]:
    """Of each layer the names of what is recorded of its directions."""
    of_layers = [f"cells_l{number}" for number in range(net.layers)] if net.layers > 1 else None
    ways = [".forward", ".backward"] if net.bidirectional else [""]
    return [[f"{name}{way}" for way in ways] for name in of_layers or ["cells"]]


def close(got: Any, want: Any, lengths: Any, said: str = "") -> None:
    valid = np.arange(want.shape[1]) < lengths[:, np.newaxis]
    np.testing.assert_allclose(got[valid], want[valid], rtol=0, atol=1e-5, err_msg=said)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_signal_is_that_of_pytorchs_equations_in_float64(seed: int) -> None:
    net = network(seed)
    own = {
        name.removeprefix("cells."): value.astype(np.float64)
        for name, value in net.tensors.items()
        if name.startswith("cells.")
    }
    layers, last = torch_reference.run(
        net.kind, own, net.x.astype(np.float64), net.lengths, net.nonlinearity
    )
    assert {name for each in names(net) for name in each} == net.signals.keys()
    for directions, wanted in zip(names(net), layers, strict=True):
        for name, signals in zip(directions, wanted, strict=True):
            assert signals.keys() == net.signals[name].keys()
            for signal, values in signals.items():
                close(net.signals[name][signal], values, net.lengths, f"{name} {signal}")
    bias = net.tensors.get("head.bias", 0)
    ends = last[np.arange(len(last)), net.lengths - 1]
    if net.bidirectional and net.readout_from == "state":
        ends = np.hstack([ends[:, : net.units], last[:, 0, net.units :]])
    if net.per_timestep:
        close(net.outputs, last @ net.tensors["head.weight"].T + bias, net.lengths)
    else:
        wanted = ends @ net.tensors["head.weight"].T + bias
        np.testing.assert_allclose(net.outputs, wanted, rtol=0, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("seed", SEEDS)
def test_every_output_is_that_of_pytorch(seed: int) -> None:
    import torch

    net = network(seed)
    made = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[net.kind]
    more = {"nonlinearity": net.nonlinearity} if net.kind == "rnn" else {}
    module = made(
        net.x.shape[2], net.units, net.layers, bias=net.bias, batch_first=True,
        bidirectional=net.bidirectional, **more,
    )  # fmt: skip
    own = {
        name.removeprefix("cells."): torch.from_numpy(value)
        for name, value in net.tensors.items()
        if name.startswith("cells.")
    }
    module.load_state_dict(own, strict=True)
    x = torch.from_numpy(net.x)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.from_numpy(net.lengths.astype(np.int64)), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        given, final = module(packed)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(given, batch_first=True)
    upper = np.concatenate([net.signals[name]["h"] for name in names(net)[-1]], axis=2)
    close(upper[:, : output.shape[1]], output.numpy(), net.lengths)
    if net.kind == "lstm":
        c = final[1].numpy().reshape(net.layers, -1, len(x), net.units)
        for directions, wanted in zip(names(net), c, strict=True):
            for name, values in zip(directions, wanted, strict=True):
                last = 0 if name.endswith("backward") else net.lengths - 1
                got = net.signals[name]["c"][np.arange(len(x)), last]
                np.testing.assert_allclose(got, values, rtol=0, atol=1e-5)


@pytest.mark.torch
def test_c_of_every_step_is_that_of_pytorchs_cell() -> None:
    import torch

    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(3, 5)
    x = torch.randn(4, 9, 3)
    # As a network of a cell alone is stored: names without the number of a layer.
    model = load({name: value.numpy() for name, value in cell.state_dict().items()})
    with trace.recording(model) as traced:
        model(x.numpy())
    h = c = torch.zeros(4, 5)
    got = traced.layers["lstm"].signals
    with torch.no_grad():
        for timestep in range(9):
            h, c = cell(x[:, timestep], (h, c))
            np.testing.assert_allclose(got["h"][timestep], h.numpy(), rtol=0, atol=1e-6)
            np.testing.assert_allclose(got["c"][timestep], c.numpy(), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_states_and_predictions_of_padded_tokens_are_written_as_pytorch_has_them(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(5)
    own = torch_reference.state_dict("gru", 3, 4, 2, random, bidirectional=True)
    table, head = random.normal(size=(11, 3)), random.normal(size=(5, 8))
    tensors = under("net.gru", own) | {"net.embed.weight": table, "net.head.weight": head}
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    save_file(tensors, tmp_path / "net.safetensors")
    tokens, lengths = random.integers(0, 11, (6, 7)), np.array([7, 2, 5, 1, 7, 3])
    y = np.arange(6) % 5
    np.savez(tmp_path / "data.npz", x_test=tokens, y_test=y, lengths_test=lengths)
    run = composed(
        tmp_path, "stage=extract", "model=torch", f"model.path={tmp_path / 'net.safetensors'}",
        "model.readout_from=state", "data=files", f"data.path={tmp_path / 'data.npz'}",
    )  # fmt: skip
    (step,) = stages.run(run)
    layers, last = torch_reference.run("gru", own, table[tokens], lengths)
    for number, directions in enumerate(layers):
        for way, signals in zip(("forward", "backward"), directions, strict=True):
            for signal, values in signals.items():
                layer = f"net.gru_l{number}.{way}"
                got = states.read_states(step.artefact.folder, signal, layer=layer, as_array=True)
                close(got, values, lengths, f"{layer} {signal}")
    ends = np.hstack([last[np.arange(6), lengths - 1, :4], last[:, 0, 4:]]) @ head.T
    sequences = states.read_sequences(step.artefact.folder)
    np.testing.assert_array_equal(sequences["prediction"], ends.argmax(axis=1))
    scores = np.exp(ends) / np.exp(ends).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sequences[[f"p_{k}" for k in range(5)]], scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize("readout_from", ["state", "output"])
def test_a_readout_of_both_directions_takes_what_is_asked_for(readout_from: str) -> None:
    tensors = lstm(bidirectional=True)
    head = np.random.default_rng(2).normal(size=(4, 10)).astype(np.float32)
    x = np.random.default_rng(3).normal(size=(3, 6, 3)).astype(np.float32)
    lengths = np.array([6, 2, 4], np.int32)
    model = load(tensors | {"fc.weight": head}, dataset(x, lengths), readout_from=readout_from)
    own = {name: values.astype(np.float64) for name, values in tensors.items()}
    _, h = torch_reference.run("lstm", own, x.astype(np.float64), lengths)
    ends = h[np.arange(3), lengths - 1]
    if readout_from == "state":
        ends = np.hstack([ends[:, :5], h[:, 0, 5:]])
    got = model({"x": x, "mask": np.arange(6) < lengths[:, np.newaxis]})
    np.testing.assert_allclose(got, ends @ head.T, rtol=0, atol=1e-5)


def lstm(features: int = 3, units: int = 5, layers: int = 1, **more: Any) -> Tensors:
    """The tensors of an nn.LSTM, float32."""
    kind = more.pop("kind", "lstm")
    found = torch_reference.state_dict(
        kind, features, units, layers, np.random.default_rng(1), **more
    )
    return {name: value.astype(np.float32) for name, value in found.items()}


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def linear(name: str, outputs: int, inputs: int, bias: bool = True) -> Tensors:
    weight = np.arange(outputs * inputs, dtype=np.float32).reshape(outputs, inputs)
    more = {f"{name}.bias": np.arange(outputs, dtype=np.float32)} if bias else {}
    return {f"{name}.weight": weight} | more


NET = under("lstm", lstm()) | linear("fc", 4, 5)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."])
def test_the_prefixes_of_wrappers_count_for_nothing(prefix: str) -> None:
    wrapped = {f"{prefix}{name}": value for name, value in NET.items()}
    for readout in (None, "fc.weight", f"{prefix}fc.weight"):
        model = load(wrapped, readout=readout)
        assert [layer.name for layer in model.layers][1] == "lstm"
        for one, other in zip(model.get_weights(), load(NET).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_weights_of_other_types_are_taken_as_float32_and_the_log_says_so(
    dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    with caplog.at_level(logging.INFO):
        model = load({name: value.astype(kind) for name, value in NET.items()})
    want = NET["lstm.weight_hh_l0"].astype(kind).astype(np.float32).T
    np.testing.assert_array_equal(model.get_layer("lstm").get_weights()[1], want)
    assert "are taken as float32" in caplog.text


def test_the_log_says_what_every_tensor_was_taken_for(caplog: pytest.LogCaptureFixture) -> None:
    tensors = {"embed.weight": np.ones((9, 3), np.float32)} | NET | linear("late", 2, 4)
    with caplog.at_level(logging.INFO):
        load(tensors, TOKENS, leave_out=["late.*"], readout="fc.weight")
    assert (
        "embedding embed.weight; lstm lstm.weight_ih_l0 [3 -> 5]; readout fc.weight + fc.bias; "
        "not used: late.bias, late.weight" in caplog.text
    )


def test_a_stack_of_modules_is_named_from_the_bottom_up() -> None:
    upper = under("upper", lstm(5, 2, kind="gru"))
    tensors = upper | under("lower", lstm()) | linear("fc", 4, 2)
    said = complaint(tensors)
    assert "2 recurrent modules, " in said
    assert "model.modules=[" in said
    model = load(tensors, modules=["lower", "upper"])
    assert [layer.name for layer in model.layers] == ["x", "lower", "upper", "fc"]
    assert "lower.weight_ih_l0 reads 3 values" in complaint(tensors, modules=["upper", "lower"])
    assert "no middle; there is " in complaint(tensors, modules=["lower", "middle"])


def test_a_readout_may_be_tied_to_the_embedding_or_stored_the_other_way_round() -> None:
    table = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    tensors = {"embed.weight": table} | under("lstm", lstm(5)) | {"out.bias": table[:, 0].copy()}
    assert "out.bias [9] belong to no" in complaint(tensors, TOKENS)
    named = load(tensors, TOKENS, readout="embed.weight", readout_bias="out.bias")
    # As safetensors.torch.save_model notes that it kept one of two names.
    noted = load(tensors, TOKENS, metadata={"out.weight": "embed.weight"})
    for model in (named, noted):
        kernel, bias = model.layers[-1].get_weights()
        np.testing.assert_array_equal(kernel, table.T)
        np.testing.assert_array_equal(bias, table[:, 0])
    w = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    turned = load(under("lstm", lstm()) | {"w": w}, readout="w")
    np.testing.assert_array_equal(turned.layers[-1].get_weights()[0], w)


def test_layers_have_names_that_lead_back_to_the_state_dict() -> None:
    tensors = under("net.cell0", lstm(layers=2, bidirectional=True)) | linear("9!.fc", 4, 10)
    model = load(tensors, readout_from="state")
    assert {"net.cell0_l0", "net.cell0_l1", "9_.fc"} <= {layer.name for layer in model.layers}
    assert load(under("net.cell0", lstm())).layers[1].name == "net_cell0"
    strange = under("x", lstm()) | linear("mask", 4, 5)
    assert [layer.name for layer in load(strange).layers] == ["x", "x_", "mask_"]


REFUSED: dict[str, tuple[Tensors, dict[str, Any], str]] = {
    "a projection": (
        under("lstm", lstm() | {"weight_hr_l0": np.ones((2, 5), np.float32)}), {},
        "lstm.weight_hr_l0: a projection",
    ),
    "an nn.RNN of unknown activation": (
        under("rnn", lstm(kind="rnn")), {}, "give model.nonlinearity=tanh, PyTorch's default, or",
    ),
    "an activation of an LSTM": (
        NET, {"nonlinearity": "relu"}, "is of nn.RNN, and the network has nn.LSTM: leave it out",
    ),
    "two heads": (
        NET | linear("value", 1, 5), {}, "2 tensors [K, 5] may be the read-out; say which with",
    ),
    "a square matrix before or after": (
        under("lstm", lstm(5)) | linear("fc", 5, 5), {"data": dataset(np.zeros((2, 4, 5)))},
        "fc.weight [5, 5] may be the read-out, or come before the recurrent layers, which read",
    ),
    "a head of two layers": (
        NET | linear("late", 2, 4), {},
        "fc.weight [4, 5] may not be the last layer, as late.weight [2, 4] may read it: give",
    ),
    "a head of two layers, one left out": (
        NET | linear("late", 2, 4), {"leave_out": ["late.*"]}, "may not be the last layer",
    ),
    "a norm": (
        NET | {"norm.weight": np.ones(5, np.float32)}, {},
        "norm.weight [5] belong to no recurrent module, embedding or linear read-out",
    ),
    "a tensor beside those of an LSTM": (
        NET | {"lstm.scale": np.ones(5, np.float32)}, {}, "give model.leave_out=[lstm.scale]; if",
    ),
    "an embedding, and no tokens": (
        NET | {"embed.weight": np.ones((9, 3), np.float32)}, {}, "embed.weight [9, 3] belong to no",
    ),
    "an embedding that is named, and no tokens": (
        NET | {"embed.weight": np.ones((9, 3), np.float32)}, {"embedding": "embed.weight"},
        "the data has no tokens",
    ),
    "a pattern of nothing": (NET, {"leave_out": ["head.*"]}, "head.*, which names no tensor"),
    "both directions": (
        under("lstm", lstm(bidirectional=True)) | linear("fc", 4, 10), {},
        "give model.readout_from=state for each direction's final h (h_n), or",
    ),
    "a weight norm": (
        {("lstm.weight_hh_l0_v" if n.endswith("weight_hh_l0") else n): v for n, v in NET.items()},
        {}, "has no weight_hh (it has lstm.bias_hh_l0, ",
    ),
    "one bias": (
        {name: value for name, value in NET.items() if name != "lstm.bias_hh_l0"}, {},
        "lstm.bias_ih_l0 has no partner",
    ),
    "a layer that is missing": (
        {n: v for n, v in under("lstm", lstm(layers=3)).items() if "_l1" not in n}, {},
        "lstm, layer 1 has no weight_ih",
    ),
    "a layer of another width": (
        under("lstm", lstm() | {n: v for n, v in lstm(4, 5, 2).items() if n.endswith("_l1")})
        | under("lstm", {"weight_ih_l1": np.ones((20, 4), np.float32)}), {},
        "lstm.weight_ih_l1 reads 4 values, and the layer below, lstm.weight_ih_l0, gives 5",
    ),
    "shapes of no cell": (
        {"a.weight_ih_l0": np.ones((10, 3), np.float32),
         "a.weight_hh_l0": np.ones((10, 5), np.float32)}, {}, "no LSTM ([4 U, F], [4 U, U]), GRU",
    ),
    "no recurrent module": (linear("fc", 2, 3), {}, "no recurrent module (tensors weight_ih_l0"),
    "a square read-out of no known order": (
        under("lstm", lstm()) | {"w": np.ones((5, 5), np.float32)}, {"readout": "w"},
        "is square, [5, 5], and its name does not tell",
    ),
    "a read-out of another width": (NET, {"readout": "fc.bias"}, "must be a tensor [K, 5]"),
    "a bias of another": (NET, {"readout_bias": "lstm.bias_ih_l0"}, "must be a tensor [4], one of"),
    "NaN": (
        NET | {"fc.weight": np.full((4, 5), np.nan, np.float32)}, {},
        "fc.weight[0, 0] is nan: its training diverged, or the file is damaged",
    ),
    "beyond float32": (
        NET | {"fc.weight": np.full((4, 5), 1e300)}, {}, "fc.weight[0, 0] is 1e+300: past what",
    ),
    "whole numbers": (
        NET | {"fc.weight": np.ones((4, 5), np.int8)}, {}, "fc.weight holds I8, not floating-point",
    ),
    "two embeddings": (
        under("lstm", lstm()) | {f"{n}.weight": np.ones((9, 3), np.float32) for n in "ab"},
        {"data": TOKENS}, "2 tensors [V, 3] may be the embedding of the tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_refused_in_one_line(name: str) -> None:
    tensors, values, message = REFUSED[name]
    said = complaint(tensors, values.get("data", FRAMES), **{
        key: value for key, value in values.items() if key != "data"
    })  # fmt: skip
    assert message in said
    assert said.startswith("model.")


def test_a_square_read_out_that_is_named_is_one() -> None:
    tensors = under("lstm", lstm(5)) | linear("fc", 5, 5)
    model = load(tensors, dataset(np.zeros((2, 4, 5), np.float32)), readout="fc.weight")
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], tensors["fc.weight"].T)


def test_a_network_without_a_readout_has_states_and_no_scores() -> None:
    y = np.zeros(2, np.int32)
    assert load(lstm(), dataset(FRAMES.test.x, None, y)).output_shape == (None, None, 5)
    y = np.zeros((2, 4), np.int32)
    assert load(lstm(), dataset(FRAMES.test.x, None, y)).output_shape == (None, 5)
