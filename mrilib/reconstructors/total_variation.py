"""Total variation."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Complex
from torch import Tensor
from torch.autograd.function import once_differentiable

from mrilib.operators.base import LinearOperator
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.reconstructors.convex import check_arguments, differentiable, solved
from mrilib.solvers.coils import splitting as coil_splitting
from mrilib.solvers.coils.data import Scaled, scaled_data
from mrilib.solvers.coils.priors import Variation
from mrilib.solvers.couplings import COUPLINGS
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.solution import Solution
from mrilib.solvers.total_variation import admm
from mrilib.solvers.total_variation.unrolling import unroll

# Side of the image that loops are compiled on.
WARM = 16


class TotalVariation(Reconstructor):
    """Minimise `½‖Az − y‖² + λ‖∇z‖₁` over complex images `z` to a certified relative accuracy.

    `∇` are periodic forward differences; `coupling` says what `‖·‖₁` sums:

    - `split`: `|Re|` and `|Im|` of every difference apart;
    - `complex`: the modulus of every complex difference;
    - `isotropic`: `√(|∂ₓz|² + |∂ᵧz|²)` of every pixel.

    Multi-coil data, of a `CoilFourier` operator, take a solver of their own (`coil_splitting`). Where all
    coil maps are zero the image is one that continues the rest with least variation.

    Args:
        weight: `λ > 0`, used as given, in the units of the image.
        coupling: `split`, `complex` or `isotropic`.
        tolerance: relative duality gap `(P − D)/P` at which it stops; the true error of the objective is
            smaller. Below 1e-5 the last steps run in float64.
        max_steps: steps after which it gives up.
        differentiation: `Implicit` (the derivative of the minimiser) or `Unrolled`. The latter's image with
            gradient is the one after its fixed steps; `solve`, and a call without gradient, still minimise.

    Raises:
        ValueError: for arguments out of range, an operator that is neither `MaskedFourier` nor
            `CoilFourier`, a single-coil mask without the zero frequency, coil maps that are zero, and k-space
            that is real or not finite.
        NotConvergedError: if it gives up.

    Source: [alaifari2023], eq. (3), there without ½, so that λ is half theirs; coupling `complex` is the
    equation as written, `split` is what the authors' public code does. Deviates: certified stop instead
    of 5000 steps.
    """

    search = "mrilib.attacks.searches.coupled:CoupledAscent"
    through_adjoint = True

    def __init__(
        self,
        *,
        weight: float,
        coupling: Literal["split", "complex", "isotropic"] = "split",
        tolerance: float = 1e-5,
        max_steps: int = 20_000,
        differentiation: Implicit | Unrolled | None = None,
    ) -> None:
        check_arguments("TotalVariation", weight, tolerance, max_steps)
        if coupling not in COUPLINGS:
            raise ValueError(f"TotalVariation: expected coupling in {sorted(COUPLINGS)}, got {coupling!r}")
        self.weight = float(weight)
        self.coupling = coupling
        self.tolerance = float(tolerance)
        self.max_steps = int(max_steps)
        self.differentiation = Implicit() if differentiation is None else differentiation

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Image `(*batch, y, x)` of `kspace` `(*batch, ky, kx)`, multi-coil `(*batch, coil, ky, kx)`."""
        if not (torch.is_grad_enabled() and kspace.requires_grad):
            return self.solve(kspace, operator).value
        if isinstance(operator, CoilFourier):
            return differentiable(self, *self._coil_problem(kspace, operator), kspace, operator)
        problem, scale = self.problem(kspace, operator)
        flat, batch = _flat(problem)
        if isinstance(self.differentiation, Unrolled):
            image = unroll(flat, admm.initial_state(flat), self.differentiation.steps)
        else:
            image = _Minimiser.apply(flat.data, flat, self)
        return _centred(image.reshape(*batch, *image.shape[-2:]), scale)

    @torch.no_grad()
    def solve(
        self,
        kspace: Tensor,
        operator: LinearOperator,
        *,
        start: Any = None,
        throw: bool = True,
    ) -> Solution:
        """Image with its certificate.

        Args:
            kspace: `(*batch, ky, kx)`, multi-coil `(*batch, coil, ky, kx)`.
            operator: the `MaskedFourier` or `CoilFourier` that measured it.
            start: `Solution.state` of an earlier solve of a nearby weight and nearby k-space.
            throw: raise if an item does not reach the tolerance; else its status says so.

        Returns:
            Image; `stats`, one entry an item: `objective` (in the units of k-space squared), `gap`, `steps`.
        """
        if isinstance(operator, CoilFourier):
            return solved(self, *self._coil_problem(kspace, operator), start, throw)
        problem, scale = self.problem(kspace, operator)
        flat, batch = _flat(problem)
        solution = admm.minimise(
            flat,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            start=None if start is None else start.reshape(-1),
            throw=throw,
        )
        stats: dict[str, Any] = {key: value.reshape(batch) for key, value in solution.stats.items()}
        stats["objective"] = stats["objective"] * scale.double().square()
        image = _centred(solution.value.reshape(*batch, *solution.value.shape[-2:]), scale)
        return Solution(image, solution.status, stats, solution.state.reshape(*batch))

    def warm_up(self, operator: LinearOperator) -> None:
        """Compile, or load, the fused loops of a single coil on a few pixels."""
        if isinstance(operator, MaskedFourier):
            pixel = torch.zeros((WARM, WARM), device=operator.mask.device)
            pixel[0, 0] = 1.0
            small = MaskedFourier(mask=torch.ones_like(pixel, dtype=torch.bool))
            self.solve(small.forward(pixel), small, throw=False)

    def problem(
        self, kspace: Tensor, operator: LinearOperator, scale: Tensor | None = None
    ) -> tuple[admm.Problem, Tensor]:
        """The solver's problem for `kspace`, scaled to images of maximum about 1, and the scale `(*batch)`.

        The scale only conditions the numbers: minimisers scale with k-space and λ together. By default it
        is the maximum of the zero-filled image.
        """
        if not isinstance(operator, MaskedFourier):
            raise ValueError(
                f"TotalVariation: expected a MaskedFourier operator, got {type(operator).__name__}"
            )
        check_kspace(kspace, "TotalVariation")
        if not operator.mask[operator.mask.shape[0] // 2, operator.mask.shape[1] // 2]:
            raise ValueError(
                "TotalVariation: the mask misses the zero frequency, at its centre (size // 2), "
                "so that the mean of the image is free; sample it"
            )
        if scale is None:
            scale = operator.adjoint(kspace.detach()).abs().amax(dim=(-2, -1))
            scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        height, width = kspace.shape[-2:]
        data = torch.fft.ifftshift(kspace * operator.mask, dim=(-2, -1)) / scale[..., None, None]
        energy = torch.view_as_real(data.detach().to(torch.complex128)).square().sum(dim=(-3, -2, -1))
        problem = admm.Problem(
            spectrum=torch.fft.ifftshift(operator.mask).to(scale.dtype),
            data=data * math.sqrt(height * width),
            energy=energy,
            weight=self.weight / scale,
            coupling=self.coupling,
        )
        return problem, scale

    def _coil_problem(self, kspace: Tensor, operator: CoilFourier) -> tuple[Scaled, coil_splitting.Problem]:
        check_kspace(kspace, "TotalVariation")
        scaled = scaled_data(kspace, operator, "TotalVariation")
        weight, prior = scaled.weight(self.weight), Variation(self.coupling)
        return scaled, coil_splitting.Problem.of(scaled.measurement, prior, weight)


def _flat(problem: admm.Problem) -> tuple[admm.Problem, torch.Size]:
    """The problem with one batch axis, and the batch shape that it had."""
    batch = problem.data.shape[:-2]
    flat = admm.Problem(
        spectrum=problem.spectrum,
        data=problem.data.reshape(-1, *problem.data.shape[-2:]),
        energy=problem.energy.reshape(-1),
        weight=problem.weight.reshape(-1),
        coupling=problem.coupling,
    )
    return flat, batch


def _centred(image: Complex[Tensor, "*batch y x"], scale: Tensor) -> Complex[Tensor, "*batch y x"]:
    return torch.fft.fftshift(image, dim=(-2, -1)) * scale[..., None, None]


class _Minimiser(torch.autograd.Function):
    """`fft2(Aᴴy) → argmin`, differentiated through the linearised problem at the fixed point."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, problem: admm.Problem, method: TotalVariation) -> Tensor:
        solution = admm.minimise(problem, tolerance=method.tolerance, max_steps=method.max_steps)
        ctx.problem, ctx.state, ctx.differentiation = problem, solution.state.field, method.differentiation
        return solution.value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        linear = admm.Problem(
            spectrum=ctx.problem.spectrum,
            data=torch.fft.fft2(cotangent),
            energy=ctx.problem.energy,
            weight=ctx.problem.weight,
            coupling=ctx.problem.coupling,
        )
        image = admm.solve_linearised(
            linear,
            ctx.state,
            tolerance=ctx.differentiation.tolerance,
            max_steps=ctx.differentiation.max_steps,
        ).value
        # data = fft2(b): its adjoint is the inverse transform's, fft2 of the image over the pixels.
        return torch.fft.fft2(image) / (image.shape[-2] * image.shape[-1]), None, None
