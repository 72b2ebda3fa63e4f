import numpy as np
import pytest
import torch

from mrilib.data.masks import radial_mask

# Lines to m and n²/m at n = 256: the values of P1, exact.
SAMPLES = {25: (6990, 9.376), 40: (10941, 5.990), 80: (20908, 3.134)}


@pytest.fixture(scope="module")
def masks():
    return {lines: radial_mask(256, lines) for lines in SAMPLES}


@pytest.mark.parametrize("lines", SAMPLES)
def test_samples_are_those_of_the_paper(masks, lines):
    samples, undersampling = SAMPLES[lines]
    assert int(masks[lines].sum()) == samples
    assert round(256**2 / int(masks[lines].sum()), 3) == undersampling


def test_masks_are_nested(masks):
    assert not (masks[25] & ~masks[40]).any()
    assert not (masks[40] & ~masks[80]).any()


def test_every_line_passes_the_zero_frequency(masks):
    assert masks[25].shape == (256, 256)
    assert masks[25].dtype == torch.bool
    assert masks[25][128, 128]
    # line 0 is horizontal
    assert masks[25][128].all()


@pytest.mark.parametrize(("lines", "unpaired"), [(25, 56), (40, 86), (80, 176)])
def test_masks_are_nearly_point_symmetric(masks, lines, unpaired):
    mask = np.fft.ifftshift(masks[lines].numpy())
    mirrored = np.roll(mask[::-1, ::-1], (1, 1), (0, 1))
    assert int((mask != mirrored).sum()) == unpaired


def test_masks_depend_on_nothing_else():
    assert torch.equal(radial_mask(33, 5), radial_mask(33, 5))
    assert radial_mask(33, 5)[16, 16]


@pytest.mark.parametrize(("size", "lines"), [(1, 5), (32, 0), (32, -1)])
def test_refuses_sizes_out_of_range(size, lines):
    with pytest.raises(ValueError, match=f"got size={size}, lines={lines}"):
        radial_mask(size, lines)
