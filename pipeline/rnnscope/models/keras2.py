"""The config of a Keras 2 model, rewritten to the one that Keras 3 reads: JSON to JSON.

Keras 2 wrote several forms: a Sequential as a list of layers (2.0 to 2.2.2), the shape of the input
at the first layer instead of in an InputLayer (to 2.3.1 and TensorFlow 2.2), a GRU without
``reset_after`` (to 2.1.4), inner layers without their module (to TensorFlow 2.12).
"""

import functools
import keyword
import re
from collections.abc import Mapping
from typing import Any

import keras

from rnnscope.errors import UserError
from rnnscope.models import (
    keras2_graph,
    keras2_json,
    keras2_layers,
    keras2_options,
    tf_functions,
)
from rnnscope.models.keras2_json import (
    Json,
    decoded,
    inner_layers,
    is_model,
    is_object,
    keras_object,
    name_of,
    other_object,
    short,
)

CUT = (
    "or cut the model before it where it was made, keras.Model(model.inputs, model.get_layer("
    "'<last recurrent layer>').output).save('x.h5')"
)
"""The way out where only what follows the recurrent layers cannot be loaded."""

_REMOVED = {
    *("LocallyConnected1D", "LocallyConnected2D", "PeepholeLSTMCell", "RandomFourierFeatures"),
    *("DenseFeatures", "SequenceFeatures", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod"),
    *("InstanceProperty", "ResidualWrapper", "DropoutWrapper", "DeviceWrapper", "AddLoss"),
    *("AddMetric", "Merge", "Highway", "MaxoutDense", "KernelAttention", "TimeDistributedDense"),
    *("ResidualWrapperV2", "DropoutWrapperV2", "DeviceWrapperV2", "MultiRNNCell"),
}
"""Layers of Keras 2 that Keras 3 has no counterpart of."""


def model(config: Json, own: Mapping[str, Any]) -> Json:
    """The config of a whole model in the form of Keras 3.

    Args:
        config: ``class_name`` and ``config`` as Keras 2 wrote them.
        own: the user's own classes and functions by name.

    Raises:
        UserError: a layer that Keras 3 does not have or whose code is in the file.
    """
    return _object(decoded(config), own)


def _object(layer: Json, own: Mapping[str, Any]) -> Json:
    """A layer, cell or model, with all that is in it."""
    class_name = layer["class_name"]
    name = short(class_name)
    if is_model(layer):
        functional = isinstance(layer["config"], dict) and "input_layers" in layer["config"]
        settings = _functional(layer, own) if functional else _sequential(layer, own)
        if name in ("Model", "Functional", "Sequential") and name not in own:
            return keras_object("keras", "Model" if functional else "Sequential", settings)
        return other_object(class_name, settings)
    if name in own:
        settings = {key: _inner(value, own) for key, value in layer["config"].items()}
        return other_object(class_name, settings)
    if name == "Lambda":
        return keras_object("keras.layers", name, _lambda(layer, own))
    if name in ("TFOpLambda", "SlicingOpLambda"):
        function = tf_functions.checked(layer["config"]["function"], name_of(layer), CUT)
        return other_object(tf_functions.NAME, {"name": name_of(layer), "function": function})
    if name in _REMOVED:
        raise UserError(
            f"layer '{name_of(layer)}' is a {name} of Keras 2, which Keras 3 does not have: give a "
            f"class {name} of your own in model.custom_objects=package.module, {CUT}"
        )
    name = keras2_options.RENAMED.get(name, name)
    if (cls := getattr(keras.layers, name, None)) is None:
        return other_object(class_name, layer["config"])  # Keras names what it cannot find
    inner = functools.partial(_inner, own=own)
    return keras_object("keras.layers", name, keras2_options.modern(layer, cls, own, inner))


def _inner(value: Json, own: Mapping[str, Any]) -> Json:
    """A value among a layer's options: perhaps a layer, a cell or a list of cells."""
    if is_object(value) and isinstance(value["config"], (dict, list)):
        return _object(value, own)
    if isinstance(value, list):
        return [_inner(each, own) for each in value]
    return value


def _lambda(layer: Json, own: Mapping[str, Any]) -> Json:
    """The options of a Lambda layer whose functions are in the user's module."""
    old = layer["config"]
    called = re.sub(r"\W", "_", name_of(layer))
    named = called + "_" if keyword.iskeyword(called) else called
    new = {
        "name": name_of(layer),
        "function": _users(layer, old["function"], named, "(x)", own),
        "arguments": old.get("arguments") or {},
    }
    if old.get("mask") is not None:
        new["mask"] = _users(layer, old["mask"], f"{called}_mask", "(x, mask), its mask=,", own)
    return new


def _users(layer: Json, stored: Json, called: str, form: str, own: Mapping[str, Any]) -> Json:
    """A function of the user's module: by the name that a file stores, or that of the layer.

    Args:
        layer: the Lambda layer.
        stored: the function's name, or its code.
        called: the name that it has where the file stores its code.
        form: its arguments, for the message.
        own: the user's own functions by name.

    Raises:
        UserError: the module has no such function.
    """
    names = [stored, called] if isinstance(stored, str) else [called]
    found = next((each for each in names if each in own), None)
    if found is None:
        raise UserError(
            f"layer '{name_of(layer)}' is a Lambda, and Python code in a file is not run: write it "
            f"as a function {names[0]}{form} and give its module, "
            f"model.custom_objects=package.module, {CUT}"
        )
    return keras2_json.function(found)


def _sequential(layer: Json, own: Mapping[str, Any]) -> Json:
    """A Sequential, whose first layer may hold the shape of the input."""
    old = layer["config"] if isinstance(layer["config"], dict) else {}
    layers = inner_layers(layer["config"])
    new = [_object(each, own) for each in layers]
    first = layers[0]
    if first["class_name"] != "InputLayer":
        if (shape := _input_shape(first) or old.get("build_input_shape")) is None:
            raise UserError(
                f"model '{old.get('name', 'sequential')}' does not say the shape of its input: "
                "give model.input_shape to the first layer where it was made, and save it again"
            )
        new.insert(0, keras_object("keras.layers", "InputLayer", {"batch_shape": shape}))
    new = [keras2_layers.wrapped(each) for each in new]
    return {"name": name_of(layer), "trainable": old.get("trainable", True), "layers": new}


def _input_shape(layer: Json) -> Json:
    """[batch, ...] of what a first layer reads, where it or what is within it says so."""
    config = layer["config"]
    if is_model(layer):
        return _input_shape(inner_layers(config)[0])
    for key in ("batch_input_shape", "batch_shape"):
        if key in config:
            return config[key]
    return None


def _functional(layer: Json, own: Mapping[str, Any]) -> Json:
    """A model of the functional API."""
    old = layer["config"]
    calls = keras2_graph.Calls.of(old["layers"], own)
    layers = []
    for each in old["layers"]:
        nodes = calls.nodes(each)
        if short(each["class_name"]) in ("TFOpLambda", "SlicingOpLambda"):
            template, nodes = tf_functions.template(nodes, name_of(each))
            new = _object(each, own)
            new["config"]["arguments"] = template
        else:
            new = _object(each, own)
        calls_of = {"name": name_of(each), "inbound_nodes": nodes}
        layers.append(keras2_layers.wrapped(new) | calls_of)
    return {
        "name": name_of(layer),
        "trainable": old.get("trainable", True),
        "layers": layers,
        "input_layers": calls.ends(old["input_layers"]),
        "output_layers": calls.ends(old["output_layers"]),
    }
