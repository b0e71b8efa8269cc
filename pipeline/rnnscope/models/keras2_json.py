"""How Keras 2 and 3 write a layer in JSON: class_name, config, and the names that lead to both."""

from typing import Any

Json = Any
"""What json.loads gives: dict, list, text, number, truth or None."""


def decoded(value: Json) -> Json:
    """Plain lists for the tuples and tensor shapes that Keras 2 marked in its JSON."""
    match value:
        case {"class_name": "__tuple__" | "TensorShape", "items": items}:
            return decoded(items)
        case dict():
            return {key: decoded(inner) for key, inner in value.items()}
        case list():
            return [decoded(inner) for inner in value]
        case _:
            return value


def short(class_name: str) -> str:
    """The name of a class without the package that it is registered under."""
    return class_name.rpartition(">")[2]


def is_object(value: Json) -> bool:
    """Whether a config holds a layer, a cell or a model."""
    return isinstance(value, dict) and {"class_name", "config"} <= set(value)


def inner_layers(config: Json) -> list[Json]:
    """The layers of a model's ``config``, in the order in which its weights are stored."""
    layers: list[Json] = config if isinstance(config, list) else config["layers"]
    return layers


def is_model(layer: Json) -> bool:
    """Whether a layer's config is that of a model, which has layers."""
    return isinstance(layer["config"], list) or "layers" in layer["config"]


def name_of(layer: Json) -> str:
    """The name of a layer; Keras 3 allows no slash in it."""
    config = layer["config"]
    name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return str(name or layer["class_name"].lower()).replace("/", "_")


def keras_object(module: str, class_name: str, config: Json) -> Json:
    """An object of Keras 3."""
    names = {"module": module, "class_name": class_name, "registered_name": None}
    return names | {"config": config}


def other_object(class_name: str, config: Json) -> Json:
    """An object of a class that is not Keras' own, found by its name."""
    return {
        "module": None,
        "class_name": short(class_name),
        "config": config,
        "registered_name": class_name,
    }


def function(name: str) -> Json:
    """A function of that name, for an option that takes one."""
    return other_object("function", name) | {"registered_name": name}
