"""Total variation of what several coils measured."""

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.solvers.coils.data import Images, scaled_data
from mrilib.solvers.coils.posed import ScaledProblem
from mrilib.solvers.coils.priors import Loop, Parts, Prior, Threshold
from mrilib.solvers.coils.splitting import SplitProblem
from mrilib.solvers.couplings import COUPLINGS
from mrilib.solvers.field_parts import Sweep


class SweptLoop(Loop):
    """The steps of one item's differences on a CPU."""

    def __init__(self, coupling: str, parts: Parts, threshold: Threshold, relaxation: float) -> None:
        self._sweep = Sweep(parts[0], coupling=coupling, threshold=float(threshold), relaxation=relaxation)
        self.reflected = self._sweep.reflected[None]

    def move(self, image: Images) -> None:
        self._sweep.move(image[0])
        self.reflected = self._sweep.reflected[None]

    def parts(self) -> Parts:
        return self._sweep.field()[None]


class Variation(Prior):
    """`K = ∇` with a coupling of `COUPLINGS`."""

    name = "total variation"
    free_mean = True

    def __init__(self, coupling: str) -> None:
        self._coupling, self._rule = coupling, COUPLINGS[coupling]

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

    def loop(self, parts: Parts, threshold: Threshold, relaxation: float) -> Loop:
        if parts.device.type == "cpu" and len(parts) == 1:
            return SweptLoop(self._coupling, parts, threshold, relaxation)
        return super().loop(parts, threshold, relaxation)


class SeveralCoils(ScaledProblem):
    """The problem of `splitting`.

    Args:
        kspace: `(*batch, coil, ky, kx)`.
        operator: the coils that measured it.
        weight: `λ`.
        coupling: a key of `COUPLINGS`.

    Raises:
        ValueError: for coil maps that are zero everywhere.
    """

    def __init__(self, kspace: Tensor, operator: CoilFourier, *, weight: float, coupling: str) -> None:
        scaled = scaled_data(kspace, operator, "TotalVariation")
        problem = SplitProblem.of(scaled.measurement, Variation(coupling), scaled.weight(weight))
        super().__init__(operator, scaled, problem)
