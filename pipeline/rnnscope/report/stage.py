"""Stage report: a run's results on one page that opens from disk and loads nothing else."""

from pathlib import Path

from rnnscope.config import Config
from rnnscope.report import PAGE, page
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the page into ``folder``; returns the stage's figures.

    Args:
        config: the run's config.
        inputs: the artefacts of all earlier stages, without train where the model is from a file.
        folder: where to write.
    """
    context = page.gather(config, inputs.folders)
    text = page.template().render(context)
    (folder / PAGE).write_text(text, encoding="utf-8")
    return {
        "page": PAGE,
        "headline": {"figures": text.count("<svg"), "table rows": context["table"]["rows"]},
    }
