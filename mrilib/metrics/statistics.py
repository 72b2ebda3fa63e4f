"""Means over images with honest intervals."""

import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

RESAMPLES = 9999
# Per cent, of 95 % intervals.
ENDS = (2.5, 97.5)
# Relative length of an interval below which the values are equal up to rounding.
EQUAL = 1e-12


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (n − 1), 95 % interval of the mean, number of values."""

    mean: float
    sd: float
    low: float
    high: float
    n: int


def percentile_interval(drawn: Float[np.ndarray, "draws"]) -> tuple[float, float]:
    """95 % percentile interval of a number that was computed of every draw; NaN where all are equal.

    Draws without a number are left out. Of few groups it is too short, as every bootstrap's.
    """
    told = drawn[np.isfinite(drawn)]
    if not told.size:
        return math.nan, math.nan
    low, high = (float(end) for end in np.percentile(told, ENDS))
    return (low, high) if high - low > EQUAL * max(abs(low), abs(high)) else (math.nan, math.nan)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a probability from independent trials; NaN without a trial.

    Source: [wilson1927].
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"wilson_interval: expected 0 to {trials} successes, got {successes}")
    if not trials:
        return math.nan, math.nan
    z = 1.959963984540054
    share, spread = successes / trials, z**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    # Rounding must not take an end beyond what it is an end of.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


def summarise(values: Sequence[float], *, groups: Sequence[Hashable] | None = None, seed: int = 0) -> Summary:
    """Summarise finite values; the interval comes from resampling whole groups.

    The interval is the bias-corrected accelerated bootstrap of the mean over all values of the groups
    drawn. Groups are patients or volumes, whose slices are not independent; by default each value is its
    own. There is no interval (NaN) with fewer than two groups, nor for values that are equal: they say
    nothing of their spread. With few groups (below about ten) bootstrap intervals are too short: the tables
    give n.

    Args:
        values: numbers, all finite; what is missing is the caller's to drop and to count.
        groups: one label a value.
        seed: of the resampling.

    Raises:
        ValueError: if a value is not finite or `groups` has another length.

    Source: [efron1987].
    """
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError("summarise: expected finite values; drop and count what is missing")
    if array.size == 0:
        return Summary(math.nan, math.nan, math.nan, math.nan, 0)
    if groups is not None and len(groups) != array.size:
        raise ValueError(f"summarise: expected {array.size} groups, one a value, got {len(groups)}")
    mean = float(array.mean())
    sd = float(array.std(ddof=1)) if array.size > 1 else math.nan
    labels = list(range(array.size)) if groups is None else list(groups)
    unique = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    indices = np.array([unique[label] for label in labels])
    sums, counts = np.bincount(indices, array), np.bincount(indices)
    none = Summary(mean, sd, math.nan, math.nan, array.size)
    if len(unique) < 2 or np.ptp(array) == 0:
        return none

    def mean_of(drawn: np.ndarray, axis: int = -1) -> Any:
        return sums[drawn].sum(axis=axis) / counts[drawn].sum(axis=axis)

    # Here, for it takes half a second, and what writes and reads scores draws no intervals.
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        # Two or three groups can make the acceleration undefined; the interval is then NaN and shown so.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = bootstrap(
            (np.arange(len(unique)),),
            mean_of,
            n_resamples=RESAMPLES,
            vectorized=True,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    # Groups of equal means give all resamples one mean.
    return Summary(mean, sd, low, high, array.size) if high - low > EQUAL * abs(mean) else none
