"""Well-formed brackets, drawn evenly from all words of a length that are no deeper than a bound."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Dyck
from rnnscope.data.dataset import Dataset
from rnnscope.data.tasks.sequences import Made, Recipe, dataset_of, one_hot

BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
NAMES = ("round", "square", "curly", "angle")
START, END = "^", "$"

Int = NDArray[np.integer]
Float = NDArray[np.float64]


def load_dyck(options: Dyck) -> Dataset:
    """Sequences of up to ``length`` + 1 timesteps, a feature per symbol that may be read.

    The classes of timesteps are the symbols that may come next.
    """
    brackets = tuple(symbol for pair in BRACKETS[: options.types] for symbol in pair)
    pairs = options.length // 2
    ways = ways_of(2 * pairs, min(options.max_depth, pairs))

    def lengths(numbers: Float) -> NDArray[np.int32]:
        """Of the words [B], even and at least 2."""
        return 2 + 2 * (numbers[:, 0] * pairs).astype(np.int32)

    def make(numbers: Float) -> Made:
        return _made(_words(numbers[:, 1:], lengths(numbers), ways, options.types), options.types)

    # A number decides whether a bracket opens, and of the same number what is left its type.
    recipe = Recipe(1 + 2 * pairs, make, lambda numbers: lengths(numbers) + 1)
    return dataset_of(options, recipe, classes=(*brackets, END), symbols=(START, *brackets))


def ways_of(length: int, deepest: int) -> Float:
    """How many ways there are to close all brackets [L + 1, D + 1]: by brackets left and depth.

    Each row is relative to its largest value, as the numbers themselves soon pass all bounds.
    """
    ways = np.zeros((length + 1, deepest + 1))
    ways[0, 0] = 1
    for left in range(1, length + 1):
        before = ways[left - 1]
        ways[left, :-1] += before[1:]
        ways[left, 1:] += before[:-1]
        ways[left] /= ways[left].max()
    return ways


def _words(numbers: Float, lengths: Int, ways: Float, types: int) -> NDArray[np.int16]:
    """Brackets [B, L] as 2 · type, and 2 · type + 1 where they close; −1 beyond a word's length.

    A bracket opens with the share of the words from here on that go on with an open one.

    Args:
        numbers: evenly from (0, 1), one for each bracket [B, L].
        lengths: of the words [B].
        ways: as ``ways_of`` gives them.
        types: of brackets.
    """
    count, longest = numbers.shape
    deepest = ways.shape[1] - 1
    words = np.full((count, longest), -1, np.int16)
    depth = np.zeros(count, np.int64)
    opened = np.zeros((count, deepest + 1), np.int16)  # types of the open brackets, by depth
    every = np.arange(count)
    for place in range(int(lengths.max(initial=0))):
        here = place < lengths
        left = np.maximum(lengths - place - 1, 0)
        up = np.where(depth < deepest, ways[left, np.minimum(depth + 1, deepest)], 0)
        down = np.where(depth > 0, ways[left, np.maximum(depth - 1, 0)], 0)
        opening = up / np.where(here, up + down, 1)
        number = numbers[:, place]
        opens = here & (number < opening)
        closes = here & ~opens
        kind = (number / np.where(opens, opening, 1) * types).astype(np.int16).clip(max=types - 1)
        depth += opens
        opened[every[opens], depth[opens]] = kind[opens]
        words[opens, place] = 2 * kind[opens]
        words[closes, place] = 2 * opened[every[closes], depth[closes]] + 1
        depth -= closes
    return words


def _made(words: NDArray[np.int16], types: int) -> Made:
    """The sequences of some words [B, L], each with the start before it and the end behind."""
    count, longest = words.shape
    valid = np.ones((count, longest + 1), bool)
    valid[:, 1:] = words >= 0
    read = np.zeros((count, longest + 1), np.int16)
    read[:, 1:] = words + 1  # 0 is the start
    following = np.full((count, longest + 1), 2 * types, np.int16)
    following[:, :-1] = np.where(words >= 0, words, 2 * types)
    change = np.where(words < 0, 0, 1 - 2 * (words % 2))
    depth = np.zeros((count, longest + 1), np.int32)
    np.cumsum(change, axis=1, out=depth[:, 1:])
    steps = {
        "depth": depth,
        "position": np.broadcast_to(np.arange(longest + 1, dtype=np.int32), depth.shape),
    }
    if types > 1:
        top = _innermost(words, depth)
        steps |= {f"top_{name}": top == kind for kind, name in enumerate(NAMES[:types])}
    x = one_hot(np.where(valid, read, -1), 1 + 2 * types)
    return Made(x, following, steps)


def _innermost(words: NDArray[np.int16], depth: NDArray[np.int32]) -> NDArray[np.int16]:
    """The type of the innermost open bracket at each timestep [B, L + 1]; −1 where none is open."""
    count, longest = words.shape
    top = np.full((count, longest + 1), -1, np.int16)
    opened = np.full((count, int(depth.max(initial=0)) + 1), -1, np.int16)
    every = np.arange(count)
    for place in range(longest):
        word, now = words[:, place], depth[:, place + 1]
        opens = (word >= 0) & (word % 2 == 0)
        opened[every[opens], now[opens]] = word[opens] // 2
        top[:, place + 1] = opened[every, now]
    return top
