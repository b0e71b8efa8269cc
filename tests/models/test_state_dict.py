"""Files of PyTorch's weights: what is read of each kind, and what is refused in one line."""

import io
import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from rnnscope import stages
from rnnscope.errors import UserError
from rnnscope.models import state_dict
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

W = np.arange(12, dtype=np.float32).reshape(4, 3)
TENSORS = {"lstm.weight_hh_l0": W, "fc.bias": W[0].copy()}


def header(said: Any, values: bytes = b"", length: int | None = None) -> bytes:
    """A .safetensors file with any header."""
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class Code:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("code-in-weights-ran"),)


def zipped(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return file.getvalue()


CASES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "neither a .safetensors file nor one of torch.save"),
    "text": (b"import torch\nmodel = 1\n", "neither a .safetensors file nor one of torch.save"),
    "cut in its header": (save(TENSORS)[:60], "not a .safetensors file that can be read"),
    "cut in its values": (save(TENSORS)[:-5], "not a .safetensors file that can be read"),
    "terabytes of header": (header({}, length=2**44), "not a .safetensors file that can be read"),
    "terabytes of values": (
        header({"a": tensor([2**20, 2**20], 0, 2**42)}), "not a .safetensors file that can be read",
    ),
    "more than 2^64 values": (
        header({"a": tensor([2**40, 2**40], 0, 4)}, b"1234"), "not a .safetensors file that can be",
    ),
    "values behind others": (
        header({"a": tensor([1], 0, 4), "b": tensor([1], 2, 6)}, b"123456"), "not a .safetensors",
    ),
    "no JSON": (header(b"{nothing}"), "not a .safetensors file that can be read"),
    "deep JSON": (header(b'{"a":' * 100_000), "not a .safetensors file that can be read"),
    "a type of no kind": (header({"a": tensor([1], 0, 4, "F99")}, b"1234"), "not a .safetensors"),
    "nothing": (save({}), "it holds no tensors"),
    "arrays": (zipped(x_test_DOT_npy=b"x"), "did not write, of arrays: data=files"),
    "a Keras model": (zipped(config_DOT_json=b"{}"), "of a Keras model: model=file"),
    "a zip of anything": (zipped(a__b=b"x"), "a zip archive without a state dict"),
    "TorchScript": (
        zipped(net__data_DOT_pkl=b"x", net__constants_DOT_pkl=b"x"), "a TorchScript archive, which",
    ),
    "a bomb": (
        zipped(zipfile.ZIP_DEFLATED, net__data_DOT_pkl=b"x", net__data__0=bytes(10**8)),
        "its members are compressed, or claim more than the file has",
    ),
    "a zip that is cut": (zipped(net__data_DOT_pkl=b"x" * 999)[:-30], "it is cut off"),
}  # fmt: skip
OF_TORCH: dict[str, tuple[bytes, str]] = {
    "code": (pickle.dumps(Code(), 2), "it holds whole Python objects"),
    "code in a zip": (
        zipped(net__data_DOT_pkl=pickle.dumps(Code(), 2), net__version=b"3\n"),
        "it holds whole Python objects (",
    ),
    "noise in a zip": (zipped(net__data_DOT_pkl=b"\x80\x02" + b"\xff" * 99, net__version=b"3"), ""),
    "a pickle of nothing": (pickle.dumps({"a": 1}, 2), "not a file that PyTorch can read"),
    "an old file that is cut": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", ""),
}  # fmt: skip


def refused(folder: Path, content: bytes, name: str = "net.bin") -> str:
    (folder / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        state_dict.read(folder / name)
    said = str(caught.value)
    assert said.startswith(f"model.path={folder / name}: ")
    assert "\n" not in said
    assert len(said) < 700
    return said


@pytest.mark.parametrize("name", CASES)
def test_what_holds_no_weights_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, message = CASES[name]
    assert message in refused(tmp_path, content)


@pytest.mark.torch
@pytest.mark.parametrize("name", OF_TORCH)
def test_no_code_in_a_file_of_torch_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = OF_TORCH[name]
    assert message in refused(tmp_path, content)
    assert not Path("code-in-weights-ran").exists()


def test_the_length_of_a_header_is_not_taken_for_the_beginning_of_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for pad in range(800):
        save_file(TENSORS, path, metadata={"pad": "x" * pad})
        if path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x03"):
            np.testing.assert_array_equal(state_dict.read(path).values("lstm.weight_hh_l0"), W)
            return
    raise AssertionError("no such header")


def test_every_damaged_byte_of_a_header_is_read_or_refused(tmp_path: Path) -> None:
    content, random = save(TENSORS), np.random.default_rng(0)
    path = tmp_path / "net.safetensors"
    for _ in range(300):
        damaged = bytearray(content)
        damaged[random.integers(len(content) - 60)] = random.integers(256)
        path.write_bytes(damaged)
        try:
            found = state_dict.read(path)
            for name in found.shapes:
                found.values(name)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right


def test_without_pytorch_a_file_of_torch_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    said = refused(tmp_path, zipped(net__data_DOT_pkl=b"x"), "net.pt")
    assert "needs PyTorch, which is not installed here: pip install torch, or where" in said
    assert "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')" in said


def network() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 5), "fc": torch.nn.Linear(5, 2)})


