"""A figure as a part of the page: inline SVG in the page's own font and colours, light and dark."""

import html
import io
import re

from markupsafe import Markup

from rnnscope.figures.drawing import INK, PAPER, RULE, SERIES, SOFT, WIDTH, Figure, settings

PAGE_COLOURS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)},
}
"""A figure's colour -> the page's. Colours of further classes stay: they show on light and dark."""
COLOUR = re.compile("|".join(PAGE_COLOURS))
PIXELS = 920
"""Of a heat map's picture across: two per pixel of a figure that is 460 of them wide."""


def inline(figure: Figure, name: str) -> Markup:
    """A figure as an ``<svg>`` element for the page, byte for byte reproducible.

    Removed is what the page does not need: XML prologue, namespaces, unused ids, and a style rule
    that would apply to the whole page.

    Args:
        figure: as a function of ``rnnscope.figures`` draws it.
        name: unique among the page's figures, from which ids in the SVG follow.
    """
    text = svg(figure, name, transparent=True)
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", _tag, text)  # and not the text between, which users may have named
    text = re.sub(r"\s*\n\s*", " ", text)
    size = r'<svg width="[^"]*" height="[^"]*"'
    labelled = f'<svg role="img" aria-label="{html.escape(figure.alt)}"'
    return Markup(re.sub(size, lambda _: labelled, text, count=1))


def _tag(found: re.Match[str]) -> str:
    """A tag without what the page does not need, its style in the page's colours."""
    tag = re.sub(r' (?:id="\w[\w.]*_\d+"|xmlns(?::xlink)?="[^"]*"|version="1.1")', "", found[0])
    tag = re.sub(r' id="image\w+"', "", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = tag.replace("xlink:href", "href").replace("base64, ", "base64,")
    return re.sub(r'(?<= style=")[^"]*', _in_page_colours, tag)


def _in_page_colours(style: re.Match[str]) -> str:
    return COLOUR.sub(lambda colour: PAGE_COLOURS[colour[0]], style[0])


def svg(figure: Figure, name: str, *, transparent: bool = False) -> str:
    """A figure as an SVG file whose text is text, the same bytes each time.

    Args:
        figure: as a function of ``rnnscope.figures`` draws it.
        name: from which ids in the file follow.
        transparent: whether the background is left out.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with settings(**{"svg.fonttype": "none", "svg.hashsalt": name}):
        dpi = PIXELS / WIDTH
        figure.savefig(file, format="svg", dpi=dpi, transparent=transparent, metadata=nothing)
    return file.getvalue()
