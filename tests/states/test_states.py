"""The Parquet contract: what is written, and that only what is asked for is read."""

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from signal import SIGXFSZ
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.states.selection import keys_of
from rnnscope.store.contents import Damaged, of_file

LENGTHS = np.array([3, 1, 4, 2, 4, 3])
N, T, U = len(LENGTHS), 4, 5
VALID = np.arange(T) < LENGTHS[:, np.newaxis]

Float = NDArray[np.float32]


def truth(signal: str, layer: str = "lstm") -> Float:
    """All values [N, T, U], NaN beyond each sequence's length."""
    seed = [*signal.encode(), *layer.encode()]
    values = np.random.default_rng(seed).normal(size=(N, T, U)).astype(np.float32)
    values[~VALID] = np.nan
    return values


def record(
    folder: Path,
    signals: str = "hc",
    layers: tuple[str, ...] = ("lstm",),
    cuts: tuple[int, ...] = (0, 2, N),
    compression: str = "lz4",
    labels: bool = True,
) -> Path:
    """Write the truth of all signals, in parts between ``cuts``."""
    classes = np.arange(N, dtype=np.int32) % 2 if labels else None
    for part, (first, last) in enumerate(itertools.pairwise(cuts)):
        of_part = None if classes is None else classes[first:last]
        rows = states.row_keys(first, LENGTHS[first:last], of_part)
        for layer in layers:
            for signal in signals:
                values = truth(signal, layer)[first:last][VALID[first:last]].T
                path = states.part_file(folder, layer, signal, part)
                values = np.ascontiguousarray(values)
                states.write_part(path, signal, values, rows, compression)
    frame = pd.DataFrame({"sequence": np.arange(N), "length": LENGTHS})
    frame.to_parquet(folder / states.SEQUENCES, index=False)
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("recorded"))


def spoil(path: Path, *columns: str) -> None:
    """Overwrite what these columns hold, or all columns; the footer stays."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    content = bytearray(path.read_bytes())
    for number in range(group.num_columns):
        column = group.column(number)
        if not columns or column.path_in_schema in columns:
            start = min(filter(None, [column.dictionary_page_offset, column.data_page_offset]))
            content[start : start + column.total_compressed_size] = bytes(
                column.total_compressed_size
            )
    path.write_bytes(content)


# names and keys


@pytest.mark.parametrize(
    ("units", "first", "last"),
    [
        (1, "c_000", "c_000"),
        (5, "c_000", "c_004"),
        (1000, "c_000", "c_999"),
        (1001, "c_0000", "c_1000"),
    ],
)
def test_columns_sort_as_their_units_do(units: int, first: str, last: str) -> None:
    names = states.columns("c", units)
    assert (names[0], names[-1]) == (first, last)
    assert len(set(names)) == units
    assert names == sorted(names)


def test_rows_follow_one_sequence_after_another_without_padding() -> None:
    rows = states.row_keys(7, np.array([2, 1, 3]), np.array([4, 5, 6], np.int32))
    assert rows.sequence.tolist() == [7, 7, 8, 9, 9, 9]
    assert rows.timestep.tolist() == [0, 1, 0, 0, 1, 2]
    assert rows.label is not None
    assert rows.label.tolist() == [4, 4, 5, 6, 6, 6]
    assert rows.sequence.dtype == rows.timestep.dtype == rows.label.dtype == np.int32
    assert states.row_keys(0, np.array([1]), None).label is None


# one part


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    units=st.integers(1, 4),
    seed=st.integers(0, 99),
    compression=st.sampled_from(["lz4", "zstd", "snappy", "none"]),
)
def test_a_part_comes_back_bit_for_bit(
    lengths: list[int],
    units: int,
    seed: int,
    compression: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = states.part_file(tmp_path_factory.mktemp("part"), "lstm", "c", 0)
    rows = states.row_keys(3, np.array(lengths), None)
    bits = np.random.default_rng(seed).integers(0, 2**32, (units, sum(lengths)), dtype=np.uint32)
    bits[0, 0] = 0x80000000  # -0
    content = states.write_part(path, "c", bits.view(np.float32), rows, compression)
    assert content == of_file(path)
    rows, values = states.read_part(path)
    sequence, timestep = rows.sequence, rows.timestep
    np.testing.assert_array_equal(values.view(np.uint32), bits)
    np.testing.assert_array_equal(sequence, rows.sequence)
    np.testing.assert_array_equal(timestep, rows.timestep)


def test_some_units_of_a_part_come_in_the_order_asked_for(recorded: Path) -> None:
    path = states.part_file(recorded, "lstm", "c", 0)
    *_, whole = states.read_part(path)
    *_, some = states.read_part(path, [3, 1])
    np.testing.assert_array_equal(some, whole[[3, 1]])


def test_an_earlier_part_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    record(tmp_path)
    folder = tmp_path / "lstm" / "c"
    (folder / "part-00000.parquet").write_bytes(b"half")
    record(tmp_path)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    pq.ParquetFile(folder / "part-00000.parquet")


def test_a_part_that_cannot_be_written_leaves_no_part(tmp_path: Path) -> None:
    path = states.part_file(tmp_path, "lstm", "c", 0)
    with pytest.raises(pa.ArrowInvalid):
        states.write_part(
            path, "c", np.zeros((2, 3), np.float32), states.row_keys(0, LENGTHS, None), "lz4"
        )
    assert not path.exists()


def test_a_writer_killed_midway_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    record(tmp_path)
    code = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from rnnscope import states
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rows = states.row_keys(6, np.full(100, 100), None)
values = np.random.default_rng(0).normal(size=(5, 10_000)).astype(np.float32)
states.write_part(Path(sys.argv[1]), "c", values, rows, "lz4")
"""
    path = states.part_file(tmp_path, "lstm", "c", 2)
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -SIGXFSZ
    assert len(states.open_signal(tmp_path, "lstm", "c").files) == 2
    assert len(pd.read_parquet(path.parent)) == len(states.read_states(tmp_path)) == VALID.sum()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "snappy", "none"])
