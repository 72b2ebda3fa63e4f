import numpy as np
import pytest

from mrilib.data.images import variants
from mrilib.data.images.variants import drawn_variants


@pytest.fixture
def image():
    y, x = np.mgrid[-1:1:60j, -1:1:90j]
    return np.exp(-((y / 0.5) ** 2 + (x / 0.6) ** 2)).astype(np.float32)


def test_a_variant_depends_on_its_place_and_the_seed_alone(image):
    five = drawn_variants(image, 5, rows=40, columns=48, seed=3)
    two = drawn_variants(image, 2, rows=40, columns=48, seed=3)
    np.testing.assert_array_equal(five[1], two[1])
    assert not np.array_equal(five[0], five[1])
    assert not np.array_equal(two[0], drawn_variants(image, 1, rows=40, columns=48, seed=4)[0])
    assert {each.shape for each in five} == {(40, 48)}
    assert [each.max() for each in five] == [1.0] * 5


def test_without_change_it_is_the_image(image, monkeypatch):
    for name in ("TURN", "SCALE", "SHIFT"):
        monkeypatch.setattr(variants, name, 0.0)
    (same,) = drawn_variants(image, 1, rows=60, columns=90, seed=1)
    np.testing.assert_allclose(same, image / image.max(), atol=1e-6)
    (half,) = drawn_variants(image, 1, rows=30, columns=45, seed=1)
    np.testing.assert_allclose(half, image.reshape(30, 2, 45, 2).mean(axis=(1, 3)), atol=0.02)
    # It fits: wider than high, with room above and below.
    (wide,) = drawn_variants(np.ones((60, 90)), 1, rows=60, columns=60, seed=1)
    assert wide[30].min() > 0.9
    assert wide[5].max() == 0.0


def test_shift_and_turn_go_where_they_should(monkeypatch):
    image = np.zeros((41, 41))
    image[20, 30] = 1.0
    for name in ("SCALE", "SHIFT"):
        monkeypatch.setattr(variants, name, 0.0)
    monkeypatch.setattr(variants, "TURN", 90.0)
    for seed in range(5):
        angle = np.deg2rad(np.random.default_rng([seed, 0]).uniform(-90.0, 90.0))
        (turned,) = drawn_variants(image, 1, rows=41, columns=41, seed=seed)
        row, column = np.unravel_index(turned.argmax(), turned.shape)
        assert abs(row - (20 - 10 * np.sin(angle))) <= 1
        assert abs(column - (20 + 10 * np.cos(angle))) <= 1


@pytest.mark.parametrize(("count", "rows"), [(0, 40), (1, 1)])
def test_numbers_out_of_range(image, count, rows):
    with pytest.raises(ValueError, match=f"got count={count}, rows={rows}, columns=40"):
        drawn_variants(image, count, rows=rows, columns=40, seed=1)


def test_an_empty_image():
    with pytest.raises(ValueError, match="expected an image with something in it"):
        drawn_variants(np.zeros((8, 8)), 1, rows=8, columns=8, seed=1)
