"""Whether numbers that are paired by image depend on what was varied between them."""

import numpy as np
from jaxtyping import Float

PERMUTATIONS = 9999
# Rank sums are multiples of ½: what differs by less is rounding.
EQUAL = 1e-9
# Of permutations at once, so that their ranks fit in memory.
PART = 1000


def log_slopes(
    points: Float[np.ndarray, "points"], values: Float[np.ndarray, "items points"]
) -> Float[np.ndarray, "items"]:
    """Slope of `log v` over `log x` of every item, by least squares: `s` where `v ∝ x^s`.

    Args:
        points: `x`, positive, at least two that differ.
        values: `v`, positive.

    Raises:
        ValueError: if a number is not positive and finite, or the points are all alike.
    """
    if not (_positive(points) and _positive(values)) or np.ptp(points) == 0:
        raise ValueError(
            "log_slopes: expected positive finite values at two points or more, leave out items without"
        )
    x = np.log(points) - np.log(points).mean()
    y = np.log(values) - np.log(values).mean(axis=1, keepdims=True)
    slopes: np.ndarray = y @ x / (x @ x)
    return slopes


def friedman_permutation(values: Float[np.ndarray, "items points"], *, seed: int = 0) -> float:
    """p of the hypothesis that the points of an item are exchangeable: that none is larger than another.

    Values are ranked within every item, equal ones by the mean of their ranks. The statistic is Friedman's up
    to constants, `Σⱼ (Rⱼ − b(k + 1)/2)²` with the rank sums `Rⱼ` of `b` items at `k` points. Its distribution
    comes from `PERMUTATIONS` random permutations within items and not from the chi-square, which is poor for
    few items: p is `(1 + larger or equal ones)/(1 + PERMUTATIONS)`.

    Args:
        values: finite; items are independent of each other.
        seed: of the permutations.

    Raises:
        ValueError: for fewer than two items or points, or values that are not finite.

    Source: [friedman1937], with permutations.
    """
    from scipy.stats import rankdata

    if min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(
            "friedman_permutation: expected two items and two points at least, all finite, "
            f"got {values.shape}"
        )
    ranks = rankdata(values, axis=1)
    expected = len(values) * (values.shape[1] + 1) / 2
    observed = float(((ranks.sum(axis=0) - expected) ** 2).sum())
    generator = np.random.default_rng(seed)
    larger = 0
    for start in range(0, PERMUTATIONS, PART):
        count = min(PART, PERMUTATIONS - start)
        drawn = generator.permuted(np.broadcast_to(ranks, (count, *ranks.shape)), axis=-1)
        statistics = ((drawn.sum(axis=1) - expected) ** 2).sum(axis=-1)
        larger += int((statistics >= observed - EQUAL).sum())
    return (1 + larger) / (1 + PERMUTATIONS)


def _positive(values: np.ndarray) -> bool:
    return bool((np.isfinite(values) & (values > 0)).all())
