"""An HDF5 file before its arrays are read: they lie in it, and are as large as what is stored.

HDF5 has links to other files and arrays whose values lie in any file of the machine, and an array
may claim any size without being stored. Keras writes none of these.
"""

import math

import h5py

from rnnscope.errors import UserError

MOST_OBJECTS = 1_000_000
MOST_EXPANSION = 100
"""Times that an array may be larger than what is stored of it; Keras does not compress."""
_FREE = 2**20
"""Bytes up to which an array may be of any size."""


def checked(file: h5py.File) -> int:
    """How many numbers the arrays of a file hold together.

    Raises:
        UserError: something in it leads out of it, claims to be larger than it is, or holds no
            numbers.
    """
    numbers, objects = 0, 0
    waiting: list[tuple[str, h5py.Group]] = [("", file)]
    seen = {_place(file)}
    while waiting:
        parent, group = waiting.pop()
        for name in group:
            path = f"{parent}/{name}"
            objects += 1
            if objects > MOST_OBJECTS:
                raise UserError(f"it has more than {MOST_OBJECTS:,} groups and arrays")
            if not isinstance(link := group.get(name, getlink=True), h5py.HardLink):
                raise UserError(
                    f"{path!r} in it is a link ({type(link).__name__}), which Keras does not write "
                    "and which is not followed"
                )
            entry = group[name]
            if isinstance(entry, h5py.Dataset):
                numbers += _numbers(path, entry)
            elif isinstance(entry, h5py.Group):
                if _place(entry) in seen:
                    raise UserError(f"{path!r} in it leads back into the file")
                seen.add(_place(entry))
                waiting.append((path, entry))
    return numbers


def _place(group: h5py.Group) -> int:
    """Where a group is in its file, by which it is known under any name."""
    return int(h5py.h5o.get_info(group.id).addr)


def _numbers(path: str, array: h5py.Dataset) -> int:
    """How many numbers an array holds."""
    if array.external or array.is_virtual:
        raise UserError(f"{path!r} in it has its values in another file, which is not read")
    if array.shape is None:
        return 0
    kind = array.dtype
    if kind.names is not None or (kind.kind not in "fiubc" and kind.itemsize != 2):  # 2: bfloat16
        raise UserError(f"{path!r} in it holds no numbers ({kind})")
    count = math.prod(array.shape)
    size, stored = count * array.dtype.itemsize, array.id.get_storage_size()
    if size > _FREE and size > MOST_EXPANSION * stored:
        raise UserError(
            f"{path!r} in it claims {size:,} bytes, of which {stored:,} are stored: not read"
        )
    return count
