"""How far an ADMM state is from the minimum: a rigorous bound, in float64."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.solvers.couplings import Field
from mrilib.solvers.problem import Problem


@dataclass(frozen=True)
class Certificate:
    """Image with its objective `P` and a lower bound `D` of the minimum, all in float64."""

    image: Complex[Tensor, "*batch y x"]
    objective: Float[Tensor, "*batch"]
    dual: Float[Tensor, "*batch"]


def certify(problem: Problem, reflected: Field) -> Certificate:
    """Objective at the image `x` that a field `v` leads to, and a lower bound of the minimum.

    For any `v`, with `ŵ = ρ(∇x − v)`, the normal equations give `∇ᵀŵ = Aᴴq` for the residual
    `q = y − Ax`, so that `t·q` is feasible for the dual problem as long as `t‖ŵ‖ ≤ λ` in the dual norm, and

        `D = t·Re⟨q, y⟩ − ½t²‖q‖²`,   `t = max(0, min(λ/‖ŵ‖, Re⟨q, y⟩/‖q‖²))`.

    So `v` may be that of a state or an average over steps, which swings less. And `ŵ` may be replaced by
    any field of the same `∇ᵀ`: what exceeds `λ` is cut off and its gradient part put back,
    `ŵ ← ŵ − c + ∇(∇ᵀ∇)⁺∇ᵀc`. Both lower `‖ŵ‖`; the bound stays rigorous.

    Source: our choice; Fenchel duality for the problem of [goldstein2009]. Average and cut are ours: at 40
    lines they certify 1e-4 after 260 to 420 steps instead of 300 to over 700.
    """
    problem = problem.to(torch.complex128)
    reflected = reflected.to(torch.complex128)
    rho, weight = problem.rho[..., None, None], problem.weight[..., None, None, None]
    transformed = (problem.data + rho * torch.fft.fft2(divergence(reflected))) * problem.inverse()
    image = torch.fft.ifft2(transformed)
    differences = gradient(image)
    residual, correlation = _residual(problem, transformed)
    objective = 0.5 * residual + problem.weight * problem.rule.norm(differences)
    field = rho[..., None] * (differences - reflected)
    excess = problem.rule.shrink(field, weight)
    laplacian = laplacian_spectrum(*problem.spectrum.shape, dtype=torch.float64, device=field.device)
    laplacian[0, 0] = 1.0  # the mean of ∇ᵀc is zero
    restored = gradient(torch.fft.ifft2(torch.fft.fft2(divergence(excess)) / laplacian))
    size = problem.rule.dual_norm(field - excess + restored)
    tiny = torch.finfo(torch.float64).tiny
    scale = torch.minimum(
        problem.weight / size.clamp(min=tiny), correlation / residual.clamp(min=tiny)
    ).clamp(min=0.0)
    dual = scale * correlation - 0.5 * scale.square() * residual
    return Certificate(image, objective, dual)


def _residual(problem: Problem, transformed: Tensor) -> tuple[Tensor, Tensor]:
    """`‖q‖²` and `Re⟨q, y⟩` for `q = y − Ax`, from the transform of the image."""
    pixels = transformed.shape[-2] * transformed.shape[-1]
    parts, data = torch.view_as_real(transformed), torch.view_as_real(problem.data)
    measured = (parts * data).sum((-3, -2, -1)) / pixels  # Re⟨Ax, y⟩
    square = (problem.spectrum[..., None] * parts.square()).sum((-3, -2, -1)) / pixels  # ‖Ax‖²
    return problem.energy - 2.0 * measured + square, problem.energy - measured
