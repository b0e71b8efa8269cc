"""What the tests of pages rest on: that a page which complains or asks for more is noticed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.watching import Watch, faults

Watched = Callable[..., tuple[Page, Watch]]
QUIET = '<!doctype html><html lang="en"><title>x</title><link rel="icon" href="data:,"><h1>x</h1>'
NOISY = {
    "error: spoken": "<script>console.error('spoken')</script>",
    "warning: spoken": "<script>console.warn('spoken')</script>",
    "raised: ": "<script>setTimeout(() => { throw new Error('thrown'); })</script>",
    "dialog: 1": "<script>alert(1)</script>",
    "request: http://example.org/": "<script>fetch('http://example.org/').catch(() => 0)</script>",
    "request: file:": '<img src="other.png" alt="">',
    "request: https:": '<link rel="stylesheet" href="https://example.org/x.css">',
    "Content Security Policy": "<meta http-equiv=Content-Security-Policy"
    " content=\"script-src 'none'\"><script>0</script>",
}
"""What must be written down -> the markup that brings it."""


def written(folder: Path, body: str) -> Path:
    file = folder / "page.html"
    file.write_text(f"{QUIET}{body}")
    return file


@pytest.mark.parametrize("noise", NOISY)
def test_a_noisy_page_is_noticed(noise: str, watched: Watched, tmp_path: Path) -> None:
    _, watch = watched(written(tmp_path, NOISY[noise]))
    watch.settle()
    assert any(noise in each for each in watch.noises), watch.noises


def test_a_quiet_page_is_left_alone(watched: Watched, tmp_path: Path) -> None:
    inside = "<img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
    inside += "<script>fetch(URL.createObjectURL(new Blob(['x'])))</script>"
    page, watch = watched(written(tmp_path, f"<main>{inside}<p>text</p></main>"), fragment="#x")
    watch.settle()
    assert watch.noises == []
    assert faults(page) == []


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("color-contrast", '<p style="color: #999; background: #aaa">text</p>'),
        ("button-name", "<button></button>"),
    ],
)
def test_a_grave_fault_is_found(rule: str, body: str, watched: Watched, tmp_path: Path) -> None:
    page, _ = watched(written(tmp_path, f"<main>{body}</main>"))
    (fault,) = faults(page)
    assert fault.startswith(f"{rule}: <")
    assert faults(page, ("image-alt",)) == []


def test_colours_and_width_are_as_asked(watched: Watched, tmp_path: Path) -> None:
    for width, dark in ((390, True), (1280, False)):
        page, _ = watched(written(tmp_path, ""), width, dark)
        assert page.evaluate("innerWidth") == width
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == dark


def test_the_browser_is_the_installed_one(browser: Browser) -> None:
    assert browser.is_connected()
    assert int(browser.version.partition(".")[0]) >= 120