def saved(folder: Path, said: Any, **options: Any) -> Path:
    import torch

    torch.save(said, folder / "net.pt", **options)
    return folder / "net.pt"


@pytest.mark.torch
@pytest.mark.parametrize(
    "form", ["plain", "old", "checkpoint", "lightning", "bfloat16", "parallel", "cuda's copy"]
)
def test_a_file_of_torch_gives_the_tensors_that_it_holds(form: str, tmp_path: Path) -> None:
    import torch

    made = network()
    if form == "bfloat16":
        made = made.bfloat16()
    own = made.state_dict()
    optimizer = torch.optim.Adam(made.parameters())
    sum(each.float().sum() for each in made.parameters()).backward()
    optimizer.step()
    own = made.state_dict()
    forms: dict[str, Callable[[], Path]] = {
        "plain": lambda: saved(tmp_path, own),
        "old": lambda: saved(tmp_path, own, _use_new_zipfile_serialization=False),
        "checkpoint": lambda: saved(
            tmp_path, {"epoch": 3, "model": own, "optimizer": optimizer.state_dict()}
        ),
        "lightning": lambda: saved(
            tmp_path, {"state_dict": {f"net.{n}": t for n, t in own.items()}, "loops": {"a": 1}}
        ),
        "bfloat16": lambda: saved(tmp_path, own),
        "parallel": lambda: saved(tmp_path, torch.nn.DataParallel(made).state_dict()),
        "cuda's copy": lambda: saved(tmp_path, {n: t.clone().t().t() for n, t in own.items()}),
    }
    found = state_dict.read(forms[form]())
    prefix = "net." if form == "lightning" else ""
    assert list(found.shapes) == [f"{prefix}{name}" for name in own]
    for name, values in own.items():
        np.testing.assert_array_equal(found.values(f"{prefix}{name}"), values.float().numpy())


@pytest.mark.torch
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda net: net, r"whole Python objects (torch.nn.modules.container.ModuleDict), whose"),
        (lambda net: {"model": net}, "whole Python objects (torch.nn.modules.container.ModuleDict"),
        (lambda net: {"model": net.state_dict(), "ema": net.state_dict()},
         "several state dicts, model, ema; save the one that is meant: torch.save(torch.load("),
        (lambda net: list(net.parameters()), "it holds a list, no state dict"),
        (lambda net: {"epoch": 3, "loss": 0.1}, "no tensors by name; it has epoch, loss"),
        (lambda net: {"lstm.weight_hh_l0": net["fc"].weight.detach().to_sparse()}, "is sparse"),
        (lambda net: {"lstm.weight_hh_l0": net["fc"].bias[:1].detach().expand(10**9)}, "claims ["),
    ],
)  # fmt: skip
def test_what_is_no_state_dict_says_what_to_save(
    said: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, said(network()))
    assert message in refused(tmp_path, path.read_bytes())


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_archive_says_what_to_save(tmp_path: Path) -> None:
    import torch

    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "s.pt")
    said = refused(tmp_path, (tmp_path / "s.pt").read_bytes())
    assert "torch.save(torch.jit.load('net.bin').state_dict(), 'weights.pt')" in said


def test_the_key_holds_the_values_and_the_options_and_not_the_place(tmp_path: Path) -> None:
    def key(path: Path, *more: str) -> str:
        run = ("stage=extract", "model=torch", f"model.path={path}", *more)
        return stages.chain(composed(tmp_path, *run))[0].artefact.key

    other = {name: values + 1 for name, values in TENSORS.items()}
    for name, tensors in (("a", TENSORS), ("b", TENSORS), ("c", other)):
        save_file(tensors, tmp_path / f"{name}.safetensors")
    a, b, c = (key(tmp_path / f"{name}.safetensors") for name in "abc")
    assert a == b != c
    assert key(tmp_path / "a.safetensors", "model.readout_from=state") != a
