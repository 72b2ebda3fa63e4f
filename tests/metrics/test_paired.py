"""Slopes of powers, and permutations within items against all permutations and the chi-square."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from mrilib.metrics.paired import friedman_permutation, log_slopes

LEVELS = np.array([0.005, 0.01, 0.04, 0.1])


def test_slopes_are_the_exponents_of_powers():
    exponents = np.array([-0.5, 0.0, 0.25, 2.0])
    values = 3.0 * LEVELS[None, :] ** exponents[:, None]
    assert log_slopes(LEVELS, values) == pytest.approx(exponents, abs=1e-12)


def test_slopes_are_those_of_least_squares():
    values = np.random.default_rng(0).lognormal(size=(5, 4))
    expected = [np.polyfit(np.log(LEVELS), np.log(line), 1)[0] for line in values]
    assert log_slopes(LEVELS, values) == pytest.approx(expected)


@pytest.mark.parametrize(("items", "points"), [(3, 3), (4, 2), (2, 4)])
def test_p_is_that_of_all_permutations(items, points):
    values = np.random.default_rng(items).normal(size=(items, points)) + 0.7 * np.arange(points)

    def statistic(table):
        ranks = np.argsort(np.argsort(table, axis=1), axis=1) + 1
        return ((ranks.sum(axis=0) - items * (points + 1) / 2) ** 2).sum()

    orders = list(itertools.permutations(range(points)))
    drawn = [
        statistic(np.stack([line[list(order)] for line, order in zip(values, chosen, strict=True)]))
        for chosen in itertools.product(orders, repeat=items)
    ]
    exact = np.mean(np.array(drawn) >= statistic(values))
    # four standard deviations of 9999 draws
    slack = 4 * math.sqrt(exact * (1 - exact) / 9999) + 2e-4
    assert friedman_permutation(values, seed=1) == pytest.approx(exact, abs=slack)


def test_p_nears_the_chi_square_of_many_items_with_ties():
    generator = np.random.default_rng(2)
    values = generator.integers(0, 6, size=(80, 5)) + 0.35 * np.arange(5).round()
    values[:, 1] = values[:, 0]
    p = friedmanchisquare(*values.T).pvalue
    found = friedman_permutation(values, seed=0)
    assert (found < 0.01) == (p < 0.01)
    flat = generator.normal(size=(80, 5))
    assert friedman_permutation(flat, seed=0) == pytest.approx(friedmanchisquare(*flat.T).pvalue, abs=0.03)


def test_p_of_exchangeable_points_is_small_as_often_as_it_says():
    generator = np.random.default_rng(3)
    small = sum(friedman_permutation(generator.normal(size=(6, 3)), seed=draw) < 0.1 for draw in range(60))
    # 10 % of 60, three standard deviations
    assert 0 <= small <= 13
    trend = generator.normal(size=(6, 3)) + 10 * np.arange(3)
    assert friedman_permutation(trend) < 0.01


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match=r"two items and two points at least, all finite, got \(1, 3\)"):
        friedman_permutation(np.ones((1, 3)))
    with pytest.raises(ValueError, match="friedman_permutation: expected"):
        friedman_permutation(np.array([[1.0, math.nan], [1.0, 2.0]]))
    for values in (np.array([[1.0, 0.0, 1.0, 1.0]]), np.array([[1.0, math.inf, 1.0, 1.0]])):
        with pytest.raises(ValueError, match="log_slopes: expected positive finite values"):
            log_slopes(LEVELS, values)
    with pytest.raises(ValueError, match="log_slopes: expected positive finite values"):
        log_slopes(np.array([0.1, 0.1]), np.ones((1, 2)))
