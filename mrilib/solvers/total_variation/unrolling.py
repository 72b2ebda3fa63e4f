"""Derivatives through a fixed number of plain ADMM steps."""

from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.gradient import divergence, gradient
from mrilib.solvers.couplings import Field
from mrilib.solvers.total_variation.fused import FusedLoop
from mrilib.solvers.total_variation.problem import VariationProblem, step


def unroll(problem: VariationProblem, state: Field, steps: int) -> Complex[Tensor, "*batch y x"]:
    """Image after `steps` plain steps (`α = 1`) from `state`, differentiable in `problem.data`.

    One split image on a CPU takes the fused kernels and a backward pass written out; anything else is
    left to autograd, which is the reference of the former and differentiates `state` too.
    """
    if problem.coupling == "split" and problem.data.ndim == 2 and problem.data.device.type == "cpu":
        return _FusedUnroll.apply(problem.data, problem, state, steps)
    inverse = problem.inverse()
    image = torch.zeros_like(problem.data)
    for _ in range(steps):
        state, image = step(problem, inverse, state, relaxation=1.0)
    return image


def state_after(problem: VariationProblem, state: Field, steps: int) -> Field:
    """State after `steps` plain steps, without derivative."""
    inverse = problem.inverse()
    with torch.no_grad():
        for _ in range(steps):
            state, _ = step(problem, inverse, state, relaxation=1.0)
    return state


class _FusedUnroll(torch.autograd.Function):
    """With `M = 1[|s| > τ]` of every step kept (a bit a number), the adjoint of a step is

    `q = (AᴴA + ρ∇ᵀ∇)⁻¹(∇ᵀs̄ + x̄)`,   `b̄ ← b̄ + q`,   `s̄ ← M·ρ∇q + (1 − M)·(s̄ − ρ∇q)`.
    """

    @staticmethod
    def forward(ctx: Any, data: Tensor, problem: VariationProblem, state: Field, steps: int) -> Tensor:
        loop = FusedLoop(problem, paired=False, relaxation=1.0)
        loop.load(state)
        ctx.active = []
        for taken in range(steps):
            if taken:
                loop.update()
            ctx.active.append(loop.active())
            loop.solve()
        ctx.problem, ctx.inverse = problem, torch.from_numpy(loop.inverse)
        return torch.view_as_complex(torch.from_numpy(loop.image).unflatten(-1, (-1, 2))).clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None, None]:
        total = torch.zeros_like(cotangent)
        adjoint = torch.zeros((2, *cotangent.shape), dtype=cotangent.dtype)
        incoming = cotangent
        for active in reversed(ctx.active):
            filtered = torch.fft.ifft2(torch.fft.fft2(incoming) * ctx.inverse)
            total += filtered
            slopes = ctx.problem.rho * gradient(filtered)
            parts = torch.where(active, torch.view_as_real(slopes), torch.view_as_real(adjoint - slopes))
            adjoint = torch.view_as_complex(parts)
            incoming = divergence(adjoint)
        return torch.fft.fft2(total) / total.numel(), None, None, None
