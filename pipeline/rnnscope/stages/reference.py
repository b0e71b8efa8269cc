"""The references of all tables and options, made from their declarations: ``make reference``."""

from collections.abc import Iterator
from importlib import import_module

from rnnscope.config.location import CLONE
from rnnscope.config.reference import options
from rnnscope.extract.columns import STATES
from rnnscope.stages.table import COLLECTED, OVER_RUNS, STAGES
from rnnscope.store.tables import Column, Table

INTRODUCTION = """\
# The tables

Every stage writes its tables as Parquet into `outputs/<stage>/<run>-<key>/`, beside a
`_manifest.json` that says what they were made from. `outputs/latest/<stage>` leads to the newest.
The columns `layer`, `signal`, `unit` and `timestep` join them.

A value that does not exist for the data at hand is null; the manifest counts the nulls of each
table by column and reason. Every statistic has its formula and source in the docstring of the
function that computes it.

This file is made from the declarations of the columns, by `make reference`.
"""


COLLECTION = f"""\
### {", ".join(f"`{name}`" for name in COLLECTED)}

The tables of these stages of all runs below each other, each row preceded by `run` and by the
options that differ between the runs.

### `sweep.html`

No table but a page over all runs, which opens from disk: any score, cost or median over units
against any option that differs, the timescales of units, the similarity of runs where stage
`compare` has measured it, and the runs with links to their own pages.
"""


def tables() -> str:
    """The reference of all tables, in Markdown."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for stage in (*STAGES.values(), *OVER_RUNS.values()):
        if stage.tables:
            yield f"## {stage.name}\n"
            for table in import_module(stage.module).TABLES:
                yield from _section(table)
            if stage.name == "extract":
                yield from _section(STATES)
            if stage.name == "collect":
                yield COLLECTION


def _section(table: Table) -> Iterator[str]:
    yield f"### `{table.name}`\n\nOne row per {table.rows}.\n"
    yield "| column | meaning | null |"
    yield "|---|---|---|"
    yield from (
        f"| `{column.name}` | {_meaning(column)} | {_nulls(column)} |" for column in table.columns
    )
    yield ""


def _meaning(column: Column) -> str:
    source = f" ({column.source})" if column.source else ""
    return _escaped(f"{column.meaning.rstrip('.')}{source}")


def _nulls(column: Column) -> str:
    return _escaped("; ".join(null.why for null in column.nulls))


def _escaped(text: str) -> str:
    """A text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write both references into the clone."""
    assert CLONE is not None, "references are written in a clone"
    (CLONE / "outputs" / "README.md").write_text(tables(), encoding="utf-8")
    (CLONE / "conf" / "README.md").write_text(options(), encoding="utf-8")


if __name__ == "__main__":
    main()
