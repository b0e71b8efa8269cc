"""Artefacts: where every stage's output lies, what it was made from, and who may write it."""

from rnnscope.store.artefacts import (
    MANIFEST,
    Artefact,
    abandon,
    being_made,
    claim,
    commit,
    latest,
    locate,
    logs,
    open_partial,
    point_latest,
    read_manifest,
    remove,
    slug_of,
    tidy,
)

__all__ = [
    "MANIFEST",
    "Artefact",
    "abandon",
    "being_made",
    "claim",
    "commit",
    "latest",
    "locate",
    "logs",
    "open_partial",
    "point_latest",
    "read_manifest",
    "remove",
    "slug_of",
    "tidy",
]
