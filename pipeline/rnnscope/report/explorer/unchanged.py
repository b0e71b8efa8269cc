"""What stage intervention was asked to change and did not, in sentences."""

import re
from collections.abc import Iterator, Mapping

DONORS = {
    "patch": (
        "Nothing was patched",
        "A donor is another sequence that is at least as long, of another class where sequences "
        "have classes.",
    ),
    "patch_same": (
        "There is no control, patches from a sequence of the same class",
        "A donor for it is another sequence of the same class that is at least as long.",
    ),
}
"""What is missing without a method's donors, and what a donor is."""
FOUND = re.compile(r"(?:(clusters)|decoder (.+)) of (.+)/([^/]+)")
"""The keys of what earlier stages were to find: of a layer and a state."""


def sentences(left_out: Mapping[str, str]) -> list[str]:
    """What was not changed and why.

    Args:
        left_out: that of the manifest, by method, layer, or what earlier stages did not find.
    """
    return [text for key, why in left_out.items() for text in _of(key, why)]


def _of(key: str, why: str) -> Iterator[str]:
    if key in DONORS:
        lacking, donor = DONORS[key]
        yield f"{lacking}: {why}.{f' {donor}' if 'donor' in why else ''}"
    elif found := FOUND.fullmatch(key):
        clusters, decoder, layer, state = found.groups()
        what = "clusters of units" if clusters else f"the directions of decoder {decoder}"
        yield f"In layer {layer}, {what} were not changed in {state}: {why}."
    else:
        for part in why.split("; "):  # such as c: the cell has no such state
            what, _, reason = part.rpartition(": ")
            what = "anything" if what in ("", "all") else what
            yield f"In layer {key} there was no change of {what}: {reason}."
