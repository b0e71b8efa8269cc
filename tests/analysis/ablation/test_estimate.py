"""What an ablation will take: from the first passes, logged, and refused beyond its limit."""

import logging
from collections.abc import Generator
from pathlib import Path

import pytest

from rnnscope import config as schema
from rnnscope.analysis.ablation.estimate import Work, judge, watched
from rnnscope.config import Ablation
from rnnscope.errors import UserError
from rnnscope.stages.chain import chain
from rnnscope.terminal import in_words
from tests.compose import composed


def work(hours: float | None = 12, passes: int = 204_800) -> Work:
    options = Ablation(None, None, ["h_zero"], None, 1_000, hours)
    return Work(passes, 2_000, 1_000, options)


class Passes:
    """Passes that take a second each, the first ones ten, on a clock of their own."""

    def __init__(self, count: int, slow: int = 0, seconds: float = 1.0):
        self.count, self.slow, self.seconds = count, slow, seconds
        self.now, self.made = 1_000.0, 0

    def all(self) -> Generator[int, None, None]:
        for number in range(self.count):
            self.now += 10 if number < self.slow else self.seconds
            self.made += 1
            yield number

    def clock(self) -> float:
        return self.now


def test_the_time_of_all_passes_follows_from_the_first_without_the_slow_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passes = Passes(100, slow=4)
    with caplog.at_level(logging.INFO):
        assert list(watched(passes.all(), work(None, 1_800), 1, passes.clock)) == list(range(100))
    (line,) = caplog.messages
    assert line.strip() == "1,800 passes over 2,000 sequences, about 60 min"  # 2 batches of 1 s


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_what_takes_too_long_ends_after_a_few_passes(workers: int) -> None:
    passes = Passes(204_800)
    with pytest.raises(UserError) as caught:
        list(watched(passes.all(), work(), workers, passes.clock))
    assert passes.made <= 8 + 3 * workers
    assert str(caught.value) == (
        "ablation would take about 5 days, 204,800 passes over 2,000 sequences; ablation.hours=12 "
        "is the limit: choose less with ablation.units, ablation.layers, ablation.methods or "
        "ablation.max_sequences=168, or allow it with ablation.hours=171"
    )


def test_the_remedies_work() -> None:
    judge(work(171), work().seconds(1))
    judge(work(None), 1e12)
    fewer = Work(204_800, 168, 168, work().options)
    judge(fewer, fewer.seconds(0.168))


def test_beyond_the_bound_of_the_limit_the_remedy_is_none() -> None:
    with pytest.raises(UserError, match=r"allow it with ablation\.hours=null"):
        judge(work(), 1e9)


def test_fewer_passes_than_are_timed_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(watched(Passes(5).all(), work(1e-9, 5), 1)) == list(range(5))
    assert not caplog.messages


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.1, "1 s"), (89, "89 s"), (90, "2 min"), (5_400, "2 h"), (50_400, "14 h"), (2e5, "2 days")],
)
def test_times_in_words(seconds: float, says: str) -> None:
    assert in_words(seconds) == says


def test_the_limit_is_no_part_of_the_key() -> None:
    keys = {
        chain(composed(Path("nowhere"), "stage=ablation", *words))[-1].artefact.key
        for words in ([], ["ablation.hours=1"], ["ablation.hours=null"])
    }
    other = chain(composed(Path("nowhere"), "stage=ablation", "ablation.batch_size=7"))
    assert len(keys) == 1
    assert other[-1].artefact.key not in keys
    assert "hours" not in schema.counted(schema.Ablation(None, None, [], None, 1, 2.0))
