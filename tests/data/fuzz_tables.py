"""Random tables in random dialects, and random damage: equal to what was written, or refused.

``python -m tests.data.fuzz_tables SECONDS SEED`` goes on for so long and prints what it finds.
"""

import csv
import io
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.data import load
from rnnscope.errors import UserError
from tests.data.test_data import options

SPECIAL = [b"\0", b'"', b"\n", b"\r", b",", b";", b"\xff", b"\xef\xbb\xbf", b"1e400", b"NA", b"#"]
NAMES = [
    "a",
    "b",
    "é",
    "x y",
    "NA",
    "None",
    "01",
    "1",
    "1.0",
    "-1",
    "true",
    "a,b",
    'q"q',
    "=1",
    "#",
]
MOST = 400
"""Characters of a line."""


def frame_of(seed: int) -> pd.DataFrame:
    """A random long table of texts, as a file holds them."""
    draw = random.Random(seed)
    count, steps, width = draw.randint(1, 5), draw.randint(1, 5), draw.randint(1, 3)
    kind = draw.choice(["number", "large", "padded", "name"])
    ids = {
        "number": [str(7 * n) for n in range(count)],
        "large": [str(2 ** draw.randint(52, 70) + n) for n in range(count)],
        "padded": [f"{n:03d}" for n in range(count)],
        "name": draw.sample(NAMES, count),
    }[kind]
    labels = draw.sample(NAMES, 2) if draw.random() < 0.5 else ["0", "1"]
    digits = draw.choice([1, 3, 4, 8])
    rows = []
    for sequence in ids:
        label = draw.choice(labels)
        for step in range(steps):
            values = [f"{draw.gauss(0, 10):.{digits}f}" for _ in range(width)]
            rows.append([sequence, str(step), *values, label])
    names = ["sequence", "timestep", *(f"v{n}" for n in range(width)), "label"]
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    if draw.random() < 0.3:
        frame = frame[draw.sample(list(frame), len(names))]
    return frame.sample(frac=1, random_state=seed) if draw.random() < 0.3 else frame


def dialect(frame: pd.DataFrame, seed: int) -> bytes:
    """The table as a file in a random dialect."""
    draw = random.Random(seed)
    separator = draw.choice(",;\t|")
    comma = separator != "," and draw.random() < 0.4
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=separator,
        lineterminator=draw.choice(["\n", "\r\n", "\r"]),
        quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    )
    writer.writerow(frame.columns)
    for row in frame.itertuples(index=False):
        values = zip(frame.columns, row, strict=True)
        writer.writerow(
            [text.replace(".", ",") if comma and name[0] == "v" else text for name, text in values]
        )
    text = out.getvalue()
    text = draw.choice(["", "", "# made up\n", "sep=" + separator + "\n"]) + text
    return draw.choice([b"", b"\xef\xbb\xbf"]) + text.encode()


def outcome(folder: Path, name: str, content: bytes, **changes: Any) -> Any:
    """The data set, or the line of the refusal."""
    path = folder / name
    path.write_bytes(content)
    try:
        return load(options(path, **changes))
    except UserError as error:
        line = str(error)
        assert line.isprintable(), repr(line)
        assert len(line.replace(str(folder), "")) <= MOST, line
        return line


def check_round_trip(folder: Path, seed: int) -> bool:
    """Whether a table was accepted; it must then be the one that was written."""
    frame = frame_of(seed)
    got = outcome(folder, "mine.csv", dialect(frame, seed))
    if isinstance(got, str):
        return False
    batch = got.test.take(slice(None))
    features = [name for name in frame if name[0] == "v"]
    step = frame["timestep"].astype(int)
    frame = frame.assign(timestep=step).sort_values("timestep", kind="stable")
    assert got.test.ids is not None
    written = {_spelling(text): text for text in frame["sequence"]}
    assert len(got.test) == frame["sequence"].nunique() == len(written)
    for number, sequence in enumerate(got.test.ids):
        rows = frame[frame["sequence"] == written[_spelling(str(sequence))]]
        wanted = rows[features].astype(np.float64).to_numpy(np.float32)
        np.testing.assert_array_equal(batch.x[number, : len(rows)], wanted)
        label = got.classes[int(batch.y[number])]
        assert _spelling(label) == _spelling(rows["label"].iloc[0]), (label, rows["label"].iloc[0])
    return True


def _spelling(text: str) -> Any:
    """A number for its value, true and True alike, any other text for itself."""
    if text.lower() in ("true", "false"):
        return text.lower()
    if text.lstrip("-").isdecimal():
        return int(text)
    return float(text) if text.lstrip("-").replace(".", "", 1).isdecimal() else text


def damaged(content: bytes, seed: int) -> bytes:
    """The bytes with random damage."""
    draw = random.Random(seed)
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 5, 30])):
        place = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0 if place < len(data):
                data[place] ^= 1 << draw.randrange(8)
            case 1:
                data[place:place] = draw.choice(SPECIAL)
            case 2:
                del data[place : place + draw.randrange(1, 40)]
            case 3:
                data[place:place] = data[: draw.randrange(60)]
            case _:
                if draw.random() < 0.2:
                    del data[place:]
    return bytes(data)


def check_damage(folder: Path, seed: int) -> None:
    """Damage must be taken for a table or be refused, and nothing else."""
    draw = random.Random(seed)
    frame = frame_of(seed)
    match draw.randrange(4):
        case 0:
            outcome(folder, "mine.csv", damaged(dialect(frame, seed), seed))
        case 1:
            numbers = frame.apply(pd.to_numeric, errors="coerce").fillna(1)
            numbers.to_parquet(folder / "source.parquet", index=False)
            content = (folder / "source.parquet").read_bytes()
            outcome(folder, "mine.parquet", damaged(content, seed))
        case 2:
            content = dialect(frame.drop(columns=["sequence", "label"]), seed)
            outcome(folder, "mine.csv", damaged(content, seed), window=2)
        case _:
            wide = pd.DataFrame(np.random.default_rng(seed).normal(size=(5, 14)).round(3))
            content = wide.assign(label=list("ababa")).to_csv(index=False).encode()
            outcome(folder, "mine.csv", damaged(content, seed), layout="wide")


def main(seconds: float, seed: int) -> None:
    """Look for failures for so long; print each with its seed."""
    end, tried, taken, found = time.monotonic() + seconds, 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        while time.monotonic() < end:
            for check in (check_round_trip, check_damage):
                begin = time.process_time()
                print(f"\r{check.__name__}({seed})", end="", flush=True)
                try:
                    taken += bool(check(Path(name), seed))
                except Exception:
                    found += 1
                    print("\nfailed:", traceback.format_exc()[-1500:], flush=True)
                if time.process_time() - begin > 5:
                    print("\nslow", time.process_time() - begin, flush=True)
                tried += 1
            seed += 1
    print(f"\n{tried} tried, {taken} accepted as written, {found} failed", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
