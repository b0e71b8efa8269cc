"""Group model: which network, trained here or elsewhere."""

from dataclasses import dataclass

from rnnscope.config.options import NAME, PATH, UNITS, option


@dataclass
class Model:
    """Options of every model."""

    name: str = option(choices=("lstm", "gru", "simple_rnn", "file", "tf1_checkpoint"))
    """The kind of model, set by model=<kind>."""


@dataclass
class Recurrent(Model):
    """A stack of recurrent layers and a linear readout.

    It reads the final step, or every timestep where each has its own label or target.
    """

    units: int = option(low=1, high=UNITS)
    """Units per layer and direction."""
    layers: int = option(low=1, high=1_000)
    """Number of recurrent layers, stacked."""
    bidirectional: bool = option()
    """Whether each layer is bidirectional."""
    dropout: float = option(low=0, below=1)
    """Fraction of each layer's inputs dropped in training."""


@dataclass
class Lstm(Recurrent):
    """A stack of LSTM (long short-term memory) layers and a linear readout."""

    forget_bias: float = option(low=-1_000, high=1_000)
    """Initial bias of the forget gate, before its sigmoid."""


@dataclass
class Trained(Model):
    """A model that was trained elsewhere; it is not trained further."""

    path: str = option(longest=PATH, file=True)
    """Where the model is: a .keras or .h5 file, or a TensorFlow 1 checkpoint."""


@dataclass
class ModelFile(Trained):
    """Your own trained Keras model: a .keras or .h5 file of Keras 2 or 3.

    Layers are named as in the model, and become folders of the states: upper.forward and
    upper.backward of a bidirectional layer (both in input time), encoder.lstm inside another model,
    name.call1 for a layer's second call, name.cell0 in a stack of cells. Scores are computed where
    the model ends in softmax or in logits; of other outputs only the states are recorded. A
    SavedModel cannot be loaded, because Keras 3 does not restore its layers.
    """

    custom_objects: str | None = option(longest=NAME, module=True)
    """Python module with the model's custom classes and functions, such as package.module, found
    among installed packages or in the working folder. It is imported when the model is loaded, so
    its code runs; null imports nothing. What is computed is made again when its source changes, or
    that of a module of yours that it imports; installed packages and files that it reads do not
    count."""
    architecture: str | None = option(longest=PATH, file=True)
    """A file with the text of model.to_json(), where path holds weights alone (save_weights); null
    for a file that holds the whole model."""


@dataclass
class Tf1Checkpoint(Trained):
    """LSTM cells of TensorFlow 1: BasicLSTMCell or LSTMCell, alone, stacked or bidirectional.

    The path is the prefix of the checkpoint's files, its .index file, or the folder they are in.
    Gates are put into Keras' order. Peepholes and projections are refused; cell_clip and other
    activations than the default leave no trace in a checkpoint and are not reproduced.
    """

    forget_bias: float = option(low=-1_000, high=1_000)
    """What the cell adds to the forget gate before its sigmoid at run time, by default 1 in
    TensorFlow 1; it is not stored in the checkpoint."""
    readout: str | None = option(longest=NAME)
    """Name of the variable [U, K] that maps h to the K classes; null finds it if only one fits."""
    readout_bias: str | None = option(longest=NAME)
    """Name of the bias variable [K] of the readout; null finds it, if there is one."""
    readout_from: str = option(choices=("state", "output"))
    """What the readout of a bidirectional network takes: state, each direction's h after its final
    step; output, both at the last timestep of the input, where the backward direction has read
    only one step."""
