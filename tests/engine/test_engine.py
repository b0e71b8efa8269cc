"""The engine: every part once, in order, so many at a time."""

import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest

from rnnscope import engine
from rnnscope.config import Engine
from rnnscope.engine.parts import forecast


def local(workers: int | None) -> Engine:
    return Engine("local", workers)


def square(part: int) -> int:
    return part * part


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_come_in_the_order_of_the_parts(workers: int) -> None:
    def slower_first(part: int) -> int:
        time.sleep((10 - part) * 0.003)
        return square(part)

    got = engine.run(slower_first, iter(range(10)), local(workers), what="test", unit="part")
    assert list(got) == [square(part) for part in range(10)]


def test_each_part_runs_once() -> None:
    seen: list[int] = []
    list(engine.run(seen.append, range(50), local(4), what="test", unit="part"))
    assert sorted(seen) == list(range(50))


def test_no_parts_give_no_results() -> None:
    parts: list[int] = []
    assert list(engine.run(square, parts, local(2), what="test", unit="part")) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_parts_run_at_a_time_than_there_are_workers(workers: int) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def count(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    list(engine.run(count, range(30), local(workers), what="test", unit="part"))
    assert most <= workers


def test_as_many_parts_run_at_a_time_as_there_are_workers() -> None:
    together = threading.Barrier(3, timeout=30)

    def meet(_: int) -> None:
        together.wait()

    list(engine.run(meet, range(6), local(3), what="test", unit="part"))
    assert not together.broken


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_reaches_the_caller_as_it_is(workers: int) -> None:
    def fail(part: int) -> float:
        return 1 / (part - 2)

    with pytest.raises(ZeroDivisionError):
        list(engine.run(fail, range(20), local(workers), what="test", unit="part"))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone can pin a process")
def test_null_means_every_core_this_process_may_use() -> None:
    cores = os.sched_getaffinity(0)
    assert engine.workers(local(None)) == len(cores)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert engine.workers(local(None)) == 1
    finally:
        os.sched_setaffinity(0, cores)
    assert engine.workers(local(7)) == 7


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (10.0, ["work: 6 of 1000 parts after 60 s, about 3 h left"]),
        (100.0, ["work: 1 of 1000 parts after 2 min, about 28 h left"]),
        (0.1, []),  # all is done before long
    ],
)
def test_long_work_says_once_how_long_the_rest_will_take(
    seconds: float, says: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    now = 5.0

    def passing() -> Iterator[int]:
        nonlocal now
        for number in range(1_000):
            now += seconds
            yield number

    with caplog.at_level(logging.INFO):
        assert len(list(forecast(passing(), 1_000, "work: {} of {} parts", lambda: now))) == 1_000
    assert [line.strip() for line in caplog.messages] == says


def test_work_that_is_left_early_ends_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    results = engine.run(square, range(1_000), local(2), what="test", unit="part")
    assert next(results) == 0
    results.close()
    assert not recwarn.list
