"""What several tests share: real data, TensorFlow, one finished run; tests without Slurm."""

import gc
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnscope import stages
from rnnscope.terminal import without_greeting
from tests import browser
from tests.compose import FINISHED, composed
from tests.environments import can_make_namespaces, can_mount
from tests.slurm import REMEDY, missing

MNIST = Path(__file__).parent / "fixtures" / "mnist.npz"
"""The first 1,000 + 300 sequences of MNIST, in their official order."""
LONG = ("readme", "cluster", "process", "slow")
"""Marks of tests that take long, the longest first."""
NEEDS: dict[str, tuple[str, Callable[[], bool]]] = {
    # Under CI=true these two are not left out: without Slurm, or a browser, they fail.
    "slurm": (
        f"tests on a real Slurm left out; {REMEDY} brings them",
        lambda: os.environ.get("CI") == "true" or not missing(),
    ),
    "browser": (
        f"tests in a browser left out; {browser.REMEDY} brings them",
        lambda: os.environ.get("CI") == "true" or browser.program() is not None,
    ),
    "torch": (
        "tests against PyTorch left out; make installs it: pip install -e '.[torch]'",
        lambda: importlib.util.find_spec("torch") is not None,
    ),
    "mount": ("tests on small disks left out; root, who may mount, brings them", can_mount),
    "namespace": (
        "tests of PID namespaces left out; a kernel that lets you unshare brings them",
        can_make_namespaces,
    ),
}
"""Fixture or mark -> what to say where its tests are left out, and whether they can run here."""
LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than cores: tests of Slurm, of Dask and of locks wait more than they compute.

    Each takes up to 1.5 GB.
    """
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.fixture(scope="session")
def mnist() -> Path:
    """A slice of MNIST, or the whole of it where ``RNNSCOPE_MNIST`` names the file."""
    return Path(os.environ.get("RNNSCOPE_MNIST", MNIST)).resolve()


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Start TensorFlow, quietly."""
    with without_greeting():
        from rnnscope.models import device

        device()


@pytest.fixture(scope="session")
def finished_root(tmp_path_factory: pytest.TempPathFactory, tensorflow: None) -> Path:
    """The root of one finished run of ``FINISHED``, all stages; to be read, never written.

    The workers of pytest-xdist share it; by the store's locks each stage runs once.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # without workers, earlier sessions have left their files there
    root = folder / "finished"
    stages.run(composed(root, *FINISHED))
    return root


def pytest_collection_finish() -> None:
    """Look no more through what was imported: a million objects, at every collection of garbage."""
    gc.freeze()


@pytest.hookimpl(trylast=True)  # after -k and -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that cannot run on this machine; put long modules first for workers."""
    config.stash[LEFT_OUT] = {}
    for need, (line, there) in NEEDS.items():
        needy = [
            item
            for item in items
            if need in getattr(item, "fixturenames", ()) or item.get_closest_marker(need)
        ]
        if needy and not there():
            config.hook.pytest_deselected(items=needy)
            items[:] = [item for item in items if item not in needy]
            config.stash[LEFT_OUT][line] = len(needy)
    if "PYTEST_XDIST_WORKER" in os.environ:
        rank = {item.path: _rank(item) for item in sorted(items, key=_rank, reverse=True)}
        items.sort(key=lambda item: rank[item.path])


def _rank(item: pytest.Item) -> int:
    """The place of a test among those that take long, by its marks."""
    return next((n for n, mark in enumerate(LONG) if item.get_closest_marker(mark)), len(LONG))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts to pytest-xdist's controller, which collects nothing itself."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, {})


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, in the controller
def pytest_testnodedown(node: Any) -> None:
    """Keep a worker's counts for the summary: all collect the same, a crashed one has none."""
    if hasattr(node, "workeroutput"):
        node.config.stash[LEFT_OUT] = node.workeroutput["left_out"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out, and what would bring it back."""
    for line, count in config.stash.get(LEFT_OUT, {}).items():
        terminalreporter.write_line(f"{count} {line}", yellow=True)
