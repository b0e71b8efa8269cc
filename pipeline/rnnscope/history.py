"""The columns of table history, which stage train writes."""

from rnnscope.store.tables import Column, Null, Table

_DIVERGED = Null("it is not finite: training diverged")
_LOSS = (
    "cross-entropy in nats, or of numeric targets the squared error; where timesteps have their "
    "own labels or targets, over valid timesteps"
)

HISTORY = Table(
    "history",
    "validation during training, and one at its end",
    (
        Column("step", "number of batches so far"),
        Column("seconds", "seconds since training started"),
        Column(
            "accuracy",
            "share of correct predictions on the training batches since the row before; only where "
            "there are classes",
        ),
        Column(
            "loss",
            f"mean loss on the training batches since the row before: {_LOSS}",
            nulls=(_DIVERGED,),
        ),
        Column(
            "val_accuracy",
            "share of correct predictions on the validation split; only where there are classes "
            "and a validation split",
        ),
        Column(
            "val_loss",
            f"mean loss on the validation split, where there is one: {_LOSS}",
            nulls=(_DIVERGED,),
        ),
    ),
)
