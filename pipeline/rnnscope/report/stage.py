"""Stage report: a run's results on one page that opens from disk and loads nothing else."""

from pathlib import Path

from rnnscope.config import Config
from rnnscope.libraries.plain_matplotlib import load_matplotlib
from rnnscope.report import PAGE
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the page, and figures as files, into ``folder``; returns the stage's figures.

    Args:
        config: the run's config.
        inputs: the artefacts of all earlier stages, without train where the model is from a file.
        folder: where to write.
    """
    load_matplotlib()  # before anything else does
    from rnnscope.report import files, page

    made: Figures = {"page": None, "headline": {}}
    if "html" in config.report.format:
        context = page.gather(config, inputs.folders)
        text = page.template().render(context)
        (folder / PAGE).write_text(text, encoding="utf-8")
        made["page"] = PAGE
        made["headline"] = {"figures": text.count("<svg"), "table rows": context["table"]["rows"]}
    if formats := [each for each in config.report.format if each != "html"]:
        names, left_out = files.write(inputs.folders, formats, folder)
        made |= {"figures": names, "left_out": left_out}
        made["headline"]["files"] = len(names)
    return made
