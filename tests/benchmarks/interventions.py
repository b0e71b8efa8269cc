"""Changes of a state in time: the stage, its estimate alone, and passes beside a clamped cell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.analysis.ablation.rerun import given_batches
from rnnscope.analysis.intervention import stage
from rnnscope.analysis.intervention.changes import SET
from rnnscope.analysis.intervention.passes import Held, Passes
from rnnscope.data import Dataset, Split
from rnnscope.store.inputs import Inputs
from rnnscope.trace.places import places
from tests.benchmarks import ours, problem
from tests.benchmarks.problem import CLASSES, FEATURES, TIMESTEPS, UNITS, Array, ToParquet
from tests.compose import composed

COUNT = 500
STARTS, SOME = (0, 9, 18, 27), 16
"""Windows of one timestep, whose mean is that of all 28; and how many units are changed in each."""
TOLERANCE = 1e-4


def changed(folder: Path) -> dict[str, ToParquet]:
    """Stage intervention, whole: c of each unit at each timestep, with the control of patches."""
    model = ours.build(folder)

    def run(x: Array, out: Path) -> None:
        made = _stage(model, x, out, "intervention.methods=[zero,patch]")
        if made["rows"] != 3 * UNITS * TIMESTEPS:
            raise ArithmeticError(f"{made['rows']} rows")

    return {"stage intervention": run}


def estimated(folder: Path) -> dict[str, ToParquet]:
    """The same without passes: the first-order estimate of each change."""
    model = ours.build(folder)

    def run(x: Array, out: Path) -> None:
        _stage(model, x, out, "intervention.methods=[zero,patch]", "intervention.exact=false")

    return {"stage intervention, exact=false": run}


def passes(folder: Path) -> dict[str, ToParquet]:
    """Passes of the stage, their graph traced before: c of some units set to 0 for a timestep."""
    model, x = ours.build(folder), _sequences(folder)
    split = Split(x, np.arange(COUNT) % CLASSES)
    dataset = Dataset(split, classes=tuple(map(str, range(CLASSES))))
    made = Passes(model, {"lstm": places(model)["lstm"]}, {"lstm": ["c"]}, dataset, freezes=False)
    (given,) = given_batches(model, split, COUNT, COUNT)
    kept, along = made.recorded(given).kept, np.eye(UNITS, dtype=bool)

    def outputs(start: int, units: slice) -> NDArray[Any]:
        zero = np.zeros((1, 1, UNITS)), np.zeros(along[units].shape)
        held = Held("lstm", "c", SET, along[units], *zero, start, start + 1)
        return np.asarray(made.changed(given, kept, held).outputs[0])

    for start in STARTS:  # one graph for windows before the end, one for the last
        outputs(start, slice(0, 4))
    expected = _clamped(folder)(9, 3, x)
    if not np.abs(outputs(9, slice(3, 4)) - expected).max() <= TOLERANCE:
        raise ArithmeticError("differs from the clamped cell")

    def run(_: Array, __: Path) -> None:
        for start in STARTS:
            for unit in range(0, SOME, 4):
                outputs(start, slice(unit, unit + 4))

    return {"four units a pass": run}


class ClampedCell(keras.layers.LSTMCell):
    """An LSTM cell with c of one unit at 0 at one timestep, as one writes it; it counts steps."""

    def __init__(self, units: int):
        super().__init__(units)
        self.state_size = [units, units, 1]
        self.at = tf.Variable(0.0, trainable=False)
        self.unit = tf.Variable(0, trainable=False)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """No states, at timestep 0."""
        return [keras.ops.zeros((batch_size, size)) for size in self.state_size]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One timestep."""
        h, c, step = states
        z = inputs @ self.kernel + h @ self.recurrent_kernel + self.bias
        i, f, g, o = keras.ops.split(z, 4, axis=1)
        c = keras.ops.sigmoid(f) * c + keras.ops.sigmoid(i) * keras.ops.tanh(g)
        clamped = (step == self.at) & (tf.range(UNITS) == self.unit)
        c = keras.ops.where(clamped, 0.0, c)
        h = keras.ops.sigmoid(o) * keras.ops.tanh(c)
        return h, [h, c, step + 1]


def clamped(folder: Path) -> dict[str, ToParquet]:
    """``predict`` of the whole model with a clamped cell, its graph traced before."""
    predict = _clamped(folder)
    predict(0, 0, _sequences(folder))

    def run(x: Array, _: Path) -> None:
        for start in STARTS:
            for unit in range(SOME):
                predict(start, unit, x)

    return {"predict, one batch": run}


def _clamped(folder: Path) -> Callable[[int, int, Array], Any]:
    """The outputs of the model for a timestep, a unit that is 0 at it, and sequences."""
    cell = ClampedCell(UNITS)
    readout = keras.layers.Dense(CLASSES, use_bias=False)
    model = keras.Sequential(
        [keras.Input((None, FEATURES)), keras.layers.RNN(cell, name="r"), readout]
    )
    weights = problem.weights(folder)
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)

    def predict(start: int, unit: int, x: Array) -> Any:
        cell.at.assign(start)
        cell.unit.assign(unit)
        return model.predict(x, batch_size=COUNT, verbose=0)

    return predict


def _sequences(folder: Path) -> Array:
    found: Array = np.load(folder / problem.name_of(COUNT, TIMESTEPS))
    return found


def _stage(model: keras.Model, x: Array, out: Path, *options: str) -> Any:
    """What the stage says of sequences [N, T, F], all of them; the classes have no meaning."""
    data, file = out / "data.npz", out / "model.keras"
    np.savez(data, x_test=x, y_test=np.arange(len(x)) % CLASSES)
    model.save(file)
    given = f"data.path={data}", f"model.path={file}", "data=files", "model=file"
    many = "intervention.max_sequences=null", "intervention.states=[c]"
    config = composed(out, "stage=intervention", *given, *many, *options)
    return stage.run(config, Inputs({}), out)
