"""An interpreter whose processes begin with the libraries imported: each is a fork of one process.

Importing TensorFlow costs every process six seconds of a processor. ``interpreter()`` is a command
to be used in place of ``sys.executable``. A server (this module, run as a script) imports the
libraries, none of rnnscope, computes nothing, and forks for each process; the command
(tests/client.py) gives the server its words, environment, working folder and open files, passes on
the signals that it gets, and ends as the fork did. The fork runs a module, a script or the code
after ``-c`` as ``__main__`` and ends as an interpreter ends, but does not take itself apart. If the
command is killed, so is the fork; if whoever started the server is gone, so are the server and all
forks.

The command starts the real interpreter where the fork would differ: if variables that libraries
read while they are imported are not those of the server, and for options of the interpreter. What
is not as in a process of its own: the order of sets of texts is the server's, modules that
were imported stay so, and the fork is a child of the server, in a session of its own.
"""

import atexit
import contextlib
import functools
import gc
import io
import json
import multiprocessing.process
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    *("tensorflow", "keras", "numpy", "pandas", "pyarrow.parquet", "h5py", "threadpoolctl"),
    *("scipy.stats", "sklearn.linear_model", "hydra", "omegaconf", "joblib"),
)
CLIENT = Path(__file__).resolve().with_name("client.py")
COMMAND = "#!/bin/sh\nexec '{python}' -IS '{client}' '{folder}' '{python}' \"$@\"\n"
MOST = 1 << 17
"""Bytes of a command with its environment."""
QUIET = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
"""With which the libraries are imported; as rnnscope sets them itself before it does."""
ENVIRONMENT = dict(os.environ)
"""As it was when the tests were collected."""


@functools.cache
def interpreter() -> str:
    """The command; its server ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return str(stack.enter_context(served(Path(sys.executable), folder, ENVIRONMENT)))


@contextlib.contextmanager
def served(python: Path, folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """A command in place of ``python``, as long as the context is open.

    Args:
        python: the interpreter, whose packages the processes have.
        folder: for the command and the server's socket; it is removed in the end.
        environment: in which the libraries are imported.
    """
    environment = environment | QUIET
    command = folder / "python"
    command.write_text(COMMAND.format(python=python, client=CLIENT, folder=folder))
    command.chmod(0o755)
    with subprocess.Popen(
        [str(python), str(Path(__file__).resolve()), str(folder)],
        env=environment,
        stdin=subprocess.PIPE,  # whose end tells the server that this process is gone
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield command


def _serve(folder: Path) -> tuple[dict[str, Any], list[int]]:
    """Fork for each command; returns in the fork, with what the client has sent."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(folder / "server"))
    listening.listen(100)
    with contextlib.suppress(BrokenPipeError):  # whoever started this is gone already
        print("ready", flush=True)
    running: dict[int, tuple[int, socket.socket]] = {}
    """By a descriptor that tells of its end: the process, and its client."""
    while True:
        clients = {client.fileno(): ended for ended, (_, client) in running.items()}
        watched: list[Any] = [0, listening, *running, *clients]
        ready, _, _ = select.select(watched, [], [])
        if 0 in ready:
            _end(folder, [pid for pid, _ in running.values()])
        for number in ready:
            if number in clients:  # says a signal; nothing if it is gone
                pid, client = running[clients[number]]
                with contextlib.suppress(ConnectionResetError):
                    os.kill(pid, int(client.recv(100) or signal.SIGKILL))
        for number in ready:
            if number in running:
                pid, client = running.pop(number)
                os.close(number)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with client, contextlib.suppress(OSError):
                    client.send(str(status).encode())
        if listening in ready:
            client, _ = listening.accept()
            message, files, *_ = socket.recv_fds(client, MOST, 250)
            if not message:
                client.close()
                continue
            pid = os.fork()
            if not pid:
                for each in (listening, client, *(other for _, other in running.values())):
                    each.detach()  # closed with all others of the server
                return json.loads(message), files
            for number in files:
                os.close(number)
            running[os.pidfd_open(pid)] = pid, client


def _end(folder: Path, pids: list[int]) -> NoReturn:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _become(about: dict[str, Any], files: list[int]) -> None:
    """Be a new process with these words, environment, folder, files and signals."""
    os.setsid()  # signals come by way of the client
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if about["ignores"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    high = 1 + max([400, *about["files"], *files])
    for number in files:
        os.dup2(number, high + number)
    os.closerange(0, high)
    for number, wanted in zip(files, about["files"], strict=True):
        os.dup2(high + number, wanted)
        os.close(high + number)
    os.umask(about["umask"])
    os.environ.clear()
    os.environ.update(about["environment"])
    os.chdir(about["folder"])
    # What modules took from the process that imported them.
    multiprocessing.process.ORIGINAL_DIR = about["folder"]  # type: ignore[attr-defined]
    multiprocessing.process.current_process().authkey = os.urandom(32)
    tempfile.tempdir = None
    sys.modules["numpy"].random.seed()  # random itself does so after a fork
    plain = about["unbuffered"] or bool(os.environ.get("PYTHONUNBUFFERED"))
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=os.isatty(1), write_through=plain)
    _limit_threads()


def _limit_threads() -> None:
    """Heed variables that tell how many threads may compute, which were not so at the import."""
    from threadpoolctl import ThreadpoolController

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if (count := os.environ.get(name, "")).isdigit():
            ThreadpoolController().limit(limits=int(count))


def _run(words: list[str]) -> None:
    """Run a module after -m, the code after -c, or a script, as an interpreter would."""
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = __builtins__
    safe = bool(os.environ.get("PYTHONSAFEPATH"))
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[:0] = [] if safe else [str(Path.cwd())]
        runpy._run_module_as_main(words[1])  # type: ignore[attr-defined]
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path[:0] = [] if safe else [""]
        exec(compile(words[1], "<string>", "exec"), vars(main))
    else:
        sys.argv = words
        sys.path[:0] = [] if safe else [str(Path(words[0]).resolve().parent)]
        runpy.run_path(words[0], run_name="__main__")


def _end_with(run: Callable[[], None]) -> NoReturn:
    """End as an interpreter does after its main module, in all that others see."""
    status = 0
    try:
        run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except Exception:
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status & 0xFF)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Leave out what TensorFlow prints while it is imported."""
    heard, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(heard, 2)
        os.close(heard)
        os.close(nowhere)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    del sys.path[0]  # the folder of this file
    place = Path(sys.argv[1])
    sys.executable = str(place / "python")  # for the processes that a fork starts
    before = dict(os.environ)
    with _silent():
        for each in LIBRARIES:
            __import__(each)  # some set variables
    (place / "environments").write_text(json.dumps([before, dict(os.environ)]))
    gc.freeze()  # what no fork then has to look through, nor the system to copy
    said, received = _serve(place)
    _become(said, received)
    _end_with(functools.partial(_run, said["words"]))
