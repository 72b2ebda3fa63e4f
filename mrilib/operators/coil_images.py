"""Arrays of coil images: combined, and cropped."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def rss(images: Complex[Tensor, "*batch coil y x"]) -> Float[Tensor, "*batch y x"]:
    """Root sum of squares over coils, `√Σ_c|x_c|²`; its derivative is 0 where it is 0.

    `fastmri.rss` squares without taking moduli, so it is not used. In float32 squares of values above 1e19
    overflow: scale raw data first, as `rss_target` does.
    """
    return torch.linalg.vector_norm(images, dim=-3)


def center_crop(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The middle of the last two axes, from `(size − length) // 2` on, as fastMRI crops."""
    if not all(0 < length <= size for length, size in zip(shape, image.shape[-2:], strict=True)):
        raise ValueError(
            f"center_crop: expected a shape from 1×1 to {image.shape[-2]}×{image.shape[-1]}, the image's, "
            f"got {shape[0]}×{shape[1]}"
        )
    top, left = crop_corner(image.shape[-2:], shape)
    return image[..., top : top + shape[0], left : left + shape[1]]


def crop_corner(size: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """First row and column of the middle of `size` that `center_crop` keeps for `shape`."""
    return tuple((whole - length) // 2 for whole, length in zip(size, shape, strict=True))
