"""Centred orthonormal Fourier transforms of arrays, and the images made with them."""

import numpy as np
import scipy.fft
from jaxtyping import Complex64, Float32, Shaped


def rss(
    kspace: Complex64[np.ndarray, "coil ky kx"], size: tuple[int, int]
) -> Float32[np.ndarray, "{size[0]} {size[1]}"]:
    """`√Σ_c |F⁻¹ k_c|²`, centred and orthonormal, cropped as in fastMRI: from `(length − size) // 2` on.

    Raises:
        ValueError: if `size` is larger than k-space.
    """
    start = [(length - side) // 2 for length, side in zip(kspace.shape[1:], size, strict=True)]
    if min(start) < 0 or min(size) < 1:
        raise ValueError(f"rss: expected a size within {kspace.shape[1:]}, got {size}")
    y, x = (slice(first, first + side) for first, side in zip(start, size, strict=True))
    energy = np.zeros(size, np.float32)
    for coil in kspace:
        image = centered_ifft(coil, (0, 1))[y, x]
        energy += image.real**2 + image.imag**2
    return np.sqrt(energy)


def centered_ifft(values: Shaped[np.ndarray, "*any"], axes: tuple[int, ...]) -> Shaped[np.ndarray, "*any"]:
    """Orthonormal inverse FFT, zero frequency and origin at `size // 2`, in the precision of `values`."""
    shifted = scipy.fft.ifftshift(values, axes)
    return scipy.fft.fftshift(scipy.fft.ifftn(shifted, axes=axes, norm="ortho", overwrite_x=True), axes)


def centered_fft(values: Shaped[np.ndarray, "*any"], axes: tuple[int, ...]) -> Shaped[np.ndarray, "*any"]:
    """Inverse of `centered_ifft`."""
    shifted = scipy.fft.ifftshift(values, axes)
    return scipy.fft.fftshift(scipy.fft.fftn(shifted, axes=axes, norm="ortho", overwrite_x=True), axes)
