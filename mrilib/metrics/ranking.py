"""Whether two orders agree: which paired differences are decided, Kendall's τ of those, and Spearman's ρ."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mrilib.metrics.statistics import percentile_interval

CONFIDENCE = 0.95
# Of resamples, those that may be without τ where an interval is to be had.
MOST_UNDEFINED = 0.05


@dataclass(frozen=True, eq=False)
class PairedMeans:
    """Mean differences of pairs of methods, with what decides between the two.

    Args:
        mean: NaN where no image has a value of both.
        half: half the length of its 95 % interval; NaN where there is none.
        plain: whether the sign of the mean decides, for there can be no interval.
    """

    mean: Float[np.ndarray, "draws pairs"]
    half: Float[np.ndarray, "draws pairs"]
    plain: bool

    @property
    def signs(self) -> Float[np.ndarray, "draws pairs"]:
        """1 where the difference is positive, −1 where it is negative, 0 where it is not decided: a tie."""
        with np.errstate(invalid="ignore"):
            decided = np.abs(self.mean) > (0.0 if self.plain else self.half)
            return np.where(decided, np.sign(self.mean), 0.0)


def paired_means(
    sums: Float[np.ndarray, "patients pairs"],
    counts: Float[np.ndarray, "patients pairs"],
    weights: Float[np.ndarray, "draws patients"],
) -> PairedMeans:
    """Mean difference of every pair over images, with its interval over patients, in every draw of patients.

    Images of a patient are dependent, and patients have different numbers of them. With the sums `S_p` and
    the counts `N_p` of `P` patients the mean is the ratio `m = ΣS_p/ΣN_p`, its variance

        v = P/(P − 1) · Σ(S_p − m·N_p)²/(ΣN_p)²,

    and the interval `m ± t·√v`, with the 97.5 % point `t` of Student's distribution with `P − 1` degrees of
    freedom. A patient that is drawn twice counts as two. A pair is tied if its interval covers 0. It is tied
    as well if fewer than two patients have values of both methods, so that there is no interval. If there
    are fewer than two patients at all, every pair would be tied: the sign of the mean decides instead.

    Args:
        sums: over a patient's images, of differences of the first method to the second.
        counts: numbers of these images.
        weights: how often each patient is drawn; ones for the patients themselves.

    Source: our choice. The other tables have bootstrap intervals. Here the rule is applied to every resample
    of the patients, and a bootstrap inside each would take a thousand times as long. The interval is that of
    the ratio estimator in surveys of clusters.
    """
    from scipy.special import stdtrit

    with np.errstate(invalid="ignore", divide="ignore"):
        # From the middle of all patients, so that equal differences leave no rounding.
        middle = sums.sum(axis=0) / counts.sum(axis=0)
        moved = sums - middle * counts
        images, patients = weights @ counts, weights @ (counts > 0)
        shift = weights @ moved / images
        squares = weights @ moved**2 - 2 * shift * (weights @ (moved * counts))
        squares = np.maximum(squares + shift**2 * (weights @ counts**2), 0.0)
        free = np.where(patients >= 2, patients - 1, math.nan)
        quantile = stdtrit(free, (1 + CONFIDENCE) / 2)
        half = quantile * np.sqrt((free + 1) / free * squares) / images
    return PairedMeans(middle + shift, half, plain=len(sums) < 2)


def kendall_tau(
    first: Float[np.ndarray, "draws pairs"], second: Float[np.ndarray, "draws pairs"]
) -> Float[np.ndarray, "draws"]:
    """Kendall's τ-b of two orders: `Σ s_A·s_B/√(Σ s_A²·Σ s_B²)` over the pairs.

    1 if both order every pair alike, −1 if every pair is reversed. Pairs that are tied in both do not count,
    and pairs that are tied in one bring τ nearer to 0.

    Args:
        first: signs `s_A` of the pairs: 1, −1, or 0 for a tie.
        second: signs `s_B`.

    Returns:
        One number a draw, NaN where one of the two ties all pairs.

    Source: [kendall1945].
    """
    scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    found: np.ndarray = (first * second).sum(axis=-1) / np.where(scale > 0, scale, math.nan)
    return found


def spearman(first: Float[np.ndarray, "items"], second: Float[np.ndarray, "items"]) -> float:
    """Spearman's rank correlation, equal values by the mean of their ranks.

    NaN for fewer than three items, for values that are all equal, and where one is not finite.

    Source: [spearman1904].
    """
    from scipy.stats import rankdata

    told = np.isfinite(first).all() and np.isfinite(second).all()
    if len(first) < 3 or not told or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def tau_interval(draws: Float[np.ndarray, "draws"]) -> tuple[float, float]:
    """95 % percentile interval of τ from its resamples; NaN, twice, if there is none.

    There is none if more than 5 % of the resamples have no τ: those that have one are a selection. Nor is
    there one if its ends are equal: almost all resamples then have one τ, which says nothing of its spread.
    """
    if np.isfinite(draws).sum() < (1 - MOST_UNDEFINED) * len(draws):
        return math.nan, math.nan
    return percentile_interval(draws)


def open_ranks(signs: Float[np.ndarray, "methods methods"]) -> list[tuple[int, int]]:
    """The best and the worst rank that ties leave open to every method, 1 for the best.

    The best is 1 more than the number of methods that are decidedly better, the worst is the number of
    methods less those that are decidedly worse.

    Args:
        signs: 1 where the method of the row is better than that of the column, −1 where it is worse, else 0.
    """
    better, worse = (signs < 0).sum(axis=1), (signs > 0).sum(axis=1)
    return [(int(above) + 1, len(signs) - int(below)) for above, below in zip(better, worse, strict=True)]
