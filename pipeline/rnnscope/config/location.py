"""Where this installation has its configs, and where it writes by default."""

from pathlib import Path

from omegaconf import OmegaConf

PACKAGE = Path(__file__).resolve().parents[1]
CLONE = None if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1]
"""The clone that this runs from; None if installed from a wheel, which contains conf/."""
CONF = (CLONE or PACKAGE) / "conf"


def outputs() -> Path:
    """The default root: beside pyproject.toml in a clone, elsewhere in the working folder."""
    return (CLONE or Path.cwd()) / "outputs"


def installing(extra: str) -> str:
    """The command that adds one of the optional parts to this installation."""
    if CLONE:
        return f".venv/bin/python -m pip install -c requirements.lock -e '.[{extra}]'"
    return f"python -m pip install 'rnnscope[{extra}]'"


# Here, so that every process that reads a config can resolve ``root: ${outputs:}``, and --help
# names the reference of options of this installation.
OmegaConf.register_new_resolver("outputs", lambda: str(outputs()), replace=True)
OmegaConf.register_new_resolver("conf", lambda name: str(CONF / name), replace=True)
