"""Which decoders the page shows."""

import pandas as pd
import pytest

from rnnscope.report.analyses import _of_class, _score_of


@pytest.mark.parametrize(
    ("targets", "task", "shown", "said"),
    [
        (["label", "depth"], "classification", "label", "accuracy"),
        (["depth", "target"], "regression", "target", "R²"),
        (["target_0", "target_1", "memory"], "regression", "target_0", "R² of target_0"),
    ],
)
def test_decoders_of_what_the_network_is_trained_for_are_shown(
    targets: list[str], task: str, shown: str, said: str
) -> None:
    rows = _of_class(pd.DataFrame({"target": targets, "task": task}))
    assert rows["target"].tolist() == [shown]
    assert _score_of(rows) == said


def test_of_annotations_alone_none_are_shown() -> None:
    assert not len(_of_class(pd.DataFrame({"target": ["depth"], "task": "regression"})))
