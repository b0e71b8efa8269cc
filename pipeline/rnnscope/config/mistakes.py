"""A mistake in the command line in one line, from what Hydra and OmegaConf raise."""

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError


def one_line(error: BaseException) -> str:
    """What is wrong, where, and as far as the error tells, what would be right."""
    match error:
        case MissingConfigException(missing_cfg_file="hydra/launcher/submitit_slurm"):
            return (
                "hydra/launcher=slurm: needs the extra slurm; "
                "install it with .venv/bin/python -m pip install -c requirements.lock -e '.[slurm]'"
            )
        case MissingConfigException(missing_cfg_file=str(missing), options=options) if options:
            group, _, name = missing.rpartition("/")
            return f"{group}={name}: must be one of {', '.join(options)}"
        case OverrideParseException(override=override):
            return f"{override}: cannot be read; write key=value, odd values as \"key='value'\""
        case HydraException(__cause__=OmegaConfBaseException() as cause):
            return one_line(cause)
        case ValidationError(full_key=str(key)):
            return f"{key}: {str(error).splitlines()[0]}"
        case OmegaConfBaseException(full_key=str(key), parent_node=DictConfig() as node):
            known = ", ".join(sorted(map(str, {*node} - {"hydra", "_target_"})))
            return f"{key}: no such option; there is {known}"
        case _:
            return " ".join(str(error).split())
