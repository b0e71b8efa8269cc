"""Files of torch.save, read by PyTorch without running what is in them, where it is installed."""

import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief, listed

Tensors = dict[str, Any]
"""Name -> torch.Tensor."""

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
"""How files of torch.save begin: since PyTorch 1.6, and before."""
SAFE = (2, 6)
"""The first version of PyTorch in which ``weights_only=True`` runs no code."""
DEPTH = 3
"""How deep in dictionaries a state dict is looked for: a training checkpoint's is in its first."""
BROKEN = (
    RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, OSError,
    MemoryError, OverflowError, AssertionError, RecursionError, NotImplementedError, ImportError,
)  # fmt: skip
"""What PyTorch raises of a damaged file, whichever part of it is."""
AGAIN = "where it was made: torch.save(model.state_dict(), 'weights.pt')"


def is_one(begin: bytes) -> bool:
    """Whether a file that begins so is one of torch.save, of any age."""
    return begin.startswith(ZIP) or (begin[:1] == PICKLE and begin[1:2] in b"\x02\x03\x04\x05")


def tensors(path: Path, where: str, save: str) -> Tensors:
    """The state dict in a file; of a training checkpoint, the only one in it with weights of cells.

    Args:
        path: the file.
        where: how messages begin.
        save: how to save weights that need no PyTorch.

    Raises:
        UserError: PyTorch is not installed; the file holds a module, a TorchScript archive, several
            state dicts or none; or it cannot be read.
    """
    zipped = _checked(path, where)
    torch = _torch(where, save)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if zipped:  # mapped, a tensor cannot reach beyond the file, whatever its sizes claim
                said = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            else:
                with path.open("rb") as file:
                    said = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{where}: {_foreign(error)}") from error
    except BROKEN as error:
        raise UserError(
            f"{where}: not a file that PyTorch can read ({brief(error)}): it is damaged, or was "
            f"not written by torch.save; {AGAIN}"
        ) from error
    found = _state_dict(said, torch.Tensor, where)
    size = path.stat().st_size
    for name, tensor in found.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UserError(
                f"{where}: {brief(name, 80)} is sparse, quantized or without values: save it dense"
            )
        if math.prod(tensor.shape) * tensor.element_size() > size:
            raise UserError(
                f"{where}: {brief(name, 80)} claims {list(tensor.shape)} values, more than the "
                "file holds: it is damaged; save it again"
            )
    return found


def values(tensor: Any) -> NDArray[Any]:
    """A tensor's values; bfloat16, which NumPy has not, and smaller types as float32."""
    tensor = tensor.detach()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()
    found: NDArray[Any] = np.asarray(tensor.resolve_conj().resolve_neg().numpy())
    return found


def _torch(where: str, save: str) -> Any:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries
        raise UserError(
            f"{where}: reading it needs PyTorch, which is not installed here: pip install torch, "
            f"or where the network was made: {save}"
        ) from error
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < SAFE:
        raise UserError(
            f"{where}: PyTorch {torch.__version__} may run code in such a file (CVE-2025-32434): "
            f"pip install 'torch>=2.6', or where the network was made: {save}"
        )
    return torch


def _checked(path: Path, where: str) -> bool:
    """Whether a file is a zip archive, as torch.save writes it, and not something else in one.

    Raises:
        UserError: it is something else.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(len(ZIP)) == ZIP:
                raise UserError(f"{where}: it is cut off: copy or save it again")
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{where}: it is damaged ({brief(error)}); copy it again") from error
    names = [info.filename for info in infos]
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise UserError(
            f"{where}: a TorchScript archive, which holds code; where it was made: "
            f"torch.save(torch.jit.load('{path.name}').state_dict(), 'weights.pt')"
        )
    if "config.json" in names or any(name.endswith(".npy") for name in names):
        kind = "a Keras model: model=file" if "config.json" in names else "arrays: data=files"
        raise UserError(f"{where}: a zip archive that PyTorch did not write, of {kind}")
    if "data.pkl" not in inner:
        raise UserError(f"{where}: a zip archive without a state dict (data.pkl); {AGAIN}")
    packed = [info for info in infos if info.compress_type != zipfile.ZIP_STORED]
    if packed or sum(info.file_size for info in infos) > path.stat().st_size:
        raise UserError(
            f"{where}: its members are compressed, or claim more than the file has, as torch.save "
            f"never writes them; {AGAIN}"
        )
    return True


def _foreign(error: Exception) -> str:
    """What a file holds that is no number, from PyTorch's message."""
    text = str(error)
    marks = ("GLOBAL ", "global ")
    named = next((text.partition(mark)[2].split()[0] for mark in marks if mark in text), "")
    what = f" ({brief(named.strip('`,.'), 60)})" if named else ""
    return f"it holds whole Python objects{what}, whose code is not run, or is damaged; {AGAIN}"


def _state_dict(said: Any, tensor: type, where: str) -> Tensors:
    """The only dictionary of tensors with weights of cells in what a file holds, or the only one.

    Raises:
        UserError: there is none, or several.
    """
    if not isinstance(said, Mapping):
        kind = type(said).__name__
        raise UserError(f"{where}: it holds a {brief(kind, 40)}, no state dict; {AGAIN}")
    every = dict(_nested(said, tensor, ()))
    recurrent = {
        place: found for place, found in every.items() if any("weight_hh" in name for name in found)
    }
    chosen = recurrent or every
    if not chosen:
        held = listed(brief(name, 40) for name in list(said)[:10]) or "nothing"
        raise UserError(f"{where}: no tensors by name; it has {held}; {AGAIN}")
    if len(chosen) > 1:
        keys = listed(".".join(place) or "(top)" for place in chosen)
        first = "".join(f"[{key!r}]" for key in next(filter(None, chosen)))
        raise UserError(
            f"{where}: it holds several state dicts, {brief(keys, 120)}; save the one that is "
            f"meant: torch.save(torch.load('{Path(where).name}'){first}, 'weights.pt')"
        )
    return next(iter(chosen.values()))


def _nested(
    said: Mapping[Any, Any], tensor: type, place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Tensors]]:
    """Every dictionary with tensors by name, by the keys that lead to it."""
    own = {
        name: each for name, each in said.items() if isinstance(name, str)
        if isinstance(each, tensor)
    }  # fmt: skip
    if own:
        yield place, own
    for name, each in said.items():
        if isinstance(each, Mapping) and isinstance(name, str) and len(place) < DEPTH:
            yield from _nested(each, tensor, (*place, name))