def test_floats_are_split_into_byte_streams_and_keys_have_statistics(
    compression: str, tmp_path: Path
) -> None:
    record(tmp_path, compression=compression)
    file = pq.ParquetFile(states.part_file(tmp_path, "lstm", "c", 1))
    types = {field.name: str(field.type) for field in file.schema_arrow}
    keys = ["sequence", "timestep", "label"]
    assert types == dict.fromkeys(keys, "int32") | dict.fromkeys(states.columns("c", U), "float")
    group = file.metadata.row_group(0)
    for column in (group.column(number) for number in range(group.num_columns)):
        expected = "UNCOMPRESSED" if compression == "none" else compression.upper()
        assert column.compression == expected
        if column.path_in_schema in keys:
            assert column.statistics.has_min_max
        else:
            assert "BYTE_STREAM_SPLIT" in column.encodings
            assert not column.has_dictionary_page
            assert column.statistics is None
    sequence = group.column(0).statistics
    assert (sequence.min, sequence.max) == (2, N - 1)


def test_without_labels_there_is_no_label_column(tmp_path: Path) -> None:
    record(tmp_path, labels=False)
    assert list(states.read_states(tmp_path))[:3] == ["sequence", "timestep", "c_000"]


# reading


def test_layers_and_signals_come_in_the_usual_order(tmp_path: Path) -> None:
    record(tmp_path, "gofich", ("lstm_2", "lstm_1"))
    (tmp_path / "_parts").mkdir()
    (tmp_path / ".new").mkdir()
    assert states.layers(tmp_path) == {"lstm_1": list("hcifog"), "lstm_2": list("hcifog")}


def test_parts_come_in_their_order(tmp_path: Path) -> None:
    record(tmp_path, cuts=(0, 1, 2, 3, 4, 5, 6))
    names = [path.name for path in states.open_signal(tmp_path, "lstm", "c").files]
    assert names == [f"part-{number:05d}.parquet" for number in range(6)]


