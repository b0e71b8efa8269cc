"""Arrays: the same sequences from file or folder, exact lengths, and memory that stays small."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope import data
from rnnscope.data import Roles, Split, lengths
from rnnscope.errors import UserError
from tests.data.test_data import Arrays, F, N, T, arrays, assert_same, complaint, load, npz, whole
from tests.data.test_data import options as files


def npy(folder: Path, made: Arrays) -> Path:
    path = folder / "arrays"
    path.mkdir(exist_ok=True)
    for name, values in made.items():
        np.save(path / f"{name}.npy", values)
    return path


def padded_with_nan(made: Arrays) -> Arrays:
    """The same sequences, their lengths told by NaN alone."""
    told = {name: values.copy() for name, values in made.items() if "lengths" not in name}
    for part in ("train", "test"):
        told[f"x_{part}"][np.arange(T) >= made[f"lengths_{part}"][:, np.newaxis]] = np.nan
    return told


def assert_takes_the_same(one: Split | None, other: Split | None) -> None:
    assert one is not None
    assert other is not None
    for index in (slice(None), slice(3, 9), np.array([5, 2, 5])):
        got, want = one.take(index), other.take(index)
        for kind in ("x", "y", "lengths"):
            np.testing.assert_array_equal(getattr(got, kind), getattr(want, kind))


# folders of .npy


def test_a_folder_of_arrays_is_the_same_data_as_an_npz(tmp_path: Path) -> None:
    made = arrays()
    got, want = (load(form(tmp_path, made), 0.2) for form in (npy, npz))
    assert got.classes == want.classes
    for one, other in zip(whole(got), whole(want), strict=True):
        assert_takes_the_same(one, other)


def test_the_arrays_of_a_folder_stay_on_disk(tmp_path: Path) -> None:
    dataset = load(npy(tmp_path, arrays()), 0.2)
    assert isinstance(dataset.test.x, np.memmap)
    for split in (dataset.train, dataset.val):
        assert split is not None
        assert isinstance(split.x.source, np.memmap)
        assert split.x.shape == (len(split), T, F)
        again = split.select(np.array([4, 1])).take(slice(None))
        np.testing.assert_array_equal(again.x, split.take(np.array([4, 1])).x)


def test_the_file_under_a_batch_is_never_written_to(tmp_path: Path) -> None:
    path = npy(tmp_path, padded_with_nan(arrays()))
    before = (path / "x_test.npy").read_bytes()
    load(path).test.take(slice(None)).x[:] = 7
    assert (path / "x_test.npy").read_bytes() == before


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from rnnscope import data
from tests.data.test_data import options

def peak():
    line = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

data.load(options(sys.argv[1]))
before = peak()
dataset = data.load(options(sys.argv[2], 0.1))
total = 0
for split in (dataset.train, dataset.val, dataset.test):
    for start in range(0, len(split), 500):
        total += len(split.take(slice(start, start + 500)).x)
for _ in range(20):
    dataset.train.take(np.random.default_rng(0).integers(0, len(dataset.train), 500))
print(total, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("padding", ["none", "NaN"])
def test_memory_does_not_grow_with_the_data(padding: str, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    for part, count in (("train", 20_000), ("test", 17_500)):
        x = np.lib.format.open_memmap(
            big / f"x_{part}.npy", "w+", dtype=np.float32, shape=(count, 50, 40)
        )  # 300 MB in both
        x[:] = 1
        if padding == "NaN":
            x[::7, 40:] = np.nan
        x.flush()
        np.save(big / f"y_{part}.npy", np.arange(count) % 3)
    (tmp_path / "small").mkdir()
    small = npy(tmp_path / "small", arrays())
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(small), str(big)],
        capture_output=True,
        text=True,
        check=True,
    )
    total, grown = map(float, done.stdout.split())
    assert total == 37_500
    assert grown < 100


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY"])
def test_a_file_that_is_no_array_is_named(content: bytes, tmp_path: Path) -> None:
    path = npy(tmp_path, arrays())
    (path / "y_test.npy").write_bytes(content)
    assert complaint(path).startswith("y_test.npy is not an .npy file that can be read")


def test_pickled_objects_in_a_folder_are_refused(tmp_path: Path) -> None:
    path = npy(tmp_path, arrays())
    np.save(path / "x_test.npy", np.array([[1.0], [1.0, 2.0]], dtype=object), allow_pickle=True)
    assert complaint(path).startswith("x_test.npy is not an .npy file that can be read")


def test_a_folder_must_hold_one_kind_of_file(tmp_path: Path) -> None:
    assert complaint(tmp_path).startswith("the folder holds no files; it must hold .npy files or")
    (tmp_path / "x_test.npy").touch()
    (tmp_path / "part-0.parquet").touch()
    says = "the folder holds part-0.parquet, x_test.npy; it must hold .npy files or .parquet files,"
    assert complaint(tmp_path).startswith(says)


# lengths


@pytest.mark.parametrize("form", [npz, npy])
def test_padding_with_nan_is_the_same_as_giving_lengths(form: Any, tmp_path: Path) -> None:
    made = arrays()
    told = load(form(tmp_path, padded_with_nan(made)), 0.2)
    known = load(npz(tmp_path, made), 0.2)
    for one, other in zip(whole(told), whole(known), strict=True):
        assert_takes_the_same(one, other)


@given(st.integers(0, 10_000), st.integers(1, 400))
@settings(deadline=None, max_examples=30)
def test_lengths_do_not_depend_on_how_much_is_read_at_a_time(seed: int, block: int) -> None:
    random = np.random.default_rng(seed)
    count, steps = random.integers(1, 9, 2)
    want = random.integers(1, steps + 1, count)
    x = random.normal(size=(count, steps, 2))
    x[np.arange(steps) >= want[:, np.newaxis]] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "BLOCK", block)
        got = lengths.measured(x, None, "x")
    if (want == steps).all():
        assert got is None
    else:
        assert got is not None
        assert got.tolist() == want.tolist()


def test_two_dimensions_are_padded_with_nan_too(tmp_path: Path) -> None:
    made = {"x_test": np.array([[1, 2, 3], [4, np.nan, np.nan]])}
    test = load(npz(tmp_path, made)).test
    assert test.lengths is not None
    assert test.lengths.tolist() == [3, 1]
    assert test.take(slice(None)).x.tolist() == [[1, 2, 3], [4, 0, 0]]


@pytest.mark.parametrize("block", [1, 2**24])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ((17, slice(None), slice(None)), r"x_test\[17\] is NaN at every timestep: a length of 0"),
        ((17, 1, slice(None)), r"x_test\[17, 1\] is not a finite number; padding is NaN in all"),
        ((17, T - 1, 1), r"x_test\[17, 4\] is not a finite number; padding"),
        ((N - 1, 0, 0), r"x_test\[29, 0\] is not a finite number; padding"),
    ],
)
def test_what_is_no_right_padding_is_placed(
    place: Any, says: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lengths, "BLOCK", block)
    x = np.ones((N, T, F))
    x[3, 2:] = np.nan
    x[place] = np.nan
    for form in (npz, npy):
        assert re.match(says, complaint(form(tmp_path, {"x_test": x})))


def test_given_lengths_leave_no_gaps_to_nan(tmp_path: Path) -> None:
    x = np.ones((2, T, F))
    x[1, 2:] = np.nan
    path = npz(tmp_path, {"x_test": x, "lengths_test": np.array([5, 3])})
    assert complaint(path).startswith("x_test[1, 2] is not a finite number; 3 values are missing")


# types


def test_whole_numbers_in_two_dimensions_are_tokens(tmp_path: Path) -> None:
    tokens = np.arange(12).reshape(3, 4) * 2**27
    made = {"x_test": tokens, "lengths_test": np.array([4, 2, 1])}
    batch = load(npy(tmp_path, made)).test.take(slice(None))
    assert batch.x.dtype == np.int32
    assert batch.x.tolist() == np.where(np.arange(4) < [[4], [2], [1]], tokens, 0).tolist()
    with pytest.raises(UserError, match=r"x_test\[2, 0\] is 2147483648; a token must be from"):
        load(npy(tmp_path, {"x_test": tokens * 2}))


def test_double_precision_stays_and_what_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    x = np.full((2, T, F), 1 / 3)
    assert load(npz(tmp_path, {"x_test": x})).test.take(slice(None)).x.dtype == np.float64
    x[1, 3] = 1e300
    assert complaint(npz(tmp_path, {"x_test": x})).startswith("x_test[1, 3] is not a finite")


# several inputs


def test_further_inputs_go_by_their_names(tmp_path: Path) -> None:
    made = arrays()
    for part in ("train", "test"):
        made[f"x_decoder_{part}"] = made[f"x_{part}"][:, :2] + 1
        made[f"x_token_ids_{part}"] = np.arange(N * 7).reshape(N, 7)
    for form in (npz, npy):
        dataset = load(form(tmp_path, made), 0.2)
        for split in whole(dataset):
            assert set(split.others) == {"decoder", "token_ids"}
            batch = split.take(np.array([2, 0]))
            first = split.take(slice(0, 1))
            assert batch.others["token_ids"].dtype == np.int32
            np.testing.assert_array_equal(batch.others["decoder"][1], first.others["decoder"][0])
            cut = batch.cut(slice(1, None))
            np.testing.assert_array_equal(cut.others["decoder"], first.others["decoder"])
            np.testing.assert_array_equal(cut.x, first.x)
        batch = dataset.test.take(slice(None))
        np.testing.assert_array_equal(batch.others["decoder"], made["x_decoder_test"])


def ends(split: Split) -> dict[str | None, list[int] | None]:
    """The lengths of each input by its name; of the main one under None."""
    found: dict[str | None, list[int] | None] = {None: None, **dict.fromkeys(split.others)}
    if split.lengths is not None:
        found[None] = split.lengths.tolist()
    return found | {name: each.tolist() for name, each in split.other_lengths.items()}


def of_test(made: Arrays, folder: Path, roles: Roles | None = None) -> Split:
    options = files(npz(folder, made))
    return data.load(options, roles).test


SEVERAL: Arrays = {
    "x_a_test": np.ones((2, T, F)),
    "x_b_test": np.ones((2, T, 1)),
    "x_c_test": np.ones((2, 3, 1)),
}
SHORT = np.array([T, 1])


def test_each_input_ends_at_its_own_length(tmp_path: Path) -> None:
    own = {"lengths_a_test": SHORT, "lengths_c_test": np.array([1, 2])}
    test = of_test(SEVERAL | own, tmp_path)
    batch = test.take(slice(None))
    assert ends(test) == {None: [T, 1], "b": None, "c": [1, 2]}
    assert [batch.x.sum(), batch.others["b"].sum(), batch.others["c"].sum()] == [6 * F, 2 * T, 3]
    assert [each.tolist() for each in batch.cut(slice(1, None)).other_lengths.values()] == [[2]]
    again = test.select(np.array([1, 0]))
    assert ends(again) == {None: [1, T], "b": None, "c": [2, 1]}


ROLES = {
    "one is read": (
        Roles(("a", "b", "c"), (frozenset("b"),)),
        {None: [T, 1], "a": None, "c": None},
    ),
    "two side by side": (
        Roles(("a", "b", "c"), (frozenset("ab"),), frozenset("b")),
        {None: [T, 1], "a": [T, 1], "c": None},
    ),
    "one is too short": (
        Roles(("a", "b", "c"), (frozenset("a"), frozenset("c"))),
        {None: [T, 1], "b": None, "c": None},
    ),
}


@pytest.mark.parametrize("case", ROLES)
def test_the_plain_lengths_are_of_what_the_model_reads(case: str, tmp_path: Path) -> None:
    roles, want = ROLES[case]
    assert ends(of_test(SEVERAL | {"lengths_test": SHORT}, tmp_path, roles)) == want


APART = Roles(("a", "b", "c"), (frozenset("a"), frozenset("b"), frozenset("c")), frozenset("b"))


def test_the_plain_lengths_are_of_the_plain_x_and_then_of_what_is_left(tmp_path: Path) -> None:
    made = {"x_test" if name == "x_b_test" else name: x for name, x in SEVERAL.items()}
    given = {"lengths_test": SHORT}
    for roles in (None, APART):
        test = of_test(made | given, tmp_path, roles)
        assert (test.name, ends(test)) == (None, {None: [T, 1], "a": None, "c": None})
    own = {"lengths_a_test": np.array([2, 3]), "lengths_c_test": np.array([3, 1])}
    test = of_test(SEVERAL | given | own, tmp_path, APART)
    assert (test.name, ends(test)) == ("b", {None: [T, 1], "a": [2, 3], "c": [3, 1]})


@pytest.mark.parametrize("roles", [None, APART])
def test_lengths_that_may_be_of_several_inputs_name_the_keys(
    roles: Roles | None, tmp_path: Path
) -> None:
    each = "each" if roles else "each of them that has timesteps"
    says = (
        "lengths_test may belong to x_a_test and x_b_test: "
        f"give {each} its own, lengths_a_test and lengths_b_test"
    )
    with pytest.raises(UserError, match=f"{re.escape(says)}$"):
        of_test(SEVERAL | {"lengths_test": SHORT}, tmp_path, roles)


def test_the_mask_is_made_from_the_lengths_of_what_it_masks(tmp_path: Path) -> None:
    roles = Roles((*"ab", "mask"), (frozenset("a"), frozenset("b")), frozenset("b"), frozenset("a"))
    made = {name: x for name, x in SEVERAL.items() if name != "x_c_test"}
    test = of_test(made | {"lengths_a_test": SHORT}, tmp_path, roles)
    assert test.take(slice(None)).others["mask"].tolist() == [[1] * T, [1] + [0] * (T - 1)]
    assert ends(test) == {None: None, "a": [T, 1], "mask": None}


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ("a", "b and a have as many timesteps: they are of b, as the model's output is"),
        ("b", None),
        (None, None),
    ],
)
def test_annotations_are_of_the_input_that_the_output_follows(
    plain: str | None, says: str | None, tmp_path: Path
) -> None:
    made = {("x_test" if name == f"x_{plain}_test" else name): x for name, x in SEVERAL.items()}
    path = npz(tmp_path, made | {"depth_test": np.arange(2 * T).reshape(2, T)})
    options = files(path, annotations=["depth"])
    if says is None:
        assert data.load(options, APART).test.take(slice(None)).steps["depth"][1, 0] == T
        return
    with pytest.raises(UserError, match=re.escape(says)):
        data.load(options, APART)


def test_annotations_of_one_of_several_inputs_need_a_plain_x(tmp_path: Path) -> None:
    path = npz(tmp_path, SEVERAL | {"depth_test": np.ones((2, T))})
    options = files(path, annotations=["depth"])
    with pytest.raises(UserError, match=r"a and b .*: give the annotated one as the plain x_"):
        data.load(options, replace(APART, output=frozenset()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x_more_test": np.ones((N - 1, T))}, r"x_more_test has shape \(29, 5\); .* \[30, ...\]"),
        ({"x_more_test": np.ones(N)}, r"x_more_test has shape \(30,\)"),
        ({"x_more_test": np.full((N, 2), "a")}, "x_more_test has type <U1"),
        ({"x_more_test": np.full((N, 2), np.nan)}, r"x_more_test\[0, 0\] is not a finite"),
        ({"x_more_test": np.ones((N, T))}, r"train has the further inputs \[\], test has \['more'"),
    ],
)
def test_further_inputs_that_do_not_fit_are_named(
    change: Arrays, says: str, tmp_path: Path
) -> None:
    assert re.match(says, complaint(npz(tmp_path, arrays() | change)))


def test_all_forms_of_arrays_keep_their_values(tmp_path: Path) -> None:
    made = arrays()
    assert_same(load(npy(tmp_path, made)).test, load(npz(tmp_path, made)).test)
