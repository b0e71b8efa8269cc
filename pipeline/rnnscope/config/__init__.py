"""The schema of the configuration: each option's meaning, unit and range; values are in conf/.

The text under a field documents it, also in conf/README.md. ``load`` turns what Hydra composed into
these dataclasses and reports in one line what does not fit.
"""

from rnnscope.config.data import Data, Digits, Files, Mnist
from rnnscope.config.engine import Dask, DaskSlurm, Engine
from rnnscope.config.intervention import Intervention
from rnnscope.config.loading import KINDS, load
from rnnscope.config.location import CONF
from rnnscope.config.model import (
    Lstm,
    Model,
    ModelFile,
    RecordedStates,
    Recurrent,
    Tf1Checkpoint,
    TorchWeights,
    Trained,
)
from rnnscope.config.stages import (
    Ablation,
    Analysis,
    Collect,
    Compare,
    Decoding,
    Extract,
    FixedPoints,
    Population,
    Report,
    Train,
    Units,
)
from rnnscope.config.tasks import Anbn, Ar1, Delay, Dyck, FlipFlop, Generated, Lagged, Text
from rnnscope.config.whole import Config, absent_if_null, counted, files, located

__all__ = [
    "CONF",
    "KINDS",
    "Ablation",
    "Analysis",
    "Anbn",
    "Ar1",
    "Collect",
    "Compare",
    "Config",
    "Dask",
    "DaskSlurm",
    "Data",
    "Decoding",
    "Delay",
    "Digits",
    "Dyck",
    "Engine",
    "Extract",
    "Files",
    "FixedPoints",
    "FlipFlop",
    "Generated",
    "Intervention",
    "Lagged",
    "Lstm",
    "Mnist",
    "Model",
    "ModelFile",
    "Population",
    "RecordedStates",
    "Recurrent",
    "Report",
    "Text",
    "Tf1Checkpoint",
    "TorchWeights",
    "Train",
    "Trained",
    "Units",
    "absent_if_null",
    "counted",
    "files",
    "load",
    "located",
]
