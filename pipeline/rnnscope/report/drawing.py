"""The style of the page's figures: inline SVG in the page's own colours, light and dark.

A figure is drawn ``WIDTH`` points wide, one column on a desktop and the width of a phone. Heat maps
are pictures inside it, at two pixels per point.
"""

import html
import io
import re
from contextlib import AbstractContextManager

from rnnscope.report.plotting import Axes, Figure, MaxNLocator, StrMethodFormatter, drawn

WIDTH = 460
INK, SOFT, RULE = "#000001", "#000002", "#000003"
SERIES = ("#000011", "#000012", "#000013", "#000014")
PAGE_COLOURS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    RULE: "var(--rule)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)},
}
"""Placeholder colour -> the page's colour that replaces it in the SVG."""
DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.6, 1.2)),
    "-.",
)
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name such as $a is itself
    "font.size": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


def styled(name: str) -> AbstractContextManager[None]:
    """The page's style for one figure, whose name is unique among the page's."""
    return drawn(STYLE, name)


def panel(height: int) -> tuple[Figure, Axes]:
    """A figure with one set of axes, whole numbers along x, and horizontal grid lines."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, axis="y", linewidth=0.8)
    axes.tick_params(length=3)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    whole_numbers(axes)
    return figure, axes


def whole_numbers(axes: Axes) -> None:
    """Label x at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def svg(figure: Figure, description: str) -> str:
    """A figure as an ``<svg>`` element in the page's font and colours, byte for byte reproducible.

    Removed is what the page does not need: XML prologue, namespaces, unused ids, and a style rule
    that would apply to the whole page.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", dpi=144, transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:id="\w[\w.]*_\d+"|xmlns(?::xlink)?="[^"]*"|version="1.1")', "", text)
    text = re.sub(r' id="image\w+"', "", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"\s*\n\s*", " ", text).replace("xlink:href", "href")
    text = text.replace("base64, ", "base64,")
    for colour, variable in PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    size = r'<svg width="[^"]*" height="[^"]*"'
    labelled = f'<svg role="img" aria-label="{html.escape(description)}"'
    return re.sub(size, lambda _: labelled, text, count=1)
