"""The command line: compose the config, check it, hand it over. The only file that knows Hydra."""

import logging
import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import config, stages
from pipeline.errors import UserError
from pipeline.report import summary

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[1]
OmegaConf.register_new_resolver("project", lambda folder: str(PROJECT / folder))


@hydra.main(version_base="1.3", config_path=str(PROJECT / "conf"), config_name="config")
def job(raw: DictConfig) -> None:
    """One job: a run by itself, or one of a sweep."""
    single = HydraConfig.get().mode == RunMode.RUN
    try:
        checked = config.load(raw)
        checked.root = str(Path(checked.root).resolve())
        steps = stages.run(checked, single=single)
        if checked.mode != "plan":
            log.info(summary({step.stage.name: step.artefact.folder for step in steps}))
    except UserError as error:
        log.debug("", exc_info=True)
        if not single or _tracebacks_wanted:
            raise
        _fail(str(error))
    except Exception:
        logging.getLogger("traceback").exception("the job failed")
        raise


def main() -> None:
    """Run the command line; mistakes of the user's end as one line and exit status 2."""
    # Hydra prints its errors over several lines unless it is told to raise them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        job()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if _tracebacks_wanted:
            raise
        _fail(_one_line(error))
    except KeyboardInterrupt:
        sys.stderr.write("cellscope: stopped; the same command goes on from here\n")
        sys.exit(130)


_tracebacks_wanted = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")


def _one_line(error: BaseException) -> str:
    """What a mistake in the command line comes to."""
    match error:
        case MissingConfigException(missing_cfg_file=str(missing), options=options) if options:
            group, _, name = missing.rpartition("/")
            return f"{group}={name}: must be one of {', '.join(options)}"
        case OverrideParseException(override=override):
            return f"{override}: cannot be read; write key=value, odd values as \"key='value'\""
        case HydraException(__cause__=OmegaConfBaseException() as cause):
            return _one_line(cause)
        case OmegaConfBaseException(full_key=str(key), parent_node=DictConfig() as node):
            known = ", ".join(sorted(str(name) for name in node if name != "hydra"))
            return f"{key}: no such option; there is {known}"
        case _:
            return str(error)


def _fail(message: str) -> None:
    sys.stderr.write(f"cellscope: {' '.join(message.split())}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
