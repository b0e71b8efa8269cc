"""The artefacts of stages over several runs, found from the runs that they were made of."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rnnscope.store import contents, damage, lineage
from rnnscope.store.artefacts import Artefact
from rnnscope.store.lineage import Finished
from rnnscope.store.runs import Run
from rnnscope.store.stage import Stage


def newest(
    root: Path, stage: Stage, runs: Iterable[Run], *, remember: bool = True
) -> Artefact | None:
    """The finished artefact of a stage that was made of most of these runs, and of no others.

    Of several that were made of as many, it is the newest; None if there is none. Damaged ones, and
    those of another version or of what a run no longer holds, do not count.

    Args:
        root: folder of all artefacts.
        stage: a stage over several runs.
        runs: up-to-date ones.
        remember: whether to note beside the artefact that its files were verified.
    """
    there = {
        each.artefact.key: each
        for run in runs
        for name, each in run.stages.items()
        if name in stage.needs
    }
    made = lineage.read(root, {stage.name: stage}).made.values()
    fit = [each for each in made if made_of(each, stage, there)]
    for each in sorted(fit, key=lambda each: (len(each.upstream), each.age), reverse=True):
        if not damage.faults(each.artefact.folder, each.manifest, remember=remember):
            return each.artefact
    return None


def made_of(each: Finished, stage: Stage, there: Mapping[str, Finished]) -> bool:
    """Whether an artefact was made by this version, of these artefacts as they are now.

    Args:
        each: the artefact.
        stage: its stage, as it is now.
        there: the artefacts by their keys.
    """
    if each.manifest["version"] != stage.version or "contents" not in each.manifest:
        return False
    made_from = each.manifest.get("made_from", {})
    return all(
        key in there
        and made_from.get(name) == contents.fingerprint(there[key].manifest["contents"])
        for name, key in each.upstream.items()
    )
