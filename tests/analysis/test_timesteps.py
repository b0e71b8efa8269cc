"""Timesteps that an analysis counts from the end are told where sequences end elsewhere."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope import states
from rnnscope.states import selection
from tests.analysis.compare import test_compare
from tests.analysis.decoding import test_decoding
from tests.analysis.population import test_population
from tests.recordings import Recording, drawn, write


def population(folder: Path, recording: Recording, timesteps: str) -> None:
    options = replace(test_population.OPTIONS, timesteps=timesteps)
    test_population.measured(folder, recording, options)


def decoding(folder: Path, recording: Recording, timesteps: str) -> None:
    test_decoding.measured(folder, recording, replace(test_decoding.OPTIONS, timesteps=timesteps))


def compare(folder: Path, recording: Recording, timesteps: str) -> None:
    runs = (test_compare.laid(folder, name, recording) for name in "ab")
    options = replace(test_compare.OPTIONS, timesteps=timesteps)
    test_compare.compared(folder, *runs, options=options)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if "is counted from timestep" in each.message]


@pytest.mark.parametrize("stage", [population, decoding, compare])
def test_stages_say_how_many_sequences_end_earlier(
    stage: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = drawn(n=120, t=6)
    short = int((recording.lengths < 6).sum())
    assert 0 < short < 120
    with caplog.at_level(logging.WARNING):
        stage(tmp_path / "all", recording, "0:4")
        assert not said(caplog)
        stage(tmp_path / "end", recording, "-3:")
    lines = set(said(caplog))
    assert lines == {
        f"{stage.__name__}.timesteps=-3:: is counted from timestep 5, the last of the longest "
        f"sequences, and {short} of 120 sequences of layer 'lstm' end before it: theirs are nearer "
        "to their own end, or none"
    }
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        stage(tmp_path / "equal", replace(recording, lengths=np.full(120, 6)), "-3:")
    assert not said(caplog)


TOLD = ("-1:", ":-2", "1:-1", "-4:-1:2")
NOT_TOLD = ("::2", "all", "last", "2:")


@pytest.mark.parametrize("timesteps", [*TOLD, *NOT_TOLD])
def test_only_what_is_counted_from_the_end_is_told(
    timesteps: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = write(tmp_path / "states", drawn(n=20, signals="h"), parts=3)
    signal = states.open_signal(recorded, "lstm", "h")
    with caplog.at_level(logging.WARNING):
        selection.warn_of_ends("x.timesteps", timesteps, [signal, signal])
    assert len(said(caplog)) == (timesteps in TOLD)
