"""The page: what is read from the finished stages, and the template that shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from rnnscope import figures, store
from rnnscope.config import Config
from rnnscope.figures import gates as gates_over_time
from rnnscope.figures import heat_maps
from rnnscope.figures.sequences import draw_lengths
from rnnscope.figures.tables import GATES
from rnnscope.report import (
    ablation,
    analyses,
    commands,
    fixed_points,
    outcome,
    over_time,
    provenance,
    table,
    timescales,
)
from rnnscope.report.drawing import inline
from rnnscope.report.explorer import contents
from rnnscope.report.over_time import OverTime
from rnnscope.states.signals import open_signal
from rnnscope.store import parquet

HERE = Path(__file__).parent / "page"
SCRIPTS = (
    *("format", "arrays", "colours", "input", "table", "grid", "maps", "list", "states"),
    *("match", "chart", "unit", "gates", "paths", "effects", "main"),
)
"""The page's scripts in the order in which each uses those before it."""
STATES = {"c": "cell state", "h": "hidden state"}
"""Signals shown unit by unit, with their names; of each layer the first that it has."""
LISTED = 3
"""Of up to so many layers each one's number of signals is said."""


def gather(config: Config, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Everything the template shows, by name; it depends on the inputs and the data alone.

    Args:
        config: the run's config, for its data, and the threads that read states.
        inputs: the artefacts of the earlier stages.
    """
    manifests = {stage: store.read_manifest(folder) for stage, folder in inputs.items()}
    extract = manifests["extract"]
    recorded = inputs["extract"]
    classes = [str(name) for name in extract.get("classes", [])]
    found = outcome.read(recorded)
    units = parquet.frame(inputs["units"] / "units.parquet")
    reran = "ablation" in inputs  # states that were recorded elsewhere have no model to rerun
    shown = units
    if reran:
        shown = ablation.with_changes(units, inputs["ablation"], manifests["ablation"])
    backward = _backward(recorded, extract)
    explored = contents.gather(config, inputs, extract)
    sections = {
        "slug": provenance.slug(recorded),
        "data": extract["slice"]["data"],
        "ablation": ablation.by_unit(inputs["ablation"]) if reran else [],
        "paths": analyses.paths(inputs["population"], classes, backward),
    }
    return {
        "explored": explored.meta | sections,
        "arrays": Markup(explored.blob),  # base64: nothing in it needs escaping
        "sequences_shown": len(explored.chosen),
        "command": commands.command(manifests.values(), before=_asked_for(inputs)),
        "slug": provenance.slug(recorded),
        "model": extract["slice"]["model"]["name"],
        "data": extract["slice"]["data"]["name"],
        "headline": extract["headline"],
        "states_bytes": extract["states_bytes"],
        "units": len(units[["layer", "unit"]].drop_duplicates()),
        "units_note": _of_layers(units),
        "lengths": (int(found.lengths.index.min()), int(found.lengths.index.max())),
        "proof": provenance.proof(extract),
        "training": _training(inputs, manifests),
        "accuracy": None if found.pairs is None else outcome.accuracy(found.pairs, classes),
        "over_time": _over_time(inputs, extract["layers"], units, found),
        "population": analyses.population(
            inputs["population"], manifests["population"], classes, backward
        ),
        "decoding": analyses.decoding(
            inputs["decoding"], manifests["decoding"], _timesteps_of_maps(explored.meta)
        ),
        "changes": explored.meta.get("effects"),
        "memory": analyses.memory(inputs["decoding"], manifests["decoding"]),
        "effects": analyses.effects(inputs["units"]),
        "fixed_points": _points(inputs, manifests, classes, backward),
        "ablation": ablation.section(inputs["ablation"], manifests["ablation"]) if reran else None,
        "timescales": timescales.summary(units),
        "table": table.contents(shown, classes),
        "options": provenance.options(manifests),
        "made": provenance.made(manifests, inputs),
        "packages": provenance.packages(manifests),
    }


def _points(
    inputs: Mapping[str, Path],
    manifests: provenance.Manifests,
    classes: list[str],
    backward: list[str],
) -> dict[str, Any] | None:
    """The section of fixed points; None where there is no model to search."""
    if "fixed_points" not in inputs:
        return None
    folder, manifest = inputs["fixed_points"], manifests["fixed_points"]
    return fixed_points.section(folder, manifest, inputs["population"], classes, backward)


def _asked_for(inputs: Mapping[str, Path]) -> list[str]:
    """The stages of the run that stage report does not run."""
    return [name for name in ("intervention",) if name in inputs]


def _timesteps_of_maps(meta: Mapping[str, Any]) -> dict[str, int]:
    """T of each layer that has a map of effects, by its name."""
    return {each["layer"]: each["timesteps"] for each in meta.get("effects", {}).get("maps", [])}


def _backward(recorded: Path, extract: Mapping[str, Any]) -> list[str]:
    """The layers that read their input backwards."""
    first = {layer: signals[0] for layer, signals in extract["layers"].items() if signals}
    return [layer for layer, name in first.items() if open_signal(recorded, layer, name).backward]


def _of_layers(units: pd.DataFrame) -> str:
    """How many layers the units are of, and how many signals each has."""
    pairs = units[["layer", "signal"]].drop_duplicates()
    signals = pairs.groupby("layer", observed=True, sort=False).size().to_list()
    layers = "1 layer" if len(signals) == 1 else f"{len(signals)} layers"
    if len(set(signals)) == 1:
        return f"{layers} \N{MULTIPLICATION SIGN} {signals[0]} signals"
    if len(signals) <= LISTED:
        return f"{layers} of {' + '.join(map(str, signals))} signals"
    return f"{layers} of {min(signals)} to {max(signals)} signals"


def _training(inputs: Mapping[str, Path], manifests: provenance.Manifests) -> dict[str, Any]:
    """The training curves, or why there are none."""
    if manifests["extract"].get("no_proof"):
        return {
            "curves": [],
            "why": "The states were recorded elsewhere; no model was trained here.",
        }
    if "train" not in inputs:
        return {"curves": [], "why": "The model came from a file; this run did not train it."}
    history = parquet.frame(inputs["train"] / "history.parquet")
    numeric = "squared error" in manifests["extract"]["headline"]
    step = manifests["extract"]["slice"]["extract"].get("checkpoint")
    labels = {
        "loss": "mean squared error" if numeric else "cross-entropy loss, nats",
        "accuracy": "accuracy, share of sequences",
    }
    curves = [
        inline(
            figures.training_curve(history, quantity, label=label, step=step),
            f"training-{quantity}",
        )
        for quantity, label in labels.items()
        if quantity in history and len(history)
    ]
    why = "" if curves else "The network is untrained: no optimizer steps were taken."
    batch = manifests["train"]["slice"]["train"]["batch_size"]
    return {
        "curves": curves,
        "why": why,
        "validated": "val_loss" in history,
        "batch": batch,
        "recorded": step,
        "steps": int(history["step"].max()) if len(history) else 0,
    }


def _over_time(
    inputs: Mapping[str, Path],
    layers: Mapping[str, list[str]],
    units: pd.DataFrame,
    found: outcome.Outcome,
) -> dict[str, Any]:
    """For each layer the heat map of its state and the curves of its gates.

    Means come from stage units where it measured the signal, and else from the states.
    """
    timesteps = int(found.lengths.index.max())
    measured = set(zip(units["layer"], units["signal"], strict=True))

    def means(layer: str, signal: str) -> OverTime:
        if (layer, signal) in measured:
            return over_time.from_tuning(inputs["units"], layer, signal, timesteps)
        return over_time.from_states(open_signal(inputs["extract"], layer, signal), timesteps)

    states = {
        layer: signal
        for layer, signals in layers.items()
        if (signal := next((name for name in STATES if name in signals), None))
    }
    sums = {layer: means(layer, signal) for layer, signal in states.items()}
    entries = []
    for number, (layer, signal) in enumerate(states.items()):
        order = over_time.by_peak(sums[layer].mean)
        limit = heat_maps.limit(sums[layer].mean)
        drawn = heat_maps.draw(sums[layer], order, f"mean {signal} over sequences")
        gates = {gate: means(layer, gate) for gate in GATES if gate in layers[layer]}
        entries.append(
            {
                "layer": layer,
                "signal": signal,
                "word": STATES[signal],
                "order": [sums[layer].units[place] for place in order],
                "heat_map": inline(drawn, f"states-{number}"),
                "gates": inline(gates_over_time.draw(gates), f"gates-{number}") if gates else None,
                "clipped": bool(np.nanmax(np.abs(sums[layer].mean)) > limit),
            }
        )
    return {
        "layers": entries,
        "run": -(-timesteps // heat_maps.COLUMNS),
        "reaching": inline(draw_lengths(found.lengths), "reaching")
        if len(found.lengths) > 1
        else None,
    }


def template() -> jinja2.Template:
    """The page's template; it escapes all values but the markup made here."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(bytes=_bytes, count=_count, percent=_percent, duration=_duration)
    environment.filters.update(tau=_tau, p=_p, score=_score)
    environment.globals["page_css"] = Markup((HERE / "page.css").read_text("utf-8"))
    scripts = ((HERE / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    environment.globals["page_js"] = Markup("\n".join(scripts))
    return environment.get_template("page.html.j2")


def _bytes(size: int) -> str:
    """A size with its unit: 3.8 MB, in powers of ten."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def _count(number: int) -> str:
    return f"{number:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _tau(timesteps: float) -> str:
    """A timescale in three digits; ∞ where it is not bounded, – where there is none."""
    if timesteps != timesteps:
        return "\N{EN DASH}"
    return "\N{INFINITY}" if timesteps == float("inf") else f"{timesteps:.3g}"


def _score(score: float) -> str:
    """Three decimals, – where there is none."""
    return "\N{EN DASH}" if score != score else f"{score:.3f}".replace("-", "\N{MINUS SIGN}")


def _p(probability: float) -> str:
    """A p- or q-value; below 1e-12 no more than that, as no test's assumptions hold so far out."""
    if probability != probability:
        return "\N{EN DASH}"
    if probability < 1e-12:
        return "< 1e\N{MINUS SIGN}12"
    return f"{probability:.0e}" if probability < 0.001 else f"{probability:.3f}"


def _duration(seconds: float) -> str:
    """A time with its unit: 0.761 s, 6.1 s, 12 min 05 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
