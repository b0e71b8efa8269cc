"""What a stage wrote, made ready to be finished: cleared, digested, and on the disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnscope.store import atomic, contents, damage, sidecar
from rnnscope.store import manifest as manifests
from rnnscope.store.contents import Content, Damaged
from rnnscope.store.manifest import MANIFEST


def settled(
    partial: Path, manifest: Mapping[str, Any]
) -> tuple[str, dict[str, Content], dict[str, sidecar.Seen]]:
    """The manifest's text, once all that a stage wrote is on the disk and nothing else is left.

    Args:
        partial: where it was written.
        manifest: whose entry ``contents``, if there, has what was digested while it was written.

    Returns:
        The text; the contents of all files; what the files are like now.

    Raises:
        Damaged: a file has another size than was written.
    """
    atomic.clear(partial)
    contents.prune(partial)
    known = damage.declared(manifest) if "contents" in manifest else {}
    found = known | contents.of_folder(partial, known)
    found.pop(MANIFEST, None)  # of a commit that was killed
    faults, files = damage.compared(partial, found)
    if faults:
        raise Damaged(f"{damage.in_words(faults)}; run again")
    atomic.sync_all(partial)
    entries = {
        **manifest,
        "bytes": sum(each.bytes for each in found.values()),
        "contents": {name: found[name].plain for name in sorted(found)},
    }
    return manifests.sealed(entries), found, files
