"""Model files that must not be loaded: over a hundred, as functions that write one into a folder.

``CASES`` maps a name to a function that writes the file and returns its path. Those that carry code
would make a file ``MARK`` in the working folder if it ran.
"""

import base64
import copy
import functools
import io
import json
import marshal
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Case = Callable[[Path], Path]
Members = dict[str, bytes]
CASES: dict[str, Case] = {}
MARK = "code-in-a-model-ran"
_RUN = f"open({MARK!r}, 'w').close()"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def model() -> Any:
    """A small model: LSTM within Bidirectional, GRU, Dense."""
    import keras

    x = keras.Input((5, 3), name="x")
    both = keras.layers.Bidirectional(
        keras.layers.LSTM(4, return_sequences=True, name="lstm"), name="both"
    )
    y = keras.layers.GRU(3, name="gru")(both(x))
    return keras.Model(x, keras.layers.Dense(2, name="readout")(y), name="small")


@functools.cache
def members() -> Members:
    """The members of a good .keras file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.keras"
        model().save(path)
        with zipfile.ZipFile(path) as file:
            return {name: file.read(name) for name in file.namelist()}


@functools.cache
def good(form: str) -> bytes:
    """A good file: keras, h5 of Keras 3, or h5 in the layout of Keras 2."""
    import keras

    if form == "keras":
        return zipped(members())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        keras.saving.save_model(model(), path)
        if form == "h5 of keras 2":
            with h5py.File(path, "r+") as file:
                file.attrs["keras_version"] = "2.4.0"
                file.attrs["model_config"] = json.dumps(_OF_KERAS_2)
        return path.read_bytes()


def _layer(name: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": name, "config": options}


_LSTM = {"name": "lstm", "units": 4, "return_sequences": True, "activation": "tanh"}
_OF_KERAS_2 = _layer(
    "Sequential",
    {
        "name": "small",
        "layers": [
            _layer(
                "Bidirectional",
                {"name": "both", "batch_input_shape": [None, 5, 3], "layer": _layer("LSTM", _LSTM)},
            ),
            _layer("GRU", {"name": "gru", "units": 3, "reset_after": True}),
            _layer("Dense", {"name": "readout", "units": 2, "activation": "linear"}),
        ],
    },
)
FORMS = {"keras": "x.keras", "h5": "x.h5", "h5 of keras 2": "x.h5"}


def zipped(content: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A .keras file of these members."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as file:
        for name, data in content.items():
            file.writestr(zipfile.ZipInfo(name), data, compression)
    return written.getvalue()


def _file(folder: Path, data: bytes, name: str = "x.keras") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


# The archive.


def _archive(name: str, data: Callable[[], bytes]) -> None:
    CASES[f"archive: {name}"] = lambda folder: _file(folder, data())


for _share in (0.02, 0.5, 0.9, 0.999):
    _archive(f"cut at {_share}", lambda s=_share: (d := good("keras"))[: int(len(d) * s)])  # type: ignore[misc]
_archive("empty", lambda: b"")
_archive("random", lambda: np.random.default_rng(0).bytes(5000))
_archive("an empty zip", lambda: zipped({}))
_archive("a pickle", lambda: pickle.dumps({"x": 1}))
_archive("an h5 by the name of .keras", lambda: good("h5"))
_archive("two of a name", lambda: _twice(CONFIG))
_archive("unpacks to much text", lambda: _deflated(CONFIG, b" " * 200_000_000))
_archive("unpacks to many weights", lambda: _deflated(WEIGHTS, bytes(200_000_000)))
_archive("claims 4 GB of text", lambda: _claimed(CONFIG, 2**32 - 2))
_archive("claims 4 GB of weights", lambda: _claimed(WEIGHTS, 2**32 - 2))
_archive("much text", lambda: zipped(members() | {CONFIG: b"[" * 20_000_000}))
_archive("encrypted", lambda: _flagged())
_archive("weights in npz", lambda: zipped(_without(WEIGHTS) | {"model.weights.npz": _npz()}))
for _name in (CONFIG, METADATA, WEIGHTS):
    _archive(f"without {_name}", lambda n=_name: zipped(_without(n)))  # type: ignore[misc]
    _archive(f"a flipped bit in {_name}", lambda n=_name: _flipped(n))  # type: ignore[misc]
for _name in (
    *("../../x", "/etc/x", "assets/../../x", "assets\\..\\..\\x", "x.pkl", "__init__.py"),
    *("C:\\x", "\x1b[31mred", "assets/../config.json", "model.weights.h5/x"),
):
    _archive(f"with {_name!r}", lambda n=_name: zipped(members() | {n: b"x"}))  # type: ignore[misc]


def _without(name: str) -> Members:
    return {each: data for each, data in members().items() if each != name}


def _twice(name: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for each, data in [*members().items(), (name, members()[name])]:
            file.writestr(
                zipfile.ZipInfo(f"{each[:-1]}_" if each in file.NameToInfo else each), data
            )
    return written.getvalue().replace(f"{name[:-1]}_".encode(), name.encode())


def _deflated(name: str, data: bytes) -> bytes:
    return zipped(members() | {name: data}, zipfile.ZIP_DEFLATED)


def _directory(data: bytes, name: str) -> int:
    """Where the entry of a member begins in the archive's directory."""
    return data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))


