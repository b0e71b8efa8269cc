"""Does the instrument measure right? Networks whose inner workings are known, as a table.

    python -m tests.proof                     one seed; minutes on two cores
    python -m tests.proof --seeds 5           the trained networks from five seeds
    python -m tests.proof --only flipflop     the tasks whose name holds a word

Each network goes through the pipeline as a user's would, by the command. Status 1 if a check fails.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.proof import trained, written
from tests.proof.checks import HEADER, Check

WRITTEN: dict[str, Callable[[Path], Iterator[Check]]] = {
    "ar1": written.ar1,
    "tanh": written.tanh,
    "mahto": written.mahto,
    "lagged": written.lagged,
}
"""Networks whose weights are written down."""
TRAINED: dict[str, Callable[[Path, int], Iterator[Check]]] = {
    "anbn": trained.anbn,
    "dyck": trained.dyck,
    "flipflop": trained.flipflop,
    "delay": trained.delay,
}
"""Networks that are trained, from a seed."""


def main() -> None:
    """Run the checks, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    parser.add_argument("--seeds", type=int, default=1, help="of the trained networks, from 0")
    options = parser.parse_args()
    names = [name for name in (*WRITTEN, *TRAINED) if options.only in name]
    if not names:
        parser.error(f"--only {options.only}: there are {', '.join((*WRITTEN, *TRAINED))}")
    started = time.monotonic()
    print(HEADER, flush=True)
    failed = 0
    for name in names:
        for seed in range(options.seeds) if name in TRAINED else (None,):
            with tempfile.TemporaryDirectory(prefix="rnnscope-proof-") as root:
                checks = (
                    WRITTEN[name](Path(root)) if seed is None else TRAINED[name](Path(root), seed)
                )
                try:
                    for check in checks:
                        print(check.line(), flush=True)
                        failed += not check.passed
                except ChildProcessError as error:
                    print(error, file=sys.stderr)
                    print(f"| {name} | a run of the pipeline failed | | | | FAIL |", flush=True)
                    failed += 1
    print(f"\n{failed or 'no'} failed; {time.monotonic() - started:,.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