def test_all_is_read_by_default(recorded: Path) -> None:
    frame = states.read_states(recorded)
    assert list(frame) == ["sequence", "timestep", "label", *states.columns("c", U)]
    np.testing.assert_array_equal(frame[states.columns("c", U)], truth("c")[VALID])
    sequence, timestep = np.nonzero(VALID)
    np.testing.assert_array_equal(frame["sequence"], sequence)
    np.testing.assert_array_equal(frame["timestep"], timestep)
    np.testing.assert_array_equal(frame["label"], sequence % 2)
    assert (frame.dtypes.iloc[:3] == "int32").all()
    assert (frame.dtypes.iloc[3:] == "float32").all()


def test_pandas_alone_reads_the_same(recorded: Path) -> None:
    plain = pd.read_parquet(recorded / "lstm" / "c")
    pd.testing.assert_frame_equal(plain, states.read_states(recorded))


def test_several_signals_stand_side_by_side(recorded: Path) -> None:
    both = states.read_states(recorded, ["c", "h"], units=[1], sequences=slice(1, 4))
    assert list(both) == ["sequence", "timestep", "label", "c_001", "h_001"]
    for signal in "ch":
        expected = truth(signal)[1:4, :, 1][VALID[1:4]]
        np.testing.assert_array_equal(both[f"{signal}_001"], expected)


def test_an_array_is_nan_beyond_each_sequences_length(recorded: Path) -> None:
    array = states.read_states(recorded, as_array=True)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, truth("c"))
    arrays = states.read_states(recorded, ("h", "c"), as_array=True)
    assert list(arrays) == ["h", "c"]
    np.testing.assert_array_equal(arrays["h"], truth("h"))


def test_each_layer_is_read_by_its_name(tmp_path: Path) -> None:
    record(tmp_path, layers=("one", "two"))
    for layer in ("one", "two"):
        array = states.read_states(tmp_path, layer=layer, as_array=True)
        np.testing.assert_array_equal(array, truth("c", layer))


def which(size: int) -> st.SearchStrategy[Any]:
    """Every way to say which: all, one, some, a slice; from the front or from the back."""
    number = st.integers(-size, size - 1)
    edge = st.none() | st.integers(-size - 2, size + 2)
    step = st.sampled_from([None, 1, 2, 3, -1, -2])
    plain = st.none() | number | st.lists(number, max_size=size + 2)
    sliced = st.builds(slice, edge, edge, step)
    numpys = number.map(np.int64) | number.map(np.array) | st.lists(number).map(np.array)
    return plain | sliced | numpys.filter(lambda each: each.dtype.kind == "i")


def asked(size: int, chosen: Any) -> NDArray[np.intp]:
    return np.atleast_1d(np.arange(size)[slice(None) if chosen is None else chosen])


def of_each(chosen: Any, sequence: int) -> NDArray[np.float32]:
    """What NumPy takes of one sequence by itself [T', U]; NaN for a number that is not there."""
    own = truth("c")[sequence, : LENGTHS[sequence]]
    if chosen is None or isinstance(chosen, slice):
        return own[slice(None) if chosen is None else chosen]
    nothing = np.full(U, np.nan, np.float32)
    numbers = np.atleast_1d(chosen).tolist()
    has = [own[n] if -len(own) <= n < len(own) else nothing for n in numbers]
    return np.array(has, np.float32).reshape(-1, U)


def from_the_end(chosen: Any) -> bool:
    parts = [chosen.start, chosen.stop, chosen.step] if isinstance(chosen, slice) else chosen
    return chosen is not None and any(n is not None and n < 0 for n in np.atleast_1d(parts))


