"""The folder of each recorded layer, whatever the layer is called.

Keras takes nearly any text for a name. Most are the folder's name as they are; of any other name
the folder has what is left of it and eight digits of its digest, ``my-layer~1a2b3c4d``. The true
name stands in the manifest, in the tables and in each part's footer.
"""

import hashlib
import re
from collections.abc import Iterable

from rnnscope.states.parts import SEQUENCES, STEPS

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
"""Names that any file system takes as they are, but for those below."""
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII)
"""Names that Windows takes for a device."""
LONGEST = 120
"""Characters; file systems take 255 bytes."""
KEPT = 60
"""Characters that are left of a longer name."""


def folders(layers: Iterable[str]) -> dict[str, str]:
    """The name of each layer's folder, by the layer's name, also where disks know no capitals.

    Args:
        layers: their names, in any order.
    """
    used = {SEQUENCES, STEPS}
    found: dict[str, str] = {}
    for layer in sorted(set(layers), key=lambda name: (not _plain(name), name)):
        names = [layer] if _plain(layer) else []
        digest = hashlib.sha256(layer.encode("utf-8", "surrogatepass")).hexdigest()
        short = re.sub(r"[^A-Za-z0-9_.-]+", "-", layer, flags=re.ASCII).strip("._-")[:KEPT]
        if not short or DEVICES.fullmatch(short):
            short = f"layer-{short}".rstrip("-")
        names += [f"{short}~{digest[:digits]}" for digits in (8, 16, 32, 64)]
        found[layer] = next(name for name in names if name.casefold() not in used)
        used.add(found[layer].casefold())
    return found


def _plain(layer: str) -> bool:
    """Whether a name can be that of a folder everywhere."""
    return bool(
        PLAIN.fullmatch(layer)
        and len(layer) <= LONGEST
        and not layer.endswith(".")
        and not DEVICES.fullmatch(layer)
    )
