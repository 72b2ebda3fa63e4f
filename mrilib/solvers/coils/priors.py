"""Regularisers `‖Kx‖` of `coil_splitting`: differences, or coefficients on a larger grid."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.solvers.bases.fista import shrink
from mrilib.solvers.coils.data import Images
from mrilib.solvers.couplings import COUPLINGS

Parts = Complex[Tensor, "batch groups ky kx"]
Threshold = Float[Tensor, "batch 1 1 1"]


class Prior(ABC):
    """A norm of a linear map `K` of images; fields `Kx` are `(batch, groups, rows, columns)`."""

    free_mean: bool

    @abstractmethod
    def forward(self, image: Images) -> Parts:
        """`Kx`."""

    @abstractmethod
    def adjoint(self, field: Parts) -> Images:
        """`Kᴴp`."""

    @abstractmethod
    def solve(self, right: Images, mu: float, rho: Float[Tensor, "batch"]) -> Images:
        """`(μ + ρKᴴK)⁻¹ b`."""

    @abstractmethod
    def lift(self, image: Images) -> Parts:
        """The smallest field with `Kᴴp = image`; an image without mean where constants have `Kx = 0`."""

    @abstractmethod
    def norm(self, field: Parts) -> Float[Tensor, "batch"]:
        """`‖p‖`."""

    @abstractmethod
    def dual_norm(self, field: Parts) -> Float[Tensor, "batch"]:
        """Its dual."""

    @abstractmethod
    def shrink(self, field: Parts, threshold: Threshold) -> Parts:
        """`argmin_z ½‖z − s‖² + τ‖z‖`."""

    @abstractmethod
    def jacobian(self, field: Parts, direction: Parts, threshold: Threshold) -> Parts:
        """Derivative of `shrink` at `field`, applied to `direction`."""


class Variation(Prior):
    """`K = ∇` with a coupling of `COUPLINGS`."""

    free_mean = True

    def __init__(self, coupling: str) -> None:
        self._rule = COUPLINGS[coupling]

    def forward(self, image: Images) -> Parts:
        return gradient(image)

    def adjoint(self, field: Parts) -> Images:
        return divergence(field)

    def solve(self, right: Images, mu: float, rho: Float[Tensor, "batch"]) -> Images:
        laplacian = laplacian_spectrum(*right.shape[-2:], dtype=rho.dtype, device=rho.device)
        return torch.fft.ifft2(torch.fft.fft2(right) / (mu + rho[:, None, None] * laplacian))

    def lift(self, image: Images) -> Parts:
        laplacian = laplacian_spectrum(*image.shape[-2:], dtype=image.real.dtype, device=image.device)
        laplacian[0, 0] = 1.0
        return gradient(torch.fft.ifft2(torch.fft.fft2(image) / laplacian))

    def norm(self, field: Parts) -> Float[Tensor, "batch"]:
        return self._rule.norm(field)

    def dual_norm(self, field: Parts) -> Float[Tensor, "batch"]:
        return self._rule.dual_norm(field)

    def shrink(self, field: Parts, threshold: Threshold) -> Parts:
        return self._rule.shrink(field, threshold)

    def jacobian(self, field: Parts, direction: Parts, threshold: Threshold) -> Parts:
        return self._rule.jacobian(field, direction, threshold)


class Analysis(Prior):
    """`K = Ψ` with the moduli of all coefficients; `ΨᴴΨ = I`, and `Ψ` may be of a larger grid."""

    free_mean = False

    def __init__(self, basis: Basis, height: int, width: int) -> None:
        self._basis, self._size = basis, (height, width)

    def forward(self, image: Images) -> Parts:
        return self._basis.forward(image)[:, None]

    def adjoint(self, field: Parts) -> Images:
        return self._basis.adjoint_to(field[:, 0], *self._size)

    def solve(self, right: Images, mu: float, rho: Float[Tensor, "batch"]) -> Images:
        return right / (mu + rho)[:, None, None]

    def lift(self, image: Images) -> Parts:
        return self.forward(image)

    def norm(self, field: Parts) -> Float[Tensor, "batch"]:
        return field.abs().sum((-3, -2, -1))

    def dual_norm(self, field: Parts) -> Float[Tensor, "batch"]:
        return field.abs().amax((-3, -2, -1))

    def shrink(self, field: Parts, threshold: Threshold) -> Parts:
        return shrink(field, threshold)

    def jacobian(self, field: Parts, direction: Parts, threshold: Threshold) -> Parts:
        length = field.abs()
        safe = length.clamp(min=torch.finfo(length.dtype).tiny)
        unit, kept = field / safe, 1.0 - threshold / safe
        mapped = kept * direction + (1.0 - kept) * (unit.conj() * direction).real * unit
        return torch.where(length > threshold, mapped, torch.zeros_like(mapped))