def padded(each: list[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    whole = np.full((len(each), count, U), np.nan, np.float32)
    for row, values in zip(whole, each, strict=True):
        row[: len(values)] = values
    return whole


@settings(max_examples=400, deadline=None, derandomize=True)
@given(sequences=which(N), timesteps=which(T))
def test_every_choice_of_rows_is_the_same_as_in_numpy_of_each_sequence(
    recorded: Path, sequences: Any, timesteps: Any
) -> None:
    chosen = {"sequences": sequences, "timesteps": timesteps}
    rows = asked(N, sequences)
    taken = [of_each(timesteps, int(row)) for row in rows]
    if isinstance(timesteps, slice) and from_the_end(timesteps):
        count = max(map(len, taken), default=0)
    else:  # the same timesteps of all, also those that only other sequences have
        count = len(asked(T, timesteps))
    array = states.read_states(recorded, as_array=True, **chosen)
    np.testing.assert_array_equal(array, padded(taken, count))
    frame = states.read_states(recorded, **chosen)
    there = {tuple(values) for each in taken for values in each if not np.isnan(values).all()}
    whole = truth("c")
    expected = [
        whole[row, step]
        for row in np.unique(rows)
        for step in range(T)
        if (*whole[row, step],) in there
    ]
    got = frame[states.columns("c", U)].to_numpy()
    np.testing.assert_array_equal(got, np.array(expected, np.float32).reshape(-1, U))


def test_where_some_timesteps_were_recorded_the_end_counts_these(tmp_path: Path) -> None:
    """As ``extract.timesteps=1:6:2`` leaves them."""
    kept = [np.array([[0, 1, 0, 1, 0, 1], [0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0]], bool)]
    rows = keys_of(0, kept, None, backward=False)
    values = np.arange(6, dtype=np.float32)[np.newaxis]
    states.write_part(states.part_file(tmp_path, "lstm", "c", 0), "c", values, rows, "lz4")
    pd.DataFrame({"sequence": range(3), "length": [6, 2, 4]}).to_parquet(
        tmp_path / states.SEQUENCES, index=False
    )
    for timesteps, expected in (
        (-1, [2, 3, 5]),
        ([-2, 1], [0, 1, 3, 4]),
        (slice(-2, None), [1, 2, 3, 4, 5]),
        (slice(None, -1), [0, 1, 4]),
        (slice(2, -1), [1]),
    ):
        frame = states.read_states(tmp_path, timesteps=timesteps)
        assert sorted({*frame["c_000"]}) == sorted({*map(float, expected)}), timesteps


@pytest.mark.parametrize("number", [np.int64(1), np.int32(1), np.uint8(1), np.array(1), 1])
@pytest.mark.parametrize("what", ["units", "timesteps", "sequences"])
def test_integers_of_numpy_are_integers(recorded: Path, what: str, number: Any) -> None:
    def read(chosen: Any) -> pd.DataFrame:
        given: dict[str, Any] = {what: chosen}
        frame: pd.DataFrame = states.read_states(recorded, **given)
        return frame

    for chosen in (number, -number if np.asarray(number).dtype.kind == "i" else number):
        same = read(int(chosen))
        pd.testing.assert_frame_equal(read(chosen), same)
        for several in ([chosen], (chosen,), np.array([chosen]), pd.Series([int(chosen)])):
            pd.testing.assert_frame_equal(read(several), same)
    pd.testing.assert_frame_equal(read(slice(number, None, number)), read(slice(1, None, 1)))


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (None, [0, 1, 2, 3, 4]),
        (2, [2]),
        (-1, [4]),
        ([3, 0], [3, 0]),
        ([0, 3, 0], [0, 3, 0]),
        (slice(1, 3), [1, 2]),
        (slice(-2, None), [3, 4]),
        (range(2), [0, 1]),
    ],
)
def test_units_come_in_the_order_asked_for(recorded: Path, units: Any, expected: list[int]) -> None:
    frame = states.read_states(recorded, units=units)
    assert list(frame)[3:] == [f"c_{unit:03d}" for unit in dict.fromkeys(expected)]
    array = states.read_states(recorded, units=units, as_array=True)
    np.testing.assert_array_equal(array, truth("c")[..., expected])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"signals": "z"}, "lstm: no signal 'z'; it has h, c"),
        ({"signals": ["c", "z"]}, "lstm: no signal 'z'; it has h, c"),
        ({"layer": "gru"}, "no layer 'gru'; it has lstm"),
        ({"signals": []}, "signals=[]: name at least one"),
        ({"units": True}, "units=True: must be a number, a list or a slice"),
        ({"timesteps": False}, "timesteps=False: must be"),
        ({"units": 5}, "units=5: there are 5, "),
        ({"units": [0, -6]}, "units="),
        ({"sequences": 6}, "sequences=6: there are 6, from 0 to 5"),
        ({"sequences": [0, 9]}, "sequences="),
        ({"timesteps": -5}, "timesteps=-5: there are 4, from 0 to 3"),
        ({"timesteps": [0, -5]}, "there are 4, from 0 to 3"),
        ({"timesteps": np.bool_(True)}, "timesteps=True: must be"),
        ({"timesteps": 1.0}, "timesteps=1.0: must be a number, a list or a slice"),
        ({"timesteps": slice(0.5, None)}, "must be a number, a list or a slice"),
        ({"timesteps": [[0, 1]]}, "must be a number, a list or a slice"),
        ({"sequences": "1"}, "sequences=1: must be a number, a list or a slice"),
        ({"units": [0.5]}, "must be a number, a list or a slice"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(
    recorded: Path, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        states.read_states(recorded, **wrong)


def test_several_layers_must_be_told_apart(tmp_path: Path) -> None:
    record(tmp_path, layers=("one", "two"))
    with pytest.raises(ValueError, match="say which layer=; it has one, two"):
        states.read_states(tmp_path)


# only what is asked for


def test_parts_of_other_sequences_are_not_read(tmp_path: Path) -> None:
    record(tmp_path, cuts=(0, 1, 4, N))
    for part in (0, 2):
        spoil(states.part_file(tmp_path, "lstm", "c", part))
    with pytest.raises(Damaged, match="part-0000"):
        states.read_states(tmp_path)
    for chosen in (slice(1, 4), [3, 1], 2):
        array = states.read_states(tmp_path, sequences=chosen, as_array=True)
        np.testing.assert_array_equal(array, truth("c")[asked(N, chosen)][:, :T])


def test_other_units_are_not_read(tmp_path: Path) -> None:
    record(tmp_path)
    for part in range(2):
        path = states.part_file(tmp_path, "lstm", "c", part)
        spoil(path, *(name for name in states.columns("c", U) if name != "c_002"))
    values = [values for _, values in states.open_signal(tmp_path, "lstm", "c").read([2])]
    np.testing.assert_array_equal(np.concatenate(values, axis=1)[0], truth("c")[VALID][:, 2])
    with pytest.raises(Damaged, match="part-0000"):
        states.read_part(path, [1])


def test_other_signals_need_not_be_there(tmp_path: Path) -> None:
    record(tmp_path)
    for path in states.open_signal(tmp_path, "lstm", "h").files:
        path.write_bytes(b"")
    np.testing.assert_array_equal(states.read_states(tmp_path, "c", as_array=True), truth("c"))


# how much there is


def test_rows_sequences_and_timesteps_are_counted_without_reading_them(tmp_path: Path) -> None:
    record(tmp_path, cuts=(0, 1, 4, N))
    for path in states.open_signal(tmp_path, "lstm", "c").files:
        spoil(path)
    signal = states.open_signal(tmp_path, "lstm", "c")
    assert len(signal.files) == 3
    assert signal.rows == LENGTHS.sum()
    assert signal.timesteps == T
    assert signal.units == tuple(range(U))
    assert signal.labelled
    assert states.sequence_count(tmp_path) == N


def test_parts_whose_sequences_end_before_what_was_recorded_are_passed_over(
    tmp_path: Path,
) -> None:
    record(tmp_path)
    for part in (2, 3):
        rows = states.row_keys(N, np.array([], int), np.array([], np.int32))
        path = states.part_file(tmp_path, "lstm", "c", part)
        states.write_part(path, "c", np.zeros((U, 0), np.float32), rows, "lz4")
    assert len(states.open_signal(tmp_path, "lstm", "c").files) == 2
    assert states.open_signal(tmp_path, "lstm", "c").timesteps == T
    np.testing.assert_array_equal(states.read_states(tmp_path, as_array=True), truth("c"))


def test_the_last_row_of_each_sequence_is_known(recorded: Path) -> None:
    rows, _ = states.read_part(states.open_signal(recorded, "lstm", "c").files[1])
    ends = LENGTHS[2:].cumsum() - 1
    assert np.flatnonzero(rows.final).tolist() == ends.tolist()


def test_the_final_step_of_a_layer_that_reads_backwards_is_its_first_row(tmp_path: Path) -> None:
    keys = replace(states.row_keys(0, LENGTHS, None), backward=True)
    for part in (0, 1):  # the second without rows
        rows = keys if part == 0 else replace(states.row_keys(N, LENGTHS[:0], None), backward=True)
        path = states.part_file(tmp_path, "lstm.backward", "c", part)
        values = np.zeros((U, len(rows.sequence)), np.float32)
        states.write_part(path, "c", values, rows, "lz4")
    signal = states.open_signal(tmp_path, "lstm.backward", "c")
    assert signal.backward
    (rows, _), *_ = signal.read()
    assert np.flatnonzero(rows.final).tolist() == [0, *LENGTHS.cumsum()[:-1]]


def test_sequences_of_one_group_share_a_source(recorded: Path, tmp_path: Path) -> None:
    assert states.sources(recorded).tolist() == list(range(N))
    groups = ["b", "a", "b", "c"][:N] + ["c"] * (N - 4)
    table = pd.DataFrame({"sequence": range(N), "group": groups})
    table.to_parquet(tmp_path / "sequences.parquet")
    found = states.sources(tmp_path)
    assert (found[:, np.newaxis] == found).tolist() == [[a == b for b in groups] for a in groups]


@pytest.mark.parametrize(
    ("sequences", "steps", "expected"),
    [
        ({}, None, 0),
        ({"target": [0.5, 7.0]}, None, 0),
        ({"label": [0, 3]}, None, 4),
        ({"label": [0, 1], "p_0": [0.5, 0.5], "p_1": [0.5, 0.5], "p_2": [0.0, 0.0]}, None, 3),
        ({"label": [0, 4], "p_0": [0.5, 0.5], "p_1": [0.5, 0.5]}, None, 5),
        ({"p_00": [1.0, 1.0], "p_01": [0.0, 0.0], "p_at": [9.0, 9.0]}, None, 2),
        ({}, {"label": [0, 6]}, 7),
        ({}, {"depth": [0, 6]}, 0),
    ],
)
def test_there_are_as_many_classes_as_labels_or_scores_tell_apart(
    sequences: dict[str, list[float]],
    steps: dict[str, list[int]] | None,
    expected: int,
    tmp_path: Path,
) -> None:
    keys = {"sequence": [0, 1]}
    frame = pd.DataFrame(keys | sequences)
    frame.to_parquet(tmp_path / states.SEQUENCES, row_group_size=1, index=False)
    if steps is not None:
        frame = pd.DataFrame(keys | {"timestep": [0, 0]} | steps)
        frame.to_parquet(tmp_path / states.STEPS, row_group_size=1, index=False)
    assert states.class_count(tmp_path) == expected


# steps.parquet

NOTES = pd.DataFrame(
    {
        "sequence": np.repeat(np.arange(N), T),
        "timestep": np.tile(np.arange(T), N),
        "depth": np.arange(N * T) % 5,
        "token": [*"ab"] * (N * T // 2),
        "inside": np.arange(N * T) % 3 == 0,
        "height": np.arange(N * T) / 7,
    }
).astype({"sequence": "int32", "timestep": "int32", "height": "float32"})


def annotate(folder: Path, notes: pd.DataFrame) -> Path:
    notes.to_parquet(folder / states.STEPS, index=False)
    return folder


def known(folder: Path, sequence: list[int], timestep: list[int], *names: str) -> Any:
    """The annotations of some rows, as lists."""
    rows = states.RowKeys(np.array(sequence, np.int32), np.array(timestep, np.int32), None)
    return states.read_annotations(folder, rows, list(names), "lstm").tolist()


def test_annotations_are_the_numbers_known_of_each_timestep(tmp_path: Path) -> None:
    assert states.annotations(tmp_path) == []
    of_the_model = {"label": 1, "target": 0.5, "prediction": 1, "correct": True, "loss": 0.1}
    annotate(tmp_path, NOTES.assign(**of_the_model))
    assert states.annotations(tmp_path) == ["depth", "inside", "height", "target"]


def test_steps_are_read_into_pandas(tmp_path: Path) -> None:
    annotate(tmp_path, NOTES)
    pd.testing.assert_frame_equal(states.read_steps(tmp_path), NOTES)
    assert list(states.read_steps(tmp_path, ["depth"])) == ["depth"]
    with pytest.raises(FileNotFoundError):
        states.read_steps(tmp_path / "elsewhere")


def test_annotations_come_with_their_own_sequence_and_timestep(tmp_path: Path) -> None:
    annotate(tmp_path, NOTES)
    for part in states.open_signal(record(tmp_path), "lstm", "c").files:
        rows, _ = states.read_part(part)
        found = states.read_annotations(tmp_path, rows, ["height", "depth", "inside"], "lstm")
        asked = pd.DataFrame({"sequence": rows.sequence, "timestep": rows.timestep})
        expected = asked.merge(NOTES, how="left")[["height", "depth", "inside"]].to_numpy(float).T
        np.testing.assert_array_equal(found, expected)


def test_annotations_of_some_timesteps_are_found_among_those_of_all(tmp_path: Path) -> None:
    annotate(tmp_path, NOTES)
    assert known(tmp_path, [1, 1, 5], [1, 3, 0], "depth") == [[0, 2, 0]]


def test_rows_without_annotation_have_nan(tmp_path: Path) -> None:
    some = NOTES.drop(index=[5, 6]).query("sequence != 3 and timestep < 3")
    annotate(tmp_path, some.assign(height=some["height"].where(some["timestep"] > 0)))
    nan = np.nan
    found = known(tmp_path, [0, 1, 1, 2, 3, 4, 9], [0, 0, 1, 3, 0, 2, 0], "depth", "height")
    np.testing.assert_array_equal(found[0], [0, 4, nan, nan, nan, 3, nan])
    np.testing.assert_array_equal(found[1], [nan, nan, nan, nan, nan, np.float32(18 / 7), nan])
    assert np.isnan(known(tmp_path, [3, 3], [0, 1], "depth")).all()


def test_annotations_may_be_null_of_any_type(tmp_path: Path) -> None:
    nullable = NOTES.astype({"depth": "Int64", "inside": "boolean"})
    nullable.loc[2, ["depth", "inside"]] = pd.NA
    annotate(tmp_path, nullable)
    found = known(tmp_path, [0, 0, 0], [1, 2, 3], "depth", "inside")
    np.testing.assert_array_equal(found, [[1, np.nan, 3], [0, np.nan, 1]])


def test_no_annotation_of_any_row_is_an_array_too(tmp_path: Path) -> None:
    rows = states.row_keys(0, np.array([3, 1]), None)
    assert states.read_annotations(tmp_path, rows, [], "lstm").shape == (0, 4)


def test_annotations_of_other_sequences_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / states.STEPS
    NOTES.to_parquet(path, row_group_size=T, index=False)
    content, file = bytearray(path.read_bytes()), pq.ParquetFile(path).metadata
    for number in (0, 3, 4, 5):
        column = file.row_group(number).column(list(NOTES).index("height"))
        start = column.dictionary_page_offset or column.data_page_offset
        content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(content)
    assert known(tmp_path, [1, 2], [0, 1], "height") == [[np.float32(4 / 7), np.float32(9 / 7)]]
    with pytest.raises(Damaged, match=states.STEPS):
        known(tmp_path, [0], [0], "height")


@pytest.mark.parametrize("name", ["", "no-such-folder"])
def test_a_folder_without_a_recording_is_named(name: str, tmp_path: Path) -> None:
    for read in (states.read_states, states.read_sequences):
        with pytest.raises(
            FileNotFoundError, match=r"no sequences\.parquet there; give an extract"
        ):
            read(tmp_path / name)


def test_the_recording_inside_a_folder_of_stages_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "latest" / "extract"
    inner.mkdir(parents=True)
    (inner / "sequences.parquet").touch()
    for read in (states.read_states, states.read_sequences, states.read_steps):
        with pytest.raises(FileNotFoundError, match=rf"there; give {inner}$"):
            read(inner.parent)
