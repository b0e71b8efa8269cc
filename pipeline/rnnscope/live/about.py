"""What there is to know of recorded states besides their values."""

from collections.abc import Mapping
from dataclasses import dataclass

from rnnscope.config import Extract
from rnnscope.extract.notes import Part
from rnnscope.extract.records import Layout
from rnnscope.trace.findings import Findings


@dataclass(frozen=True)
class About:
    """Of states in memory."""

    layout: Layout
    parts: tuple[Part, ...]
    """How stage extract cuts these sequences."""
    options: Extract
    findings: Findings
    """Of the proof: the worst residual of each layer and kind, and where it is."""
    paths: Mapping[str, str]
    """How each layer's signals were computed, "fused" or "loop"."""
    classes: tuple[str, ...]
    labels: str | None
    """What the labels are: class or number, per sequence or per timestep."""
    annotations: tuple[str, ...]
    steps: bool
    """Whether timesteps have labels, targets or annotations."""
    other_time: tuple[str, ...]
    """Layers to whose timesteps labels and annotations of timesteps do not belong."""
    unmasked: tuple[str, ...]
    draws: tuple[str, ...]
    """Layers that draw at random."""
    no_scores: str | None
    """Why there is no prediction, though there are labels."""
    proved: int
    """How many sequences were proved."""

    @property
    def residuals(self) -> dict[str, dict[str, float]]:
        """The largest residuals of the proof, by layer and kind."""
        return {
            layer: {kind: worst.value for kind, worst in kinds.items()}
            for layer, kinds in self.findings.items()
        }
