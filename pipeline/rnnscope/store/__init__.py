"""Artefacts: where every stage's output lies, what it was made from, and who may write it."""

from rnnscope.store.artefacts import (
    MANIFEST,
    Artefact,
    abandon,
    being_made,
    claim,
    commit,
    locate,
    logs,
    open_partial,
    read_manifest,
    slug_of,
    tidy,
)
from rnnscope.store.atomic import remove
from rnnscope.store.links import latest, point_latest
from rnnscope.store.locks import LostLockError

__all__ = [
    "MANIFEST",
    "Artefact",
    "LostLockError",
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
