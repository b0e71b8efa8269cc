"""The sweeper plugin, ``hydra/sweeper=rnnscope``, the default in conf/config.yaml.

Hydra imports every plugin at each start, so nothing heavy is imported before a sweep begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class RnnscopeSweeperConf:
    """Options of the sweeper."""

    _target_: str = "hydra_plugins.rnnscope_sweeper.RnnscopeSweeper"
    params: dict[str, str] = field(default_factory=dict)
    """Overrides that every sweep of this config has, such as ``model.units: 16,32``."""


ConfigStore.instance().store(
    group="hydra/sweeper", name="rnnscope", node=RnnscopeSweeperConf, provider="rnnscope"
)


class RnnscopeSweeper(Sweeper):
    """Plans a sweep, or runs all its jobs to their end and reports how each ended.

    Hydra's own sweeper stops at the first job that fails and reports no other.
    """

    def __init__(self, params: Mapping[str, str] | None = None):
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Store what Hydra passes before the sweep."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep.

        Args:
            arguments: the overrides of the command line.

        Raises:
            UserError: no job has a config that can run.
            SystemExit: with status 1 if some job did not end well.
        """
        from rnnscope.sweep.sweeping import sweep

        words = [*(f"{key}={values}" for key, values in self.params.items()), *arguments]
        status = sweep(self.config, words, self.hydra_context, self.task_function)
        if status:
            # Hydra calls this only if sweep() returns; here it ends the process.
            self.hydra_context.callbacks.on_multirun_end(config=self.config, config_name=None)
            raise SystemExit(status)
