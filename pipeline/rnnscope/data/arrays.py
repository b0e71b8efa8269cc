"""Sequences from arrays under Keras' names: an .npz file, or a folder of .npy files."""

import functools
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.classes import TEXT, Classes
from rnnscope.data.dataset import Split
from rnnscope.data.delimited import TOKENS
from rnnscope.data.groups import groups_of_split, refuse_unclear_groups
from rnnscope.data.inputs import MASK, Inputs, Name, Roles, inputs_of, refuse_misshapen
from rnnscope.data.labels import Given, annotation_from, labels_from
from rnnscope.data.lengths import given_lengths, measured, refuse_large
from rnnscope.data.mapped import LazyArray, Valid
from rnnscope.data.missing import filled
from rnnscope.data.padded import warn_of_padding
from rnnscope.data.precision import warn_of_coarse
from rnnscope.errors import UserError, listed

PARTS = ("train", "val", "test")
INPUT = re.compile(rf"x_(?:(.+)_)?({'|'.join(PARTS)})")
"""The name of an array of inputs: the model's name for it, if any, and its split."""
LENGTHS = re.compile(rf"lengths_(?:(.+)_)?({'|'.join(PARTS)})")
"""The name of the lengths of all inputs that share them, or of one input; and its split."""


def splits_from_arrays(
    arrays: dict[str, NDArray[Any]],
    options: Files,
    roles: Roles | None = None,
    *,
    clear: bool = False,
) -> tuple[dict[str, Split], Classes]:
    """Those of the splits train, val and test that the arrays have, and the classes.

    Arrays: ``x_<split>`` [N, T, F], [N, T] (one feature, or tokens) or of any further axes, such as
    frames [N, T, H, W, C]; ``y_<split>`` [N] or of timesteps [N, T], in any of the forms of
    ``forms.plain``, classes or numeric targets;
    ``lengths_<split>`` [N], where sequences are padded on the right with anything but NaN;
    ``<annotation>_<split>`` [N, T]; ``<groups>_<split>`` [N]; and for a model of several inputs
    ``x_<input>_<split>`` [N, ...], beside or instead of ``x_<split>``, with
    ``lengths_<input>_<split>`` [N] where inputs differ in their timesteps. What ``roles`` tells of
    the model's inputs decides whose the plain lengths are, and whose timesteps labels and
    annotations have. ``clear`` tells that names of classes and groups were checked where they were
    read, as those of tables are.
    """
    annotations = options.annotations or []
    _refuse_unknown(arrays, annotations, options, roles)
    whole = {
        name: _whole(name, match, arrays, options) if (match := INPUT.fullmatch(name)) else array
        for name, array in arrays.items()
    }
    inputs, told = _by_split(whole, INPUT), _by_split(whole, LENGTHS)
    _refuse_lonely(arrays, inputs, options)
    at = f"data.path={options.path}: "
    splits, given = {}, {}
    for part in (part for part in PARTS if part in inputs):
        split = _split(inputs[part], told.get(part, {}), roles, part, at)
        x, lengths = split.x, split.lengths
        if (y := arrays.get(f"y_{part}")) is not None:
            given[part] = _given(y, x, lengths, f"{at}y_{part}")
        steps = {
            name: annotation_from(arrays[f"{name}_{part}"], x, lengths, f"{at}{name}_{part}")
            for name in annotations
            if f"{name}_{part}" in arrays
        }
        if steps and roles is not None:
            _refuse_unclear(split, named=None not in inputs[part], roles=roles, options=options)
        splits[part] = replace(
            split, steps=steps, groups=groups_of_split(arrays, len(x), part, options)
        )
    if not clear:
        refuse_unclear_groups({part: split.groups for part, split in splits.items()}, options)
    known, classes = labels_from(
        given, options.labels, options.task, options.max_classes, clear=clear
    )
    return {part: replace(split, y=known.get(part)) for part, split in splits.items()}, classes


