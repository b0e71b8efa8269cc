"""What the figures take from Matplotlib, and the settings in which all of them are drawn."""

from contextlib import AbstractContextManager
from typing import Any

from rnnscope.libraries.plain_matplotlib import own_defaults

with own_defaults():
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

__all__ = ["Axes", "Figure", "MaxNLocator", "StrMethodFormatter", "drawn"]


def drawn(style: dict[str, Any], name: str) -> AbstractContextManager[None]:
    """Matplotlib's own defaults, and the given style, for one figure.

    A module of the user's may have imported Matplotlib before, with a matplotlibrc of theirs.

    Args:
        style: settings other than the defaults.
        name: unique among the page's figures, from which ids in the SVG follow.
    """
    plain = {key: each for key, each in dict.items(mpl.rcParamsDefault) if key != "backend"}
    return mpl.rc_context({**plain, **style, "svg.hashsalt": name})
