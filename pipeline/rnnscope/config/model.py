"""Group model: which network, trained here or elsewhere."""

from dataclasses import dataclass

from rnnscope.config.options import NAME, NAMES, PATH, UNITS, option


@dataclass
class Model:
    """Options of every model."""

    name: str = option(
        choices=("lstm", "gru", "simple_rnn", "file", "tf1_checkpoint", "torch", "states")
    )
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
    """Where the model is: a .keras or .h5 file, a TensorFlow 1 checkpoint, or a PyTorch state dict;
    or where the recorded states are."""


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
    that of a module of yours that it imports by name, from the working folder or PYTHONPATH; what
    it imports or runs of yours in any other way is refused; installed packages and files that it
    reads do not count."""
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


@dataclass
class TorchWeights(Trained):
    """Weights of PyTorch: nn.LSTM, nn.GRU or nn.RNN, or their cells, from a state dict.

    The path is a .safetensors file, which needs no PyTorch, or one of torch.save, which PyTorch
    reads where it is installed, with weights_only=True. Of a training checkpoint the state dict in
    it is taken, if there is one. Stacked, bidirectional, with and without biases; behind an
    nn.Embedding where the data are tokens, whole numbers [sequences, timesteps]; with an nn.Linear
    that reads the last timestep, or each one where labels or targets belong to timesteps. Layers
    are named as the modules: lstm, or lstm_l0, lstm_l1, ... of a module with several layers.
    Sequences that differ in length are computed as PyTorch computes packed ones. What leaves no
    trace in weights is not known: batch_first changes no value; whether dropout was used does not
    count; what a network computes otherwise, such as activations between layers or a mean over
    timesteps before the read-out, is not reproduced. Projections (proj_size) are refused. Of a
    network that cannot be rebuilt, states that PyTorch records come in with model=states.
    """

    modules: list[str] | None = option(longest=NAME, most=NAMES)
    """Which recurrent modules, by name, such as encoder.lstm: a stack, from the bottom up, in which
    nothing but dropout lies between two modules. Null takes the only one."""
    nonlinearity: str | None = option(choices=("tanh", "relu"))
    """The activation of an nn.RNN, which its weights do not tell; null for other networks."""
    embedding: str | None = option(longest=NAME)
    """Name of the tensor [V, F] of the embedding; null finds it if the data are tokens and only one
    fits."""
    readout: str | None = option(longest=NAME)
    """Name of the tensor [K, U] that maps h to the K outputs, U of both directions together, or
    [U, K] if it was stored so; null finds the weight of an nn.Linear if only one fits."""
    readout_bias: str | None = option(longest=NAME)
    """Name of the tensor [K] that is its bias; null takes the one of the same module, if any."""
    readout_from: str | None = option(choices=("state", "output"))
    """What the read-out of a bidirectional network takes: state, each direction's h after its final
    step (h_n); output, both at the last timestep of the input (output[:, -1]), where the backward
    direction has read only one step. Null where there is only one direction, or labels or targets
    belong to timesteps."""
    leave_out: list[str] | None = option(longest=NAME, most=NAMES)
    """Names of tensors that are no part of what is to be recorded, such as those of layers after
    the recurrent ones, also as patterns: [head.*]. Null leaves none out; a tensor without a known
    role is refused."""


@dataclass
class RecordedStates(Trained):
    """States that another tool, another framework or an electrode recorded; there is no model.

    The path is an .npz file with arrays named <layer>/<signal>, such as lstm/c; an HDF5 file (.h5,
    .hdf5) with such data sets; or a folder of files <layer>/<signal>.npy, which are read from disk
    as needed and may be larger than memory. Each is [N, T, U]: the N sequences of the test split of
    data= in their order, its T timesteps in input time, also of a layer that reads backwards, and
    U units. Timesteps beyond a sequence's length are ignored; where the data tells no lengths, a
    sequence ends where all units are NaN from a timestep on. Signals are h, c, the gates i, f, o,
    z, r, all between 0 and 1, the candidate g, and s0, s1, ... for anything else, such as rates. Of
    data=files with arrays, y_test, lengths_test, annotations and groups are taken, each if it is
    there, and x_test is not needed. No stage trains or reruns a model, and there is no proof, as
    there is nothing to prove the states by.
    """

    backward: list[str] | None = option(longest=NAME, most=NAMES)
    """Names of the layers that read their input backwards, whose final step is the first timestep.
    Null takes those whose name ends in .backward, as in states that rnnscope recorded."""
