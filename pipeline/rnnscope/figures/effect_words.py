"""What is done to a unit by each method of stage intervention, in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How a method is called."""

    short: str
    """In titles and choices."""
    full: str
    """In sentences, where the option ``add`` and what a donor is are filled in."""


METHODS = {
    "zero": Method("set to 0", "set to 0"),
    "mean": Method("set to its mean", "set to its mean over the sequences"),
    "freeze": Method("frozen", "frozen at its value just before"),
    "add": Method("moved", "moved by {add}"),
    "patch": Method("patched", "patched with its value in a donor ({donor})"),
    "patch_same": Method(
        "patched from the same class (control)",
        "patched with its value in another sequence of the same class (a control)",
    ),
}


def short(method: str) -> str:
    """How a method is called in titles; empty if it is not known."""
    return METHODS[method].short if method in METHODS else ""


def full(method: str, add: float, *, labelled: bool) -> str:
    """What a method does to a unit.

    Args:
        method: of ``METHODS``.
        add: standard deviations that method add adds.
        labelled: whether donors are of another class, and not any other sequence.
    """
    moved = f"{add:g} standard deviation{'' if add == 1 else 's'}"
    donor = "a sequence of another class" if labelled else "another sequence"
    return METHODS[method].full.format(add=moved, donor=donor)