def _whole(
    name: str, match: re.Match[str], arrays: dict[str, NDArray[Any]], options: Files
) -> NDArray[Any]:
    """An array of inputs, its missing values filled if the options say so."""
    x = arrays[name]
    if x.dtype.kind in TEXT:
        where = f"data.path={options.path}: {name}"
        raise UserError(f"{where} has type {x.dtype}; it must hold numbers; {TOKENS}")
    if options.missing == "refuse" or x.ndim < (2 if match[1] is None else 3):
        return x
    own = arrays.get(f"lengths_{match[1]}_{match[2]}", arrays.get(f"lengths_{match[2]}"))
    fits = own is not None and own.shape == x.shape[:1] and own.max(initial=0) <= x.shape[1]
    return filled(x, own if fits else None, options.missing, f"data.path={options.path}: {name}")


def _given(
    y: NDArray[Any], x: NDArray[Any], lengths: NDArray[np.int32] | None, where: str
) -> Given:
    """The y of a split whose input is x [N, T, ...]."""
    if y.shape[:1] != x.shape[:1]:
        raise UserError(f"{where} has shape {y.shape}; it must be [{len(x)}], as x")
    return Given(y, x.shape[1], lengths, where)


def _refuse_unclear(split: Split, *, named: bool, roles: Roles, options: Files) -> None:
    """Raise where annotations may as well be of another input of as many timesteps.

    Args:
        split: with its main input.
        named: whether there is no plain x.
        roles: what the model tells.
        options: of the data.
    """
    apart = {name for group in roles.timed or () if split.name not in group for name in group}
    rivals = sorted(
        name for name in apart & set(split.others) if split.others[name].shape[1] == split.timesteps
    )
    if split.name is None or not rivals or (named and split.name in roles.output):
        return
    mend = (
        "give the annotated one as the plain x_<split>"
        if named
        else f"they are of {split.name}, as the model's output is; give x_<split> its own name too"
    )
    raise UserError(
        f"data.annotations=[{','.join(options.annotations or [])}]: {split.name} and "
        f"{', '.join(rivals)} have as many timesteps: {mend}"
    )


def _by_split(
    arrays: dict[str, NDArray[Any]], named: re.Pattern[str]
) -> dict[str, dict[Name, NDArray[Any]]]:
    """The arrays of one kind by split, then by input."""
    found: dict[str, dict[Name, NDArray[Any]]] = {}
    for name in sorted(arrays):
        if match := named.fullmatch(name):
            found.setdefault(match[2], {})[match[1]] = arrays[name]
    return found


def _refuse_lonely(
    arrays: dict[str, NDArray[Any]], inputs: Collection[str], options: Files
) -> None:
    """Raise where a split has labels or lengths and no inputs, or inputs and no labels."""
    at = f"data.path={options.path}: "
    named = ["y", "lengths", *(options.annotations or []), *filter(None, [options.groups])]
    for part in PARTS:
        lonely = [f"{kind}_{part}" for kind in named if f"{kind}_{part}" in arrays]
        if lonely and part not in inputs:
            raise UserError(f"{at}{lonely[0]} has no x_{part}; give it, or leave {lonely[0]} out")
    given = [part for part in PARTS if f"y_{part}" in arrays]
    for part in ("train", "val"):
        if part in inputs and "train" in inputs and given and part not in given:
            raise UserError(
                f"{at}x_{part} has no y_{part}, though there is y_{given[0]}; give y_{part}, or "
                f"leave x_{part} out"
            )


def _refuse_unknown(
    arrays: dict[str, NDArray[Any]],
    annotations: list[str],
    options: Files,
    roles: Roles | None,
) -> None:
    """Raise where an array has an unknown name, or annotations or groups have none."""
    if options.groups is not None:
        _refuse_name(f"{options.groups}_test", arrays, f"data.groups={options.groups}", options)
    named = [*annotations, *filter(None, [options.groups])]
    known = {f"{kind}_{part}" for kind in ("x", "y", "lengths", *named) for part in PARTS}
    if strange := sorted(name for name in set(arrays) - known if not _is_input(name)):
        wanted = [] if roles is None else roles.wanted(arrays)
        takes = ", ".join(f"x_{name}_test" for name in wanted) if len(wanted) > 1 else ""
        raise UserError(
            f"data.path={options.path}: unknown arrays {listed(strange)}; "
            + (f"the model takes {takes}; " if takes else "")
            + f"known are {listed(sorted(known))}, x_<input>_<split>, lengths_<input>_<split> "
            "and those named in data.annotations and data.groups"
        )
    for name in annotations:
        option = f"data.annotations=[{','.join(annotations)}]"
        _refuse_name(f"{name}_test", arrays, option, options)


