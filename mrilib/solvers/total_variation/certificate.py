"""How far an ADMM state is from the minimum: a rigorous bound, in float64."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.operators.transforms import fft2, ifft2
from mrilib.solvers.certificate import Certificate, bound
from mrilib.solvers.couplings import Field
from mrilib.solvers.field_parts import RULES, interleaved
from mrilib.solvers.total_variation import bound_kernels
from mrilib.solvers.total_variation.loops import is_single, loop_from
from mrilib.solvers.total_variation.problem import VariationProblem

# Steps towards a dual field that is feasible, and their over-relaxation. In all couplings, at gaps between
# 1e-2 and 1e-6, more than four bring less than they cost; with 1.4 to 1.95 they end at larger gaps.
DUAL_STEPS, DUAL_RELAXATION = 4, 1.0


def certify(problem: VariationProblem, reflected: Field) -> Certificate:
    """Objective at the image `x` that a field `v` leads to, and a lower bound of the minimum.

    A field `ŵ` with `∇ᵀŵ = Aᴴq` for some `q` makes `t·q` feasible for the dual problem as long as
    `t‖ŵ‖ ≤ λ` in the dual norm, so that

        `D = t·Re⟨q, y⟩ − ½t²‖q‖²`,   `t = max(0, min(λ/‖ŵ‖, Re⟨q, y⟩/‖q‖²))`

    bounds the minimum from below; what of `y` lies outside the range of `A` adds half its square. Such fields
    are those of which `∇ᵀŵ` vanishes at the frequencies that nothing measures: a subspace `V`. For any `v`
    the normal equations put `ŵ = ρ(∇x − v)` there. It exceeds `λ` at some pixels, and scaling all of it by
    `λ/‖ŵ‖` for them costs most of the bound. So a few steps of Douglas and Rachford go from `ŵ` towards a
    field that is in `V` and within `λ`: the steps of `fused` without data, with `(ρ∇ᵀ∇)⁺` on the unmeasured
    frequencies for `(AᴴA + ρ∇ᵀ∇)⁻¹`, in the precision of the problem. Their field within `λ` is projected
    onto `V` in float64, which makes the bound rigorous, and scaled by what is left to scale.

    `v` may be that of a state or an average over steps, which swings less.

    Args:
        problem: with a batch axis, or without on a CPU.
        reflected: `v`.

    Source: our choice; Fenchel duality for the problem of [goldstein2009], and [eckstein1992] for the steps.
    With ρ = 7√λ, 40 lines, they bring a certified 1e-4 from 220–306 steps to 160–215, at the cost of 3 each.
    """
    return _certify_one(problem, reflected) if is_single(reflected) else certify_batch(problem, reflected)


def certify_batch(problem: VariationProblem, reflected: Field) -> Certificate:
    """`certify` in plain torch, for a batch on any device."""
    double, wide = problem.to(torch.complex128), reflected.to(torch.complex128)
    rho = double.rho[..., None, None]
    transformed = (double.data + rho * torch.fft.fft2(divergence(wide))) * double.inverse()
    image = torch.fft.ifft2(transformed)
    pixels = image.shape[-2] * image.shape[-1]
    measured = _inner(transformed, double.data) / pixels  # Re⟨Ax, y⟩
    square = _inner(transformed, double.spectrum * transformed) / pixels  # ‖Ax‖²
    differences = gradient(image)
    objective = 0.5 * (double.energy - 2.0 * measured + square) + double.weight * double.rule.norm(
        differences
    )
    field = rho[..., None] * _towards_feasible(problem, differences - wide)
    spectrum = torch.fft.fft2(divergence(field))
    whitening = torch.where(double.spectrum > 0, 1.0 / (pixels * double.spectrum), 0.0)
    outside = torch.fft.ifft2(spectrum * _unmeasured(double))
    dual = bound(
        double.weight,
        double.rule.dual_norm(field - gradient(outside)),
        _inner(spectrum, whitening * double.data),
        _inner(spectrum, whitening * spectrum),
    )
    beyond = double.energy - _inner(double.data, whitening * double.data)
    return Certificate(image, objective, dual + 0.5 * beyond)


def _certify_one(problem: VariationProblem, reflected: Field) -> Certificate:
    """`certify` for one image on a core: the same in fused loops, with four transforms in float64."""
    double = problem.to(torch.complex128)
    weights, data, rule = double.spectrum.numpy(), interleaved(double.data), RULES[problem.coupling]
    laplacian = laplacian_spectrum(*weights.shape, dtype=torch.float64).numpy()
    rho, weight, energy = float(double.rho), float(double.weight), float(double.energy)
    pixels, slopes = torch.empty_like(double.data), interleaved(reflected.resolve_conj())
    bound_kernels.divergence(slopes, interleaved(pixels))
    transformed = fft2(pixels)
    measured, square = bound_kernels.solve(interleaved(transformed), data, weights, laplacian, rho)
    image = ifft2(transformed)
    field = torch.empty(reflected.shape, dtype=torch.complex128)
    norm = bound_kernels.subtract(interleaved(image), slopes, rule, interleaved(field))
    objective = 0.5 * (energy - 2.0 * measured + square) + weight * norm
    within = interleaved(_towards_feasible(problem, field))
    bound_kernels.divergence(within, interleaved(pixels))
    transformed = fft2(pixels, transformed)
    correlation, square, inside = bound_kernels.project(interleaved(transformed), data, weights, laplacian)
    size = bound_kernels.largest(within, interleaved(ifft2(transformed, pixels)), rule)
    values = (weight, rho * size, rho * correlation, rho * rho * square, energy - inside, objective)
    *scaled, beyond, least = torch.tensor(values, dtype=torch.float64).unbind()
    return Certificate(image, least, bound(*scaled) + 0.5 * beyond)


def _towards_feasible(problem: VariationProblem, field: Field) -> Field:
    """`ŵ/ρ` within `λ/ρ`, after some steps from `field` towards `V`."""
    loop = loop_from(
        replace(problem, data=torch.zeros_like(problem.data)),
        field.to(problem.data.dtype),
        inverse=_unmeasured(problem) / problem.rho[..., None, None],
        relaxation=DUAL_RELAXATION,
    )
    for _ in range(DUAL_STEPS):
        loop.step()
    return loop.clipped()


def _unmeasured(problem: VariationProblem) -> Float[Tensor, "y x"]:
    """Spectrum of `(∇ᵀ∇)⁺` where nothing is measured, zero elsewhere."""
    spectrum = problem.spectrum
    laplacian = laplacian_spectrum(*spectrum.shape, dtype=spectrum.dtype, device=spectrum.device)
    return torch.where((spectrum > 0) | (laplacian == 0), 0.0, 1.0 / laplacian)


def _inner(first: Tensor, second: Tensor) -> Float[Tensor, "*batch"]:
    """`Re⟨a, b⟩` of images."""
    return (torch.view_as_real(first) * torch.view_as_real(second)).sum((-3, -2, -1))
