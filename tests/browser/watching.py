"""What a page does besides showing: complaints, requests, dialogs; and what axe-core finds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Dialog, Page

SETTLED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
"""Lets the page draw, and with that raise what it would raise."""
GRAVE = ("serious", "critical")
ALIKE = "#rows tbody tr:nth-child(n + 4), svg[role=img] g"
"""Further rows of the unit table, and the inside of figures that Matplotlib drew: thousands of
elements, on which axe-core would spend most of its time."""
THIN = "alike => document.querySelectorAll(alike).forEach(each => each.remove())"


@dataclass
class Watch:
    """Writes down all that a page of one file, in a browser context, must not do."""

    context: BrowserContext
    file: Path
    noises: list[str] = field(default_factory=list)
    """In the order in which they came; empty as long as all is well."""

    def __post_init__(self) -> None:
        self.context.on("console", lambda message: self._said(message.type, message.text))
        self.context.on("weberror", lambda error: self.noises.append(f"raised: {error.error}"))
        self.context.on("request", lambda request: self._asked(request.url))
        self.context.on("dialog", self._interrupted)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning", "assert"):
            self.noises.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        own = url.partition("#")[0] == self.file.as_uri()
        if not own and not url.startswith(("data:", "blob:")):
            self.noises.append(f"request: {url}")

    def _interrupted(self, dialog: Dialog) -> None:
        self.noises.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def settle(self) -> None:
        """Wait until the pages have drawn, so that what this brings is written down."""
        for page in self.context.pages:
            page.evaluate(SETTLED)


def faults(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds serious or critical on a page, which is of no use afterwards.

    Args:
        page: an open page.
        rules: the rules to judge by, such as ``color-contrast``; by default all of axe-core.

    Returns:
        One line for each element: the rule and the element.
    """
    page.evaluate(THIN, ALIKE)
    options: dict[str, Any] = {"resultTypes": ["violations"], "selectors": False}
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, options=options).response
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
