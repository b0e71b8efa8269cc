"""Variables of the environment by which libraries compute otherwise, or cannot be imported."""

import contextlib
import functools
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
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "OPENBLAS_CORETYPE",
)
"""Variables that choose between ways to compute the same, which round otherwise."""

PANDAS = (("PANDAS_FUTURE", "default"), ("PANDAS_FUTURE_INFER_STRING", "1"))
"""What pandas does without a variable; others change the types of tables, also in Parquet."""
OF_LIBRARIES = (
    *("ARROW_", "DASK_", "JOBLIB_", "KERAS_", "LOKY_", "MPL", "NPY_", "NUMPY_", "OMP_", "PANDAS_"),
    *("SCIPY_", "SKLEARN_", "TF_", "TQDM_", "XLA_"),
)
"""How the names of libraries' variables begin."""
OURS = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
"""Variables that are set here."""

log = logging.getLogger(__name__)


def prepare(*, tensorflow: bool = True) -> None:
    """Look at the settings of libraries, of TensorFlow and Keras before they are imported.

    Args:
        tensorflow: whether these two will be.

    Raises:
        UserError: one with which the same config gives other results.
    """
    for name, value in os.environ.items():
        if name.startswith("PANDAS_FUTURE") and (name, value) not in PANDAS:
            raise UserError(
                f"{name}={brief(value)}: tables would have other types, under the same keys; "
                "unset it"
            )
    if tensorflow:
        _refuse_tensorflow()
    _warn()


def _refuse_tensorflow() -> None:
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


def blamed(error: BaseException) -> str | None:
    """One line for a value that a library cannot read, if it is that of a library's variable.

    None for other errors: of another type, or about a number, which may be anything.
    """
    if not isinstance(error, ValueError | TypeError):
        return None
    said = str(error)
    found = [
        f"{name}={brief(value)}"
        for name, value in os.environ.items()
        if name.startswith(OF_LIBRARIES) and name not in OURS
        if len(value) > 2 and not value.replace(".", "").isdigit() and f"'{value}'" in said
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
            f"{', '.join(found)}: results may be rounded otherwise than without, under the same key"
        )
