"""The line for each kind of trouble; what is printed; which paths are paths."""

import errno
import io
import logging
import os
import sys
import types
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from rnnscope import streams
from rnnscope.config.paths import path_of, root_of
from rnnscope.errors import LINE, UserError, shortened
from rnnscope.sweep.composing import allowed
from rnnscope.trouble import explained, told

ROOT = Path("/r/outputs")


class ResourceExhaustedError(Exception):
    """As TensorFlow's, by its module."""


ResourceExhaustedError.__module__ = "tensorflow.python.framework.errors_impl"


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ["no space left", "root="]),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ["quota", "root="]),
        (OSError(errno.EROFS, "ro", "/r/outputs/x"), ["/r/outputs/x", "read-only", "root="]),
        (OSError(errno.EACCES, "no", "/data/x.npz"), ["/data/x.npz", "permission", "can be read"]),
        (OSError(errno.ENAMETOOLONG, "long", "/r/outputs/x"), ["too long"]),
        (OSError(errno.EMFILE, "many"), ["too many open files", "ulimit -n"]),
        (OSError(errno.ESTALE, "Stale", "/r/outputs/x"), ["does not answer", "Stale", "resumes"]),
        (OSError(errno.EIO, "Input/output error"), ["does not answer", "resumes"]),
        (OSError(errno.EFBIG, "File too large"), ["ulimit -f"]),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ["no memory left", "extract.part_rows"]),
        (MemoryError("Unable to allocate 9 GiB"), ["no memory left", "9 GiB"]),
        (RuntimeError("std::bad_alloc"), ["no memory left"]),
        (ResourceExhaustedError("OOM when allocating"), ["no memory left"]),
        (ResourceExhaustedError("x.keras; No space left on device"), ["no space left"]),
        (RuntimeError("Unable to close file (errno = 28, error message"), ["no space left"]),
        (OSError("[Errno 28] Error writing bytes to file"), ["no space left"]),
        (ImportError("x.so: failed to map segment from shared object"), ["no memory left"]),
        (RuntimeError("can't start new thread"), ["ulimit -u"]),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found"), ["TMPDIR"]),
        (FileNotFoundError(errno.ENOENT, "No such file", "/r/outputs/x"), ["/r/outputs/x"]),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/r/outputs/.x", None, "/r/y"),
            ["/r/y: a file where a folder is needed"],
        ),
    ],
    ids=str,
)
def test_trouble_of_the_machine_has_a_line(error: Exception, parts: list[str]) -> None:
    line = explained(error, ROOT)
    assert line is not None
    for part in parts:
        assert part in line


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("errno = 28"), OSError("not Parquet")])
def test_any_other_error_has_none(error: Exception) -> None:
    assert explained(error, ROOT) is None


def test_what_fails_while_a_full_disk_is_handled_is_that_of_the_disk() -> None:
    def close() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise ValueError("the archive is open")

    with (
        pytest.raises(UserError, match=r"^extract: /r/outputs: no space left"),
        told("extract", ROOT),
    ):
        close()


def test_an_error_after_a_missing_file_keeps_its_own_name() -> None:
    def look() -> None:
        try:
            Path("/dev/null/none").read_bytes()
        except NotADirectoryError:
            raise KeyError("a bug")  # noqa: B904

    with pytest.raises(KeyError), told("extract", ROOT):
        look()


@pytest.mark.parametrize("how", ["raise SystemExit(0)", "import os; os._exit(0)"])
def test_code_that_exits_is_named(how: str) -> None:
    module = types.ModuleType("mine")
    with pytest.raises(UserError, match=r"extract: the module mine ended the run"), told("extract"):
        exec(how, vars(module))
    assert os._exit is not None
    assert os._exit.__module__ != "rnnscope.trouble"


def test_submitit_may_end_a_job_to_queue_it_again() -> None:
    module = types.ModuleType("submitit.core.job_environment")
    with pytest.raises(SystemExit), told("extract"):
        exec("raise SystemExit(-1)", vars(module))


