"""Networks that are trained on tasks whose solution is known from the literature."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope import read_states
from tests.proof.checks import Check, run, table

TRAINED = 30
"""Largest n of aⁿbⁿ in training."""
MEMORIES = 8
ALL = ("decoding.max_timesteps=40",)
HELD = 20
"""A timestep at which every value has been shown."""
DELAYED = 19
"""A timestep in the delay of every sequence: every value has been shown, and no cue."""
UNITS = 32
"""Of the network that holds a value."""
FINAL = -1
"""What stands for the final step of each sequence, its cue."""


def anbn(root: Path, seed: int) -> Iterator[Check]:
    """An LSTM that reads aⁿbⁿ counts in its cell state."""
    run(root, "experiment=counting", "stage=units", f"seed={seed}", f"data.max_n={TRAINED}")
    units = table(root, "units", "units")
    best = _largest(root, "count")
    source = "Weiss, Goldberg & Yahav 2018"
    yield Check(
        _of("anbn", seed),
        "a unit of c follows the count: r, in absolute value",
        source,
        "> 0.99",
        f"{best['c']:.4f}",
        best["c"] > 0.99,
    )
    yield Check(
        _of("anbn", seed),
        "h follows it less well: the largest r of h",
        source,
        f"< {best['c']:.4f}, that of c",
        f"{best['h']:.4f}",
        best["h"] < best["c"],
    )
    top = units.loc[units["best_correlation"].abs().idxmax()]
    yield Check(
        _of("anbn", seed),
        "sorted by the size of best_correlation, the unit table begins with",
        source,
        "c and count",
        f"{top['signal']} and {top['best_covariate']}",
        (top["signal"], top["best_covariate"]) == ("c", "count"),
    )
    steps = table(root, "extract", "steps")
    longest = _recognised(steps)
    yield Check(
        _of("anbn", seed),
        f"aⁿbⁿ is recognised beyond training, n ≤ {TRAINED}: every n up to",
        source,
        f"> {TRAINED}",
        str(longest),
        longest > TRAINED,
    )


def dyck(root: Path, seed: int) -> Iterator[Check]:
    """One counter suffices for brackets of one type."""
    run(root, "experiment=dyck", "stage=units", f"seed={seed}")
    best = _largest(root, "depth")
    yield Check(
        _of("dyck", seed),
        "a unit of c follows the depth of brackets: r, in absolute value",
        "Suzgun et al. 2019",
        "> 0.95",
        f"{best['c']:.4f}",
        best["c"] > 0.95,
    )


def flipflop(root: Path, seed: int) -> Iterator[Check]:
    """Three bits are held at eight stable fixed points, one for each memory."""
    run(root, "experiment=flipflop", "stage=fixed_points", f"seed={seed}")
    points = table(root, "fixed_points", "fixed_points")
    stable = points.query("kind == 'fixed' and stability == 'stable'")
    source = "Sussillo & Barak 2013"
    yield Check(
        _of("flipflop", seed),
        "stable fixed points of a 3-bit memory",
        source,
        str(MEMORIES),
        str(len(stable)),
        len(stable) == MEMORIES,
    )
    memories = stable["nearest_memory"].nunique()
    yield Check(
        _of("flipflop", seed),
        "memories whose states lie nearest to one of them",
        source,
        str(MEMORIES),
        str(memories),
        memories == MEMORIES,
    )


def delay(root: Path, seed: int) -> Iterator[Check]:
    """A value is decoded at the cue, and through the delay by the decoder of any timestep of it."""
    run(root, "experiment=memory", "stage=decoding", f"seed={seed}", "decoding.signals=[h]", *ALL)
    scores = table(root, "decoding", "decoding").query("target == 'value'")
    own = scores[scores["train_timestep"] == scores["test_timestep"]].set_index("test_timestep")
    at_cue = own["score"][FINAL]
    yield Check(
        _of("delay", seed),
        "the value is decoded from h at the cue: held-out R²",
        "Fuster & Alexander 1971",
        "> 0.95",
        f"{at_cue:.3f}",
        bool(at_cue > 0.95),
    )
    half = own["sequences"][FINAL] / 2
    last = int(own.index[own["sequences"].gt(half) & (own.index != FINAL)].max())
    delayed = scores.query("@HELD <= train_timestep <= @last and @HELD <= test_timestep <= @last")
    least = delayed["score"].min()
    yield Check(
        _of("delay", seed),
        f"its code is stable: the least R² of any decoder at any timestep from {HELD} to {last}, "
        "which half of the sequences reach",
        "Murray et al. 2017",
        "> 0.9",
        f"{least:.3f}",
        bool(least > 0.9),
    )
    yield from _patched(root, seed)


def _patched(root: Path, seed: int) -> Iterator[Check]:
    """In the delay, the answer is that of the memory: of whose it is, and not of its times."""
    all_of_c = "+".join(map(str, range(UNITS)))
    every = f"intervention.groups=[{all_of_c}]"
    window = f"intervention.windows=[{DELAYED}:{DELAYED + 1}]"
    what = "stage=intervention", "intervention.units=[]", "intervention.states=[c]", every, window
    how = "intervention.methods=[patch]", "intervention.decoded=[value]", "decoding.signals=[c]"
    at = f"decoding.timesteps={DELAYED}:{DELAYED + 1}"
    run(root, "experiment=memory", f"seed={seed}", *what, *how, at)
    patched = table(root, "intervention", "intervention").set_index("target")["recovery"]
    whole, pattern = patched[all_of_c], patched["pattern value"]
    yield Check(
        _of("delay", seed),
        f"c patched from a sequence of another value at timestep {DELAYED}, in the delay of all: "
        "how far the answer moves to that value, of 1",
        "Geiger et al. 2021",
        "> 0.95",
        f"{whole:.3f}",
        bool(whole > 0.95),
    )
    yield Check(
        _of("delay", seed),
        "the same, of c along the one direction in which it varies with the decoded value",
        "Haufe et al. 2014",
        "> 0.75",
        f"{pattern:.3f}",
        bool(pattern > 0.75),
    )
    (root / "few").mkdir()
    trained = root / "latest" / "train" / "model.keras"
    np.savez(root / "few.npz", **_of_few_values())
    few = "model=file", f"model.path={trained}", "data=files", f"data.path={root / 'few.npz'}"
    run(root / "few", *few, *what, "intervention.methods=[patch]")
    control = table(root / "few", "intervention", "intervention").set_index("method")["recovery"]
    yield Check(
        _of("delay", seed),
        "control: c patched from a sequence of the same value, shown at another timestep",
        "Geiger et al. 2021",
        f"within 0.05 of 0; of another value > 0.9: {control['patch']:.3f}",
        f"{control['patch_same']:.3f}",
        bool(abs(control["patch_same"]) < 0.05 and control["patch"] > 0.9),
    )


def _of_few_values() -> dict[str, Any]:
    """Test sequences of the task of four values alone, with the value's number as their class."""
    random, count, length = np.random.default_rng(0), 400, DELAYED + 21
    y = np.arange(count) % 4
    shown = random.integers(0, DELAYED + 1, count)
    cue = random.integers(np.maximum(shown + 20, DELAYED + 1), length)
    x = np.zeros((count, length, 2), np.float32)
    x[np.arange(count), shown, 0] = np.array([-0.75, -0.25, 0.25, 0.75])[y]
    x[np.arange(count), cue, 1] = 1
    return {"x_test": x, "y_test": y.astype(np.int32), "lengths_test": cue + 1}


def _largest(root: Path, annotation: str) -> dict[str, float]:
    """The largest |r| with an annotation, over the units of h and of c, from the states."""
    known = table(root, "extract", "steps")[["sequence", "timestep", annotation]]
    found = {}
    for signal in ("h", "c"):
        states = read_states(root / "latest" / "extract", signal)
        both = states.merge(known, on=["sequence", "timestep"])
        units = both.filter(regex=rf"^{signal}_\d+$")
        found[signal] = float(units.corrwith(both[annotation]).abs().max())
    return found


def _recognised(steps: pd.DataFrame) -> int:
    """The largest n up to which every test sequence aⁿbⁿ is predicted right from its first b on."""
    told = steps[steps["phase"] == 2]
    right = told.groupby("sequence")["correct"].all()
    n = steps.groupby("sequence")["count"].max()[right.index]
    first_wrong = n[~right].min()  # NaN where none is
    return int(n[~(n >= first_wrong)].to_numpy().max(initial=0))


def _of(task: str, seed: int) -> str:
    return f"{task}, seed {seed}"
