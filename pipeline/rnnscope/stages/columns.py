"""The columns of table runs, which stage collect writes."""

from rnnscope.store.tables import Column, Null, Table

_NO_STAGE = Null("the run has no such stage")

SECONDS = Column(
    "<stage>.seconds",
    "seconds of the attempt that finished the stage, also where runs share it",
    nulls=(_NO_STAGE,),
)
MEMORY = Column(
    "<stage>.peak_memory_bytes",
    "largest memory of the process that led the stage, in bytes, without Dask workers",
    nulls=(_NO_STAGE,),
)
KEY = Column(
    "<stage>_key",
    "key of the stage's artefact: a hash of everything that can change its content",
    nulls=(_NO_STAGE,),
)

RUNS = Table(
    "runs",
    "finished run",
    (
        Column("run", "name of the run"),
        Column(
            "<option>",
            "value of the option by its dotted name, a list as text, beside a file's path its "
            "digest; extract.checkpoint is the step of training after which the states were taken",
            nulls=(Null("it is null, or the run has no such option"),),
        ),
        Column(
            "accuracy",
            "share of correct predictions, mean over test sequences",
            nulls=(Null("no class was predicted, or the data has no labels"),),
        ),
        Column(
            "loss",
            "cross-entropy in nats, or of numeric targets the squared error, mean over test "
            "sequences",
            nulls=(Null("nothing was predicted, or the data has no labels and no targets"),),
        ),
        Column("seconds", "sum of the seconds of all stages of the run"),
        Column("peak_memory_bytes", "largest of the stages' peak memories, in bytes"),
        SECONDS,
        MEMORY,
        KEY,
    ),
)

TABLES = (RUNS,)
