"""The calls of a functional model of Keras 2, rewritten to those of Keras 3: JSON to JSON.

A call (inbound node) was a list of tensors [layer, call, output, {arguments}]: the first argument
of the layer, with further ones in the dict of each. Initial states stood among the tensors. Calls
of a model within a model were counted from 1, since its own graph was call 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from rnnscope.errors import UserError
from rnnscope.models.keras2_json import Json, is_model, short

CONSTANT = "_CONSTANT_VALUE"
"""Stands for a layer's name where an argument is no tensor."""
_RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN", "CuDNNLSTM", "CuDNNGRU", "Bidirectional"}
_RECURRENT |= {"ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
_STATES = {"LSTMCell": 2, "GRUCell": 1, "SimpleRNNCell": 1}


@dataclass(frozen=True)
class Calls:
    """The calls of a model's layers."""

    models: frozenset[str]
    """Names of the layers that are models."""
    sequential: frozenset[str]
    """Those of them that are Sequential."""
    recurrent: frozenset[str]
    """Names of the layers that take initial states."""

    @classmethod
    def of(cls, layers: list[Json], own: Mapping[str, Any]) -> "Calls":
        """From the layers of a model and the user's own classes by name."""
        models = {layer["name"] for layer in layers if is_model(layer)}
        graphs = {layer["name"] for layer in layers if "input_layers" in layer["config"]}
        recurrent = set()
        for layer in layers:
            class_name = short(layer["class_name"])
            mine = own.get(class_name)
            if (class_name in _RECURRENT and mine is None) or (
                isinstance(mine, type) and issubclass(mine, keras.layers.RNN)
            ):
                recurrent.add(layer["name"])
        return cls(frozenset(models), frozenset(models - graphs), frozenset(recurrent))

    def nodes(self, layer: Json) -> list[Json]:
        """A layer's calls: for each the positional arguments and those by name.

        Raises:
            UserError: a recurrent layer reads constants, which those of Keras 3 do not.
        """
        return [self._node(layer, node) for node in layer["inbound_nodes"] if node]

    def _node(self, layer: Json, node: Json) -> Json:
        first, arguments = self._first(node), self._tensors(_arguments(node))
        config = layer["config"]
        if layer["name"] in self.recurrent:
            if config.get("num_constants") or arguments.get("constants") is not None:
                raise UserError(
                    f"layer '{layer['name']}' reads constants beside its input, which a recurrent "
                    "layer of Keras 3 does not: rebuild the model with a cell that reads them as "
                    "features of its input, repeated at every timestep (RepeatVector, Concatenate)"
                )
            if isinstance(first, list) and len(first) > 1:
                first, *states = first
                arguments["initial_state"] = _nested(layer, states)
        if isinstance(first, list) and len(first) == 1 and _is_tensor(first[0]):
            first = first[0]
        if isinstance(config, dict) and config.get("causal"):
            arguments["use_causal_mask"] = True
        given = {name: value for name, value in arguments.items() if value is not None}
        return {"args": [first], "kwargs": given}

    def _first(self, node: Json) -> Json:
        """The first argument: a tensor, a constant, or these in lists and dicts."""
        match node:
            case [str() as name, int(), value, *_] if name == CONSTANT:
                return value
            case [str(), int(), int(), *_]:
                return self._tensor(node)
            case list():
                return [self._first(each) for each in node]
            case dict():
                return {key: self._first(each) for key, each in node.items()}
        raise UserError(f"its graph has a call that cannot be read: {str(node)[:80]}")

    def _tensors(self, value: Json) -> Json:
        """An argument with every tensor in it in the form of Keras 3."""
        match value:
            case [str(), int(), int()]:
                return self._tensor(value)
            case list():
                return [self._tensors(each) for each in value]
            case dict():
                return {key: self._tensors(each) for key, each in value.items()}
            case _:
                return value

    def _tensor(self, place: Json) -> Json:
        """One tensor: the output of a layer's call."""
        name, call, output = place[:3]
        history = [name.replace("/", "_"), call - (name in self.models), output]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": history},
        }

    def ends(self, places: Json) -> Json:
        """The inputs or outputs of the model; a single one without a list around it.

        Here Keras 3 counts the calls of a functional model within it as Keras 2 did.
        """
        match places:
            case [[str(), int(), int()] as only]:
                return self.ends(only)
            case [str() as name, int() as call, int() as output]:
                return [name.replace("/", "_"), call - (name in self.sequential), output]
            case list():
                return [self.ends(each) for each in places]
            case _:
                return {key: self.ends(each) for key, each in places.items()}


def _is_tensor(value: Json) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _is_list(value: Json) -> bool:
    return isinstance(value, list)


def _arguments(node: Json) -> Json:
    """What a call gives beside the first argument, the same at each of its tensors."""
    match node:
        case [str(), int(), _]:
            return {}
        case [str(), int(), _, dict() as arguments]:
            return arguments
        case [first, *_]:
            return _arguments(first)
        case dict() if node:
            return _arguments(next(iter(node.values())))
        case _:
            return {}


def _nested(layer: Json, states: list[Json]) -> list[Json]:
    """Initial states cell by cell for a stack of cells; before TensorFlow's they were one list."""
    cell = layer["config"].get("cell")
    if not cell or cell["class_name"] != "StackedRNNCells" or any(map(_is_list, states)):
        return states
    cells = cell["config"]["cells"]
    if cell["config"].get("reverse_state_order"):
        raise UserError(
            f"layer '{layer['name']}' has reverse_state_order=True, which Keras 3 does not have: "
            "rebuild the model without it and set_weights of the old one"
        )
    if not all(each["class_name"] in _STATES for each in cells):
        raise UserError(
            f"layer '{layer['name']}' gives initial states to a stack with cells of its own, and "
            "the file does not say which are whose: stack recurrent layers instead of cells"
        )
    taken = iter(states)
    counts = [_STATES[each["class_name"]] for each in cells]
    groups = [[next(taken) for _ in range(count)] for count in counts]
    return [group if len(group) > 1 else group[0] for group in groups]
