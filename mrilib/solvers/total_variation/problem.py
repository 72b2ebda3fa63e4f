"""Total variation with Fourier data as ADMM sees it: the problem, and one step.

One step costs one FFT pair. With `w` the spectrum of `AᴴA`, `b = Aᴴy`, `S` the shrinkage of the
coupling by `τ = λ/ρ` and the single state `s = z + u`:

    `v = 2S(s) − s`,   `x = (AᴴA + ρ∇ᵀ∇)⁻¹ (b + ρ∇ᵀv)`,   `s ← s + α(∇x − S(s))`.

Source: alternating directions [boyd2011] for total variation [goldstein2009], over-relaxed
[eckstein1992]. Images here carry no FFT shift: the caller folds it into the data, since circular
shifts commute with periodic differences.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.fourier import MaskedFourier
from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.solvers.certified import Problem
from mrilib.solvers.couplings import COUPLINGS, Coupling, Field
from mrilib.solvers.items import Items

# Certified 1e-4 and 1e-6 came a tenth sooner than with 1.8, on eight problems at 40 lines.
OVER_RELAXATION = 1.95
# Of a problem that is not told otherwise: for solvers whose penalty stays, the coupled attack's among them.
RHO_OVER_ROOT_WEIGHT = 7.0


@dataclass(frozen=True)
class VariationProblem(Problem):
    """`½‖Az − y‖² + λ‖∇z‖` on a batch of images of one mask.

    Args:
        spectrum: `w`, the eigenvalues of `AᴴA`, zero frequency first.
        data: `fft2(Aᴴy)`, unnormalised transform, zero frequency first.
        energy: `‖y‖²`, float64: the certificate subtracts from it.
        weight: `λ > 0`.
        coupling: a key of `COUPLINGS`.
        stiffness: `ρ/√λ`; it and `stiffest` change the speed alone.
        stiffest: bound of `ρ/λ`.
    """

    axes: ClassVar[Mapping[str, int]] = {"data": 2, "energy": 0, "weight": 0}

    spectrum: Float[Tensor, "y x"]
    data: Complex[Tensor, "*batch y x"]
    energy: Float[Tensor, "*batch"]
    weight: Float[Tensor, "*batch"]
    coupling: str
    stiffness: float = RHO_OVER_ROOT_WEIGHT
    stiffest: float = math.inf

    @property
    def rule(self) -> Coupling:
        return COUPLINGS[self.coupling]

    @property
    def rho(self) -> Float[Tensor, "*batch"]:
        """The penalty."""
        return torch.minimum(self.stiffness * self.weight.sqrt(), self.stiffest * self.weight)

    @property
    def threshold(self) -> Float[Tensor, "*batch 1 1 1"]:
        return (self.weight / self.rho)[..., None, None, None]

    def inverse(self) -> Float[Tensor, "*batch y x"]:
        """Spectrum of `(AᴴA + ρ∇ᵀ∇)⁻¹`."""
        laplacian = laplacian_spectrum(
            *self.spectrum.shape, dtype=self.spectrum.dtype, device=self.spectrum.device
        )
        return 1.0 / (self.spectrum + self.rho[..., None, None] * laplacian)

    @property
    def measured(self) -> Tensor:
        return self.data

    def to(self, dtype: torch.dtype) -> "VariationProblem":
        return replace(super().to(dtype), spectrum=self.spectrum.to(dtype.to_real()), energy=self.energy)


@dataclass(frozen=True)
class VariationStart(Items):
    """Where a solve ended, for a nearby problem to start from: its state and its `τ`."""

    axes: ClassVar[Mapping[str, int]] = {"field": 3, "threshold": 3}

    field: Field
    threshold: Float[Tensor, "*batch 1 1 1"]

    def state_for(self, problem: VariationProblem) -> Field:
        """State for `problem`: differences kept, dual variable scaled with `λ`, so the active set stays.

        For the same problem with another penalty the fixed point of one is that of the other.
        """
        kept = problem.rule.shrink(self.field, self.threshold)
        return kept + (self.field - kept) * (problem.threshold / self.threshold)


def problem_of(
    kspace: Complex[Tensor, "*batch ky kx"],
    operator: MaskedFourier,
    *,
    weight: float,
    coupling: str,
    scale: Float[Tensor, "*batch"] | None = None,
) -> tuple[VariationProblem, Float[Tensor, "*batch"]]:
    """The problem of a measurement, scaled to images of maximum about 1, and the scale.

    The scale only conditions the numbers: minimisers scale with k-space and λ together. By default it is the
    maximum of the zero-filled image.

    Raises:
        ValueError: if the mask misses the zero frequency.
    """
    if not operator.mask[operator.mask.shape[0] // 2, operator.mask.shape[1] // 2]:
        raise ValueError(
            "TotalVariation: the mask misses the zero frequency, at its centre (size // 2), "
            "so that the mean of the image is free; sample it"
        )
    if scale is None:
        scale = operator.adjoint(kspace.detach()).abs().amax(dim=(-2, -1))
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    data = scaled_data(kspace, operator, scale)
    double = torch.view_as_real(data.detach().to(torch.complex128))
    problem = VariationProblem(
        spectrum=torch.fft.ifftshift(operator.mask).to(scale.dtype),
        data=transformed(data),
        energy=double.square().sum(dim=(-3, -2, -1)),
        weight=weight / scale,
        coupling=coupling,
    )
    return problem, scale


def scaled_data(kspace: Tensor, operator: MaskedFourier, scale: Tensor) -> Complex[Tensor, "*batch ky kx"]:
    """`y/s`, zero frequency first."""
    return torch.fft.ifftshift(kspace * operator.mask, dim=(-2, -1)) / scale[..., None, None]


def transformed(data: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch ky kx"]:
    """`fft2(Aᴴy)` of data."""
    return data * math.sqrt(data.shape[-2] * data.shape[-1])


def initial_state(problem: VariationProblem) -> Field:
    """State of the zero image."""
    shape = (*problem.data.shape[:-2], 2, *problem.data.shape[-2:])
    return torch.zeros(shape, dtype=problem.data.dtype, device=problem.data.device)


def reflect(problem: VariationProblem, state: Field) -> tuple[Field, Field]:
    """`S(s)` and `v = 2S(s) − s`."""
    kept = problem.rule.shrink(state, problem.threshold)
    return kept, 2.0 * kept - state


def image_of(problem: VariationProblem, inverse: Tensor, field: Field) -> Complex[Tensor, "*batch y x"]:
    """`x = (AᴴA + ρ∇ᵀ∇)⁻¹(b + ρ∇ᵀv)`."""
    penalty = problem.rho[..., None, None] * torch.fft.fft2(divergence(field))
    return torch.fft.ifft2((problem.data + penalty) * inverse)


def step(
    problem: VariationProblem, inverse: Tensor, state: Field, relaxation: float = OVER_RELAXATION
) -> tuple[Field, Complex[Tensor, "*batch y x"]]:
    """One step in plain torch: new state and image. Differentiable; the reference of `kernels.sweep`."""
    kept, reflected = reflect(problem, state)
    image = image_of(problem, inverse, reflected)
    return state + relaxation * (gradient(image) - kept), image
