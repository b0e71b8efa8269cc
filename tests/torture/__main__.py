"""Break rnnscope on purpose, and count what it survived.

    python -m tests.torture                    everything; an hour or so on two cores
    python -m tests.torture --only damage      the chapters whose name holds a word
    python -m tests.torture --tries 5          fewer tries of each fault
    python -m tests.torture --write            put the table into tests/torture/README.md

Every try is a real command in processes of its own, in a folder of its own. Status 1 if anything
was lost or wrong, or ended in a traceback.
"""

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rnnscope.terminal import bar
from tests.torture import base, crashes, damage, inputs, large, power, together, world
from tests.torture.base import Base
from tests.torture.faults import HEADER, Fault, Outcome, Tally

Chapter = Callable[[Base, int], Iterator[Fault]]
CHAPTERS: dict[str, Chapter] = {
    "crashes": crashes.faults,
    "power": power.faults,
    "damage": damage.faults,
    "together": together.faults,
    "world": world.faults,
    "inputs": inputs.faults,
    "large": large.faults,
}
TABLE = Path(__file__).with_name("README.md")


def main() -> None:
    """Run the chapters; print the table, and what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--only", default="", help="chapters whose name holds this")
    parser.add_argument("--tries", type=int, default=50, help="of each fault drawn at random")
    parser.add_argument("--jobs", type=int, default=2, help="tries at a time")
    parser.add_argument("--write", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    chapters = [chapter for name, chapter in CHAPTERS.items() if options.only in name]
    if not chapters:
        parser.error(f"--only {options.only}: there are {', '.join(CHAPTERS)}")
    started = time.monotonic()
    tallies = []
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory(prefix="rnnscope-torture-") as scratch:
        whole = base.make(Path(scratch) / "base")
        for chapter in chapters:
            for fault in chapter(whole, options.tries):
                tallies.append(_tried(fault, Path(scratch), options.jobs))
                print(tallies[-1].line(), flush=True)
    details = [detail for tally in tallies for detail in tally.details]
    print(f"\n{time.monotonic() - started:,.0f} s", *details, sep="\n")
    if options.write:
        _write(tallies)
    sys.exit(bool(details))


def _tried(fault: Fault, scratch: Path, jobs: int) -> Tally:
    """Make all tries of a fault."""
    tally = Tally(fault.name)
    with ThreadPoolExecutor(1 if fault.alone else jobs) as pool:
        outcomes = pool.map(functools.partial(_one, scratch), fault.tries)
        with bar(total=len(fault.tries), desc=fault.name, unit="try") as progress:
            for outcome in outcomes:
                tally.counts[outcome.verdict] += fault.each
                if outcome.detail:
                    tally.details.append(f"{fault.name}: {outcome.verdict}: {outcome.detail}")
                progress.update()
    return tally


def _one(scratch: Path, attempt: Callable[[Path], Outcome]) -> Outcome:
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        return attempt(Path(folder))


def _write(tallies: list[Tally]) -> None:
    """Replace the rows of these faults in the table, and keep the others."""
    text = TABLE.read_text()
    head, _, rest = text.partition(HEADER)
    rows = {line.split("|")[1].strip(): line for line in rest.strip().splitlines()}
    rows |= {tally.fault: tally.line() for tally in tallies}
    TABLE.write_text(f"{head}{HEADER}\n" + "\n".join(rows.values()) + "\n")


if __name__ == "__main__":
    main()
