"""One-line messages for mistakes in the command line, from the errors of Hydra and OmegaConf."""

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError

from rnnscope.config.loading import no_such_option
from rnnscope.config.location import installing


def one_line(error: BaseException) -> str:
    """What is wrong and where, and if the error tells, what would be right."""
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
        case _:
            return " ".join(str(error).split())
