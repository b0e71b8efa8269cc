"""Small whole runs, one for each form of data that a page shows, and what their data is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.compose import FINISHED

LAYER = "<img src=x onerror=alert(1)>"
CLASSES = ("<b>bold</b>", "</script><script>alert(2)</script>", "=HYPERLINK(7 * 7) {{ 7 }}&amp;")
ANNOTATION = "<i>depth"
"""Names that a page must show as text."""
TOKENS = 20
"""Different tokens; 0 is padding."""
QUICK = (
    *("decoding.folds=2", "decoding.max_timesteps=2", "units.permutations=20"),
    *("ablation.max_sequences=20", "ablation.methods=[h_zero]", "train.steps=10"),
)


def mnist(folder: Path, slice_: Path) -> list[str]:
    """Pictures, in ten classes."""
    return ["data=mnist", f"data.path={slice_}", "model.units=6", *QUICK]


def tokens(folder: Path, slice_: Path) -> list[str]:
    """Tokens, of various lengths, in two classes."""
    import keras
    from keras import layers

    random = np.random.default_rng(0)
    n, t = 60, 10
    x = random.integers(1, TOKENS, (n, t))
    x[np.arange(t) >= random.integers(3, t + 1, n)[:, None]] = 0
    np.savez(folder / "tokens.npz", x_test=x, y_test=(x == 7).any(axis=1).astype(int))
    keras.utils.set_random_seed(0)
    read = keras.Input((t,))
    states = layers.LSTM(5, name="lstm")(layers.Embedding(TOKENS, 4, mask_zero=True)(read))
    _save(read, layers.Dense(2, "softmax")(states), folder / "tokens.keras")
    words = ["<pad>", *(f"w{token} " for token in range(1, TOKENS))]
    (folder / "words.json").write_text(json.dumps(words))
    return [*_files(folder, "tokens"), f"report.vocabulary={folder / 'words.json'}", *QUICK]


def markup(folder: Path, slice_: Path) -> list[str]:
    """States recorded elsewhere, of a layer, classes and an annotation named in markup."""
    random = np.random.default_rng(3)
    n, t = 45, 6
    y = np.array(CLASSES)[random.permutation(n) % len(CLASSES)]
    known: dict[str, Any] = {"y_test": y, f"{ANNOTATION}_test": random.integers(0, 9, (n, t))}
    np.savez(folder / "markup.npz", x_test=random.normal(size=(n, t, 2)), **known)
    states: dict[str, Any] = {
        f"{LAYER}/{name}": random.normal(size=(n, t, 3)).astype(np.float32) for name in "hc"
    }
    np.savez(folder / "states.npz", **states)
    words = ["model=states", f"model.path={folder / 'states.npz'}", "data=files"]
    words += [f"data.path={folder / 'markup.npz'}", f'data.annotations=["{ANNOTATION}"]']
    return [*words, *QUICK]


def series(folder: Path, slice_: Path) -> list[str]:
    """Series of various lengths with a number to predict at each timestep."""
    random = np.random.default_rng(1)
    n, t = 90, 12
    arrays: dict[str, Any] = {}
    for split in ("train", "test"):
        x = random.normal(size=(n, t, 2)).astype(np.float32)
        lengths = random.integers(4, t + 1, n)
        arrays |= {f"x_{split}": x, f"y_{split}": x[..., 0].cumsum(axis=1)}
        arrays |= {f"lengths_{split}": lengths}
    np.savez(folder / "series.npz", **arrays)
    words = ["data=files", f"data.path={folder / 'series.npz'}", "data.labels=timestep"]
    return [*words, "model=gru", "model.units=4", *QUICK]


def unlabelled(folder: Path, slice_: Path) -> list[str]:
    """Sequences of which nothing is known, read by two bidirectional layers."""
    import keras
    from keras import layers

    random = np.random.default_rng(2)
    np.savez(folder / "unlabelled.npz", x_test=random.normal(size=(40, 9, 3)).astype(np.float32))
    keras.utils.set_random_seed(0)
    read = keras.Input((9, 3))
    below = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="bidirectional")(read)
    states = layers.Bidirectional(layers.LSTM(3), name="bidirectional_1")(below)
    _save(read, layers.Dense(2)(states), folder / "unlabelled.keras")
    return [*_files(folder, "unlabelled"), *QUICK]


def digits(folder: Path, slice_: Path) -> list[str]:
    """The digits of the fixture ``finished_root``."""
    return list(FINISHED)


def needed(folder: Path, slice_: Path) -> list[str]:
    """Two layers of digits whose units were changed, at each timestep and from each on."""
    changes = ["intervention.max_sequences=40", "intervention.methods=[zero,patch]"]
    changes += ["intervention.windows=[each,onward,2:5]", "intervention.groups=['0+1']"]
    # Near chance there is no way to the donor's output that a patch could go.
    trained = [each for each in FINISHED if not each.startswith("train.steps")]
    return [*trained, "train.steps=400", "model.layers=2", *changes]


ASKED_FOR = {"needed": ("intervention",)}
"""The stages that run before that of the page, which does not run them."""
RUNS: dict[str, Callable[[Path, Path], list[str]]] = {
    each.__name__: each for each in (digits, mnist, tokens, series, unlabelled, markup, needed)
}
"""Name -> a function of a folder, in which it writes its data and its model, and of the file of
MNIST, which returns the overrides of the run."""


def _files(folder: Path, name: str) -> list[str]:
    path = folder / name
    return ["model=file", f"model.path={path}.keras", "data=files", f"data.path={path}.npz"]


def _save(x: Any, y: Any, path: Path) -> None:
    import keras

    keras.Model(x, y).save(path)