def _claimed(name: str, size: int) -> bytes:
    data = bytearray(_deflated(name, b" " * 1000))
    struct.pack_into("<I", data, _directory(bytes(data), name) + 24, size)
    return bytes(data)


def _flagged() -> bytes:
    data = bytearray(good("keras"))
    struct.pack_into("<H", data, _directory(bytes(data), CONFIG) + 8, 1)
    return bytes(data)


def _flipped(name: str) -> bytes:
    data, content = bytearray(good("keras")), members()[name]
    data[data.index(content) + len(content) // 2] ^= 1
    return bytes(data)


def _npz() -> bytes:
    written = io.BytesIO()
    np.savez(written, allow_pickle=True, x=np.array([{"a": 1}], object))
    return written.getvalue()


# The config.

Edit = Callable[[dict[str, Any]], Any]


def _layers(config: dict[str, Any]) -> dict[str, Any]:
    """The layers by name."""
    return {each["config"]["name"]: each for each in config["config"]["layers"]}


def _config(name: str, edit: Edit) -> None:
    """A case whose config is edited in place, or what ``edit`` returns."""

    def write(folder: Path) -> Path:
        config = json.loads(members()[CONFIG])
        other = edit(config)
        text = other if isinstance(other, bytes) else json.dumps(config if other is None else other)
        data = text if isinstance(text, bytes) else text.encode()
        return _file(folder, zipped(members() | {CONFIG: data}))

    CASES[f"config: {name}"] = write


def _option(layer: str, option: str, value: Any) -> Edit:
    return lambda config: _layers(config)[layer]["config"].update({option: value})


def _in_place_of(layer: str, **entries: Any) -> Edit:
    return lambda config: _layers(config)[layer].update(entries)


def _code() -> str:
    code = compile(f"lambda x: {_RUN.replace('.close()', '')} and x", "x", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def _object(module: Any, name: Any, settings: Any, registered: Any = None) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": name,
        "config": settings,
        "registered_name": registered,
    }


def _lambda_object() -> dict[str, Any]:
    value = {"code": _code(), "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": {"value": value}}


_SHELL = f"touch {MARK}"
_DENSE = _object("keras.layers", "Dense", {"name": "x", "units": 1})
_VALUES: tuple[tuple[str, str, tuple[Any, ...]], ...]
_config("a Lambda", lambda c: _lambda(c, _lambda_object()))
_config("a Lambda in the form of Keras 2", lambda c: _lambda(c, [_code(), None, None], "lambda"))
_config("a Lambda's mask", lambda c: _lambda(c, "relu", mask=_lambda_object()))
_config("a lambda as activation", lambda c: _option("gru", "activation", _lambda_object())(c))
_config(
    "a lambda as initializer", lambda c: _option("gru", "bias_initializer", _lambda_object())(c)
)
_config("a lambda to compile with", lambda c: c.update(compile_config={"loss": _lambda_object()}))


def _lambda(config: dict[str, Any], function: Any, kind: str = "function", **more: Any) -> None:
    settings = {"name": "readout", "function": function, "function_type": kind, "arguments": {}}
    _layers(config)["readout"].update(_object("keras.layers", "Lambda", settings | more))


for _module, _name, _settings in (
    ("os", "system", {"command": _SHELL}),
    ("posix", "system", {"command": _SHELL}),
    ("builtins", "eval", {"source": _RUN}),
    ("builtins", "exec", {"source": _RUN}),
    ("subprocess", "Popen", {"args": ["touch", MARK]}),
    ("pickle", "loads", {"data": ""}),
    ("trap", "Trap", {}),
    ("__main__", "Trap", {}),
    ("numpy", "load", {"file": "/etc/passwd"}),
    ("tensorflow", "io", {}),
    ("keras.utils", "get_file", {"fname": "x", "origin": "file:///etc/passwd"}),
    ("keras.src.utils.file_utils", "get_file", {"fname": "x", "origin": "file:///etc/passwd"}),
    ("keras.src.utils.python_utils", "func_load", {"code": "x"}),
    ("keras.saving", "load_model", {"filepath": "/etc/passwd"}),
    ("keras.config", "enable_unsafe_deserialization", {}),
    ("keras.config", "set_backend", {"backend": "torch"}),
    ("keras.applications", "ResNet50", {"weights": "imagenet"}),
    ("keras.datasets.mnist", "load_data", {"path": "x"}),
    ("keras.callbacks", "BackupAndRestore", {"backup_dir": "x"}),
    ("keras.src.saving.saving_lib_test", "CustomModelX", {}),
    ("keras.src.backend.torch.core", "Variable", {}),
    ("keras.backend", "clear_session", {}),
    ("keras", "utils", {}),
    ("keras_hub.models", "Backbone", {"preset": "x"}),
    ("keras_cv.models", "Backbone", {}),
    ("keras_nlp.layers", "Layer", {}),
    ("keras.layers", "TFSMLayer", {"filepath": "/tmp", "name": "x"}),
    ("keras.layers", "TorchModuleWrapper", {"module": "x"}),
    ("keras.layers", "JaxLayer", {"call_fn": "x"}),
    ("keras.layers", "FlaxLayer", {"module": "x"}),
    ("keras.layers", "NoSuchLayer", {}),
    ("keras.layers", "__class__", {}),
    ("keras.layers.__init__", "Dense", {}),
    ("keras.layers..os", "system", {}),
    ("..os", "system", {}),
    ("", "Dense", {}),
    ("keras.layers", "StringLookup", {"name": "x", "vocabulary": "/etc/passwd"}),
    ("keras.layers", "IntegerLookup", {"name": "x", "vocabulary": "/etc/passwd"}),
    ("keras.layers", "TextVectorization", {"name": "x", "vocabulary": "/etc/passwd"}),
):
    _made = _object(_module, _name, _settings)
    _config(f"a layer {_module}.{_name}", _in_place_of("readout", **_made))
    if _module and not _name.endswith(("Lookup", "Vectorization", "Layer", "Wrapper")):
        _function = _object(_module, "function", _name, _name)
        _config(f"an activation {_module}.{_name}", _option("gru", "activation", _function))
_config(
    "a name registered for another",
    _in_place_of("readout", registered_name="builtins>eval", class_name="eval", module=None),
)
_config("a class that is a list", _in_place_of("readout", class_name=["Dense"]))
_config("a module that is an object", _in_place_of("readout", module={"os": 1}))
_config("a type of TensorFlow", _in_place_of("readout", class_name="__typespec__", spec_name="x"))
_config("no class", lambda c: _removed(_layers(c)["readout"], "class_name"))
_config("no layers", lambda c: _removed(c["config"], "layers"))
_config("no options", lambda c: _removed(c, "config"))
_config("a layer, not a model", lambda c: dict(_layers(c)["readout"]))
_config("a number", lambda _: b"1")
_config("a list", lambda _: b"[1, 2]")
_config("nothing", lambda _: b"")
_config("null", lambda _: b"null")
_config("no text", lambda _: b"\xff\xfe\x00\x01")
_config("half of it", lambda _: members()[CONFIG][: len(members()[CONFIG]) // 2])
_config("in 200 lists", lambda c: {**c, "x": json.loads("[" * 200 + "]" * 200)})
_config("in 100,000 lists", lambda _: b'{"class_name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
_config("100,000 layers", lambda c: c["config"]["layers"].extend([_DENSE] * 100_000))
_config("wrappers in wrappers", lambda c: _wrapped(c, 60))
_config("both ways of both ways", lambda c: _wrapped(c, 20, "Bidirectional"))
_config("a cycle", lambda c: _reads(c, "both", "gru"))
_config("a layer that reads itself", lambda c: _reads(c, "gru", "gru"))
_config("a layer that reads none", lambda c: _reads(c, "gru", "nothing"))
_config("a call that is not there", lambda c: _reads(c, "gru", "both", call=7))
_config("an output that is not there", lambda c: c["config"].update(output_layers=["x", 9, 0]))
_config("two layers of one name", lambda c: _layers(c)["gru"].update(name="both"))
_VALUES = (
    ("readout", "units", (10**9, 10**15, 10**30, 10**400, -1, 0, 1.5, "many", None, [2], {})),
    ("gru", "units", (10**9, 30_000, -3, "3", float("nan"), float("inf"))),
    ("gru", "activation", ("no_such", 7, ["tanh"], "os.system", "../x")),
    ("x", "batch_shape", ([], [None, -5, 3], "x", None, [None])),
    ("gru", "dtype", ("float999", 3, "string")),
    ("gru", "no_such_option", (1,)),
)
for _layer_name, _key, _values in _VALUES:
    for _value in _values:
        _config(f"{_layer_name} {_key}={str(_value)[:12]}", _option(_layer_name, _key, _value))


def _removed(entries: dict[str, Any], name: str) -> None:
    del entries[name]


def _wrapped(config: dict[str, Any], times: int, kind: str = "TimeDistributed") -> None:
    made = copy.deepcopy(_layers(config)["readout"])
    for number in range(times):
        made = _object("keras.layers", kind, {"name": f"w{number}", "layer": made})
    _layers(config)["readout"].update(made)


def _reads(config: dict[str, Any], layer: str, other: str, call: int = 0) -> None:
    nodes = _layers(config)[layer]["inbound_nodes"]
    nodes[0]["args"][0]["config"]["keras_history"] = [other, call, 0]


# The weights, in each of the forms.

Spoil = Callable[[h5py.File, str], Any]
_PLACES = {
    "keras": ("layers/dense/vars", "0"),
    "h5": ("model_weights/readout/small/readout", "kernel"),
    "h5 of keras 2": ("model_weights/readout/small/readout", "kernel"),
}


def _weights(name: str, spoil: Spoil) -> None:
    for form in FORMS:
        CASES[f"weights: {name} ({form})"] = functools.partial(_spoilt, spoil, form)


def _spoilt(spoil: Spoil, form: str, folder: Path) -> Path:
    inner = io.BytesIO(members()[WEIGHTS] if form == "keras" else good(form))
    with h5py.File(inner, "r+") as file:
        spoil(file, form)
    data = inner.getvalue()
    return _file(
        folder, zipped(members() | {WEIGHTS: data}) if form == "keras" else data, FORMS[form]
    )


def _place(file: h5py.File, form: str) -> tuple[h5py.Group, str]:
    """A group and the name of an array in it."""
    start, name = _PLACES[form]
    if start in file:
        return file[start], name
    found: list[h5py.Dataset] = []
    file.visititems(
        lambda path, each: (
            found.append(each)
            if isinstance(each, h5py.Dataset) and "readout" in path and "kernel" in path
            else None
        )
    )
    return found[0].parent, found[0].name.rpartition("/")[2]


def _instead(make: Callable[[h5py.Group, str, Any], Any]) -> Spoil:
    """Put something in the place of an array, whose values ``make`` is given too."""

    def spoil(file: h5py.File, form: str) -> None:
        group, name = _place(file, form)
        values = group[name][()]
        del group[name]
        make(group, name, values)

    return spoil


def _set(group: h5py.Group, name: str, value: Any) -> None:
    group[name] = value


def _virtual(group: h5py.Group, name: str, values: Any) -> None:
    layout = h5py.VirtualLayout(values.shape, "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", values.shape)
    group.create_virtual_dataset(name, layout)


_weights("NaN", _instead(lambda g, n, v: _set(g, n, v * np.nan)))
_weights("an infinity", _instead(lambda g, n, v: _set(g, n, np.where(v == v.max(), np.inf, v))))
_weights("another shape", _instead(lambda g, n, v: _set(g, n, v[:1])))
_weights("one too many dimensions", _instead(lambda g, n, v: _set(g, n, v[None])))
_weights("none", _instead(lambda g, n, v: None))
_weights("a group", _instead(lambda g, n, v: g.create_group(n)))
_weights("text", _instead(lambda g, n, v: _set(g, n, "text")))
_weights("bytes", _instead(lambda g, n, v: _set(g, n, v.astype("S8"))))
_weights("texts", _instead(lambda g, n, v: g.create_dataset(n, v.shape, h5py.string_dtype())))
_weights("records", _instead(lambda g, n, v: g.create_dataset(n, v.shape, [("a", "f4")])))
_weights("references", _instead(lambda g, n, v: g.create_dataset(n, v.shape, h5py.ref_dtype)))
_weights("an empty array", _instead(lambda g, n, v: _set(g, n, h5py.Empty("f4"))))
_weights(
    "4 PB, in pieces",
    _instead(lambda g, n, v: g.create_dataset(n, (10**12, 10**3), "f4", chunks=(1, 10))),
)
_weights("4 TB, in one", _instead(lambda g, n, v: g.create_dataset(n, (10**12,), "f4")))
_weights("a soft link", _instead(lambda g, n, v: _set(g, n, h5py.SoftLink("/elsewhere"))))
_weights("a link out", _instead(lambda g, n, v: _set(g, n, h5py.ExternalLink("/etc/passwd", "/"))))
_weights(
    "another file's bytes",
    _instead(
        lambda g, n, v: (
            g.create_dataset(n, v.shape, "f4", external=[("/etc/passwd", 0, v.nbytes)]) and None
        )
    ),
)
_weights("another file's array", _instead(_virtual))
_weights("a cycle", lambda file, form: _set(file, "again", file["/"]))
_weights("nothing", lambda file, form: file.clear())


# Other forms.


def _named(name: str, data: Callable[[], bytes]) -> None:
    CASES[f"form: {name}"] = lambda folder: _file(folder, data(), name)


class _Trap:
    def __reduce__(self) -> Any:
        return exec, (_RUN,)


for _name in ("x.pkl", "x.pickle", "x.joblib", "x.pt", "x.pth", "x.bin", "x.onnx", "x.pb", "x.npy"):
    _named(_name, lambda: pickle.dumps(_Trap()))
for _name in ("x.tflite", "x.safetensors", "x.json", "x", "x.keras.zip", "x.h5.gz", "x.py"):
    _named(_name, lambda: b"anything")
_named("pickle.keras", lambda: pickle.dumps(_Trap()))
_named("pickle.h5", lambda: pickle.dumps(_Trap()))
_named("torch.h5", lambda: zipped({"archive/data.pkl": pickle.dumps(_Trap())}))
_named("empty.h5", lambda: b"")
_named("keras.h5", lambda: good("keras"))
for _share in (0.1, 0.5, 0.95):
    for _form in ("h5", "h5 of keras 2"):
        CASES[f"form: {_form} cut at {_share}"] = (
            lambda folder, f=_form, s=_share: _file(  # type: ignore[misc]
                folder, good(f)[: int(len(good(f)) * s)], "x.h5"
            )
        )


def _folder(name: str, *inside: str) -> None:
    def write(folder: Path) -> Path:
        (folder / name).mkdir()
        for each in inside:
            (folder / name / each).write_bytes(members().get(each, b"x"))
        return folder / name

    CASES[f"form: a folder {name} of {', '.join(inside) or 'nothing'}"] = write


_folder("x")
_folder("x", "saved_model.pb")
_folder("x.keras")
_folder("x.h5")
_folder("unzipped.keras", CONFIG, METADATA, WEIGHTS)
CASES["form: no file"] = lambda folder: folder / "nothing.keras"


def _attribute(name: str, value: Any) -> None:
    def write(folder: Path) -> Path:
        path = _file(folder, good("h5"), "x.h5")
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = value
        return path

    CASES[f"form: h5 whose config is {name}"] = write


_attribute("empty", "")
_attribute("a number", 5)
_attribute("numbers", np.arange(3))
_attribute("a list", "[]")
_attribute("null", "null")
_attribute("bytes", np.bytes_(b"\xff\xfe"))
_attribute("no model", json.dumps(_layer("Dense", {"name": "x", "units": 2})))
_attribute("os.system", json.dumps(_object("os", "system", {"command": _SHELL})))
_attribute(
    "a Lambda",
    json.dumps(
        _layer(
            "Sequential",
            {
                "layers": [
                    _layer("Lambda", {"function": [_code(), None, None], "function_type": "lambda"})
                ]
            },
        )
    ),
)
_attribute(
    "a type",
    json.dumps(
        _layer(
            "Sequential",
            {"layers": [{"class_name": "TypeSpec", "type_spec": "x", "serialized": []}]},
        )
    ),
)
_attribute("nested", '{"a":' * 50_000 + "1" + "}" * 50_000)
