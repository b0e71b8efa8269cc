"""What states are had from, memory or files."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = NDArray[np.float32]


class Source(Protocol):
    """Where states come from: memory or files."""

    @property
    def layers(self) -> dict[str, list[str]]:
        """The recorded layers, each with its signals."""

    @property
    def sequences(self) -> pd.DataFrame:
        """One row per sequence."""

    @property
    def steps(self) -> pd.DataFrame | None:
        """One row per timestep, where there are labels or annotations of timesteps."""

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of their numbers."""

    @property
    def residuals(self) -> dict[str, dict[str, float]]:
        """Of the proof, by layer and kind."""

    def units(self, layer: str, signal: str) -> list[int]:
        """The numbers of the recorded units."""

    def steps_of(self, layer: str) -> NDArray[np.intp] | None:
        """The timesteps of the arrays' axis; None where each sequence has its own."""

    def longest(self, layer: str) -> int:
        """The timesteps of the layer's input, whichever were asked for."""

    @property
    def other_time(self) -> list[str]:
        """The layers to whose timesteps labels and annotations of timesteps do not belong."""

    def shape(self, layer: str, signal: str) -> tuple[int, int, int]:
        """N, T, U."""

    def array(self, layer: str, signal: str) -> Float:
        """The signal [N, T, U]."""

    def frame(self, layer: str, signal: str) -> pd.DataFrame:
        """The signal's rows."""

    def write(self, folder: Path, artefact: str) -> None:
        """Write the contract's files into a folder."""
