"""A multi-coil scan of a phantom, whose noise is known."""

import math

import torch

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.operators.base import fft2c


def scan(size=128, coils=4, noise=0.0, seed=0):
    """K-space of a phantom of maximum 1 under smooth maps, with noise of that deviation in each part."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size, dtype=torch.float64)] * 2, indexing="ij")
    angles = 2 * math.pi * torch.arange(coils, dtype=torch.float64)[:, None, None] / coils
    distance = (y - angles.cos()).square() + (x - angles.sin()).square()
    maps = torch.polar(torch.exp(-distance / 2), y * angles.cos() - x + angles)
    kspace = fft2c(maps * ellipse_phantoms(1, size=size, seed=3)[0])
    errors = torch.randn(
        (*kspace.shape, 2), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return (kspace + noise * torch.view_as_complex(errors)).to(torch.complex64)
