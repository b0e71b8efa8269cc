"""What is measured against what: the works, their contenders, and the targets."""

from dataclasses import dataclass

from tests.benchmarks import problem

OURS = "rnnscope"
SMALL, LARGE, LONG, LONGEST = (10_000, 28), (100_000, 28), (1_000, 280), (100, 2_800)
FEW, FEWER = (2_000, 28), (500, 28)


@dataclass(frozen=True)
class Run:
    """One contender's run."""

    name: str
    """As the table calls it."""
    kind: str
    """in_memory, to_parquet, statistics, rerun or sweep."""
    contender: str
    """``module:function`` of its settings."""
    size: tuple[int, int] = SMALL
    """N, T."""
    mapped: bool = False
    """Whether the data stay on the disk."""
    needs: tuple[str, ...] = ()
    """Packages without which it is left out."""
    signals: str = ""
    """Of statistics: which recorded signals they are of."""

    @property
    def recorded(self) -> str:
        """The folder of the states that it measures."""
        return f"{problem.name_of(*self.size)}-{self.signals}"


@dataclass(frozen=True)
class Work:
    """Runs that are compared with the first of them."""

    name: str
    runs: tuple[Run, ...]
    targets: tuple[float | None, ...]
    """One per run but the first; for "spread" and "limit" one."""
    figure: str = "seconds"
    """What is compared."""
    rule: str = "faster"
    """faster: other over ours, at least the target; growth: other over first, at most; spread:
    largest over smallest of all, at most; limit: the figure itself over the target, at most 1."""


H_ONLY = (
    Run("Keras LSTM, h only", "in_memory", "with_keras:h_only"),
    Run("PyTorch nn.LSTM, h only", "in_memory", "with_torch:h_only", needs=("torch",)),
    Run("PyTorch LSTMCell loop, h and c", "in_memory", "with_torch:cell_loop", needs=("torch",)),
    Run("ONNX LSTM, h only", "in_memory", "with_onnx:h_only", needs=("onnxruntime", "onnx")),
)
RECORDED = (
    Run("trace.recording in a tf.function", "in_memory", ":ours_passes"),
    Run("record, prepared before", "in_memory", ":ours_held"),
    Run("the same, and its arrays", "in_memory", ":ours_recorded_again"),
    Run("record, the whole call, and its arrays", "in_memory", ":ours_recorded"),
)
WRITTEN = (
    Run("recording cell, predict, to_parquet", "to_parquet", "with_keras:usual_way"),
    Run(
        "PyTorch LSTMCell loop, pyarrow",
        "to_parquet",
        "with_torch:cell_loop_to_parquet",
        needs=("torch",),
    ),
)


def _written(name: str, size: tuple[int, int], *, mapped: bool = False) -> Run:
    return Run(name, "to_parquet", ":ours_to_parquet", size, mapped)


def _measured(
    name: str, contender: str, size: tuple[int, int] = SMALL, signals: str = "hcifog"
) -> Run:
    return Run(name, "statistics", contender, size, signals=signals)


PANDAS = _measured("pandas", ":pandas_moments")
STAGE = _measured("stage units", ":ours_units")
MEASURED_SIZES = tuple(
    _measured(f"N = {size[0]:,}", ":ours_units", size, "h") for size in (SMALL, LARGE)
)
SIZES = (_written("N = 10,000", SMALL, mapped=True), _written("N = 100,000", LARGE, mapped=True))
LENGTHS = tuple(_written(f"T = {size[1]:,}", size) for size in (SMALL, LONG, LONGEST))
WORKS = (
    Work(
        "six signals in memory",
        (Run(OURS, "in_memory", ":ours_in_memory"), *H_ONLY),
        (2.0, 1.0, 2.0, None),
    ),
    Work("record, over its passes alone", RECORDED, (1.2, None, None), rule="growth"),
    Work(
        "record, over its passes alone, of all cores",
        RECORDED,
        (1.2, None, None),
        "cpu_seconds",
        "growth",
    ),
    Work("h and c to Parquet", (_written(OURS, SMALL), *WRITTEN), (10.0, 2.0)),
    Work("peak memory, private", SIZES, (1.1,), "private_bytes", "growth"),
    Work("peak memory, with mapped input", SIZES, (1.1,), "peak_memory_bytes", "growth"),
    Work("seconds per row", LENGTHS, (1.3,), rule="spread"),
    Work(
        "moments and quantiles of six signals", (_measured(OURS, ":ours_moments"), PANDAS), (3.0,)
    ),
    Work("stage units, six signals", (STAGE,), (20.0,), rule="limit"),
    Work("stage units, six signals", (STAGE,), (1e9,), "peak_memory_bytes", "limit"),
    Work("peak memory, stage units", MEASURED_SIZES, (1.1,), "peak_memory_bytes", "growth"),
    Work(
        "ablation of 128 units, 2,000 sequences",
        (Run("stage ablation", "rerun", ":ours_ablation", FEW),),
        (60.0,),
        rule="limit",
    ),
    Work(
        "intervention: 128 units, 28 windows, 500 sequences",
        (Run("stage intervention: zero, patch", "rerun", "interventions:changed", FEWER),),
        (90.0,),
        rule="limit",
    ),
    Work(
        "intervention: estimates of 2,000 sequences",
        (Run("intervention.exact=false", "rerun", "interventions:estimated", FEW),),
        (5.0,),
        rule="limit",
    ),
    Work(
        "intervention: 16 units, 4 windows, 500 sequences",
        (
            Run("passes of the stage", "rerun", "interventions:passes", FEWER),
            Run("predict, a clamped cell", "rerun", "interventions:clamped", FEWER),
        ),
        (10.0,),
    ),
    Work(
        "fixed points: Jacobians of an LSTM of 128 units at 40 states",
        (
            Run("all at once", "rerun", "linearised:at_once", FEW),
            Run("one column at a time", "rerun", "linearised:by_column", FEW),
        ),
        (20.0,),
    ),
    Work(
        "a sweep of six runs on digits",
        (Run("hydra/launcher=local", "sweep", "local"), Run("one after another", "sweep", "basic")),
        (1.7,),
    ),
)