def _refuse_name(name: str, arrays: dict[str, Any], option: str, options: Files) -> None:
    """Raise where an array that an option names is another one, or is not there."""
    if name.startswith("y_") or _is_input(name):
        raise UserError(f"{option}: '{name}' is reserved for another array")
    if name not in arrays:
        raise UserError(f"{option}: no array '{name}' in {options.path}")


def _split(
    values: dict[Name, NDArray[Any]],
    given: dict[Name, NDArray[Any]],
    roles: Roles | None,
    part: str,
    at: str,
) -> Split:
    """All inputs of one split, each with its own lengths."""
    inputs = inputs_of(values, roles, part, at)
    for name, array in inputs.values.items():
        if not array.ndim:
            raise UserError(f"{at}{inputs.key(name)} is a single value; it must be [N, T, ...]")
    count = len(inputs.values.get(inputs.plain, next(iter(inputs.values.values()))))
    for name, array in inputs.values.items():
        _check_form(array, count, at + inputs.key(name), alone=len(values) == 1)
    if roles is not None:
        refuse_misshapen(inputs, roles.shapes)
    lengths: dict[Name, NDArray[np.int32] | None] = dict(given_lengths(inputs, given))
    for name, array in inputs.values.items():
        whole = np.full(count, array.shape[1], np.int32)
        known = lengths.get(name)
        if known is None and not inputs.may_end(name):
            measured(array, whole, at + inputs.key(name))
        else:
            lengths[name] = measured(array, known, at + inputs.key(name))
            if lengths[name] is None:
                key, of_lengths = inputs.key(name), inputs.key(name, "lengths")
                left_out = None if roles is None else functools.partial(roles.leaves_out, name)
                warn_of_padding(array, at + key, of_lengths, left_out)
        warn_of_coarse(array, at + inputs.key(name))
    told = {name: each for name, each in lengths.items() if each is not None}
    main = inputs.main(told)
    others = {name: array for name, array in inputs.values.items() if name and name != main}
    return Split(
        inputs.values[main],
        None,
        told.get(main),
        others=others | _mask(inputs, told, main),
        name=None if main == inputs.plain else main,
        other_lengths={name: each for name, each in told.items() if name and name != main},
    )


def _check_form(array: NDArray[Any], count: int, where: str, *, alone: bool) -> None:
    """Raise where an input has no timesteps or features, another N, or no numbers."""
    if array.ndim < 2 or 0 in array.shape or len(array) != count:
        must = "[sequences, timesteps, ...]" if alone else f"[{count}, ...], as x"
        raise UserError(f"{where} has shape {array.shape}; it must be {must}")
    _refuse_text(array, where)


def _mask(
    inputs: Inputs, lengths: dict[Name, NDArray[np.int32]], main: Name
) -> dict[str, LazyArray]:
    """The mask that a model of several inputs takes and that the data does not have."""
    roles = inputs.roles
    if roles is None or MASK not in roles.names or MASK in inputs.values or len(inputs.values) < 2:
        return {}
    of = min(roles.masked & inputs.values.keys(), default=main)
    timesteps = inputs.values[of].shape[1]
    whole = np.full(len(inputs.values[of]), timesteps, np.int32)
    return {MASK: Valid(lengths.get(of, whole), timesteps)}


def _is_input(name: str) -> bool:
    """Whether an array is an input, or the lengths of inputs."""
    return bool(INPUT.fullmatch(name) or LENGTHS.fullmatch(name))


def _refuse_text(x: NDArray[Any], where: str) -> None:
    if x.dtype.kind not in "fiub":
        raise UserError(f"{where} has type {x.dtype}; it must hold numbers")
    if x.dtype.kind in "iu" and x.ndim == 2:
        refuse_large(x, where)
