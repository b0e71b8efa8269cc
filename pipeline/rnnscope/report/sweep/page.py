"""The page of all collected runs: what it shows, and the template that shows it."""

from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rnnscope.report.sweep import SWEEP, commands, listing, metrics, similarity
from rnnscope.report.sweep.axes import REPEATS, RUN, Axis, axes
from rnnscope.report.sweep.collected import Collected, page_of
from rnnscope.report.sweep.metrics import OverUnits
from rnnscope.report.sweep.timescales import Timescales
from rnnscope.store.runs import Run

HERE = Path(__file__).parent
SCRIPTS = ("drawing.js", "values.js", "timescales.js", "similarity.js", "runs.js")
"""In their order: each uses what those before it declare."""


def write(
    collected: Collected, compared: Path | None, wanted: str | list[str] | None, folder: Path
) -> None:
    """Write the page into ``folder``; its bytes depend on the arguments alone.

    Args:
        collected: the runs.
        compared: folder of the finished stage compare of some of them; None if there is none.
        wanted: the option collect.runs.
        folder: two folders below the root, as the runs' own pages are.
    """
    text = template().render(gather(collected, compared, wanted))
    (folder / SWEEP).write_text(text, encoding="utf-8")


def gather(
    collected: Collected, compared: Path | None, wanted: str | list[str] | None
) -> dict[str, Any]:
    """Everything the template shows, by name. Units are read one run at a time."""
    over, timescales = OverUnits(len(collected.runs)), Timescales()
    for number, run in enumerate(collected.runs):
        units = metrics.units_of(run)
        over.add(number, units)
        timescales.add(number, units)
    along = axes(collected)
    found = similarity.read(compared, collected)
    shown = metrics.known(iter([*metrics.of_runs(collected), *over.metrics()]))
    distributions = timescales.series(along[0])
    columns = listing.columns(collected)
    return {
        "count": len(collected.runs),
        "options": [_option(each) for each in along if each.name != RUN],
        "origins": origins(collected.runs),
        "commands": [
            *commands.sweep(collected.runs),
            *([found["command"]] if "command" in found else []),
            commands.collect(wanted),
        ],
        "rows": listing.rows(collected),
        "columns": columns,
        "metrics": len(shown),
        "timescales": distributions,
        "by": along[0].name,
        "similarity": found,
        "data": {
            "runs": [{"name": run.name, "href": page_of(run)} for run in collected.runs],
            "axes": [_axis(each) for each in along],
            "repeats": REPEATS,
            "metrics": shown,
            "timescales": distributions,
            "similarity": found,
            "columns": columns,
            "csv": listing.as_csv(collected.frame),
        },
    }


def _option(axis: Axis) -> dict[str, Any]:
    """An option's values, with the number of runs that have each."""
    counts = Counter(axis.of_runs)
    values = [(axis.label(place), counts[place]) for place in axis.places]
    return {"name": axis.name, "values": values}


def _axis(axis: Axis) -> dict[str, Any]:
    return {"name": axis.name, "kind": axis.kind, "values": axis.of_runs, "labels": axis.labels}


def origins(runs: list[Run]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Where the runs come from: kinds of origin, with the number of runs of each, most first."""
    found = {
        "data": Counter(_option_of(run, "data") for run in runs),
        "model": Counter(_option_of(run, "model") for run in runs),
        "commit": Counter(_commit(run) for run in runs),
        "host": Counter(str(run.stages["units"].manifest.get("host", "unknown")) for run in runs),
    }
    return [
        (name, sorted(of.items(), key=lambda each: (-each[1], each[0])))
        for name, of in found.items()
    ]


def _option_of(run: Run, group: str) -> str:
    """The kind of data or of model, with its file where it has one."""
    config = run.config
    path = config.get(f"{group}.path")
    name = str(config.get(f"{group}.name", "unknown"))
    return f"{name} {path}" if path else name


def _commit(run: Run) -> str:
    """The commit in short by which its units were measured, and whether files had changed."""
    manifest = run.stages["units"].manifest
    commit = manifest.get("git_commit")
    if commit is None:
        return "none"
    return f"{commit[:10]}{', with changes' if manifest.get('git_dirty') else ''}"


def template() -> jinja2.Template:
    """The page's template; it escapes all values."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    styles = (HERE.parent / "page" / "page.css", HERE / "sweep.css")
    environment.globals["css"] = Markup("\n".join(each.read_text("utf-8") for each in styles))
    scripts = [(HERE / name).read_text("utf-8") for name in SCRIPTS]
    environment.globals["js"] = Markup("\n".join(scripts))
    return environment.get_template("sweep.html.j2")
