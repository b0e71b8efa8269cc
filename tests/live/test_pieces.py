"""A signal in memory is the same array however it came, and no batch is lost on the way."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnscope.live.pieces import Pieces

SHAPE = (23, 5, 3)
CUTS = ((0, 8), (8, 16), (16, 23))


def drawn(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values [N, T', U], and which are rows [N, T']: all of the first batch."""
    draw = np.random.default_rng(seed)
    places = draw.random(SHAPE[:2]) < 0.7
    places[:8] = True
    return draw.normal(size=SHAPE).astype(np.float32), places


def pieces_of(values: NDArray[np.float32], places: NDArray[np.bool_]) -> Pieces:
    found = Pieces(SHAPE)
    for start, stop in CUTS:
        part, where = values[start:stop], places[start:stop]
        # As passes leave them: with timesteps first in memory, or as rows.
        if where.all():
            found.add(np.ascontiguousarray(part.swapaxes(0, 1)).swapaxes(0, 1))
        else:
            found.add(part[where], where)
    return found


def test_it_is_what_was_added_and_nan_elsewhere() -> None:
    values, places = drawn()
    found = pieces_of(values, places)
    np.testing.assert_array_equal(found.array(), np.where(places[..., None], values, np.nan))
    assert not found.batches
    assert found.array() is found.array()


def test_a_single_batch_is_the_array_itself() -> None:
    values, _ = drawn()
    found = Pieces(SHAPE)
    found.add(values)
    assert found.array() is values
    assert found.array() is values


def test_where_it_is_much_each_batch_is_copied_as_it_comes() -> None:
    values, places = drawn(4)
    found = Pieces(SHAPE, at_once=True)
    for (start, stop), joined in zip(CUTS, (8, 16, 23), strict=True):
        found.add(values[start:stop][places[start:stop]], places[start:stop])
        assert (found.joined, len(found.batches)) == (joined, 0)
    np.testing.assert_array_equal(found.array(), np.where(places[..., None], values, np.nan))


MEMORY = """
from pathlib import Path
import keras, numpy as np, rnnscope
from rnnscope.live import pieces
pieces.LIMIT = 0
model = keras.Sequential([keras.Input((None, 8)), keras.layers.LSTM(64, name="lstm")])
x = np.zeros((20_000, 20, 8), "float32")
rnnscope.record(model, x[:600])
def most():
    said = Path("/proc/self/status").read_text()  # getrusage would tell the parent's too
    return int(said.partition("VmHWM:")[2].split()[0]) * 1024
before = most()
states = rnnscope.record(model, x)
size = sum(states["lstm"][signal].nbytes for signal in states["lstm"])
print((most() - before) / size)
"""


@pytest.mark.tensorflow
@pytest.mark.slow
def test_then_memory_is_that_of_the_arrays_and_of_a_batch() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert 0.95 < float(ended.stdout) < 1.3


def test_threads_that_ask_at_once_get_the_same_array() -> None:
    values, places = drawn(1)
    found, gate = pieces_of(values, places), threading.Barrier(8)

    def asked(number: int) -> NDArray[np.float32]:
        gate.wait()
        return found.array()

    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(asked, range(8)))
    assert all(each is arrays[0] for each in arrays)
    np.testing.assert_array_equal(arrays[0], np.where(places[..., None], values, np.nan))


@pytest.mark.parametrize("batch", range(len(CUTS)))
def test_an_interruption_loses_nothing(batch: int) -> None:
    values, places = drawn(2)
    found = pieces_of(values, places)
    whole = found.batches[batch]
    found.batches[batch] = (np.zeros((1, 1, 7), np.float32), whole[1])  # cannot be put in place
    with pytest.raises((ValueError, IndexError)):
        found.array()
    found.batches[0] = whole
    np.testing.assert_array_equal(found.array(), np.where(places[..., None], values, np.nan))


def test_it_can_be_pickled_before_and_after() -> None:
    values, places = drawn(3)
    found = pieces_of(values, places)
    before = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(before.array(), found.array())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).array(), found.array())
