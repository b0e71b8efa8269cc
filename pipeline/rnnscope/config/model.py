"""Group model: which network, to be trained here or trained elsewhere."""

from dataclasses import dataclass

from rnnscope.config.options import option


@dataclass
class Model:
    """What every model has."""

    name: str = option()


@dataclass
class Recurrent(Model):
    """A stack of recurrent layers and a linear read-out.

    It reads the last valid timestep, or every timestep where each has its own label or target.
    """

    units: int = option(low=1)
    """Units per layer and direction."""
    layers: int = option(low=1)
    """Recurrent layers, one on top of the other."""
    bidirectional: bool = option()
    """Whether each layer also reads its input backwards."""
    dropout: float = option(low=0, below=1)
    """Share of each layer's inputs dropped in training."""


@dataclass
class Lstm(Recurrent):
    """Long short-term memory."""

    forget_bias: float = option()
    """Initial bias of the forget gate, before its sigmoid."""


@dataclass
class Trained(Model):
    """A model that was trained elsewhere: nothing is trained here."""

    path: str = option(file=True)
    """Where it is; the form depends on the kind."""


@dataclass
class ModelFile(Trained):
    """A trained Keras model of the user's own: a .keras file, or an .h5 file, also of Keras 2."""

    custom_objects: str | None = option(module=True)
    """Python module with the classes and functions that the model is made of beyond Keras' own,
    such as package.module; it is imported, so its code runs. Null imports nothing."""


@dataclass
class Tf1Checkpoint(Trained):
    """LSTM cells of TensorFlow 1: BasicLSTMCell, LSTMCell, alone, stacked or in two directions.

    The path is the prefix of the checkpoint's files, its .index file, or the folder they are in.
    """

    forget_bias: float = option()
    """What the cell adds to the forget gate before its sigmoid, at run time and in no checkpoint;
    TensorFlow 1 adds 1 unless told otherwise."""
    readout: str | None = option()
    """Variable [U, K] that maps h to the K classes; null finds it where there is but one."""
    readout_bias: str | None = option()
    """Variable [K] that is added to it; null finds it, or does without where there is none."""
    readout_from: str = option(choices=("state", "output"))
    """Of two directions: state reads each one's h after its own last step; output reads both at
    the last timestep of the input, where the backward one has read one step only."""
