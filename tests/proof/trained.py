"""Networks that are trained on tasks whose solution is known from the literature."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from tests.proof.checks import Check, run, table

MEMORIES = 8
HELD = 20
"""A timestep at which every value has been shown."""
INPUTS = ("fixed_points.inputs=[zeros]", "fixed_points.starts=500")


def anbn(root: Path, seed: int) -> Iterator[Check]:
    """An LSTM that reads aⁿbⁿ counts in its cell state."""
    run(root, "experiment=counting", "stage=units", f"seed={seed}")
    units = table(root, "units", "units")
    best = _best(units, "count")
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
    top = units.loc[units["best_correlation"].abs().idxmax(), "signal"]
    yield Check(
        _of("anbn", seed),
        "sorted by the size of best_correlation, the unit table begins with a unit of c",
        source,
        "c",
        str(top),
        top == "c",
    )
    steps = table(root, "extract", "steps")
    longest, trained = _recognised(steps), 30
    yield Check(
        _of("anbn", seed),
        f"aⁿbⁿ is recognised beyond training, n ≤ {trained}: every n up to",
        source,
        f"> {trained}",
        str(longest),
        longest > trained,
    )


def dyck(root: Path, seed: int) -> Iterator[Check]:
    """One counter suffices for brackets of one type."""
    run(root, "experiment=dyck", "stage=units", f"seed={seed}")
    best = _best(table(root, "units", "units"), "depth")
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
    run(root, "experiment=flipflop", "stage=fixed_points", f"seed={seed}", *INPUTS)
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
    run(root, "experiment=memory", "stage=decoding", f"seed={seed}", "decoding.signals=[h]")
    scores = table(root, "decoding", "decoding").query("target == 'value'")
    cue = int(scores["test_timestep"].max())
    at_cue = scores[scores["test_timestep"] == cue].set_index("train_timestep")["score"]
    source = "Fuster & Alexander 1971"
    yield Check(
        _of("delay", seed),
        "the value is decoded from h at the cue: held-out R²",
        source,
        "> 0.95",
        f"{at_cue[cue]:.3f}",
        bool(at_cue[cue] > 0.95),
    )
    delayed = scores.query("@HELD <= train_timestep < @cue and @HELD <= test_timestep < @cue")
    least = delayed["score"].min()
    yield Check(
        _of("delay", seed),
        f"its code is stable: the least R² of any decoder at any timestep from {HELD} to {cue - 1}",
        "Murray et al. 2017",
        "> 0.9",
        f"{least:.3f}",
        bool(least > 0.9),
    )


def _best(units: pd.DataFrame, covariate: str) -> dict[str, float]:
    """The largest |r| with an annotation, over the units of each signal."""
    rows = units[units["best_covariate"] == covariate]
    best = rows["best_correlation"].abs().groupby(rows["signal"].astype(str)).max()
    return {signal: float(best.get(signal, 0.0)) for signal in ("h", "c")}


def _recognised(steps: pd.DataFrame) -> int:
    """The largest n up to which every test sequence aⁿbⁿ is predicted right from its first b on."""
    told = steps[steps["phase"] == 2]
    right = told.groupby("sequence")["correct"].all()
    n = steps.groupby("sequence")["count"].max()[right.index]
    wrong = n[~right]
    return int(n.max() if wrong.empty else n[n < wrong.min()].max())


def _of(task: str, seed: int) -> str:
    return f"{task}, seed {seed}"
