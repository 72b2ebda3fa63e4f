"""Decided differences against SciPy and loops, and τ against SciPy and by hand."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau, t, ttest_1samp

from mrilib.metrics.ranking import PairedMeans, kendall_tau, open_ranks, paired_means, tau_interval


def signs(ranks):
    """Signs of all pairs of some ranks."""
    return np.array([[np.sign(ranks[j] - ranks[i]) for i, j in combinations(range(len(ranks)), 2)]])


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_scipys_with_and_without_ties(seed):
    generator = np.random.default_rng(seed)
    first, second = (generator.permutation(7).astype(float) for _ in range(2))
    expected = kendalltau(first, second).statistic
    assert kendall_tau(signs(first), signs(second)).item() == pytest.approx(expected, abs=1e-14)
    first, second = (generator.integers(0, 4, 7).astype(float) for _ in range(2))
    expected = kendalltau(first, second, variant="b").statistic
    assert kendall_tau(signs(first), signs(second)).item() == pytest.approx(expected, abs=1e-14)


def test_tau_of_planted_orders():
    same = np.ones((1, 6))
    swapped = np.array([[-1.0, 1, 1, 1, 1, 1]])
    draws = kendall_tau(np.concatenate([same] * 3), np.concatenate([same, -same, swapped]))
    assert draws.tolist() == pytest.approx([1.0, -1.0, 4 / 6])
    # Ties that are no ranking's: A before B and C, which are tied, and so on. (1 − 1 + 1)/√(3·4).
    first, second = np.array([[1.0, 1.0, 0.0, 1.0]]), np.array([[1.0, -1.0, 1.0, 1.0]])
    assert kendall_tau(first, second).item() == pytest.approx(1 / math.sqrt(12))
    # tied in both: neither for nor against
    assert kendall_tau(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])).item() == 1.0
    assert np.isnan(kendall_tau(same, 0 * same)).all()
    assert np.isnan(kendall_tau(np.ones((2, 0)), np.ones((2, 0)))).all()


def test_the_interval_of_single_images_is_that_of_students_t():
    values = np.random.default_rng(1).normal(0.3, 1.0, (12, 2))
    found = paired_means(values, np.ones((12, 2)), np.ones((1, 12)))
    for pair in range(2):
        interval = ttest_1samp(values[:, pair], 0.0).confidence_interval()
        assert found.mean[0, pair] - found.half[0, pair] == pytest.approx(interval.low)
        assert found.mean[0, pair] + found.half[0, pair] == pytest.approx(interval.high)


def patients(seed=2, count=6):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 5, (count, 3)).astype(float)
    counts[2, 1] = 0.0
    return generator.normal(0.5, 1.0, (count, 3)) * counts, counts


def test_the_interval_over_patients_is_the_formulas_and_draws_are_copies():
    sums, counts = patients()
    weights = np.random.default_rng(3).multinomial(6, [1 / 6] * 6, size=20).astype(float)
    weights[0] = 1.0
    found = paired_means(sums, counts, weights)
    for draw, weight in enumerate(weights):
        drawn = np.repeat(np.arange(6), weight.astype(int))
        for pair in range(3):
            s, n = sums[drawn, pair], counts[drawn, pair]
            inside = int((n > 0).sum())
            mean = s.sum() / n.sum()
            variance = inside / (inside - 1) * ((s - mean * n) ** 2).sum() / n.sum() ** 2
            assert found.mean[draw, pair] == pytest.approx(mean, rel=1e-12)
            half = t.ppf(0.975, inside - 1) * math.sqrt(variance)
            assert found.half[draw, pair] == pytest.approx(half, rel=1e-9)
        alone = paired_means(sums[drawn], counts[drawn], np.ones((1, 6)))
        np.testing.assert_array_equal(alone.signs[0], found.signs[draw])


def test_intervals_over_patients_cover_the_mean_although_images_are_dependent():
    generator = np.random.default_rng(4)
    trials, count = 2000, 12
    counts = np.repeat(np.arange(1, count + 1.0)[:, None], trials, axis=1)
    # a patient's own part twice as large as that of an image
    parts = 2.0 * generator.normal(size=(count, trials)) * counts
    sums = parts + generator.normal(size=(count, trials)) * np.sqrt(counts)
    found = paired_means(sums, counts, np.ones((1, count)))
    covered = float((np.abs(found.mean) <= found.half).mean())
    # For patients of unequal sizes the interval is approximate, and here a little short.
    assert 0.92 < covered < 0.97


def test_what_is_tied_and_what_is_decided():
    ones = np.ones((3, 5))
    sums = np.array([[1.0, -1.0, 1.0, 0.0, 0.25], [1.1, -1.2, -1.0, 0.0, 0.25], [0.9, -0.8, 0.1, 0.0, 0.25]])
    found = paired_means(sums, ones, np.ones((1, 3)))
    # decided, decided, the interval covers 0, equal methods, a difference without spread
    assert found.signs.tolist() == [[1.0, -1.0, 0.0, 0.0, 1.0]]
    # both methods of the first pair on one patient of three, of the second on none
    counts = np.array([[1.0, 0, 1], [0, 0, 1], [0, 0, 1]])
    found = paired_means(counts, counts, np.ones((1, 3)))
    assert found.signs.tolist() == [[0.0, 0.0, 1.0]]
    assert np.isnan(found.half[0, :2]).all()
    assert math.isnan(found.mean[0, 1])
    # of one patient alone the signs decide, and there is no pair without images
    found = paired_means(np.array([[0.1, -0.1, 0.0]]), np.array([[3.0, 3, 0]]), np.ones((1, 1)))
    assert found.signs.tolist() == [[1.0, -1.0, 0.0]]
    nothing = paired_means(np.zeros((0, 1)), np.zeros((0, 1)), np.ones((1, 0)))
    assert nothing.signs.tolist() == [[0.0]]


def test_the_interval_of_tau_is_that_of_percentiles_or_none():
    draws = np.linspace(-1, 1, 999)
    assert tau_interval(draws) == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    some = draws.copy()
    some[:40] = math.nan
    assert tau_interval(some) == pytest.approx(np.quantile(some[40:], [0.025, 0.975]))
    some[:60] = math.nan
    for none in (some, np.full(999, 0.5), np.full(999, math.nan), np.zeros(0)):
        assert np.isnan(tau_interval(none)).all()


def test_ranks_that_ties_leave_open():
    # the first is better than all; of the others the last is worse than the second alone
    above = np.array([[0, 1, 1, 1], [-1, 0, 0, 1], [-1, 0, 0, 0], [-1, -1, 0, 0]], dtype=float)
    assert open_ranks(above) == [(1, 1), (2, 3), (2, 4), (3, 4)]
    assert open_ranks(np.zeros((2, 2))) == [(1, 2), (1, 2)]
    assert open_ranks(np.zeros((1, 1))) == [(1, 1)]


def test_signs_of_what_has_no_interval():
    means, half = np.array([[1.0, -1.0, math.nan]]), np.full((1, 3), math.nan)
    assert PairedMeans(means, half, plain=True).signs.tolist() == [[1.0, -1.0, 0.0]]
    assert PairedMeans(means, half, plain=False).signs.tolist() == [[0.0, 0.0, 0.0]]
