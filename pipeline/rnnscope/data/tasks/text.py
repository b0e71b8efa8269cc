"""The characters of a text, in windows, each with the next one to be predicted."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Text
from rnnscope.data.dataset import Dataset, Split
from rnnscope.data.mapped import Recoded
from rnnscope.data.memory import refuse_unfit
from rnnscope.data.regular import refuse_unusable
from rnnscope.data.tasks.characters import annotations
from rnnscope.data.tasks.sequences import one_hot
from rnnscope.data.windows import warn_of_overlap, windows_of
from rnnscope.errors import UserError

MOST = 1_000
"""Different characters of a text: each is a feature and a class."""
BYTES = 40
"""Memory that a byte of a file may take while it is read."""
SEEN = {" ": "␣", "\n": "↵"}
"""How characters are shown that would not be seen."""


def load_text(options: Text) -> Dataset:
    """Windows of ``window`` timesteps, a feature and a class of each timestep for each character.

    Raises:
        UserError: a file that is no text in UTF-8, has too many different characters, or is too
            short for a window of each split.
    """
    at = f"data.path={options.path}"
    text = _read(Path(options.path), at)
    characters = tuple(sorted(set(text)))
    _refuse_unlikely(characters, at)
    code_of = np.zeros(ord(characters[-1]) + 1, np.int16)
    code_of[[ord(each) for each in characters]] = np.arange(len(characters))
    codes = code_of[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    steps = annotations(characters, codes)
    splits = {
        part: _split(codes, steps, first, options)
        for part, first in _firsts(len(codes), options, at).items()
    }
    classes = tuple(map(printed, characters))
    return Dataset(splits["test"], splits["train"], splits.get("val"), classes, symbols=characters)


def printed(character: str) -> str:
    r"""A character as it can be seen: ␣ for a space, ↵ for a line end, \t for a tab."""
    if character in SEEN or character.isprintable():
        return SEEN.get(character, character)
    return character.encode("unicode_escape").decode()


def _read(path: Path, at: str) -> str:
    """The text of a file, with line ends as in Unix and without a mark of its byte order."""
    refuse_unusable(path, "data.path")
    if path.is_dir():
        raise UserError(f"{at}: is a folder; give one text file")
    refuse_unfit({"the text": BYTES * path.stat().st_size}, at, "give a part of it")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{at}: is no text in UTF-8 (byte {error.start:,})") from error
    return text.replace("\r\n", "\n")


def _refuse_unlikely(characters: tuple[str, ...], at: str) -> None:
    """Raise for a vocabulary that no network of one-hot inputs is made for, or none at all."""
    if "\0" in characters:
        raise UserError(f"{at}: holds zero bytes, so it is no text")
    if len(characters) > MOST:
        raise UserError(
            f"{at}: has {len(characters):,} different characters, and each would be a feature and "
            f"a class; at most {MOST:,} may be"
        )
    if len(characters) < 2:
        raise UserError(f"{at}: has fewer than two different characters: nothing is to be learnt")


def _firsts(count: int, options: Text, at: str) -> dict[str, NDArray[np.int64]]:
    """The first character of each window of each split, in a text of so many characters.

    Raises:
        UserError: a split is too short for a window.
    """
    learnt = count - round(options.test_fraction * count)
    trained = learnt - round(options.validation_fraction * learnt)
    bounds = {"train": (0, trained), "test": (learnt, count)}
    if options.validation_fraction:
        bounds["val"] = (trained, learnt)
    window = options.window
    for part, (start, stop) in bounds.items():
        if stop - start <= window:
            raise UserError(
                f"{at}: {stop - start:,} of its {count:,} characters are for {part}, and "
                f"data.window={window} takes {window + 1:,}, as the one after it is predicted: "
                "give a longer text or a smaller window"
            )
    warn_of_overlap(options.stride, window)
    step = options.stride or window
    return {part: np.arange(start, stop - window, step) for part, (start, stop) in bounds.items()}


def _split(
    codes: NDArray[np.int16],
    steps: dict[str, NDArray[Any]],
    first: NDArray[np.int64],
    options: Text,
) -> Split:
    """The windows [N, W] that begin at some characters; one-hot vectors are made as they are read.

    Args:
        codes: of all R characters.
        steps: annotations of all R.
        first: the first characters [N].
        options: of the data.
    """
    count = int(codes.max()) + 1

    def windows(values: NDArray[Any], first: NDArray[np.int64]) -> NDArray[Any]:
        return windows_of(values[:, np.newaxis], first, options.window)[..., 0]

    read = windows(codes, first)
    x = Recoded(read, lambda rows: one_hot(rows, count), (*read.shape, count), np.dtype(np.int8))
    known = {name: windows(values, first) for name, values in steps.items()}
    return Split(x, windows(codes, first + 1), steps=known)
