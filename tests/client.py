"""Stands for an interpreter: has a server (tests/forks.py) fork a process, and ends as it did.

python -IS client.py <folder of the server> <real interpreter> <words of the interpreter>
"""

import json
import os
import signal
import socket
import sys
from typing import NoReturn

FORWARDED = ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "CONT")
AT_IMPORT = (
    *("PYTHON", "TF_", "TF2_", "XLA_", "KERAS_", "CUDA_", "ONEDNN_", "DNNL_", "NVIDIA_", "NPY_"),
    *("OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_", "PANDAS_", "ARROW_", "SCIPY_", "SKLEARN_"),
    *("JOBLIB_", "LOKY_", "HYDRA_PLUGINS", "LD_", "LC_", "LANG", "HOME"),
)
"""How the names of variables begin that are read while libraries are imported."""
LATER = {
    *("PYTHONUNBUFFERED", "PYTHONSAFEPATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    *("TF_FORCE_GPU_ALLOW_GROWTH",),
}
"""Variables of these that the fork heeds, or that TensorFlow reads when it first computes."""
SET_BY_RNNSCOPE = {"KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL"}
"""Variables of these that may be missing."""


def main(folder: str, python: str, words: list[str]) -> NoReturn:
    """Never returns."""
    listed = map(int, os.listdir("/proc/self/fd"))  # noqa: PTH208 - pathlib takes its time
    files = [number for number in listed if _open(number)]
    unbuffered = words[:1] == ["-u"]
    run = words[unbuffered:]
    if not {0, 1, 2} <= set(files) or not _forkable(run) or not _as_imported(folder):
        os.execv(python, [python, *words])
    try:
        where = os.getcwd()  # noqa: PTH109
    except OSError:  # it is gone
        os.execv(python, [python, *words])
    umask = os.umask(0)
    os.umask(umask)
    about = {
        "words": run,
        "unbuffered": unbuffered,
        "folder": where,
        "environment": dict(os.environ),
        "files": files,
        "umask": umask,
        "ignores": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    }
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(f"{folder}/server")
    socket.send_fds(server, [json.dumps(about).encode()], files)
    for name in FORWARDED:
        number = signal.Signals[f"SIG{name}"]
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _say(server, number))
    said = server.recv(100)
    if not said:
        sys.stderr.write("the server of forks is gone\n")
        os._exit(1)
    status = int(said)
    if status < 0:
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _say(server: socket.socket, number: int) -> None:
    server.send(str(number).encode())


def _open(number: int) -> bool:
    """Whether it is a descriptor that this process has; that of listing them is closed."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _forkable(words: list[str]) -> bool:
    """Whether a process is started as the server can, and is worth it."""
    if words[:1] not in (["-c"], ["-m"]):
        return bool(words) and not words[0].startswith("-")
    return len(words) > 1 and "resource_tracker" not in words[1]


def _as_imported(folder: str) -> bool:
    """Whether libraries would be imported with the same variables as by the server."""
    with open(f"{folder}/environments") as file:  # noqa: PTH123
        before, after = json.load(file)
    now = dict(os.environ)
    heeded = LATER | (SET_BY_RNNSCOPE - now.keys())
    return all(
        name in heeded or now.get(name) in (before.get(name), after.get(name))
        for name in now.keys() | after.keys()
        if name.startswith(AT_IMPORT)
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
