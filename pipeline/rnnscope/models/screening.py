"""A model's config before Keras makes anything of it: how large it is, and what it names.

Keras' safe mode refuses Python code in a file. It does not refuse layers that call code or read
files which the file names, and it imports what lies in its own packages.
"""

from collections.abc import Mapping
from typing import Any

import keras

from rnnscope.errors import UserError
from rnnscope.models.keras2_json import Json

MOST_DEPTH = 100
"""Of lists and objects within another: a model in a model takes four of them."""
MOST_LAYERS = 10_000

_ROOMS = {
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers"),
}
"""Of the package keras: what models are made of."""
_PLAIN = {"Model", "Sequential", "Functional", "DTypePolicy", "FloatDTypePolicy", "Variable"}
_PLAIN |= {"Layer", "InputSpec", "KerasTensor", "SeedGenerator", "Operation"}
"""What of the package keras itself a config names."""
_FOREIGN = {"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
"""Layers that call what is stored in another form, or elsewhere."""
LAMBDA = (
    "it has a Lambda layer, and Python code in a file is not run: where it was made, put a "
    "layer class of your own in its place, save it again, and give the module that defines "
    "the class, model.custom_objects=package.module"
)


def refuse(config: Json, own: Mapping[str, Any] | None) -> None:
    """Raise for a config that is not to be made into a model.

    Args:
        config: what a file holds, as JSON.
        own: the user's own classes and functions by name; None where only the size is judged, of
            a config of Keras 2 that is yet to be rewritten.

    Raises:
        UserError: it is too large, or names what is no part of a model.
    """
    waiting: list[tuple[Json, int]] = [(config, 1)]
    layers = 0
    while waiting:
        value, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise UserError(f"its config is nested more than {MOST_DEPTH} deep")
        if isinstance(value, dict):
            if own is not None:
                _refuse_object(value, own)
            inner = value.get("layers")
            layers += len(inner) if isinstance(inner, list) else 0
            if layers > MOST_LAYERS:
                raise UserError(f"it has {layers:,} layers, above {MOST_LAYERS:,}")
            waiting += [(each, depth + 1) for each in value.values() if _holds(each)]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in value if _holds(each)]


def _holds(value: Json) -> bool:
    return isinstance(value, dict | list)


def _refuse_object(value: Json, own: Mapping[str, Any]) -> None:
    """Raise for one object that names what it is made of."""
    name, module = value.get("class_name"), value.get("module")
    if name is None:
        return
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise UserError(f"its config has an object of class {str(name)[:80]!r}, which is no name")
    if name in ("__lambda__", "__typespec__", "TypeSpec", "CompositeTensor"):
        raise UserError(LAMBDA if name == "__lambda__" else _not_keras(name))
    registered = value.get("registered_name")
    if any(isinstance(each, str) and _known(each, own) for each in (name, registered)):
        return  # the user's own
    if name.rpartition(">")[2] in _FOREIGN:
        raise UserError(
            f"it has a {name}, which calls what is not in the model: rebuild it where it was made "
            "with layers of Keras, and save it again"
        )
    package = (module or "").partition(".")[0]
    called = value.get("config") if name == "function" else name
    if package == "keras" and not _is_part(str(module), str(called), function=name == "function"):
        raise UserError(
            f"its config names {module}.{called}, which is no part of a model: not used"
        )
    if package.startswith("keras_"):
        raise UserError(_not_keras(name))  # Keras would import these packages
    settings = value.get("config")
    if isinstance(settings, dict):
        for option in ("vocabulary", "idf_weights"):
            if isinstance(settings.get(option), str):
                raise UserError(
                    f"it has a {name} whose {option} is a file, {settings[option]!r}, which is not "
                    "read: give it as a list where the model was made, and save it again"
                )


def _known(name: str, own: Mapping[str, Any]) -> bool:
    """Whether the user's module defines a name, or registered it with Keras."""
    return name in own or keras.saving.get_registered_object(name) is not None


def _is_part(module: str, name: str, *, function: bool) -> bool:
    """Whether a class or function of Keras may be part of a model."""
    first, *rooms = module.split(".")
    if rooms[:1] == ["src"]:
        rooms = rooms[1:]
    if first != "keras" or any(room.endswith("_test") or room[:1] == "_" for room in rooms):
        return False
    if function and name[:1].isupper():
        return False  # a class
    return rooms[0] in _ROOMS if rooms else name in _PLAIN


def _not_keras(name: str) -> str:
    return (
        f"'{name}' is not Keras' own: give the module that defines it, "
        "model.custom_objects=package.module"
    )
