"""The stages: their table, the chain that a config leads to, and the loop that runs it."""

from rnnscope.stages.chain import chain
from rnnscope.stages.checking import check
from rnnscope.stages.running import run
from rnnscope.stages.table import CHECK, OVER_RUNS, STAGES

__all__ = ["CHECK", "OVER_RUNS", "STAGES", "chain", "check", "run"]
