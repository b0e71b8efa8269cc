"""Commands in processes that begin with the libraries imported: each is a fork of one process.

Importing TensorFlow costs every process six seconds of a processor. A pair of programs saves them:
the server (this module, run as a script) imports libraries, none of rnnscope, computes nothing, and
forks for each command; ``CLIENT``, written as a command, gives the server its words, environment,
working folder and open files, and ends as the fork did. The fork runs the command's own script, or
the code after ``-c``, as ``__main__`` and ends as an interpreter ends.
"""

import contextlib
import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIBRARIES = ("tensorflow", "keras", "pandas", "pyarrow.parquet", "sklearn.linear_model", "h5py")
CLIENT = """#!{python} -IS
import json, os, socket, sys

about = {{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({address!r})
socket.send_fds(server, [json.dumps(about).encode()], [0, 1, 2])
status = server.recv(100)
sys.exit(int(status) if status else "the server is gone")
"""
MOST = 1 << 17
"""Bytes of a command with its environment."""


@contextlib.contextmanager
def served(
    python: Path, address: Path, script: Path, environment: dict[str, str]
) -> Iterator[Path]:
    """A command in place of ``python``: ``<command> <words>`` is ``script``, or ``-c <code>``.

    Args:
        python: the interpreter, whose packages the commands have.
        address: of the server's socket, to be made; the command stands beside it.
        script: what is run unless the first word is ``-c``.
        environment: in which the libraries are imported.
    """
    words = [str(python), str(Path(__file__).resolve()), str(address), str(script)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            command = address.with_suffix(".command")
            command.write_text(CLIENT.format(python=python, address=str(address)))
            command.chmod(0o755)
            yield command
        finally:
            server.kill()


def _serve(address: str) -> dict[str, Any]:
    """Fork for each command; returns in the fork, with what the client has sent."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address)
    listening.listen()
    print("ready", flush=True)
    while True:
        client, _ = listening.accept()
        message, files, *_ = socket.recv_fds(client, MOST, 3)
        pid = os.fork()
        if not pid:
            break
        for file in files:
            os.close(file)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with client, contextlib.suppress(OSError):  # one that is gone
            client.send(str(status if status >= 0 else 128 - status).encode())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    client.close()
    listening.close()
    found: dict[str, Any] = json.loads(message)
    return found


def _become(words: list[str], folder: str, environment: dict[str, str], script: str) -> None:
    """Run the script with these words, or the code after -c, as an interpreter would."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if words[:1] == ["-c"]:
        sys.argv = words[:1] + words[2:]
        sys.path[0] = ""
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(words[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = [script, *words]
        sys.path[0] = str(Path(script).parent)
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    for each in LIBRARIES:
        __import__(each)
    gc.freeze()  # what no fork then has to look through, nor the system to copy
    _become(**_serve(sys.argv[1]), script=sys.argv[2])
