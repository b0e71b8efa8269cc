"""Figures of a run's tables, for notebooks and papers: each a function of a DataFrame.

Each returns a Matplotlib figure, 4.6 inches wide, on white, in colours that colour-blind readers
tell apart, and leaves Matplotlib's settings and pyplot as they were: ``figure.savefig("c.pdf")``
saves it, a notebook shows it. ``figure.alt`` says in words what it shows. ``stage=report
"report.format=[html,png,svg]"`` writes those of a whole run as files.

>>> import pandas as pd, rnnscope
>>> history = pd.DataFrame({"step": [10, 20], "loss": [2.0, 1.2]})
>>> figure = rnnscope.figures.training_curve(history)  # or pd.read_parquet(".../history.parquet")
>>> figure.axes[0].set_ylim(0, 3)
(0.0, 3.0)
>>> figure.alt
'loss over training steps'
"""

from rnnscope.figures.ablated import ablation
from rnnscope.figures.class_means import class_means
from rnnscope.figures.decays import forget_timescales, timescales
from rnnscope.figures.decoders import decoding, generalisation
from rnnscope.figures.effects import eta2_over_time
from rnnscope.figures.gates import gate_means, gate_saturation
from rnnscope.figures.heat_maps import heat_map, mean_heat_map
from rnnscope.figures.interventions import intervention
from rnnscope.figures.points import fixed_points
from rnnscope.figures.population import class_paths, dimension, unit_correlations
from rnnscope.figures.remembered import memory
from rnnscope.figures.sequences import confusion_matrix, lengths
from rnnscope.figures.training import training_curve

__all__ = [
    "ablation",
    "class_means",
    "class_paths",
    "confusion_matrix",
    "decoding",
    "dimension",
    "eta2_over_time",
    "fixed_points",
    "forget_timescales",
    "gate_means",
    "gate_saturation",
    "generalisation",
    "heat_map",
    "intervention",
    "lengths",
    "mean_heat_map",
    "memory",
    "timescales",
    "training_curve",
    "unit_correlations",
]
