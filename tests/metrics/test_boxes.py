import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mrilib.metrics.boxes import (
    Box,
    box_contrast,
    box_error,
    box_sharpness,
    normalised,
    relative_box_error,
    ring,
)

SHAPE, BOX = (40, 32), Box(12, 9, 8, 6)


def image(seed=0):
    return np.random.default_rng(seed).random(SHAPE) + 0.5


def with_box(contrast, *, sd=0.0):
    """A box brighter by `contrast` on a chessboard of 1 ± sd."""
    rows, columns = np.indices(SHAPE)
    found = 1.0 + sd * (1 - 2 * ((rows + columns) % 2))
    found[BOX.slices] += contrast
    return found


def test_a_copy_has_no_error_and_keeps_its_edges():
    x = image()
    assert box_error(x, x, BOX) == 0
    assert math.isnan(relative_box_error(x, x, BOX))
    before, after = box_sharpness(x, x, BOX)
    assert before == after > 0


@pytest.mark.parametrize("change", [lambda x: 3 * x, lambda x: x + 2, lambda x: 0.1 * x + 5])
def test_units_and_offsets_are_no_error(change):
    x, rec = image(), image(1)
    assert box_error(change(x), x, BOX) == pytest.approx(0, abs=1e-20)
    assert box_error(change(rec), x, BOX) == pytest.approx(box_error(rec, x, BOX))
    assert box_contrast(3 * x, BOX) == pytest.approx(box_contrast(x, BOX))
    assert box_sharpness(change(rec), x, BOX) == pytest.approx(box_sharpness(rec, x, BOX))


def test_the_error_is_the_mean_of_its_definition():
    x, rec = image(), image(1)
    total = 0.0
    for row in range(BOX.row, BOX.row + BOX.height):
        for column in range(BOX.column, BOX.column + BOX.width):
            both = [(each[row, column] - each.mean()) / each.std() for each in (rec, x)]
            total += (both[0] - both[1]) ** 2
    assert box_error(rec, x, BOX) == pytest.approx(total / 48)
    # Over the whole image z has mean 0 and sd 1, so that the mean square is 2(1 − correlation).
    whole = 2 * (1 - np.corrcoef(rec.ravel(), x.ravel())[0, 1])
    assert box_error(rec, x, Box(0, 0, *SHAPE)) == pytest.approx(whole)
    assert relative_box_error(rec, x, BOX) == pytest.approx(total / 48 / whole)


def test_an_error_elsewhere_is_none_of_the_box():
    x = image()
    inside, outside = x.copy(), x.copy()
    inside[BOX.slices] += 0.5
    outside[25:33, 20:26] += 0.5
    assert box_error(inside, x, BOX) > 20 * box_error(outside, x, BOX)
    assert relative_box_error(inside, x, BOX) > 10 > 1 > relative_box_error(outside, x, BOX)


def test_moduli_count():
    x, turn = image(), np.exp(1j * image(2))
    assert box_error(x * turn, x, BOX) == pytest.approx(0, abs=1e-20)
    assert box_contrast(x * turn, BOX) == pytest.approx(box_contrast(x, BOX))


@pytest.mark.parametrize("contrast", [0.5, -0.3])
def test_a_box_of_known_contrast_on_known_noise(contrast):
    assert box_contrast(with_box(contrast, sd=0.1), BOX) == pytest.approx(abs(contrast) / 0.1, rel=1e-2)
    # A third of the contrast is left, and the noise is the same.
    assert box_contrast(with_box(contrast / 3, sd=0.1), BOX) == pytest.approx(abs(contrast) / 0.3, rel=1e-2)


@pytest.mark.parametrize(
    ("box", "width", "count"),
    [
        (BOX, 3, 14 * 12 - 48),
        (Box(12, 9, 2, 30 - 9), 2, 6 * (21 + 4) - 42),
        (Box(0, 0, 4, 4), 2, 6 * 6 - 16),
        (Box(36, 25, 4, 7), 2, 6 * 9 - 28),
    ],
)
def test_the_ring_goes_as_far_as_the_image(box, width, count):
    around = ring(SHAPE, box)
    expected = np.zeros(SHAPE, bool)
    for row, column in np.ndindex(SHAPE):
        below = max(box.row - row, row - (box.row + box.height - 1), 0)
        beside = max(box.column - column, column - (box.column + box.width - 1), 0)
        expected[row, column] = 0 < max(below, beside) <= width
    np.testing.assert_array_equal(around, expected)
    assert around.sum() == count


def test_without_a_ring_or_noise_there_is_no_contrast_to_noise():
    assert math.isnan(box_contrast(image(), Box(0, 0, *SHAPE)))
    assert math.isnan(box_contrast(with_box(1.0), BOX))


def test_a_known_blur_halves_the_slope_of_an_edge():
    # A ramp over the columns, of slope 1 in the reference and 1/2 in the image, both on the same background.
    sharp, blurred = np.zeros(SHAPE), np.zeros(SHAPE)
    sharp[:, 10:14] = np.arange(4)
    blurred[:, 10:14] = 0.5 * np.arange(4)
    sharp[0, 0] = blurred[0, 0] = 50.0
    before, after = box_sharpness(blurred, sharp, Box(20, 10, 8, 3))
    ratio = after / before * blurred.std() / sharp.std()
    assert ratio == pytest.approx(0.5)
    assert before == pytest.approx(1.0 / sharp.std())


def test_the_more_blur_the_less_is_left_of_edges():
    x = with_box(1.0)
    x[2:5, 2:5] = 4.0
    kept = []
    for width in (0.0, 0.5, 1.0, 2.0):
        before, after = box_sharpness(gaussian_filter(x, width), x, Box(10, 7, 12, 10))
        kept.append(after / before)
    assert kept[0] == pytest.approx(1)
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 0.6


def test_constant_images_have_no_number():
    flat, x = np.full(SHAPE, 0.3), image()
    assert np.isnan(normalised(flat)).all()
    assert math.isnan(box_error(flat, x, BOX))
    assert math.isnan(relative_box_error(flat, x, BOX))
    assert math.isnan(box_sharpness(flat, x, BOX)[1])


@pytest.mark.parametrize("box", [Box(-1, 0, 3, 3), Box(0, 30, 3, 3), Box(38, 0, 3, 3), Box(5, 5, 0, 3)])
def test_boxes_outside_are_refused(box):
    assert not box.inside(SHAPE)
    with pytest.raises(ValueError, match="expected a box inside of 40×32"):
        box_error(image(), image(), box)


def test_images_that_do_not_fit_are_refused():
    x = image()
    with pytest.raises(ValueError, match="box_error: expected images of one size"):
        box_error(x[1:], x, BOX)
    x[0, 0] = math.nan
    with pytest.raises(ValueError, match="expected finite images"):
        box_contrast(x, BOX)
