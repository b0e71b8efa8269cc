"""Arrays as text inside a page: one after another, compressed, in base64."""

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 3
"""Of zlib; 6 takes twice the time for 2 % fewer bytes."""
ALIGNED = 8
"""Each array begins at a multiple of so many bytes, as typed arrays of a browser have to."""


class Blob:
    """Arrays by name; ``directory`` says where each lies, ``text`` holds them all."""

    def __init__(self) -> None:
        self.directory: dict[str, dict[str, Any]] = {}
        self._bytes = bytearray()

    def add(self, name: str, values: NDArray[Any]) -> None:
        """Append an array of one of the types uint8, uint16, int32 and float32."""
        self._bytes.extend(bytes(-len(self._bytes) % ALIGNED))
        self.directory[name] = {
            "at": len(self._bytes),
            "type": str(values.dtype),
            "shape": list(values.shape),
        }
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        self._bytes.extend(np.ascontiguousarray(little).tobytes())

    @property
    def text(self) -> str:
        """All of them, compressed by zlib's deflate, in base64."""
        return base64.b64encode(zlib.compress(bytes(self._bytes), LEVEL)).decode("ascii")
