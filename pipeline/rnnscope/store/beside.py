"""The artefact of a stage that only runs when it is asked for, found from what it was made from."""

from collections.abc import Mapping
from pathlib import Path

from rnnscope.store import damage, lineage
from rnnscope.store.artefacts import Artefact
from rnnscope.store.lineage import Finished
from rnnscope.store.over_runs import made_of
from rnnscope.store.stage import Stage


def newest(
    root: Path,
    stage: Stage,
    behind: Mapping[str, Artefact],
    *,
    first: str = "",
    remember: bool = True,
) -> Artefact | None:
    """The newest finished artefact of a stage that was made of these; None if there is none.

    Damaged ones, and those of another version or of what is no longer there, do not count.

    Args:
        root: folder of all artefacts.
        stage: one of a single run.
        behind: what it is made from, by stage.
        first: the key of an artefact that comes before any newer one.
        remember: whether to note beside the artefact that its files were verified.
    """
    if not all(each.finished for each in behind.values()):
        return None
    there = {each.key: Finished(each, each.manifest()) for each in behind.values()}
    if not all("contents" in each.manifest for each in there.values()):
        return None  # of an earlier version, which runs again
    made = lineage.read(root, {stage.name: stage}).made.values()
    fit = [each for each in made if {*each.upstream} == {*behind} and made_of(each, stage, there)]
    for each in sorted(fit, key=lambda each: (each.artefact.key == first, each.age), reverse=True):
        if not damage.faults(each.artefact.folder, each.manifest, remember=remember):
            return each.artefact
    return None
