"""What coils measure of an image, small."""

import math

import numpy as np
import torch

from mrilib.operators.coils import CoilFourier


def multicoil(shape, *, coils=3, seed=0, mask=None, background=True, dtype=torch.complex128):
    """Noisy k-space of an image with edges under smooth maps, and the operator.

    With `background` the maps have an empty border. Without `mask`, four of ten columns are drawn, and the
    middle ones.
    """
    generator = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    image = ((rows**2 + columns**2 < 0.7) + 0.5 * (np.abs(rows - 0.1) < 0.4)) * np.exp(1j * rows)
    maps = np.stack(
        [
            np.exp(-((rows - math.cos(angle)) ** 2) - (columns - math.sin(angle)) ** 2 + 1j * angle * columns)
            for angle in 2 * np.pi * np.arange(coils) / coils
        ]
    )
    maps /= np.sqrt((np.abs(maps) ** 2).sum(0))
    if background:
        maps *= rows**2 + columns**2 < 1.2
    if mask is None:
        sampled = generator.random(shape[1]) < 0.4
        sampled[shape[1] // 2 - 1 : shape[1] // 2 + 2] = True
        mask = torch.from_numpy(sampled)
    operator = CoilFourier(mask=mask, coil_maps=torch.from_numpy(maps).to(dtype))
    kspace = operator.forward(torch.from_numpy(image).to(dtype))
    noise = generator.standard_normal(kspace.shape) + 1j * generator.standard_normal(kspace.shape)
    return kspace + 0.03 * torch.from_numpy(noise).to(dtype) * operator.mask, operator
