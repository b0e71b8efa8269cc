"""One-line messages for mistakes in the command line, from the errors of Hydra and OmegaConf."""

from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError

from rnnscope.config.loading import no_such_option
from rnnscope.config.location import installing
from rnnscope.errors import UserError
from rnnscope.trouble import explained


def one_line(error: BaseException, root: Path | None = None) -> str | None:
    """What is wrong and where, and if the error tells, what would be right.

    Args:
        error: what ended the command.
        root: folder to which everything is written, as far as it is known.

    Returns:
        None for an error that is neither the user's nor the machine's.
    """
    match error:
        case MissingConfigException(missing_cfg_file="hydra/launcher/submitit_slurm"):
            return f"hydra/launcher=slurm: needs the extra slurm: {installing('slurm')}"
        case MissingConfigException(missing_cfg_file=str(missing), options=options) if options:
            group, _, name = missing.rpartition("/")
            return f"{group}={name}: must be one of {', '.join(options)}"
        case OverrideParseException(override=override):
            return f"{override}: cannot be parsed; write key=value or \"key='value'\""
        case HydraException(__cause__=OmegaConfBaseException() as cause):
            return one_line(cause)
        case ValidationError(full_key=str(key)):
            return f"{key}: {str(error).splitlines()[0]}"
        case OmegaConfBaseException(full_key=str(key), parent_node=DictConfig() as node):
            return no_such_option(key, {*map(str, node)} - {"hydra", "_target_"})
        case UserError() | HydraException() | OmegaConfBaseException():
            return " ".join(str(error).split())
        case _:
            return explained(error, root)