@pytest.mark.parametrize("text", ["\x1b]0;x\x07", "\r", "\x9b2J", "a\u202eb", "\x7f", "\u2066"])
def test_nothing_printed_commands_a_terminal(text: str) -> None:
    shown = streams.printable(f"a\n\té{text}")
    assert shown.startswith("a\n\té\\") or shown.startswith("a\n\téa\\")
    assert all(each.isprintable() for each in shown if each not in "\n\t")
    record = logging.LogRecord("x", 20, "f", 1, text, None, None)
    assert streams.Printable(None).format(record) == streams.printable(text)


def test_a_stream_outlasts_its_reader(tmp_path: Path) -> None:
    read, write = os.pipe()
    screen = streams.Screen(write, io.TextIOWrapper(io.BytesIO(), "ascii"))
    os.close(read)
    for _ in range(3):
        print("é\x1b" + 9000 * "x", file=screen, flush=True)
    assert screen.lasting.lost is not None
    assert screen.lasting.lost.errno == errno.EPIPE
    os.close(write)


def test_a_screen_writes_what_its_encoding_lacks_as_escapes(tmp_path: Path) -> None:
    file = tmp_path / "out"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    screen = streams.Screen(descriptor, io.TextIOWrapper(io.BytesIO(), "ascii"))
    print("é\x1b[2J\udc80", file=screen, flush=True)
    os.close(descriptor)
    assert file.read_bytes() == b"\\xe9\\x1b[2J\\udc80\n"


def test_a_streams_own_replacement_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    raising = logging.raiseExceptions
    streams.protect()
    logging.raiseExceptions = raising
    assert sys.stdout is before


def test_a_message_keeps_its_beginning_and_end() -> None:
    message = f"data.path=x: label '{10**6 * 'a'}'; rename it"
    assert len(shortened(message)) < 500
    assert shortened(message).startswith("data.path=x: label 'aaa")
    assert shortened(message).endswith("; rename it")
    assert len(shortened(10**6 * "a b ")) < LINE
    assert shortened("short") == "short"


@pytest.mark.parametrize(
    "value",
    ["", " ", "\t", None, 5, "s3://b", "https://x/y", "file:///x", "a\x1b", "a\nb", "a\udc80"],
)
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(UserError, match=r"^data\.path="):
        path_of("data.path", value)


@pytest.mark.parametrize("value", ["/", "//", "/.", "/tmp/..", "", None])
def test_a_root_has_a_folder_of_its_own(value: object) -> None:
    with pytest.raises(UserError, match=r"^root="):
        root_of(value)


def test_the_home_folder_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert path_of("data.path", "~/x.npz") == "/home/me/x.npz"
    assert path_of("data.path", "./~/x.npz") == "./~/x.npz"
    with pytest.raises(UserError, match="no such home folder"):
        path_of("data.path", "~nobody-of-this-name/x")


CODE = [
    {"callbacks": {"mine": {"_target_": "os.system"}}},
    {"callbacks": {"mine": {"_target_": "${oc.env:HOME}"}}},
    {"launcher": {"_target_": "os.system"}},
    {"launcher": {"setup": {"_target_": "os.system"}}},
    {"sweeper": {"params": {"x": {"_target_": "os.system"}}}},
    {"job_logging": {"filters": {"mine": {"()": "os.system"}}}},
    {"job_logging": {"handlers": {"console": {"class": "mine.Handler"}}}},
    {"job_logging": {"handlers": {"console": {"stream": "ext://mine.x"}}}},
    {"job_logging": {"handlers": {"console": {"stream": "${oc.env:HOME}"}}}},
    {"hydra_logging": {"formatters": {"mine": {"class": "mine.Formatter"}}}},
]
"""Parts of ``hydra`` that name code."""


@pytest.mark.parametrize("part", CODE, ids=str)
def test_a_config_names_no_code(part: dict[str, object]) -> None:
    with pytest.raises(UserError, match="a config may name no code"):
        allowed(OmegaConf.create({"hydra": part}))
