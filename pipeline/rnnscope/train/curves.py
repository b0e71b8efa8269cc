"""The history as TensorBoard reads it, the same bytes for the same history.

TensorFlow's own writers put the time of day into each event, and with the host and the process into
the file's name.
"""

from pathlib import Path

import pandas as pd
import tensorflow as tf

FOLDER = "tensorboard"


def write(history: pd.DataFrame, folder: Path) -> None:
    """Write the curves of a history into ``folder/tensorboard``, for ``train`` and ``validation``.

    Values stand at their step. TensorBoard's relative time counts steps as seconds, since the true
    times differ between runs.
    """
    for run, prefix in (("train", ""), ("validation", "val_")):
        names = [name for name in ("loss", "accuracy") if prefix + name in history]
        if not names or history.empty:
            continue
        place = folder / FOLDER / run
        place.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(place / "events.out.tfevents.0")) as file:
            file.write(tf.compat.v1.Event(file_version="brain.Event:2").SerializeToString())
            for row in history.to_dict("records"):
                values = [
                    tf.compat.v1.Summary.Value(tag=name, simple_value=row[prefix + name])
                    for name in names
                ]
                step = int(row["step"])
                event = tf.compat.v1.Event(
                    wall_time=step, step=step, summary=tf.compat.v1.Summary(value=values)
                )
                file.write(event.SerializeToString())
