import numpy as np
import pytest
import torch

from mrilib.data.images.ellipses import ellipse_phantoms


@pytest.fixture(scope="module")
def images():
    return ellipse_phantoms(12, size=64, seed=3)


def test_values_lie_in_the_unit_interval_and_reach_one(images):
    assert images.shape == (12, 64, 64)
    assert images.dtype == torch.float32
    assert images.min() == 0
    assert torch.equal(images.amax(dim=(1, 2)), torch.ones(12))


def test_an_image_depends_on_seed_and_index_alone(images):
    assert torch.equal(ellipse_phantoms(12, size=64, seed=3), images)
    assert torch.equal(ellipse_phantoms(5, size=64, seed=3, first=7), images[7:])
    assert torch.equal(ellipse_phantoms(1, size=64, seed=3, first=4)[0], images[4])
    assert ellipse_phantoms(0, size=64, seed=3).shape == (0, 64, 64)


def test_images_differ_by_index_and_by_seed(images):
    others = ellipse_phantoms(12, size=64, seed=4)
    every = torch.cat([images, others]).flatten(1)
    distances = torch.cdist(every, every) + 1e9 * torch.eye(24)
    assert distances.min() > 1.0


def test_another_size_is_the_same_phantom(images):
    # 190 = 3·63 + 1: every third pixel of the finer grid stands on one of the coarse grid
    fine = ellipse_phantoms(12, size=190, seed=3)[:, ::3, ::3]
    for image, sampled in zip(images, fine, strict=True):
        # only the maximum that an image is divided by is another
        assert torch.equal(image > 0, sampled > 0)
        assert np.corrcoef(image.flatten(), sampled.flatten())[0, 1] > 1 - 1e-10


def test_images_are_piecewise_linear():
    images = ellipse_phantoms(4, size=256, seed=3)
    slopes = images.diff(dim=2)
    # A row crosses at most 14 ellipses, so 28 edges, each of which bends it at two pixels. float32
    # rounds at 1e-7.
    assert (slopes.diff(dim=2).abs() > 1e-5).sum(dim=2).max() <= 56
    steep = (slopes.abs() > 1e-4) & (images[:, :, 1:] > 0)
    assert (steep.sum(dim=(1, 2)) > 0.8 * (images > 0).sum(dim=(1, 2))).all()


def test_ellipses_stay_in_the_frame():
    # |centre| + 0.9·(1 − |centre|) <= 0.97 of the half width
    images = ellipse_phantoms(20, size=256, seed=0)
    outside = np.abs(np.linspace(-1, 1, 256)) > 0.97
    assert not images[:, outside].any()
    assert not images[:, :, outside].any()
    assert images[:, ~outside].any()


@pytest.mark.parametrize(
    "arguments",
    [{"count": -1}, {"size": 1}, {"seed": -1}, {"first": -1}],
    ids=lambda changed: next(iter(changed)),
)
def test_refuses_what_is_out_of_range(arguments):
    with pytest.raises(ValueError, match="ellipse_phantoms: expected count >= 0, size >= 2"):
        ellipse_phantoms(**{"count": 1, "size": 8, "seed": 0, "first": 0} | arguments)


def test_refuses_a_size_that_misses_every_ellipse():
    with pytest.raises(ValueError, match="no pixel of image 0 lies in an ellipse at size 2"):
        ellipse_phantoms(1, size=2, seed=0)
