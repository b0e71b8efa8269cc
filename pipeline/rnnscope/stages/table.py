"""Every stage, in order of execution: what it needs, reads and writes."""

from rnnscope.config.intervention import CLUSTERS
from rnnscope.store.stage import Stage


def _among(name: str, asked: object) -> bool:
    """Whether an option is a list that has a name."""
    return isinstance(asked, list) and name in asked


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "train",
            version=4,
            module="rnnscope.train",
            reads=("data", "model", "train", "seed"),
            tables=("history",),
            tensorflow=True,
        ),
        Stage(
            "extract",
            version=5,
            module="rnnscope.extract.stage",
            needs=("train",),
            reads=("data", "model", "extract"),
            tables=("sequences", "steps"),
            tensorflow=True,
            resumes=True,
            spreads=True,
        ),
        Stage(
            "units",
            version=5,
            module="rnnscope.analysis.units.stage",
            needs=("extract",),
            reads=("units",),
            tables=("units", "tuning", "timesteps", "task_variance"),
            spreads=True,
        ),
        Stage(
            "population",
            version=3,
            module="rnnscope.analysis.population.stage",
            needs=("extract",),
            reads=("population",),
            tables=("population", "components", "trajectories", "correlation", "demixed"),
        ),
        Stage(
            "decoding",
            version=4,
            module="rnnscope.analysis.decoding.stage",
            needs=("extract",),
            reads=("data", "decoding"),
            tables=("decoding", "decoding_units", "decoder_weights", "memory", "memory_capacity"),
        ),
        Stage(
            "ablation",
            version=2,
            module="rnnscope.analysis.ablation.stage",
            needs=("train", "units"),
            reads=("data", "model", "ablation"),
            tables=("ablation", "importance"),
            tensorflow=True,
        ),
        Stage(
            "intervention",
            version=2,
            module="rnnscope.analysis.intervention.stage",
            needs=("train", "extract"),
            asked=(
                ("population", lambda config: _among(CLUSTERS, config.intervention.groups)),
                ("decoding", lambda config: config.intervention.decoded is not None),
            ),
            reads=("data", "model", "intervention"),
            tables=("intervention", "attribution"),
            tensorflow=True,
        ),
        Stage(
            "fixed_points",
            version=2,
            module="rnnscope.analysis.fixed_points.stage",
            needs=("train", "extract", "population"),
            reads=("data", "model", "fixed_points"),
            tables=("fixed_points", "modes"),
            tensorflow=True,
        ),
        Stage(
            "report",
            version=8,
            module="rnnscope.report.stage",
            needs=(
                *("train", "extract", "units", "population", "decoding", "ablation"),
                "fixed_points",
            ),
            reads=("data", "report"),
            shows="intervention",
        ),
    )
}
OVER_RUNS = {
    stage.name: stage
    for stage in (
        Stage(
            "collect",
            version=4,
            module="rnnscope.stages.collect",
            needs=tuple(STAGES),
            reads=("collect",),
            shows="compare",
            tables=("runs",),
            runs=1,
        ),
        Stage(
            "compare",
            version=3,
            module="rnnscope.analysis.compare.stage",
            needs=("extract",),
            reads=("compare",),
            tables=("compare", "matching"),
            runs=2,
        ),
    )
}
"""The stages over all finished runs below the root; they read what each run has."""
CHECK = "check"
"""On the command line a stage too: it reads every file below the root and makes no artefact."""
COLLECTED = tuple(name for name, stage in STAGES.items() if name in stage.tables)
"""The stages whose table of the same name is collected over runs."""
RERUN = ("train", "ablation", "intervention", "fixed_points")
"""The stages besides extract that run a model; where there are states alone, they are left out."""
BROUGHT = "rnnscope.extract.brought.stage"
"""The module of stage extract for states that were recorded elsewhere."""
