"""Settings of libraries that lie about: refused in one line, or without effect."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnscope.errors import Failed, UserError
from rnnscope.libraries import refuse_keras, variables
from rnnscope.terminal import without_greeting
from tests.compose import FINISHED, PROJECT, composed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty KERAS_HOME, and no other variable of Keras or TensorFlow."""
    for name in os.environ:
        if name.startswith(("KERAS_", "TF_", "TF2_", "ONEDNN_", "DNNL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


GOOD: list[Any] = [
    {},
    {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"},
    {"backend": "torch", "image_dim_ordering": "tf", "nnx_enabled": False},
]
BAD: list[tuple[Any, str]] = [
    (
        {"floatx": "float16"},
        'sets floatx to float16, .* must be "float32" there, or set KERAS',
    ),
    ({"floatx": ["float32"]}, "sets floatx to"),
    ({"epsilon": 1}, "sets epsilon to 1, .* must be 1e-07 there"),
    ({"epsilon": 1e-3}, "sets epsilon to 0.001, "),
    ({"epsilon": float("nan")}, "sets epsilon to nan, "),
    ({"image_data_format": "channels_first"}, "sets image_data_format to channels_first"),
    ({"nnx_enabled": True}, "sets nnx_enabled to True"),
    ([1], r"\[1\] is no JSON object; remove it, or set KERAS_HOME"),
    (None, "None is no JSON object"),
    (3, "3 is no JSON object"),
]


@pytest.mark.parametrize("settings", GOOD)
def test_settings_that_change_nothing_are_taken(home: Path, settings: Any) -> None:
    refuse_keras()
    home.joinpath("keras.json").write_text(json.dumps(settings))
    refuse_keras()
    home.joinpath("keras.json").write_text("")  # another process begins to write it
    refuse_keras()


@pytest.mark.parametrize(("settings", "says"), BAD)
def test_settings_that_change_results_name_their_file(home: Path, settings: Any, says: str) -> None:
    file = home / "keras.json"
    file.write_text(json.dumps(settings))
    with pytest.raises(UserError, match=f"^{file}: {says}"):
        refuse_keras()


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b"[" * 100_000, b"floatx: float32"])
def test_what_is_not_json_is_named(home: Path, content: bytes) -> None:
    home.joinpath("keras.json").write_bytes(content)
    with pytest.raises(UserError, match=r"keras\.json: is not JSON \(.*\); remove it, or"):
        refuse_keras()


def test_a_folder_in_place_of_the_file_is_named(home: Path) -> None:
    home.joinpath("keras.json").mkdir()
    with pytest.raises(UserError, match=r"keras\.json: Is a directory; remove it, or"):
        refuse_keras()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KERAS_MAX_EPOCHS", "2"),
        ("KERAS_MAX_EPOCHS", "abc"),
        ("KERAS_MAX_STEPS_PER_EPOCH", "2"),
        ("KERAS_NNX_ENABLED", "True"),
        ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16"),
        ("TF2_BEHAVIOR", "0"),
    ],
)
def test_variables_that_change_results_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"^{name}={value}: .*; unset it"):
        variables.prepare()


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("PANDAS_FUTURE_INFER_STRING", "0", False),
        ("PANDAS_FUTURE", "legacy", False),
        ("PANDAS_FUTURE", "default", True),
        ("PANDAS_FUTURE_INFER_STRING", "1", True),
    ],
)
def test_pandas_is_to_type_texts_as_it_does(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, taken: bool
) -> None:
    monkeypatch.setenv(name, value)
    if taken:
        variables.prepare(tensorflow=False)
    else:
        with pytest.raises(UserError, match=f"^{name}={value}: .*; unset it"):
            variables.prepare(tensorflow=False)


def test_variables_that_change_rounding_are_told_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    variables._warn.cache_clear()
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    variables.prepare()
    variables.prepare()
    (said,) = caplog.messages
    assert said.startswith("TF_ENABLE_ONEDNN_OPTS=0: results may be rounded otherwise")
    variables._warn.cache_clear()


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "value", "many"),
    [
        ("JOBLIB_MULTIPROCESSING", "abc", []),
        ("JOBLIB_START_METHOD", "nonsense", ["-m"]),
        ("SKLEARN_WORKING_MEMORY", "abc", []),
    ],
)
def test_a_variable_that_no_library_can_read_is_one_line(
    name: str, value: str, many: list[str], finished_root: Path, tmp_path: Path
) -> None:
    for stage in ("train", "extract"):  # so that TensorFlow need not start
        shutil.copytree(finished_root / stage, tmp_path / stage)
    words = [*many, f"root={tmp_path}", *FINISHED, "stage=decoding"]
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", *words],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rnnscope: {name}={value}: ")
    assert line.endswith("; unset it")
    assert not (tmp_path / "decoding").is_dir() or not list(tmp_path.glob("decoding/[!.]*"))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:Limiting epochs")
