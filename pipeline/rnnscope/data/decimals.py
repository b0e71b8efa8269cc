"""Decimals and fractions, as databases and Parquet give them, as the numbers that they are."""

from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief

EXACT = Decimal | Fraction


def as_numbers(values: NDArray[Any], where: str) -> NDArray[Any]:
    """An array of objects in int64 or float64, if there are decimals in it; else as it is.

    Whole numbers without decimal places, 2 and not 2.0, are whole numbers.

    Raises:
        UserError: other values beside decimals, or a number of more digits than float64 holds.
    """
    if values.dtype != object or not any(isinstance(each, EXACT) for each in values.flat):
        return values
    for each in values.flat:
        if not isinstance(each, EXACT | Real | np.bool_):
            raise UserError(
                f"{where} holds decimals and {brief(repr(each))}, a {type(each).__name__}: give "
                "whole numbers, floats or text alone"
            )
        if not _held(each):
            raise UserError(
                f"{where} holds {brief(str(each))}, of more digits than a float has: give whole "
                "numbers, text, or floats, whose last digits are lost"
            )
    whole = all(_whole(each) for each in values.flat)
    return values.astype(np.int64) if whole else values.astype(np.float64)


def in_column(values: "pd.Series[Any]", where: str) -> "pd.Series[Any]":
    """A column of a table, its decimals as numbers, and its categories if these are numbers."""
    plain: Any = values
    if isinstance(values.dtype, pd.CategoricalDtype):
        plain = values.astype(object)
        if pd.api.types.is_numeric_dtype(values.cat.categories.dtype):
            return plain.convert_dtypes() if values.hasnans else plain.infer_objects()
    elif isinstance(values.dtype, pd.ArrowDtype):
        plain = values.astype(object)
    if plain.dtype != object:
        return values
    known = plain.notna().to_numpy()
    found = as_numbers(plain[known].to_numpy(), where)
    if found.dtype == object:
        return values
    filled = pd.Series(pd.NA, plain.index, "Int64" if found.dtype.kind == "i" else "Float64")
    filled[known] = found
    return (filled.astype(found.dtype) if known.all() else filled).rename(values.name)


def _whole(value: Any) -> bool:
    """Whether a number is a whole one, and is written as one."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return isinstance(exponent, int) and exponent >= 0 and abs(value) < 2**63
    if isinstance(value, Fraction):
        return value.denominator == 1 and abs(value) < 2**63
    return not isinstance(value, float | np.floating)


def _held(value: Any) -> bool:
    """Whether int64 or float64 holds a number; a decimal in all digits that it is written in."""
    if _whole(value) or not isinstance(value, EXACT):
        return True
    if isinstance(value, Fraction):
        return abs(value) < 2**1000 and Fraction(float(value)) == value
    return not value.is_finite() or Decimal(repr(float(value))) == value
