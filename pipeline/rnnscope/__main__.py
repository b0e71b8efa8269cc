"""The command line: Hydra's main function; a user's mistake is one line and exit status 2."""

import importlib.metadata
import os
import sys
from pathlib import Path

import hydra

from rnnscope import streams
from rnnscope.config import CONF
from rnnscope.config.mistakes import one_line
from rnnscope.errors import shortened
from rnnscope.sweep.composing import guarded
from rnnscope.sweep.task import task

command_line = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)


def main() -> None:
    """Run the command line."""
    streams.protect()
    # For processes that this one starts too: no modules of the working folder, no other backend.
    os.environ |= {"PYTHONSAFEPATH": "1", "KERAS_BACKEND": "tensorflow"}
    status, message = _run()
    if message := message or streams.missing():
        status = status or 1
        sys.stderr.write(f"rnnscope: {shortened(' '.join(message.split()))}\n")
    if status:
        streams.leave(status)


def _run() -> tuple[int, str | None]:
    """Run the command line; the exit status, and a line that says why."""
    if "--version" in sys.argv[1:]:
        print(f"rnnscope {importlib.metadata.version('rnnscope')}")
        return 0, None
    show_traceback = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints its errors, over several lines
    roots: list[Path] = []
    try:
        with guarded(sys.argv[1:]) as roots:
            command_line()
        return 0, None
    except KeyboardInterrupt:
        return 130, "interrupted; run the same command again to resume"
    except SystemExit as end:
        if show_traceback and end.__cause__:
            return streams.shown(end.__cause__)
        status = getattr(end.__cause__, "status", 2)
        return (status, end.code) if isinstance(end.code, str) else (int(end.code or 0), None)
    except Exception as error:
        line = one_line(error, sys.argv[1:], roots[-1] if roots else None)
        if show_traceback or line is None:
            return streams.shown(error)
        return getattr(error, "status", 2), line


if __name__ == "__main__":
    main()
