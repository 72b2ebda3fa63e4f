import math

import numpy as np
import pytest

from mrilib.metrics.lines import orthogonal_distances, orthogonal_line


def drawn(seed, points=12):
    generator = np.random.default_rng(seed)
    x = generator.uniform(0.5, 0.9, points)
    return x, 0.1 + 0.8 * x + generator.normal(0, 0.02, points)


@pytest.mark.parametrize("seed", range(3))
def test_no_line_is_nearer(seed):
    x, y = drawn(seed)
    slope, offset = (float(each) for each in orthogonal_line(x, y))

    def total(b, a):
        return float((orthogonal_distances(x, y, np.array(b), np.array(a)) ** 2).sum())

    best = total(slope, offset)
    for turn in np.linspace(-0.2, 0.2, 41):
        for shift in np.linspace(-0.1, 0.1, 41):
            assert total(slope + turn, offset + shift) >= best - 1e-15


def test_exchanged_coordinates_give_the_same_line():
    x, y = drawn(1)
    slope, offset = orthogonal_line(x, y)
    back, other = orthogonal_line(y, x)
    assert float(back) == pytest.approx(1 / float(slope))
    assert float(other) == pytest.approx(-float(offset) / float(slope))


def test_a_planted_line_is_found_in_every_draw():
    x = np.linspace(0.4, 0.9, 6)
    slope, offset = orthogonal_line(np.stack([x, x, x]), np.stack([x, 0.9 * x, 0.3 - 0.5 * x]))
    np.testing.assert_allclose(slope, [1.0, 0.9, -0.5], rtol=1e-12)
    np.testing.assert_allclose(offset, [0.0, 0.0, 0.3], atol=1e-12)


def test_what_has_no_value_is_left_out():
    x, y = drawn(2)
    expected = orthogonal_line(x[1:], y[1:])
    x = np.concatenate([[math.nan], x[1:]])
    np.testing.assert_allclose(orthogonal_line(x, y), expected)


@pytest.mark.parametrize(
    ("x", "y"),
    [([1.0], [2.0]), ([1.0, 1.0], [2.0, 2.0]), ([1.0, 1.0], [1.0, 2.0]), ([math.nan, 1.0], [1.0, 2.0])],
    ids=["one point", "equal points", "vertical", "one left"],
)
def test_points_without_a_line(x, y):
    slope, offset = orthogonal_line(np.array(x), np.array(y))
    assert math.isnan(slope)
    assert math.isnan(offset)


def test_distances_are_orthogonal_and_positive_above():
    found = orthogonal_distances(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array(1.0), np.array(0.0))
    np.testing.assert_allclose(found, [math.sqrt(0.5), -math.sqrt(0.5)])
