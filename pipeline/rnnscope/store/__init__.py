"""Artefacts: where every stage's output lies, what it was made from, and who may write it."""

from rnnscope.store.artefacts import (
    MANIFEST,
    Artefact,
    being_made,
    claim,
    commit,
    locate,
    logs,
    open_partial,
    read_manifest,
    tidy,
)
from rnnscope.store.links import latest, point_latest
from rnnscope.store.locks import LostLockError

__all__ = [
    "MANIFEST",
    "Artefact",
    "LostLockError",
    "being_made",
    "claim",
    "commit",
    "latest",
    "locate",
    "logs",
    "open_partial",
    "point_latest",
    "read_manifest",
    "tidy",
]
