"""What lies in a folder of data: each file is read, or refused, or told to be left out."""

import logging
import re
from pathlib import Path

from rnnscope.data.regular import below
from rnnscope.errors import UserError, brief, listed

log = logging.getLogger(__name__)

ARRAY = re.compile(r"(?:x|y|lengths)_(?:.+_)?(?:train|val|test)")
"""Names of arrays."""
OTHERS = (".npz", ".mat", ".h5", ".hdf5", ".csv", ".tsv", ".data")
"""Endings of data that is not read from a folder of .npy files."""


def arrays_in(folder: Path) -> dict[str, Path]:
    """The .npy files of a folder by the names of their arrays, whichever case their ending has.

    Raises:
        UserError: two files of one array; arrays in a folder within, or in another kind of file.
    """
    at = f"data.path={folder}"
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".npy":
            continue
        if path.stem in found:
            raise UserError(
                f"{at}: {brief(found[path.stem].name, 40)} and {brief(path.name, 40)} are one "
                "array: keep one of them"
            )
        found[path.stem] = path
    others = []
    for path in below(folder):
        said = brief(path.relative_to(folder), 60)
        name = path.name.partition(".")[0]
        if _skipped(path, folder, ".") or path in found.values():
            continue
        if path.suffix.lower() == ".npy":
            raise UserError(
                f"{at}: {said} lies in a folder within, from which no arrays are read: move it to "
                "the others, or out of the folder"
            )
        if ARRAY.fullmatch(name) and name not in found:
            raise UserError(
                f"{at}: {said} is no .npy file, so that there is no {brief(name, 40)}: save it as "
                f"{brief(name, 40)}.npy by np.save, or move it out of the folder"
            )
        if path.suffix.lower() in OTHERS:
            others.append(said)
    if others:
        log.warning(f"{at}: not read, as arrays lie in .npy files here: {listed(others)}")
    return found


def tables_in(folder: Path) -> list[Path]:
    """The .parquet files below a folder, whichever case their ending has.

    Hidden files and those that begin with _ are left out, as Spark and pandas do.

    Raises:
        UserError: another kind of file.
    """
    found = [path for path in below(folder) if not _skipped(path, folder, "._")]
    for path in found:
        if path.suffix.lower() != ".parquet":
            raise UserError(
                f"data.path={folder}: {brief(path.relative_to(folder), 60)} is no .parquet file: "
                "move it out of the folder, or if it is a part of the table end its name in "
                ".parquet"
            )
    return found


def _skipped(path: Path, folder: Path, marks: str) -> bool:
    """Whether a file, or a folder that it lies in, begins with one of the marks."""
    return any(part[0] in marks for part in path.relative_to(folder).parts)
