"""The end of stage extract: its tables from the rows of all parts, and nothing else left over.

The notes are needed until everything else is written. They then go in one step, so that a run that
is killed at any moment finds either all of them or none.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rnnscope.extract import notes
from rnnscope.extract.notes import PARTS, Note, Part
from rnnscope.store import atomic, parquet
from rnnscope.store.atomic import remove
from rnnscope.store.contents import Content, Digesting
from rnnscope.store.tables import Nulls, Table, table_file

ROW_GROUP = 2**25
"""Fewest bytes of a row group but the last."""


def finish(
    folder: Path,
    parts: Sequence[Part],
    done: Sequence[Note],
    tables: Mapping[Table, Mapping[bytes, bytes]],
) -> tuple[dict[str, Content], dict[str, Nulls]]:
    """Write the tables and remove whatever is not part of the artefact.

    Args:
        folder: of the artefact, with all parts recorded.
        parts: all of them.
        done: the note of each.
        tables: the tables to write, and what the schema of each is to say besides.

    Returns:
        The contents of the folder by name, and the nulls of each table by its name.
    """
    states = {name: each for note in done for name, each in note.contents.items()}
    contents = {name: each for name, each in states.items() if not name.startswith(f"{PARTS}/")}
    nulls = {}
    for table, said in tables.items():
        name = table_file(folder, table.name).name
        contents[name], nulls[table.name] = join(folder, parts, table, said)
    remove(folder / PARTS)
    keep_only(folder, contents)
    return contents, nulls


def join(
    folder: Path, parts: Sequence[Part], table: Table, said: Mapping[bytes, bytes] | None = None
) -> tuple[Content, Nulls]:
    """Write a table from the rows of all parts, in their order, as a stream.

    Args:
        folder: where the parts are, and the table will be.
        parts: all of them.
        table: its declaration.
        said: what its schema is to say besides.

    Returns:
        The file's content and the table's nulls.
    """
    file = table_file(folder, table.name)
    rows = [notes.rows_file(folder, part, file.name) for part in parts]
    schema = parquet.schema(rows[0])
    schema = schema.with_metadata({**(schema.metadata or {}), **(said or {})})
    nulls: Nulls = Counter()
    with atomic.written(file) as unfinished, unfinished.open("wb") as opened:
        digesting = Digesting(opened)
        with pq.ParquetWriter(digesting, schema, write_page_checksum=True) as writer:
            waiting: list[pa.Table] = []
            for path in rows:
                waiting.append(parquet.read(path).cast(schema))
                nulls += table.nulls(waiting[-1], waiting[-1].to_pandas())
                if sum(each.nbytes for each in waiting) >= ROW_GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
    return digesting.content, nulls


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Delete every file below a folder but these, and every folder without any of them."""
    kept = set(names)
    for path in sorted(folder.rglob("*"), reverse=True):  # what lies in a folder before the folder
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in kept:
            path.unlink()
