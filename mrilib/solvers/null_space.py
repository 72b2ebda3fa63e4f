"""How much of an error the measurement cannot see."""

import math

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.solvers.conjugate_gradients import conjugate_gradients

# What is left of the residual of `(AᴴA + τ)v = e`, relative; its norm may be wrong by as much.
TOLERANCE, MAX_STEPS = 1e-4, 500
# Our choice, for coil maps with Σ|S_c|² = 1, so that AᴴA has eigenvalues from 0 to 1: what the data have
# with a hundredth of the energy that full sampling would give is seen by halves. Its inversion makes noise
# 1/√τ = 10 times as large.
WEIGHT = 1e-2


def null_space_share(
    error: Complex[Tensor, "y x"], operator: MeasurementOperator, *, weight: float = WEIGHT
) -> float:
    """Share of the energy of an error `e = rec − x` that the data do not determine.

    - one coil: `‖(1 − A†A)e‖²/‖e‖²`, of the component in the kernel of `A`;
    - several: `‖τ(AᴴA + τ)⁻¹e‖²/‖e‖²`. There `A` is injective where coils see anything, so that no error is
      in its kernel, and what is measured weakly takes its place: of a direction with `AᴴA v = σ²v` the
      share counted is `(τ/(σ² + τ))²`. By conjugate gradients, in double precision.

    Both are between 0 and 1: near 1 the error is what the method put where the data say nothing, near 0 the
    method contradicts its data.

    Args:
        error: complex, on the whole grid: moduli have lost the phase that the measurement sees.
        operator: `A`.
        weight: `τ`, of several coils alone.

    Returns:
        The share; NaN for no error at all.

    Raises:
        ValueError: if the error is not finite, or `τ` is not positive.
        RuntimeError: if conjugate gradients do not come to the tolerance.

    Source: our choice.
    """
    if not torch.isfinite(torch.view_as_real(error)).all():
        raise ValueError("null_space_share: expected a finite error; count what failed as missing")
    if not weight > 0:
        raise ValueError(f"null_space_share: expected a positive weight τ, got {weight}")
    size = float(norm2(error.to(torch.complex128)))
    if size == 0:
        return math.nan
    unit = error.to(torch.complex128) / size
    if operator.kspace_axes == 2:
        hidden = unit - operator.to_image(operator.forward(unit))
        return float(norm2(hidden)) ** 2

    def normal(image: Tensor) -> Tensor:
        return operator.adjoint(operator.forward(image)) + weight * image

    found = conjugate_gradients(normal, unit, tolerance=TOLERANCE, max_steps=MAX_STEPS)
    if not found.reached:
        raise RuntimeError(
            f"null_space_share: expected conjugate gradients to come to {TOLERANCE:g} in {MAX_STEPS} steps, "
            f"got {float(found.relative):.2g}; take a larger weight than {weight:g}"
        )
    return float(norm2(weight * found.image)) ** 2
