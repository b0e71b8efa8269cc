"""Recorded states in files, of which only what is asked for is read."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.errors import UserError
from rnnscope.live.source import Float
from rnnscope.live.states import States
from rnnscope.states import selection
from rnnscope.store import damage, reading
from rnnscope.store.manifest import MANIFEST, read_manifest


def open_states(folder: Path | str) -> States:
    """Open a folder of recorded states: the same object as ``record`` gives, over files.

    >>> import keras, numpy as np, rnnscope, tempfile
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> folder = tempfile.mkdtemp()
    >>> written = rnnscope.record(model, np.zeros((10, 20, 3), "float32")).write(folder)
    >>> rnnscope.open_states(written)["lstm"]["c"].shape  # reads this signal alone
    (10, 20, 4)

    Args:
        folder: what stage extract or ``States.write`` wrote, such as ``outputs/latest/extract``.

    Raises:
        FileNotFoundError: the folder holds no recording.
        rnnscope.errors.UserError: files are missing, or not what was written; later, when
            something is read, also that another recording has taken the folder's place.
    """
    if any(Path(folder).glob("step-[0-9]*/sequences.parquet")):
        raise FileNotFoundError(f"{folder}: holds recordings by step; rnnscope.open_steps opens it")
    place = states.recording(folder).resolve()  # a link such as latest is followed once
    return States(Opened(place, reading.identity(place)))


@dataclass(frozen=True)
class Opened:
    """A folder of recorded states."""

    folder: Path
    identity: reading.Identity
    """Of the folder when it was opened."""

    @property
    def layers(self) -> dict[str, list[str]]:
        """The recorded layers, each with its signals."""
        return states.layers(self.folder)

    @property
    def sequences(self) -> pd.DataFrame:
        """One row per sequence."""
        with self.unreplaced():
            return states.read_sequences(self.folder)

    @property
    def steps(self) -> pd.DataFrame | None:
        """One row per timestep, where there are labels or annotations of timesteps."""
        with self.unreplaced():
            there = (self.folder / states.STEPS).is_file()
            return states.read_steps(self.folder) if there else None

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of their numbers; none without a manifest."""
        return list(self._manifest().get("classes", []))

    @property
    def residuals(self) -> dict[str, dict[str, float]]:
        """Of the proof, by layer and kind; empty without a manifest."""
        found: dict[str, dict[str, float]] = self._manifest().get("residuals", {})
        return found

    def units(self, layer: str, signal: str) -> list[int]:
        """The numbers of the recorded units."""
        return list(states.open_signal(self.folder, layer, signal).units)

    def steps_of(self, layer: str) -> NDArray[np.intp] | None:
        """The timesteps of the arrays' axis; None where each sequence has its own, its last.

        Without a manifest that says which were asked for, they are those that are there.
        """
        manifest = self._manifest()
        asked = manifest.get("slice", {}).get("extract", {}).get("timesteps")
        if asked == "last":
            return None
        signal = states.open_signal(self.folder, layer, self.layers[layer][0])
        longest = manifest.get("longest", {}).get(layer)
        if asked is not None and (longest is not None or asked == "all"):
            return selection.steps_of(asked, longest or signal.timesteps)
        there = np.zeros(signal.timesteps, bool)
        most = 0
        for keys, _ in signal.read([]):
            there[keys.timestep] = True
            most = max(most, int(np.bincount(keys.sequence - keys.sequence[0]).max()))
        return None if most == 1 < there.sum() else np.flatnonzero(there)

    def longest(self, layer: str) -> int:
        """The timesteps of the layer's input; without a manifest those that have rows."""
        known = self._manifest().get("longest", {}).get(layer)
        there = states.open_signal(self.folder, layer, self.layers[layer][0]).timesteps
        return int(known or there)

    @property
    def other_time(self) -> list[str]:
        """The layers to whose timesteps labels and annotations of timesteps do not belong."""
        manifest = self._manifest()
        if manifest and "other_time" not in manifest:
            raise UserError(
                f"{self.folder}: was recorded by an earlier version, which did not note which "
                "layers have other timesteps; record it again"
            )
        return list(manifest.get("other_time", []))

    def shape(self, layer: str, signal: str) -> tuple[int, int, int]:
        """N, T, U."""
        steps, units = self.steps_of(layer), self.units(layer, signal)
        return states.sequence_count(self.folder), 1 if steps is None else len(steps), len(units)

    def array(self, layer: str, signal: str) -> Float:
        """The signal [N, T, U], read part by part."""
        with self.unreplaced():
            steps, opened = self.steps_of(layer), states.open_signal(self.folder, layer, signal)
            n, t, u = self.shape(layer, signal)
            values = np.full((n, t, u), np.nan, np.float32)
            for keys, rows in opened.read():
                place = 0 if steps is None else np.searchsorted(steps, keys.timestep)
                values[keys.sequence, place] = rows.T
        values.flags.writeable = False
        return values

    def frame(self, layer: str, signal: str) -> pd.DataFrame:
        """The signal's rows."""
        with self.unreplaced():
            frame: pd.DataFrame = states.read_states(self.folder, signal, layer=layer)
        return frame

    def write(self, folder: Path, artefact: str) -> None:
        """Copy the recording's files, and read the copies again.

        Raises:
            UserError: a key that is not that of these files, whose footers name it; or a file that
                is not what was written.
        """
        manifest = self._manifest()
        if artefact and artefact != manifest.get("key"):
            raise UserError(
                f"artefact={artefact}: the states are files of {manifest.get('key') or 'none'}, "
                "which their footers name; leave it out"
            )
        names = [f"{place}/{signal}" for place, signal in self._places()]
        with self.unreplaced():
            for name in names:
                shutil.copytree(self.folder / name, folder / name)
            for table in (states.SEQUENCES, states.STEPS, MANIFEST):
                if (self.folder / table).is_file():
                    shutil.copy2(self.folder / table, folder / table)
        known = damage.declared(manifest) if manifest else {}
        copied = [name for name in known if (folder / name).is_file()]
        for fault in damage.digested(folder, known, copied):
            if fault:
                raise UserError(f"{self.folder / fault.path.relative_to(folder)}: {fault.what}")

    @contextlib.contextmanager
    def unreplaced(self) -> Iterator[None]:
        """Raise, before and after what is read inside, if another folder stands there now."""
        self._refuse_another()
        yield
        self._refuse_another()

    def _refuse_another(self) -> None:
        if reading.identity(self.folder) != self.identity:
            raise UserError(
                f"{self.folder}: was replaced since it was opened; open it again with open_states"
            )

    def _places(self) -> list[tuple[str, str]]:
        places = states.places(self.folder)
        return [(places[layer], signal) for layer, names in self.layers.items() for signal in names]

    def _manifest(self) -> dict[str, Any]:
        with self.unreplaced():
            there = (self.folder / MANIFEST).is_file()
            return read_manifest(self.folder) if there else {}
