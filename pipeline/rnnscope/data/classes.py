"""Which values of a y are classes and which are targets, and how classes are numbered."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError, listed

FEW = 100
"""Whole numbers stored as floats are classes up to so many values, each twice on average."""
PLACES = 1_000
"""Whole numbers below this are places among a model's outputs, whichever of them occur; larger ones
too, if at least one in a hundred places occurs (tokens of a vocabulary)."""
TEXT = "USOTM"
"""The kinds of NumPy's types that hold names; dates are names too."""
MOST = 10_000
"""What ``data.max_classes`` is by default."""
HIGHEST = 1_000_000
"""No whole number from here on is a place; the most that ``data.max_classes`` may be."""
EXACT = {2: 2**11, 4: 2**24, 8: 2**53}
"""Up to which size floats of so many bytes hold every whole number."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Values:
    """The valid values of one y."""

    where: str
    """What to call it in an error."""
    distinct: NDArray[Any]
    """Each value once, rising; of fractions only some."""
    count: int

    @property
    def kind(self) -> str:
        """Name, whole (whole numbers), float (whole numbers as floats) or fraction."""
        match self.distinct.dtype.kind:
            case "U":
                return "name"
            case "f":
                return "fraction" if _fractions(self.distinct) else "float"
        return "whole"


@dataclass(frozen=True)
class Classes:
    """The classes of a data set and their numbers."""

    names: tuple[str, ...] = ()
    """Of the K classes, by their numbers."""
    occurring: tuple[int, ...] = ()
    """Where the data's labels are whole numbers: each of them once, rising."""
    columns: int = 0
    """Where they are one-hot: of how many columns."""

    @property
    def ranked(self) -> bool:
        """Whether a whole number became its rank among the values; else it is its own class."""
        ranks = tuple(range(len(self.occurring)))
        return len(self.names) == len(self.occurring) and self.occurring != ranks

    def numbers(self, labels: NDArray[Any]) -> NDArray[np.int32]:
        """The classes of some labels, of any shape; of padding any number."""
        if self.ranked:
            with np.errstate(invalid="ignore"):
                whole = labels.astype(np.int64)
            return np.searchsorted(np.array(self.occurring), whole).astype(np.int32)
        if labels.dtype.kind in TEXT:
            return np.searchsorted(self.names, texts_of(labels)).astype(np.int32)
        with np.errstate(invalid="ignore"):
            return labels.astype(np.int32)

    @property
    def counted(self) -> bool:
        """Whether the names are the numbers of the classes, 0 to K - 1."""
        return self.names == _counted(len(self.names))

    def labels(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """The whole numbers that stand in the data for some classes, of any shape."""
        return np.take(self.occurring, numbers, mode="clip") if self.ranked else numbers


def values_of(pieces: Iterable[NDArray[Any]], where: str) -> Values:
    """The values of a y that comes piece by piece: [V] valid values each."""
    distinct: NDArray[Any] | None = None
    count = 0
    for piece in pieces:
        count += len(piece)
        if distinct is not None and distinct.dtype.kind == "f" and _fractions(distinct):
            continue
        try:
            new = _distinct(piece)
        except UnicodeDecodeError as error:
            raise UserError(f"{where} holds bytes that are no text in UTF-8") from error
        distinct = new if distinct is None else np.union1d(distinct, new)
    return Values(where, np.zeros(0, np.int64) if distinct is None else distinct, count)


def refuse_many(count: int, where: str, most: int, what: str = "different values") -> None:
    """Raise where there are more classes than ``data.max_classes``.

    Args:
        count: K.
        where: what to call the labels in an error.
        most: the option.
        what: what there are so many of.
    """
    if count > most:
        allow = f"data.max_classes={count}" if count <= HIGHEST else f"at most {HIGHEST:,} may be"
        raise UserError(
            f"{where} has {count:,} {what}: a regression target? Then give data.task=regression; "
            f"if they are classes, {allow}"
        )


def _distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Each value once, rising: names as text, whole numbers as int64."""
    if values.dtype.kind in TEXT:
        return np.unique(texts_of(values))
    found = pd.unique(values.astype(np.int64) if values.dtype.kind in "iub" else values)
    return np.sort(np.asarray(found))


def decided(
    found: list[Values], task: str | None, *, said: str = "", most: int = MOST
) -> Classes | None:
    """The classes of all splits' values; None where they are numbers to predict.

    Args:
        found: the values of each split.
        task: option ``data.task``; null: names and whole numbers are classes, fractions are numbers
            to predict, whole numbers stored as floats are classes where they are few.
        said: if given, what to call the values in the log where that is not clear from their type.
        most: option ``data.max_classes``.

    Raises:
        UserError: kinds of values that do not go together, or not with the task.
    """
    kinds = {each.kind: each for each in found}
    if "name" in kinds and (len(kinds) > 1 or task == "regression"):
        other = "data.task=regression" if len(kinds) == 1 else _other(kinds, "name").where
        raise UserError(f"{kinds['name'].where} holds names, which does not go with {other}")
    if task == "classification" and "fraction" in kinds:
        raise UserError(
            f"{kinds['fraction'].where} holds fractions, such as {_fraction(kinds['fraction'])}; "
            "data.task=classification takes whole numbers, names or one-hot vectors"
        )
    if "fraction" in kinds and "whole" in kinds and task is None:
        raise UserError(
            f"{kinds['fraction'].where} holds fractions and {kinds['whole'].where} whole numbers; "
            "whole numbers are classes, floats are numeric targets: data.task=regression takes "
            "both as numeric targets"
        )
    as_floats = kinds.keys() == {"float"} and task is None
    few = len(distinct := _together(found)) <= min(FEW, sum(each.count for each in found) / 2)
    if as_floats and said:
        kind, other = ("classes", "regression") if few else ("numeric targets", "classification")
        log.info(
            f"{said}: whole numbers stored as floats, {len(distinct)} different ones, are taken as "
            f"{kind}; data.task={other} takes them as "
            f"{'numeric targets' if few else 'classes'}"
        )
    if task == "regression" or "fraction" in kinds or (as_floats and not few):
        return None
    _refuse_merged(found)
    where = found[0].where if found else "y"
    refuse_many(len(distinct), where, most)
    if "name" not in kinds:
        classes = numbered(distinct.astype(np.int64))
        refuse_many(len(classes.names), where, most, "classes from 0 on")
        return classes
    for name in distinct[np.isin(distinct, ("", "NaT"))]:
        raise UserError(f"{kinds['name'].where} holds '{name}', which names no class")
    return Classes(tuple(map(str, distinct)))


def _refuse_merged(found: list[Values]) -> None:
    """Raise where classes are floats so large that neighbouring whole numbers are one."""
    for each in found:
        largest = np.abs(each.distinct).max(initial=0) if each.kind == "float" else 0
        if largest > EXACT.get(each.distinct.dtype.itemsize, 2**53):
            raise UserError(
                f"{each.where} holds labels as large as {largest:.0f} in {each.distinct.dtype}, "
                "which merges neighbouring whole numbers: save them as int64, or as text"
            )


def numbered(distinct: NDArray[np.int64], k: int = 0) -> Classes:
    """The classes of whole numbers, rising: their own numbers, or if these fit no model, ranks.

    A label 3 is class 3 although the classes before it may not occur; of negative numbers, dates
    and other large numbers, each value is a class.

    Args:
        distinct: each label once.
        k: number of classes, where it is known to be larger than the labels tell.
    """
    values = tuple(map(int, distinct))
    if not values:
        return Classes(tuple(map(str, range(k))))
    if values[0] >= 0 and values[-1] < max(PLACES, min(100 * len(values), HIGHEST), k):
        return Classes(tuple(map(str, range(max(values[-1] + 1, k)))), values)
    return Classes(tuple(map(str, values)), values)


def places(classes: Classes, k: int) -> Classes:
    """The classes numbered as the K outputs of a model are; as they are, where nothing else fits.

    Whole numbers below K are places among the outputs, counted from 0. Where they are not, but are
    K different ones, such as 1 to K, the outputs stand for them in rising order.
    """
    if classes.columns not in (0, k):
        return classes  # whose columns are not the outputs
    if line := taken(classes, k):
        log.info(line)
    if not (values := classes.occurring):
        return classes
    if values[0] >= 0 and values[-1] < k:
        return classes if not classes.ranked else Classes(_counted(values[-1] + 1), values)
    return Classes(tuple(map(str, values)), values) if len(values) == k else classes


def taken(classes: Classes, k: int) -> str:
    """How ``places`` takes classes for the K outputs, where that does not go without saying."""
    if not (values := classes.occurring):
        if len(classes.names) != k or classes.counted:
            return ""
        return f"classes {listed(classes.names)} are taken as the model's outputs, in order"
    if values[0] == 0 and values[-1] < k:
        return ""
    if values[0] > 0 and values[-1] < k:
        return (
            f"labels {_span(values)} are taken as places among the model's {k} outputs, counted "
            "from 0"
        )
    if len(values) == k:
        return f"labels {_span(values)} are taken as the model's {k} outputs, in rising order"
    return ""


def only_occurring(classes: Classes) -> Classes:
    """The classes of a model that is trained on them: those that occur, in rising order.

    Whole numbers such as 1 to K, or 100, 200 and 300, get no output for those between or before
    them; their names stay the numbers in the data.
    """
    if not (values := classes.occurring):
        return classes
    return Classes(tuple(map(str, values)), values)


def _counted(k: int) -> tuple[str, ...]:
    return tuple(map(str, range(k)))


def _span(values: tuple[int, ...]) -> str:
    return listed(values) if len(values) < 4 else f"{values[0]} to {values[-1]}"


def _together(found: list[Values]) -> NDArray[Any]:
    parts = [each.distinct for each in found if len(each.distinct)]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def _other(kinds: dict[str, Values], but: str) -> Values:
    return next(each for kind, each in kinds.items() if kind != but)


def _fractions(values: NDArray[np.floating]) -> bool:
    values = values.astype(np.float64, copy=False)
    return bool((values != np.rint(values)).any() or (np.abs(values) >= 2**53).any())


def _fraction(found: Values) -> float:
    values = found.distinct
    return float(values[np.argmax((values != np.rint(values)) | (np.abs(values) >= 2**53))])


def texts_of(values: NDArray[Any]) -> NDArray[Any]:
    """Names as text [V]; of bytes those that UTF-8 spells."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "M":
        return np.datetime_as_string(values)
    return values.astype(str)
