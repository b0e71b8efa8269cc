"""Missing values (NaN) within a sequence: refused with their count, or filled."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

INTERPOLATE = "data.missing=interpolate puts the linear interpolation in their place"
REMEDY = f"{INTERPOLATE}, data.missing=zero_and_mask 0 and features that say which values are known"

TOLERANCE = 1e-4
"""Share of a step by which evenly spaced times may be off, as rounded seconds since 1970 are."""


def filled(
    x: NDArray[Any],
    lengths: NDArray[np.integer] | None,
    how: str,
    where: str,
    times: NDArray[np.float64] | None = None,
) -> NDArray[Any]:
    """Sequences without missing values.

    Args:
        x: inputs [N, T, ...] in floats, NaN where a value is missing.
        lengths: valid timesteps [N]; None where a sequence ends at the timesteps from which on all
            features are NaN, which stay NaN.
        how: interpolate, linearly over the times of a sequence, at its ends the nearest value;
            or zero_and_mask, which makes [N, T, F] into [N, T, 2F]: 0 for missing values, and then
            for each feature 1 where its value is known, else 0.
        where: what to call x in an error.
        times: of the timesteps [N, T], rising within each sequence, in any unit; None where they
            are evenly spaced.

    Raises:
        UserError: nothing to interpolate from: a feature that has no value in a sequence.
    """
    if x.dtype.kind != "f" or x.ndim < 2:
        return x
    n, t = x.shape[:2]
    flat = np.array(x, copy=True).reshape(n, t, -1)
    nan = np.isnan(flat)
    valid = _valid(nan, lengths)
    missing = nan & valid[:, :, np.newaxis]
    if how == "interpolate":
        for sequence, feature in np.argwhere(missing.any(axis=1)):
            at = np.arange(t) if times is None else _steps(times[sequence], valid[sequence])
            _interpolate(
                flat[sequence, :, feature], missing[sequence, :, feature], valid[sequence], at
            )
            if np.isnan(flat[sequence, valid[sequence], feature]).any():
                raise UserError(
                    f"{where}: feature {feature} of sequence {sequence} has no value at all, so "
                    "nothing to interpolate from: "
                    + ("give data.missing=zero_and_mask, or " if x.ndim <= 3 else "")
                    + "leave the sequence out"
                )
        return flat.reshape(x.shape)
    if x.ndim > 3:
        raise UserError(f"{where} has shape {x.shape}; data.missing=zero_and_mask takes [N, T, F]")
    flat[missing] = 0
    mask = np.where(valid[:, :, np.newaxis], ~missing, np.nan).astype(x.dtype)
    return np.concatenate([flat, mask], axis=2)


def _steps(times: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Times [T] of one sequence in its shortest steps: evenly spaced ones are 0, 1, 2 and so on.

    So neither the unit of times nor their last digits change what is interpolated.
    """
    known = times[valid]
    even = np.arange(len(times))
    if len(known) < 2:
        return even
    usual = (known[-1] - known[0]) / (len(known) - 1)
    if (np.abs(known - known[0] - usual * even[valid]) < TOLERANCE * usual).all():
        return even
    return (times - known[0]) / np.diff(known).min()


def _interpolate(
    values: NDArray[Any], missing: NDArray[np.bool_], valid: NDArray[np.bool_], at: NDArray[Any]
) -> None:
    """Fill one feature [T] of one sequence in place, at times [T], if any of it is known."""
    known = valid & ~missing
    if known.any():
        values[missing] = np.interp(at[missing], at[known], values[known])


def described(x: Any, lengths: NDArray[np.integer] | None, where: str) -> str:
    """What to add of missing values within sequences [N, T, ...]: how many, and what to do."""
    count = sequences = 0
    features = int(np.prod(x.shape[2:]))
    for start in range(0, len(x), 1000):
        rows = slice(start, start + 1000)
        nan = np.asarray(np.isnan(x[rows])).reshape(-1, x.shape[1], features)
        nan &= _valid(nan, None if lengths is None else lengths[rows])[:, :, np.newaxis]
        count += int(nan.sum())
        sequences += int((nan.sum(axis=(1, 2)) > 0).sum())
    says = f"; {count} values are missing within {sequences} of {len(x)} sequences"
    if x.ndim == 2 and not re.search(r"x_(train|val|test)$", where):
        return says  # it may be no sequence
    return f"{says}: {REMEDY if x.ndim <= 3 else INTERPOLATE}"


def _valid(nan: NDArray[np.bool_], lengths: NDArray[np.integer] | None) -> NDArray[np.bool_]:
    """Valid timesteps [B, T]; without lengths up to the last one that has a known feature."""
    t = nan.shape[1]
    if lengths is None:
        known: NDArray[np.bool_] = np.logical_not(nan.all(axis=2))
        lengths = np.where(known.any(axis=1), t - np.argmax(known[:, ::-1], axis=1), 0)
    return np.asarray(np.arange(t) < lengths[:, np.newaxis])
