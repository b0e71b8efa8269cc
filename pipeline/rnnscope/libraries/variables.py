"""Variables of the environment by which libraries compute otherwise, or cannot be imported."""

import contextlib
import functools
import importlib.metadata
import logging
import os
from collections.abc import Iterator

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

OF_LIBRARIES = (
    *("ARROW_", "DASK_", "JOBLIB_", "KERAS_", "LOKY_", "MPL", "NPY_", "NUMPY_", "OMP_", "PANDAS_"),
    *("SCIPY_", "SKLEARN_", "TF_", "TQDM_", "XLA_"),
)
"""How the names of libraries' variables begin."""

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


def refuse_other_tables() -> None:
    """Look at the variable by which pandas gives texts another type, in memory and in Parquet.

    Raises:
        UserError: it is set otherwise than pandas' own default.
    """
    name = "PANDAS_FUTURE_INFER_STRING"
    usual = int(importlib.metadata.version("pandas").partition(".")[0]) >= 3
    if name in os.environ and (os.environ[name] == "1") != usual:
        raise UserError(
            f"{name}={brief(os.environ[name])}: tables would have other types, under the same keys; "
            "unset it"
        )


def blamed(error: BaseException) -> str | None:
    """One line for an error that quotes the value of a library's variable; None for others."""
    said = str(error)
    found = [
        f"{name}={brief(value)}"
        for name, value in os.environ.items()
        if name.startswith(OF_LIBRARIES) and value and f"'{value}'" in said
    ]
    return f"{' or '.join(found)}: {brief(error, 200)}; unset it" if found else None


@contextlib.contextmanager
def blaming() -> Iterator[None]:
    """Name the variable that an error inside is about.

    Raises:
        UserError: an error that quotes its value.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if line := blamed(error):
            raise UserError(line) from error
        raise


@functools.cache
def _warn() -> None:
    """Name what changes rounding, once in a process."""
    found = [f"{name}={brief(os.environ[name])}" for name in ROUNDING if os.environ.get(name)]
    if found:
        log.warning(
            f"{', '.join(found)}: TensorFlow may round otherwise than without, under the same keys"
        )
