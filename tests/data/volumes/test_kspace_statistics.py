import math

import numpy as np
import pytest
import torch

from mrilib.data.volumes.kspace_statistics import center_column, noise_estimate
from tests.data.phantom_scan import scan


# The image's maximum is 1. Edges of the phantom bias the estimate upwards, by the more the lower the noise.
@pytest.mark.parametrize("level", [1e-3, 1e-2, 3e-2, 0.1, 1.0])
def test_noise_estimate_finds_the_noise(level):
    kspace = scan(size=256, noise=level)
    assert noise_estimate(kspace) == pytest.approx(level, rel=0.1)
    # slices before coils; zero-filled beyond what was measured, as on scanners
    padded = torch.zeros(2, 4, 256, 288, dtype=torch.complex64)
    padded[..., 16:-16] = kspace
    if level >= 1e-2:
        assert noise_estimate(padded) == pytest.approx(level, rel=0.1)


def test_noise_estimate_without_noise_is_nearly_zero():
    assert noise_estimate(scan(size=256)) < 1e-6


def test_noise_estimate_is_the_mean_square_of_coils():
    kspace = torch.view_as_complex(torch.randn(2, 128, 128, 2, generator=torch.Generator().manual_seed(0)))
    kspace = kspace * torch.tensor([3.0, 4.0])[:, None, None]
    assert noise_estimate(kspace) == pytest.approx(math.sqrt((9 + 16) / 2), rel=0.02)
    # entries that were not sampled do not lower it
    some = torch.rand(128, 128, generator=torch.Generator().manual_seed(1)) < 0.3
    assert noise_estimate(kspace * some) == pytest.approx(math.sqrt((9 + 16) / 2), rel=0.04)


def test_noise_estimate_needs_high_frequencies():
    kspace = torch.zeros(1, 128, 128, dtype=torch.complex64)
    kspace[:, 60:68, 60:68] = 1.0
    with pytest.raises(
        ValueError, match=r"expected k-space sampled at high frequencies, got entries with .*e-07 of"
    ):
        noise_estimate(kspace)


@pytest.mark.parametrize("shift", [-5, 0, 3])
def test_the_centre_is_where_the_energy_is(shift):
    kspace = scan()
    assert center_column(kspace.roll(shift, dims=-1)) == 64 + shift
    assert center_column(torch.stack([kspace, kspace])[:, :, :, 4:]) == 60


@pytest.mark.data
def test_a_head_with_known_noise(data_folder):
    kspace = np.fromfile(data_folder / "brain_noise.cfl", np.complex64).reshape(8, 180, 230)
    # made by `bart noise -n 16`, variance of the complex number, of data that have a little of their own
    assert math.sqrt(8) < noise_estimate(torch.from_numpy(kspace)) < 1.05 * math.sqrt(8)
