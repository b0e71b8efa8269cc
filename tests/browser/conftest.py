"""The browser, started once for this folder, and pages in it that are held to be quiet."""

import fcntl
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from rnnscope import stages
from tests.browser import REMEDY, program
from tests.browser.runs import ASKED_FOR, RUNS
from tests.browser.watching import Watch
from tests.compose import composed

TIMEOUT = 20_000
"""Milliseconds that an element may take to appear, on a busy machine."""

Open = Callable[..., Page]
"""``open_page(file, width=1280, dark=False, fragment="")``: the page of a file, as a Page."""

RunOf = Callable[[str], Path]
"""``run_of("series")``: the folder ``latest`` of that run of ``RUNS``, all stages finished."""


@pytest.fixture(scope="session")
def run_of(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, tensorflow: None
) -> RunOf:
    """Finished runs, each made when it is first asked for; to be read, never written.

    As ``finished_root``, which is one of them, they are shared by the workers of pytest-xdist.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    slice_ = request.getfixturevalue("mnist")

    @cache
    def run(name: str) -> Path:
        if name == "digits":
            return request.getfixturevalue("finished_root") / "latest"
        folder = base / "runs" / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "outputs").exists():
                overrides = RUNS[name](folder, slice_)
                for stage in (*ASKED_FOR.get(name, ()), "report"):
                    stages.run(composed(folder / "outputs", f"stage={stage}", *overrides))
        return folder / "outputs" / "latest"

    return run


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The installed browser; it cannot resolve any name.

    It lives no longer than the tests of this folder, as with it an event loop runs in the thread
    of the tests, which others (of Dask) need for themselves.
    """
    path = program()
    assert path is not None, REMEDY
    with sync_playwright() as playwright:
        unreachable = "--host-resolver-rules=MAP * ~NOTFOUND"
        started = playwright.chromium.launch(executable_path=path, args=[unreachable])
        try:
            yield started
        finally:
            started.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """Opens pages from disk, each in a context of its own; returns them with what watches them."""
    contexts = []

    def opened(
        file: Path, width: int = 1280, dark: bool = False, fragment: str = ""
    ) -> tuple[Page, Watch]:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        watch = Watch(context, file)
        page = context.new_page()
        page.goto(file.as_uri() + fragment)
        return page, watch

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(watched: Callable[..., tuple[Page, Watch]]) -> Iterator[Open]:
    """Opens pages from disk; after the test none of them may have complained or asked for more.

    No error or warning on the console, no exception, no dialog, no request but for the file
    itself and for ``data:`` and ``blob:``.
    """
    watches = []

    def opened(file: Path, width: int = 1280, dark: bool = False, fragment: str = "") -> Page:
        page, watch = watched(file, width, dark, fragment)
        watches.append(watch)
        return page

    yield opened
    for watch in watches:
        watch.settle()
        assert watch.noises == []
