"""Variables of the environment by which TensorFlow computes otherwise."""

import functools
import logging
import os

from rnnscope.errors import UserError, brief
from rnnscope.libraries.keras_setup import refuse_keras

PRECISION = (
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "TF_SET_ONEDNN_FPMATH_MODE",
)
"""Variables that let oneDNN multiply float32 as bfloat16 or float16."""
ROUNDING = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "NVIDIA_TF32_OVERRIDE",
)
"""Variables that choose between ways to compute the same, which round otherwise."""

log = logging.getLogger(__name__)


def prepare() -> None:
    """Look at the settings of TensorFlow and Keras, before they are imported.

    Raises:
        UserError: one with which the same config gives other results.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    refuse_keras()
    for name in PRECISION:
        if os.environ.get(name, "").lower() not in ("", "strict"):
            raise UserError(
                f"{name}={brief(os.environ[name])}: products would be less exact than float32, "
                "under the same keys; unset it"
            )
    if os.environ.get("TF2_BEHAVIOR", "1") == "0":
        raise UserError("TF2_BEHAVIOR=0: Keras needs TensorFlow 2 as it is; unset it")
    _warn()


@functools.cache
def _warn() -> None:
    """Name what changes rounding, once in a process."""
    found = [f"{name}={brief(os.environ[name])}" for name in ROUNDING if os.environ.get(name)]
    if found:
        log.warning(
            f"{', '.join(found)}: TensorFlow may round otherwise than without, under the same keys"
        )
