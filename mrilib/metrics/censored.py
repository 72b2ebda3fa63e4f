"""Medians of numbers of which some are only known to lie beyond an end."""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from mrilib.metrics.statistics import ENDS, Summary

DRAWS = 1999


def lower_median(values: Sequence[float]) -> float:
    """The middle value, the lower of two: one of the values, so that those beyond an end need no number.

    Args:
        values: numbers; `∞` and `−∞` for those beyond the ends. NaN without any.
    """
    return float(np.quantile(values, 0.5, method="inverted_cdf")) if len(values) else math.nan


def censored_median(values: Sequence[float], *, groups: Sequence[Hashable], seed: int) -> Summary:
    """`lower_median` as `mean`, with the 95 % percentile interval of resampling whole groups.

    Its ends may be `∞` or `−∞` as well. There is no interval (NaN) with fewer than two groups, nor where all
    draws have one median. Of few groups it is too short, as every bootstrap's.

    Args:
        values: numbers; `∞` and `−∞` for those beyond the ends.
        groups: one label a value, such as the patient.
        seed: of the resampling.

    Raises:
        ValueError: for a value that is NaN, and if `groups` has another length.
    """
    array, labels = np.asarray(values, dtype=float), list(groups)
    if len(labels) != array.size or np.isnan(array).any():
        raise ValueError(
            f"censored_median: expected {array.size} groups and values that are no NaN, got {len(labels)} "
            f"groups and {int(np.isnan(array).sum())} NaN; drop and count what is missing"
        )
    found = Summary(lower_median(values), math.nan, math.nan, math.nan, array.size)
    unique = list(dict.fromkeys(labels))
    if len(unique) < 2:
        return found
    order = np.argsort(array, kind="stable")
    members = np.array([unique.index(label) for label in labels])[order]
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(unique), np.full(len(unique), 1.0 / len(unique)), size=DRAWS)
    # How often each value is drawn, in rising order: the median is where half of them are reached.
    reached = drawn[:, members].cumsum(axis=1)
    medians = np.sort(array[order][(2 * reached >= reached[:, -1:]).argmax(axis=1)])
    low, high = (float(np.quantile(medians, end / 100, method="inverted_cdf")) for end in ENDS)
    return Summary(found.mean, math.nan, low, high, array.size) if high > low else found