def test_training_that_keras_cuts_short_is_no_result(tensorflow: None, tmp_path: Path) -> None:
    """As by a setting that nobody looked at."""
    import keras

    from rnnscope import data, models
    from rnnscope.config import Recurrent
    from rnnscope.train.fitting import fit

    def fitted(*words: str) -> pd.DataFrame:
        config = composed(tmp_path, "train.validate_every=5", "model.units=3", *words)
        dataset = data.load(config.data)
        assert isinstance(config.model, Recurrent)
        return fit(models.build(config.model, dataset), dataset, config, tmp_path).history

    stopped = ("train.steps=500", "train.patience=1", "train.learning_rate=1e-12")
    keras.config.set_max_epochs(2)
    try:
        assert list(fitted("train.steps=10")["step"]) == [5, 10]
        with pytest.raises(Failed, match="ended training after 10 of 20 steps"):
            fitted("train.steps=20")
    finally:
        keras.config.set_max_epochs(None)
    assert fitted(*stopped)["step"].max() < 500  # for its patience, which is right


DRAW = """
import pandas as pd
from rnnscope.libraries.plain_matplotlib import load_matplotlib
load_matplotlib()
from rnnscope import figures
from rnnscope.report.drawing import inline
history = pd.DataFrame({"step": [1, 2, 3], "loss": [3.0, 2.0, 1.5], "val_loss": [3.0, 2.5, 2.0]})
print(inline(figures.training_curve(history), "a"))
"""
RC = "font.size: 30\nfigure.dpi: 300\naxes.facecolor: red\ntext.usetex: True\nlines.linestyle: :\n"


def drawn(where: Path, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-c", DRAW]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("M")}
    done = subprocess.run(
        command,
        cwd=where,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return drawn(tmp_path_factory.mktemp("nothing"))


@pytest.mark.slow
@pytest.mark.parametrize("content", [RC.encode(), b"\xff\xfe\x00", b"nope: nope\n:::\n"])
@pytest.mark.parametrize("where", ["here", "MATPLOTLIBRC", "MPLCONFIGDIR"])
def test_no_matplotlibrc_changes_a_figure(
    undisturbed: str, content: bytes, where: str, tmp_path: Path
) -> None:
    file = tmp_path / "matplotlibrc"
    file.write_bytes(content)
    (tmp_path / "stylelib").mkdir()
    (tmp_path / "stylelib" / "mine.mplstyle").write_bytes(content)
    here = tmp_path if where == "here" else PROJECT
    given = {} if where == "here" else {where: str(tmp_path)}
    assert drawn(here, **given) == undisturbed


def test_no_backend_changes_a_figure(undisturbed: str, tmp_path: Path) -> None:
    assert drawn(tmp_path, MPLBACKEND="nonsense") == undisturbed


def test_what_a_users_module_set_changes_no_figure() -> None:
    import matplotlib as mpl

    from rnnscope import figures
    from rnnscope.report.drawing import inline

    history = pd.DataFrame({"step": np.arange(3), "loss": [3.0, 2.0, 1.5]})

    def figure() -> str:
        return inline(figures.training_curve(history), "a")

    plain = figure()
    others = {"text.usetex": True, "axes.facecolor": "red", "lines.linestyle": ":", "timezone": "X"}
    with mpl.rc_context({**others, "svg.id": "a", "figure.constrained_layout.h_pad": 1.0}):
        assert figure() == plain
        assert mpl.rcParams["text.usetex"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("end", "status"),
    [("os._exit(3)", 3), ("os.abort()", -6), ("os.kill(os.getpid(), 9)", -9)],
)
def test_a_library_that_ends_the_process_is_heard(end: str, status: int) -> None:
    code = (
        "import os\nfrom rnnscope.terminal import without_greeting\n"
        f"with without_greeting():\n    os.write(2, b'the reason\\n'); {end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == status
    said, last = done.stderr.splitlines()
    assert said == "the reason"
    assert last.startswith("rnnscope: a library ended this process")


@pytest.mark.parametrize("error", [ImportError("x"), SystemExit(1), KeyboardInterrupt()])
def test_what_fails_within_is_heard_and_a_greeting_is_not(
    error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    with without_greeting():
        os.write(2, b"hello\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(type(error)), without_greeting():  # noqa: PT012 - what is said comes first
        os.write(2, b"why\n")
        raise error
    # Ours is the line for an exit, and an interrupted import has nothing to explain.
    assert capfd.readouterr().err == ("why\n" if isinstance(error, ImportError) else "")


@pytest.mark.process
def test_a_keras_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text("[1]")
    command = [sys.executable, "-m", "rnnscope", "stage=train", "train.steps=7"]
    done = subprocess.run(
        [*command, f"root={tmp_path / 'o'}"],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rnnscope: {tmp_path}/keras.json: [1] is no JSON object")
    assert not list(tmp_path.rglob("_manifest.json"))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("OMP_NUM_THREADS", "1", KeyError("1")),
        ("OMP_NUM_THREADS", "4", ValueError("no sequence '4'")),
        ("TF_CPP_MIN_LOG_LEVEL", "3", KeyError("3")),
        ("KERAS_BACKEND", "tensorflow", ModuleNotFoundError("No module named 'tensorflow'")),
        ("MPLBACKEND", "lstm", KeyError("lstm")),
    ],
)
def test_an_error_of_something_else_is_not_blamed_on_a_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: Exception
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(type(error)), variables.blaming():
        raise error
