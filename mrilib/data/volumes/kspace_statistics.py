"""What raw k-space itself says of its noise and of its centre."""

import math

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.data.intensity import peak_of
from mrilib.operators.base import ifft2c

# `E|N(0, 1)|` has its median here: what makes a median of moduli a standard deviation.
NORMAL_MEDIAN = 0.6744897501960817
# Our choice: with less of the high frequencies there is little to tell noise from the object.
LEAST_PASSED = 0.01


def noise_estimate(kspace: Complex[Tensor, "*batch coil ky kx"]) -> float:
    """Standard deviation of the noise in the real, and in the imaginary, part of k-space.

    Each coil's image is filtered by `h = ½ [1 −1; −1 1]`, in k-space `H`, which leaves noise and edges; then

        σ_c = median |Re d_c|, |Im d_c| / (0.6745·√(mean of |H|² 1_Ω)),    d_c = Fᴴ(H·k_c),

    with `Ω` the entries that are not zero in some coil; the mean is 1 if all are sampled. Returned is the
    root mean square of `σ_c` over coils and leading axes. The transform is orthonormal, so this is also
    the noise of a fully sampled coil image.

    The median bears strong edges in less than half of the image. Texture, ringing and aliasing add to the
    estimate, so for undersampled data it is an upper bound.

    Raises `ValueError` if `kspace` is not finite or zero, or if only its centre is sampled.

    Source: the median estimate of [donoho1994], with one level of Haar wavelets, undecimated.
    """
    peak = peak_of(kspace, "noise_estimate")
    down, across = (
        1.0
        - torch.exp(2j * torch.pi * (torch.arange(size, device=kspace.device) / size - (size // 2) / size))
        for size in kspace.shape[-2:]
    )
    filtered = 0.5 * down[:, None] * across
    sampled = (kspace != 0).flatten(end_dim=-3).any(dim=0)
    passed = float((filtered.abs().square() * sampled).mean())
    if passed < LEAST_PASSED:
        raise ValueError(
            "noise_estimate: expected k-space sampled at high frequencies, got entries with "
            f"{passed:.2g} of the filter's energy; take fully sampled data"
        )
    details = torch.view_as_real(ifft2c(kspace / peak * filtered)).abs().flatten(end_dim=-4)
    deviations = details.flatten(start_dim=1).median(dim=1).values / NORMAL_MEDIAN
    return peak * float(deviations.double().square().mean().sqrt()) / math.sqrt(passed)


def center_column(kspace: Complex[Tensor, "*batch coil ky kx"]) -> int:
    """The column of most energy, `argmax_kx Σ|k|²` over all else: `width // 2` if k-space is centred.

    Raises `ValueError` if `kspace` is not finite or zero.
    """
    scaled = torch.view_as_real(kspace / peak_of(kspace, "center_column")).double()
    return int(scaled.square().sum(dim=-1).flatten(end_dim=-2).sum(dim=0).argmax())
