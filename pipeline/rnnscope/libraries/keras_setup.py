"""Keras' own settings: keras.json in its folder, and variables of the environment."""

import json
import os
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError, brief

SETTINGS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "nnx_enabled": False,
}
"""Entries of keras.json -> Keras' defaults. The backend is the command's choice."""
CUTS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
"""Variables that end training, validation and prediction before their end."""
_ELSE = "or set KERAS_HOME to an empty folder"


def refuse_keras() -> None:
    """Look at what Keras reads while it is imported.

    Raises:
        UserError: a setting with which the same config gives other results, or one that Keras
            cannot read.
    """
    for name in CUTS:
        if name in os.environ:
            raise UserError(
                f"{name}={brief(os.environ[name])}: Keras would end training or prediction early, "
                "under the same keys; unset it, and give train.steps"
            )
    if (given := os.environ.get("KERAS_NNX_ENABLED", "")).lower() in ("true", "1"):
        raise UserError(
            f"KERAS_NNX_ENABLED={given}: is of Keras on JAX, here it runs on TensorFlow; unset it"
        )
    path = _folder() / "keras.json"
    for name, value in _read(path).items():
        usual = SETTINGS.get(name)
        if usual is not None and (type(value) is not type(usual) or value != usual):
            raise UserError(
                f"{path}: sets {name} to {brief(value)}, with which the same keys would have other "
                f"results, or none; must be {json.dumps(usual)} there, {_ELSE}"
            )


def _folder() -> Path:
    """Where Keras looks."""
    if "KERAS_HOME" in os.environ:
        return Path(os.path.expanduser(os.environ["KERAS_HOME"]))  # noqa: PTH111 - may have no ~
    home = os.path.expanduser("~")  # noqa: PTH111
    return Path(home if os.access(home, os.W_OK) else "/tmp") / ".keras"


def _read(path: Path) -> dict[str, Any]:
    """The entries of keras.json; none where it is not there, or another process begins to write it.

    Raises:
        UserError: it is no JSON object.
    """
    if not os.path.exists(path):  # noqa: PTH110 - False where the folder may not be looked into
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text else {}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; remove it, {_ELSE}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({brief(error)}); remove it, {_ELSE}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: {brief(found)} is no JSON object; remove it, {_ELSE}")
    return found
