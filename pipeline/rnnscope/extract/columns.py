"""The columns that stage extract writes: of the states, and of sequences and timesteps."""

from rnnscope.store.tables import Column, Null, Table

_LABEL = "its class, as a whole number from 0; only where the data has classes"
_TARGET = "its target, a number; only where the data has numeric targets"
_PREDICTION = "the class with the largest score; of numeric targets the model's output"
_CORRECT = "whether the predicted class is its label"
_LOSS = (
    "cross-entropy of its label in nats, or of numeric targets the squared error, of several their "
    "mean"
)

STATES = Table(
    "states",
    "sequence and timestep, in a folder per layer and signal",
    (
        Column("sequence", "number of the sequence in the test split, from 0"),
        Column("timestep", "timestep, from 0"),
        Column("label", "class of the sequence, or of the timestep; only where there are classes"),
        Column(
            "<signal>_<unit>",
            "value of the unit, as after the cell's activation, at the end of the timestep: "
            "`c_017` is the cell state of unit 17; the units of a convolutional layer are numbered "
            "in C order of (row, column, filter)",
        ),
    ),
)

SEQUENCES = Table(
    "sequences",
    "test sequence",
    (
        Column("sequence", "number of the sequence in the test split, from 0"),
        Column("id", "its name in the data, where it has one"),
        Column(
            "group",
            "its source, such as a patient or a day; only where data.groups names it. Sequences of "
            "one group are not independent",
        ),
        Column("length", "number of its timesteps that were recorded, of the longest layer"),
        Column("label", _LABEL),
        Column("target", _TARGET, nulls=(Null("the data has no target for it"),)),
        Column("prediction", _PREDICTION),
        Column(
            "correct",
            f"{_CORRECT}; where timesteps have their own labels, the share of them that are",
        ),
        Column(
            "loss",
            f"{_LOSS}; where timesteps have their own labels or targets, the mean over them",
        ),
        Column("p_<class>", "probability that the model gives the class"),
    ),
)

STEPS = Table(
    "steps",
    "sequence and timestep; only where timesteps have labels, targets or annotations",
    (
        Column("sequence", "number of the sequence in the test split, from 0"),
        Column("timestep", "timestep, from 0"),
        Column("label", _LABEL),
        Column("target", _TARGET, nulls=(Null("the data has no target for it"),)),
        Column("target_<number>", "one of its targets, from 0; only where it has several"),
        Column("prediction", _PREDICTION),
        Column("prediction_<number>", "the model's output for that target"),
        Column("correct", _CORRECT),
        Column("loss", _LOSS),
        Column(
            "<annotation>",
            "value of the annotation of that name, which the model does not see",
            nulls=(Null("the data has no value for it"),),
        ),
    ),
)

TABLES = (SEQUENCES, STEPS)
