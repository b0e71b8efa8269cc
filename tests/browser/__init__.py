"""Pages in a real browser: an installed Chromium, headless, from disk, without a network."""

import shutil

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
REMEDY = "apt-get install chromium"


def program() -> str | None:
    """The installed browser; None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)
