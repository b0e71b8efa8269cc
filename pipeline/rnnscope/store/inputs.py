"""What a stage is given when it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnscope.store.runs import Survey
from rnnscope.store.sources import Source


@dataclass(frozen=True)
class Inputs:
    """The finished artefacts that a stage reads."""

    folders: Mapping[str, Path] = field(default_factory=dict)
    """Stage -> its folder, for every stage needed; no ``train`` for a model trained elsewhere."""
    key: str = ""
    """Of the artefact that is being made."""
    made_from: Mapping[str, str] = field(default_factory=dict)
    """Stage -> fingerprint of what its folder holds, which may differ under one key."""
    survey: Survey | None = None
    """The runs below the root, for a stage over several."""
    sources: tuple[Source, ...] = ()
    """The user's files that are in its key."""
