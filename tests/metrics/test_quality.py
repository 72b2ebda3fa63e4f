import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mrilib.metrics.quality import nmse, psnr, relative_error, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(3, 20, 33, generator=generator, dtype=torch.float64)
    return reference + 0.1 * torch.randn(reference.shape, generator=generator, dtype=torch.float64), reference


def skimage_ssim(image, reference, data_range):
    """Mean over the windows inside the image: what scikit-image averages with its default crop."""
    return structural_similarity(
        image.numpy(), reference.numpy(), win_size=7, data_range=data_range, use_sample_covariance=True
    )


@pytest.mark.parametrize("data_range", [None, 1.1])
def test_ssim_equals_scikit_image(pair, data_range):
    image, reference = pair[0].abs(), pair[1]
    expected = [
        skimage_ssim(x, r, data_range or float(r.max())) for x, r in zip(image, reference, strict=True)
    ]
    np.testing.assert_allclose(ssim(image, reference, data_range=data_range), expected, rtol=1e-12)


def test_ssim_averages_every_window_inside_the_image(pair):
    image, reference = pair[0][0].abs(), pair[1][0]
    _, every = structural_similarity(
        image.numpy(), reference.numpy(), win_size=7, data_range=float(reference.max()), full=True
    )
    np.testing.assert_allclose(float(ssim(image, reference)), every[3:-3, 3:-3].mean(), rtol=1e-12)


def test_ssim_in_float32_on_a_bright_flat_image():
    reference = 1000 + torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    image = reference.flip(0)
    expected = ssim(image.double(), reference.double(), data_range=1.0)
    # variances of 0.08 under a level of 1000, whose float32 spacing is 6e-5
    assert float(ssim(image, reference, data_range=1.0)) == pytest.approx(float(expected), abs=1e-4)


def test_ssim_of_an_image_with_itself_is_one(pair):
    np.testing.assert_allclose(ssim(pair[1], pair[1]), 1.0, rtol=1e-12)


@pytest.mark.parametrize("data_range", [None, 1.1])
def test_psnr_equals_scikit_image(pair, data_range):
    image, reference = pair[0].abs(), pair[1]
    expected = [
        peak_signal_noise_ratio(r.numpy(), x.numpy(), data_range=data_range or float(r.max()))
        for x, r in zip(image, reference, strict=True)
    ]
    np.testing.assert_allclose(psnr(image, reference, data_range=data_range), expected, rtol=1e-12)


def test_closed_forms():
    reference = torch.full((8, 8), 2.0)
    image = torch.full((8, 8), 2.5)
    assert float(relative_error(image, reference)) == pytest.approx(0.25)
    assert float(nmse(image, reference)) == pytest.approx(0.0625)
    assert float(psnr(image, reference)) == pytest.approx(10 * math.log10(4 / 0.25))
    assert float(psnr(image, reference, data_range=1.0)) == pytest.approx(10 * math.log10(1 / 0.25))
    assert float(psnr(reference, reference)) == math.inf


@pytest.mark.parametrize("metric", [relative_error, nmse, psnr, ssim])
def test_phase_counts_for_nothing(pair, metric):
    image, reference = pair[0].abs(), pair[1]
    turned = reference * torch.exp(1j * torch.rand(reference.shape, dtype=torch.float64))
    torch.testing.assert_close(metric(image, turned), metric(image, reference), rtol=1e-12, atol=0)
    torch.testing.assert_close(metric(-image, reference), metric(image, reference), rtol=1e-12, atol=0)


@pytest.mark.parametrize("metric", [relative_error, nmse, psnr, ssim])
def test_batches_equal_one_by_one(pair, metric):
    image, reference = (part[:2].reshape(2, 1, 20, 33) for part in pair)
    together = metric(image, reference)
    assert together.shape == (2, 1)
    for item in range(2):
        assert float(together[item, 0]) == pytest.approx(float(metric(image[item, 0], reference[item, 0])))


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_one_data_range_an_item(pair, metric):
    image, reference = pair
    ranges = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    together = metric(image, reference, data_range=ranges)
    for item in range(3):
        alone = metric(image[item], reference[item], data_range=float(ranges[item]))
        assert float(together[item]) == pytest.approx(float(alone))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("metric", [relative_error, nmse, psnr, ssim])
def test_refuses_images_of_two_sizes(metric):
    with pytest.raises(ValueError, match=r"expected images of one size, got \(8, 8\) and \(8, 9\)"):
        metric(torch.ones(8, 8), torch.ones(8, 9))


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ValueError, match=r"expected at least 7 pixels a side, got \(6, 9\)"):
        ssim(torch.ones(6, 9), torch.ones(6, 9))
