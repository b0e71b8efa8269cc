"""Many commands in little time: a process that has imported everything forks one for each.

    python -m tests.torture.forks      reads commands from standard input, a line of JSON each

A start with TensorFlow takes three seconds, and there are hundreds of hostile inputs. Nothing but
the imports is shared: each command begins as it would by itself.
"""

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.torture.command import Ended


@dataclass(frozen=True)
class Measured:
    """How a forked command ended, and what it took."""

    ended: Ended
    seconds: float
    memory: int
    """The largest resident memory in bytes, beyond that of the imports."""


class Forks:
    """Processes that fork commands, each one at a time."""

    def __init__(self, count: int) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.torture.forks"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for each in self._processes:
            self._idle.put(each)

    def run(self, words: list[str], folder: Path, within: float) -> Measured:
        """``rnnscope <words>`` with ``folder`` as its working folder."""
        request = {"words": words, "folder": str(folder), "within": within}
        process = self._idle.get()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        said = json.loads(process.stdout.readline())
        self._idle.put(process)
        out, err = (folder / name for name in (".out", ".err"))
        ended = Ended(said["code"], _text(out), _text(err))
        return Measured(ended, said["seconds"], said["memory"])

    def close(self) -> None:
        """End the processes."""
        for each in self._processes:
            assert each.stdin
            each.stdin.close()
            each.wait()


@contextlib.contextmanager
def opened(count: int = 2) -> Iterator[Forks]:
    """``count`` processes that fork commands while the context is open."""
    forks = Forks(count)
    try:
        yield forks
    finally:
        forks.close()


def _text(file: Path) -> str:
    text = file.read_text(errors="replace")
    file.unlink()
    return text


def _serve() -> None:
    from rnnscope import __main__, stages  # noqa: F401
    from rnnscope.terminal import without_greeting

    with without_greeting():
        import rnnscope.analysis.ablation.stage
        import rnnscope.analysis.fixed_points.stage
        import rnnscope.extract.stage
        import rnnscope.train  # noqa: F401
    imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if not child:
            _command(request["words"], Path(request["folder"]))
        overdue = threading.Timer(request["within"], os.kill, (child, signal.SIGKILL))
        overdue.start()
        _, status, usage = os.wait4(child, 0)
        overdue.cancel()
        said = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": time.monotonic() - started,
            "memory": max(0, usage.ru_maxrss - imports) * 1024,
        }
        print(json.dumps(said), flush=True)


def _command(words: list[str], folder: Path) -> None:
    """Become the command; never returns."""
    os.setsid()
    os.chdir(folder)
    for name, descriptor in ((".out", 1), (".err", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["rnnscope", *words]
    code = 1
    try:
        from rnnscope.__main__ import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
