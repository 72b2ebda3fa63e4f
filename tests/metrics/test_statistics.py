import math

import numpy as np
import pytest

from mrilib.metrics.statistics import summarise, wilson_interval


def test_mean_and_sd_are_those_of_the_sample():
    summary = summarise([1.0, 2.0, 4.0])
    assert summary.mean == pytest.approx(7 / 3)
    assert summary.sd == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert summary.low <= summary.mean <= summary.high
    assert summary.n == 3


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for draw in range(200):
        summary = summarise(generator.exponential(size=40).tolist(), seed=draw)
        covered += summary.low <= 1.0 <= summary.high
    # 95 % nominal; 40 skewed values give a few per cent less; sd of the count is 3
    assert 180 <= covered <= 198


def test_patients_and_not_slices_are_resampled():
    values = [value for patient in range(10) for value in [float(patient)] * 20]
    patients = [patient for patient in range(10) for _ in range(20)]
    alone, grouped = summarise(values), summarise(values, groups=patients)
    # Twenty equal slices of a patient carry no more than one: the interval is about √20 longer.
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ([], None),
        ([5.0], None),
        ([1.0, 2.0], ["a", "a"]),
        ([3.0, 3.0, 3.0], None),
        ([0.0, 0.0], None),
        ([0.1 + 0.2, 0.3], None),
        # Two patients of equal means: every draw of them has one mean.
        ([1.0, 3.0, 1.0, 3.0], ["a", "a", "b", "b"]),
        ([1e-12, 2e-12, 1e-12, 2e-12], ["a", "a", "b", "b"]),
    ],
)
def test_no_interval_is_drawn_from_one_patient_or_no_spread(values, groups):
    found = summarise(values, groups=groups)
    assert found.n == len(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_small_numbers_have_an_interval():
    found = summarise([1e-12, 2e-12, 4e-12])
    assert 0 < found.low < found.mean < found.high


def test_what_is_missing_is_refused():
    with pytest.raises(ValueError, match="finite"):
        summarise([1.0, math.nan])
    with pytest.raises(ValueError, match="one a value"):
        summarise([1.0, 2.0], groups=["a"])


def test_wilson_intervals_are_those_of_scipy():
    from scipy.stats import binomtest

    for successes, trials in [(0, 10), (3, 10), (10, 10), (47, 50)]:
        expected = binomtest(successes, trials).proportion_ci(method="wilson")
        assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high))
    assert np.isnan(wilson_interval(0, 0)).all()
    with pytest.raises(ValueError, match="expected 0 to 3 successes, got 4"):
        wilson_interval(4, 3)
