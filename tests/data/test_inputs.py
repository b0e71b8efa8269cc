"""Arrays of inputs are held to what the model tells of them before lengths and y are looked at."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope import data
from rnnscope.data import Roles, Split
from rnnscope.errors import UserError
from tests.data.test_data import Arrays, npz
from tests.data.test_data import options as files

N, T, W = 5, 4, 7
WORDS = np.arange(1, N * T + 1).reshape(N, T)
CAPTIONS: Arrays = {
    "x_image_test": np.ones((N, W)),
    "x_caption_test": WORDS,
    "y_test": WORDS,
    "lengths_test": np.array([4, 1, 2, 3, 4]),
}
SHAPES = {"image": (W,), "caption": (None,)}
TIMED = frozenset(["caption"])
CAPTIONER = Roles(("image", "caption"), (TIMED,), TIMED, shapes=SHAPES)
WITHOUT_GRAPH = Roles(("image", "caption"), None, shapes=SHAPES)


def given(made: Arrays, folder: Path, roles: Roles | None = CAPTIONER) -> Split:
    return data.load(files(npz(folder, made)), roles).test


def refused(made: Arrays, folder: Path, roles: Roles | None = CAPTIONER) -> str:
    with pytest.raises(UserError) as caught:
        given(made, folder, roles)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def renamed(**names: str) -> Arrays:
    """The arrays with some of them under other names."""
    return {names.get(name, name): values for name, values in CAPTIONS.items()}


@pytest.mark.parametrize("roles", [CAPTIONER, WITHOUT_GRAPH])
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            {"x_caption_test": "x_captions_test"},
            "an input 'caption', for which the data has no array: it has "
            "x_captions_test, x_image_test; give x_captions_test that name: x_caption_test, or add",
        ),
        (
            {"x_image_test": "x_test", "x_caption_test": "x_words_test"},
            "an input 'image', for which the data has no array: it has x_test, x_words_test",
        ),
        (
            {"x_image_test": "x_caption_test", "x_caption_test": "x_image_test"},
            "x_image_test has (4,) for each sequence, the model takes (7,) for its input 'image'; "
            "that of x_caption_test fits: are the arrays swapped?",
        ),
    ],
)
def test_names_and_shapes_come_before_lengths_and_labels(
    names: dict[str, str], says: str, roles: Roles, tmp_path: Path
) -> None:
    for part in ({}, {"lengths_image_test": CAPTIONS["lengths_test"]}, {"y_test": np.ones(N)}):
        assert says in refused(renamed(**names) | part, tmp_path, roles)


def test_an_array_too_few_or_too_many_is_named(tmp_path: Path) -> None:
    few = {name: values for name, values in CAPTIONS.items() if name != "x_image_test"}
    assert refused(few, tmp_path).endswith("it has x_caption_test; add x_image_test")
    more = CAPTIONS | {"x_age_test": np.ones((N, 1))}
    assert refused(more, tmp_path).endswith(
        "x_age_test is of no input of the model, whose inputs are image, caption: leave it out"
    )
    one = {"x_test": WORDS, "lengths_test": CAPTIONS["lengths_test"]}
    assert refused(one, tmp_path).endswith(
        "x_test may be any of the model's inputs image, caption: give x_image_test and "
        "x_caption_test"
    )


def test_the_plain_x_is_the_input_that_is_left(tmp_path: Path) -> None:
    for plain in ("image", "caption"):
        made = renamed(**{f"x_{plain}_test": "x_test"})
        test = given(made, tmp_path)
        np.testing.assert_array_equal(test.lengths, CAPTIONS["lengths_test"])


@pytest.mark.parametrize("name", ["image", "x"])
def test_lengths_of_an_input_without_timesteps_are_refused_and_leaving_them_out_helps(
    name: str, tmp_path: Path
) -> None:
    own = {"lengths_image_test": CAPTIONS["lengths_test"]}
    plain = renamed(x_caption_test="x_test") if name == "x" else CAPTIONS
    says = refused(plain | own, tmp_path)
    assert "lengths_image_test: 'image' has no timesteps" in says
    assert says.endswith("leave lengths_image_test out")
    batch = given(plain, tmp_path).take(slice(None))
    image: Any = batch.others["image"]
    np.testing.assert_array_equal(image, CAPTIONS["x_image_test"])


def test_unknown_arrays_are_answered_with_what_the_model_takes(tmp_path: Path) -> None:
    says = refused({"captions": WORDS, "images": np.ones((N, W))}, tmp_path)
    assert "unknown arrays captions, images; the model takes x_image_test, x_caption_test;" in says
    assert "the model takes" not in refused({"captions": WORDS}, tmp_path, None)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8, np.int64])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_lengths_are_whole_numbers_of_any_type_in_a_row_or_a_column(
    kind: Any, shape: tuple[int, ...], tmp_path: Path
) -> None:
    lengths = CAPTIONS["lengths_test"]
    for key in ("lengths_test", "lengths_caption_test"):
        made = {name: values for name, values in CAPTIONS.items() if name != "lengths_test"}
        test = given(made | {key: lengths.astype(kind).reshape(shape)}, tmp_path)
        assert test.lengths is not None
        assert test.lengths.dtype == np.int32
        np.testing.assert_array_equal(test.lengths, lengths)
