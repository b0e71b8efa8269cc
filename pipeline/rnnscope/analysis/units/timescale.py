"""Intrinsic timescales: how fast the autocorrelation of a unit's fluctuations decays.

The timescale is the tau of R(k) = A (e^(-k/tau) + B), fitted from the first drop of R on (Murray et
al. 2014), and is judged by how far R moves when a group of sequences is left out. B is above 0 only
if that explains R better than chance would (it improves Akaike's criterion, 1974): with B always
free, tau of a plain decay is found too short, as noise looks like an offset half of the time. Its
interval does not presume that B is 0.

R may drop by less than its errors. Such a unit persists only if even the largest drop that they
allow makes a timescale beyond the largest lag, for else many units would that are short-lived and
noisy. Otherwise it has the timescale that fits best, and an interval without upper bound.
"""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.units import falls
from rnnscope.analysis.units.autocorrelation import Autocorrelation
from rnnscope.analysis.units.decays import SHORTEST, Series, fit
from rnnscope.analysis.units.falls import ROUNDING, above_0, error

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST = 2
"""Fewest lags of which it can be said whether R drops."""
ENOUGH = 4
"""Fewest lags for a fit of three parameters; with fewer B is 0."""
BETTER = np.sqrt(2)
"""Standard errors from 0 past which a parameter improves Akaike's criterion."""


class Kind(enum.StrEnum):
    """How R goes on from its first drop."""

    DECAYS = "decays"
    CENSORED = "censored"
    PERSISTS = "persists"
    OSCILLATES = "oscillates"
    NONE = "none"


@dataclass(frozen=True)
class Timescales:
    """The timescales of U units."""

    timescale: Float
    """tau in timesteps [U]; +inf where R persists, NaN where there is none."""
    low: Float
    """Lower bound of its 95 % interval [U]; NaN below 2 G sources of sequences."""
    high: Float
    """Upper bound [U]."""
    kind: NDArray[np.object_]
    """A Kind, or None where R is not known at two lags or more [U]."""
    r2: Float
    """Share of the weighted variance of R over lags that the fit explains [U]; NaN without fit."""
    persistent: Float
    """B/(1 + B) [U]: 1 where R persists, NaN where there is no timescale."""


def timescales(found: Autocorrelation, sources: int) -> Timescales:
    """The timescale of each unit.

    Args:
        found: R(k) of all sequences, and without each group.
        sources: how many independent sources of sequences there are.
    """
    lags = 1 + np.flatnonzero(found.pairs[0, 1:])
    r, pairs = found.every[:, :, lags], found.pairs[:, lags].astype(np.float64)
    units = r.shape[1]
    known = np.isfinite(r[0]).sum(axis=1) >= FEWEST
    kind = np.full(units, None)
    kind[known] = Kind.NONE
    tau, low, high, r2, persistent = np.full((5, units), np.nan)
    result = Timescales(tau, low, high, kind, r2, persistent)
    if known.any():
        known[known] = above_0(_first_known(r[:, known]))
    if known.any():
        some = _of_correlated(r[:, known], pairs, lags, sources)
        for name, values in vars(some).items():
            getattr(result, name)[known] = values
    return result


def _of_correlated(r: Float, pairs: Float, lags: NDArray[np.intp], sources: int) -> Timescales:
    """The timescales of units whose R [1 + G', U, L] is above 0 at the first of the lags [L]."""
    begin, dropped = falls.first_drop(r[0])
    end = falls.end_of_fall(r, begin)
    series = falls.fitted(r, pairs, lags, begin, end)
    three = (series.weights[0] > 0).sum(axis=1) >= ENOUGH
    spacing = float(np.diff(lags).min())
    free = fit(series, three, spacing)
    plain = fit(series[:1], np.zeros_like(three), spacing)
    offset = three & (free.offset[0] > BETTER * error(free.offset))
    log_tau, height, level, r2 = (
        np.where(offset, getattr(free, name)[0], getattr(plain, name)[0])
        for name in ("log_tau", "height", "offset", "r2")
    )
    drop, distance = falls.drop(series)
    least = _at_least(_first_fitted(series), drop, distance)
    told = sources >= jackknife.FEWEST
    unsure = ~above_0(drop)
    flat = ~dropped | (drop[0] < ROUNDING) | np.isinf(log_tau)
    persists = flat | (told & unsure & (least > lags[-1]))
    kind = np.select(
        [persists, end < r.shape[2] - 1, np.exp(log_tau) > lags[-1]],
        [Kind.PERSISTS, Kind.OSCILLATES, Kind.CENSORED],
        Kind.DECAYS,
    )
    with np.errstate(over="ignore", invalid="ignore"):
        share = level / (level + height * np.exp(lags[begin] / np.exp(log_tau)))
    tau = np.where(persists, np.inf, np.exp(log_tau))
    low, high = _interval(free.log_tau, tau, sources)
    low = np.where((tau <= SHORTEST * spacing * (1 + ROUNDING)) & ~np.isnan(low), 0, low)
    wide = told & (persists | unsure | np.isinf(free.log_tau).any(axis=0))
    return Timescales(
        tau,
        np.where(wide, np.minimum(tau, least), low),
        np.where(wide, np.inf, high),
        kind.astype(object),
        np.where(persists, np.nan, r2),
        np.where(persists, 1, share),
    )


def _first_known(r: Float) -> Float:
    """R [1 + G', U, L] at the first lag that is known [1 + G', U]."""
    place = np.isfinite(r[0]).argmax(axis=1)
    return np.take_along_axis(r, place[np.newaxis, :, np.newaxis], axis=2)[..., 0]


def _first_fitted(series: Series) -> Float:
    """R of all sequences at the first lag that is fitted [U]."""
    place = (series.weights[0] > 0).argmax(axis=1)[:, np.newaxis]
    return np.take_along_axis(series.r[0], place, axis=1)[:, 0]


def _at_least(first: Float, drop: Float, distance: Float) -> Float:
    """Timescale of a decay that falls as far as the drop may at most [U].

    Args:
        first: R at the first lag that is fitted [U].
        drop: of all sequences and without each group [1 + G', U].
        distance: timesteps over which it falls [U].
    """
    most = drop[0] + falls.quantile(drop) * error(drop)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = distance / -np.log1p(-np.minimum(most / first, 1))
    return np.where(most < ROUNDING, np.inf, least)


def _interval(log_tau: Float, tau: Float, sources: int) -> tuple[Float, Float]:
    """The interval of log tau [1 + G', U], on its own scale, with tau [U] in it."""
    low, high = jackknife.interval(log_tau[0], log_tau[1:], sources)
    with np.errstate(over="ignore"):
        return np.minimum(np.exp(low), tau), np.maximum(np.exp(high), tau)


def forget_timescale(mean: Float) -> Float:
    """-1 / ln(mean f) in timesteps [U]: how long a cell state lasts (Mahto et al. 2021).

    The cell state c = f c' decays by the factor f per step, to 1/e after this many steps.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # a made-up gate may be negative
        return 1 / np.abs(np.log(mean))


def forget_timescale_log(mean_log: Float) -> Float:
    """-1 / mean(ln f) in timesteps [U]: what the cell state's decay over many steps follows.

    Over n steps c decays by the product of f, e^(n mean(ln f)) (Tallec & Ollivier 2018). By
    Jensen's inequality it is never longer than ``forget_timescale``.
    """
    with np.errstate(divide="ignore"):
        return 1 / np.abs(mean_log)
