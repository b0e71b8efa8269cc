"""The tensors of a PyTorch state dict, by name, from a .safetensors file or one of torch.save.

Which of the two a file is, its first bytes tell, not its ending. Nothing in it is run: safetensors
holds numbers alone, and PyTorch reads the other with ``weights_only=True``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from rnnscope.errors import UserError, brief
from rnnscope.models import torch_file

Shapes = dict[str, tuple[int, ...]]
"""Tensor -> shape."""

ELSEWHERE = (
    "or record the states in PyTorch, and bring them with model=states model.path=states.npz"
)
"""What helps wherever a network cannot be rebuilt."""
SAVE = "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
SAFETENSORS = 8
"""Bytes at the beginning of a .safetensors file that say how long its header is."""


@dataclass(frozen=True)
class StateDict:
    """Tensors by name; values are read when they are asked for."""

    shapes: Shapes
    types: dict[str, str]
    """Of each tensor, as the file names it: F32, BF16, float64, ..."""
    read: Callable[[str], NDArray[Any]]
    where: str
    """How messages begin."""
    tied: dict[str, str]
    """Names that the file leaves out because their tensor is another one's -> that one."""

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    def values(self, name: str) -> NDArray[np.float32]:
        """A tensor in float32.

        Raises:
            UserError: it holds no real numbers, one that is not finite, or one beyond float32.
        """
        given = self.read(name)
        if given.dtype.kind not in "fV" and given.dtype.name != "bfloat16":
            raise UserError(
                f"{self.where}: {name} holds {self.types[name]}, not floating-point numbers: "
                f"quantized weights are not read; save the network in float32, {ELSEWHERE}"
            )
        with np.errstate(over="ignore"):
            values = given.astype(np.float32)
        finite = np.isfinite(values)
        if not finite.all():
            place = tuple(map(int, np.argwhere(~finite)[0]))
            value = float(given[place])
            why = (
                "past what float32 holds: scale it down where it was made"
                if np.isfinite(value)
                else "its training diverged, or the file is damaged"
            )
            raise UserError(f"{self.where}: {name}{list(place)} is {value:.4g}: {why}")
        return values


def read(path: Path) -> StateDict:
    """The state dict in a file, under the names that its modules have.

    The prefixes that DataParallel (``module.``) and ``torch.compile`` (``_orig_mod.``) put in front
    of names are left out.

    Raises:
        UserError: it is no state dict, cannot be read, or claims more than it holds.
    """
    where = f"model.path={path}"
    if path.is_dir():
        raise UserError(f"{where}: a folder; give the file of weights, such as model.safetensors")
    with path.open("rb") as file:
        begin = file.read(SAFETENSORS + 1)
    if begin[SAFETENSORS:] == b"{":  # first: a header of 640 bytes begins as a pickle does
        found = _of_safetensors(path, where)
    elif torch_file.is_one(begin):
        found = _of_torch(path, where)
    else:
        raise UserError(
            f"{where}: neither a .safetensors file nor one of torch.save; where the network was "
            f"made: {SAVE}"
        )
    if not found.shapes:
        raise UserError(f"{where}: it holds no tensors; where the network was made: {SAVE}")
    return _unwrapped(found)


def plain(name: str, among: Shapes) -> str:
    """A tensor's name as its module has it, without the prefixes that wrappers add."""
    short = name.replace("_orig_mod.", "")
    while name not in among and short not in among and short.startswith("module."):
        short = short.removeprefix("module.")
    return short if name not in among and short in among else name


def _unwrapped(found: StateDict) -> StateDict:
    """The same under the names that modules had before they were wrapped."""
    short = {name: name.replace("_orig_mod.", "") for name in (*found.shapes, *found.tied)}
    while all(each.startswith("module.") for each in short.values()):
        short = {name: each.removeprefix("module.") for name, each in short.items()}
    if len(set(short.values())) < len(short):
        return found
    long = {each: name for name, each in short.items()}
    return replace(
        found,
        shapes={short[name]: shape for name, shape in found.shapes.items()},
        types={short[name]: kind for name, kind in found.types.items()},
        read=lambda name: found.read(long[name]),
        tied={short[name]: short[other] for name, other in found.tied.items()},
    )


def _of_safetensors(path: Path, where: str) -> StateDict:
    try:
        # The library holds the header against the file: offsets, sizes and types.
        with _opened(path) as file:
            slices = {name: file.get_slice(name) for name in list(file.keys())}
            shapes = {name: tuple(each.get_shape()) for name, each in slices.items()}
            types = {name: str(each.get_dtype()) for name, each in slices.items()}
            tied = _tied(file.metadata() or {}, shapes)
            del slices
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{where}: not a .safetensors file that can be read ({brief(error)}): it is damaged "
            "or cut off; copy or save it again"
        ) from error

    def read(name: str) -> NDArray[Any]:
        try:
            with _opened(path) as file:
                values: NDArray[Any] = file.get_tensor(name)
        except (SafetensorError, OSError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{where}: {name} holds {types[name]}, which cannot be read ({brief(error)}): save "
                "the network in float32"
            ) from error
        return values

    return StateDict(shapes, types, read, where, tied)


def _opened(path: Path) -> Any:
    return safe_open(path, framework="np")


def _tied(said: dict[str, str], shapes: Shapes) -> dict[str, str]:
    """What ``safetensors.torch.save_model`` notes: the names of shared tensors that it left out."""
    return {
        name: kept
        for name, kept in said.items()
        if kept in shapes and name not in shapes and "." in name
    }


def _of_torch(path: Path, where: str) -> StateDict:
    found = torch_file.tensors(path, where, SAVE)
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    types = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in found.items()}
    return StateDict(shapes, types, lambda name: torch_file.values(found[name]), where, {})
