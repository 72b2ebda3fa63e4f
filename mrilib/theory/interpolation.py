"""Dual vectors that low frequencies give: they take the signs with a slope of zero."""

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier, Spectrum
from mrilib.solvers.sign_patterns import SignPattern
from mrilib.theory.sampling import centred

# Parts of the largest singular value below which a direction of the interpolation is left out.
NEGLIGIBLE = 1e-13


def interpolated(fourier: PartialFourier, pattern: SignPattern) -> Spectrum:
    """`v = Aᴴq` with `v_S = sgn(x_S)` and derivative 0 there, of the least weighted norm of `q`.

    For the frequencies `−c…c`. Vectors of the least unweighted norm overshoot beside an entry; a slope of
    zero keeps them below. Weights are the cubic B-spline `B(2f/(c + 1))`, the spectrum of a kernel that
    decays as the fourth power of the distance.

    Source: [candes2014], section 2, there with the squared Fejér kernel, whose spectrum tends to that spline.
    """
    size = fourier.size
    frequency = centred(size).double()
    half = (fourier.mask.sum(dim=-1, keepdim=True) - 1) / 2
    scaled = frequency / (half + 1.0)
    weight = _spline(2.0 * scaled.abs()) * fourier.mask
    slope = 1j * scaled
    first, second, third = (
        torch.fft.ifft(weight * each) for each in (1.0 + 0.0 * slope, slope, scaled**2 + 0j)
    )
    apart = (pattern.index.unsqueeze(-1) - pattern.index.unsqueeze(-2)) % size

    def block(kernel: Tensor) -> Tensor:
        return kernel.gather(-1, apart.flatten(-2)).view(apart.shape)

    top = torch.cat([block(first), -block(second)], dim=-1)
    foot = torch.cat([block(second), block(third)], dim=-1)
    right = torch.cat([pattern.signs, torch.zeros_like(pattern.signs)], dim=-1)
    inverse = torch.linalg.pinv(torch.cat([top, foot], dim=-2), rtol=NEGLIGIBLE, hermitian=True)
    values, slopes = (inverse @ right.unsqueeze(-1)).squeeze(-1).chunk(2, dim=-1)
    spectra = (torch.fft.fft(pattern.spread(each), norm="ortho") for each in (values, slopes))
    value, sloped = spectra
    return fourier.adjoint(weight * (value - slope * sloped))


def _spline(place: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The cubic B-spline on `[−2, 2]`, at places above 0."""
    near, far = 2 / 3 - place**2 + place**3 / 2, (2 - place).clamp(min=0.0) ** 3 / 6
    return torch.where(place < 1, near, far)
