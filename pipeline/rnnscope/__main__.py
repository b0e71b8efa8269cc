"""The command line: Hydra's main function; a user's mistake is one line and exit status 2."""

import importlib.metadata
import os
import sys

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from rnnscope.config import CONF
from rnnscope.config.mistakes import before_the_task, one_line, usage_in_one_line
from rnnscope.errors import UserError
from rnnscope.sweep.task import task

command_line = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)


def main() -> None:
    """Run the command line."""
    if "--version" in sys.argv[1:]:
        print(f"rnnscope {importlib.metadata.version('rnnscope')}")
        return
    show_traceback = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    # Hydra prints its errors over several lines unless it is told to raise them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with usage_in_one_line():
            command_line()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if show_traceback:
            raise
        _stop(one_line(error, sys.argv[1:]))
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        if show_traceback and end.__cause__:
            raise end.__cause__ from None
        _stop(end.code)
    except Exception as error:
        if show_traceback or not before_the_task(error):
            raise
        _stop(one_line(error, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.stderr.write("rnnscope: interrupted; run the same command again to resume\n")
        sys.exit(130)


def _stop(message: str) -> None:
    sys.stderr.write(f"rnnscope: {' '.join(message.split())}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
