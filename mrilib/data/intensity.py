"""Intensities of raw k-space: the scale of a measurement, and the image that is its reference."""

import math

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.operators.base import check_grid, check_mask, ifft2c
from mrilib.operators.coil_images import center_crop, rss


def intensity_scale(
    kspace: Complex[Tensor, "coil ky kx"], mask: Bool[Tensor, "ky kx"] | Bool[Tensor, "kx"]
) -> float:
    """Maximum of the zero-filled RSS image: `max √Σ_c |Fᴴ P_Ω k_c|²` over all pixels, without a crop.

    Raises `ValueError` if shapes do not fit, or if `kspace` is not finite, or zero on the mask.
    """
    check_mask(mask, "intensity_scale", {2: "(ky, kx)", 1: "(kx,)"})
    check_grid(
        kspace, mask.expand(kspace.shape[-2], -1) if mask.ndim == 1 else mask, "intensity_scale", "kspace"
    )
    peak = peak_of(kspace * mask, "intensity_scale")
    return peak * float(rss(ifft2c(kspace * mask / peak)).max())


def rss_target(
    kspace: Complex[Tensor, "*batch coil ky kx"], shape: tuple[int, int]
) -> Float[Tensor, "*batch y x"]:
    """RSS image of fully sampled k-space, cropped at the centre to `shape`, in the units of `kspace`.

    Source: `reconstruction_rss` of fastMRI [zbontar2018] is this image.

    Raises `ValueError` if `shape` is larger than the image, or if `kspace` is not finite, or zero.
    """
    peak = peak_of(kspace, "rss_target")
    return peak * rss(center_crop(ifft2c(kspace / peak), shape))


def peak_of(kspace: Tensor, where: str) -> float:
    """Largest real or imaginary part; what is divided by it neither overflows nor vanishes when squared."""
    if not kspace.is_complex() or kspace.ndim < 3:
        raise ValueError(
            f"{where}: expected complex kspace (..., coil, ky, kx), got {kspace.dtype} of shape "
            f"{tuple(kspace.shape)}; a single coil has a coil axis of length 1"
        )
    peak = float(torch.view_as_real(kspace).abs().max())
    if not math.isfinite(peak):
        raise ValueError(f"{where}: expected finite kspace, got NaN or infinity; leave this slice out")
    if peak == 0.0:
        raise ValueError(f"{where}: kspace is zero wherever it is sampled; leave this slice out")
    return peak
