"""The command line: Hydra's main function; a user's mistake is one line and exit status 2."""

import importlib.metadata
import os
import sys
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from rnnscope import streams
from rnnscope.config import CONF
from rnnscope.config.mistakes import one_line
from rnnscope.errors import UserError, shortened
from rnnscope.sweep.composing import guarded
from rnnscope.sweep.task import task
from rnnscope.trouble import explained

command_line = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)


def main() -> None:
    """Run the command line."""
    streams.protect()
    # In Python's processes that this one starts, the working folder is not on the path either.
    os.environ["PYTHONSAFEPATH"] = "1"
    status = _status()
    if (lost := streams.missing()) is not None:
        sys.stderr.write(f"rnnscope: {lost}; what was printed is incomplete, the log file is not\n")
        status = status or 1
    if status:
        sys.exit(status)


def _status() -> int:
    """Run the command line; the exit status."""
    if "--version" in sys.argv[1:]:
        print(f"rnnscope {importlib.metadata.version('rnnscope')}")
        return 0
    show_traceback = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    # Hydra prints its errors over several lines unless it is told to raise them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        Path.cwd()
    except OSError as error:
        return _said(f"the working folder is gone ({error.strerror}); go to another with cd")
    if any(word.startswith("--experimental-rerun") for word in sys.argv[1:]):
        return _said("--experimental-rerun: not run, since it reads a pickle; repeat the overrides")
    roots: list[Path] = []
    try:
        with guarded() as roots:
            command_line()
        return 0
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if show_traceback:
            raise
        return _said(one_line(error))
    except SystemExit as end:
        if not isinstance(end.code, str):
            return int(end.code or 0)
        if show_traceback and end.__cause__:
            raise end.__cause__ from None
        return _said(end.code)
    except KeyboardInterrupt:
        return _said("interrupted; run the same command again to resume", 130)
    except Exception as error:
        line = explained(error, roots[-1] if roots else None)
        if show_traceback or line is None:
            raise
        return _said(line)


def _said(message: str, status: int = 2) -> int:
    """Say in one line why the command ends; the exit status."""
    sys.stderr.write(f"rnnscope: {shortened(' '.join(message.split()))}\n")
    return status


if __name__ == "__main__":
    main()
