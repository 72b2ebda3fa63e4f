"""ℓ1 in an orthonormal basis: accelerated proximal gradients to a certified accuracy, and the derivative.

With `c = Ψx`, `x = Ψᴴc` and `b = Aᴴy` (and `‖A‖ ≤ 1`, so that the step is 1), one step is

    `c₊ = S(z − Ψ(AᴴAΨᴴz − b))`,   `z = c₊ + (t − 1)/t₊·(c₊ − c)`,   `t₊ = (1 + √(1 + 4t²))/2`,

`S` the complex soft threshold by λ; `t` starts again whenever `Re⟨z − c₊, c₊ − c⟩ > 0`.

The basis' grid is the image's own; `coils.splitting` takes those of a larger grid.

Source: [beck2009], restart of [odonoghue2015].
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.bases.problem import Coefficients, L1Problem
from mrilib.solvers.bases.shrinkage import shrink
from mrilib.solvers.certificate import Certificate, bound
from mrilib.solvers.coils.data import Coils, Images
from mrilib.solvers.coils.exact_normal import ExactNormal
from mrilib.solvers.coils.posed import SteppedMeasuredProblem
from mrilib.solvers.items import Items
from mrilib.solvers.solution import Solution, linearised_solution


@dataclass(frozen=True)
class MomentumState(Items):
    """Coefficients `c`, extrapolated ones `z`, momentum `t`."""

    axes: ClassVar[Mapping[str, int]] = {"coefficients": 2, "ahead": 2, "momentum": 0}

    coefficients: Coefficients
    ahead: Coefficients
    momentum: Float[Tensor, "batch"]


@dataclass(frozen=True)
class BasisStart(Items):
    """Where a solve ended: the coefficients of the scaled problem."""

    axes: ClassVar[Mapping[str, int]] = {"coefficients": 2}

    coefficients: Complex[Tensor, "*batch cy cx"]

    def state_for(self, problem: "BasisProblem") -> MomentumState:
        """State for `problem`, without momentum."""
        coefficients = self.coefficients.to(problem.dtype)
        return MomentumState(coefficients, coefficients, torch.ones_like(problem.weight))


@dataclass(frozen=True)
class BasisProblem(L1Problem, SteppedMeasuredProblem):
    """The problem where the basis' grid is the image's own."""

    coupled = "mrilib.solvers.bases.coupled:CoupledAnalysis"

    def zero(self) -> MomentumState:
        """State of the zero image."""
        zeros = torch.zeros_like(self.projected)
        return MomentumState(zeros, zeros, torch.ones_like(self.weight))

    def curve(self, coefficients: Coefficients) -> Coefficients:
        """`ΨAᴴAΨᴴ c`."""
        return self.basis.forward(self.measurement.normal(self.basis.adjoint(coefficients)))

    def moved(self, ahead: Coefficients) -> Coefficients:
        """`S(z − Ψ(AᴴAΨᴴz − b))`."""
        slope = self.projected - self.measurement.normal(self.basis.adjoint(ahead))
        return shrink(ahead + self.basis.forward(slope), self.weight[:, None, None])

    def advance(self, state: MomentumState, steps: int) -> MomentumState:
        current, ahead, momentum = state.coefficients, state.ahead, state.momentum
        for _ in range(steps):
            found = self.moved(ahead)
            change = found - current
            against = torch.view_as_real((ahead - found).conj() * change)[..., 0].sum((-2, -1)) > 0
            following = 0.5 * (1.0 + (1.0 + 4.0 * momentum.square()).sqrt())
            share = torch.where(against, 0.0, (momentum - 1.0) / following)
            momentum = torch.where(against, 1.0, following)
            ahead = found + share[:, None, None] * change
            current = found
        return MomentumState(current, ahead, momentum)

    def image(self, state: MomentumState) -> Images:
        return self.basis.adjoint(state.coefficients)

    def certify(self, state: MomentumState, image: Images) -> Certificate:
        """Objective at `image`, and a lower bound of the minimum.

        With `q = y − Ax`, `t·q` is dual feasible for `t‖ΨAᴴq‖∞ ≤ λ`, and then the bound is

            `D = t·Re⟨q, y⟩ − ½t²‖q‖²`,   `t = max(0, min(λ/‖ΨAᴴq‖∞, Re⟨q, y⟩/‖q‖²))`.

        Where all coil maps are zero `Aᴴq` is zero as well: such pixels loosen no bound.
        """
        fit, weight = ExactNormal(self.measurement).fit(image), self.weight.double()
        objective = 0.5 * fit.square + weight * self.basis.forward(fit.image).abs().sum((-2, -1))
        size = self.basis.forward(fit.slope).abs().amax((-2, -1))
        return Certificate(fit.image, objective, bound(weight, size, fit.correlation, fit.square))

    def left(self, state: MomentumState) -> BasisStart:
        return BasisStart(state.coefficients)

    def unroll(self, data: Coils, steps: int) -> Images:
        """Image after `steps` plain steps (no momentum) from zero, differentiable in `y`."""
        problem = replace(self, projected=self.measurement.adjoint(data))
        coefficients = torch.zeros_like(self.projected)
        for _ in range(steps):
            coefficients = problem.moved(coefficients)
        return self.basis.adjoint(coefficients)

    def derivative(self, start: Any, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d` at the solution that `start` describes: see `solve_linearised`."""
        coefficients = start.coefficients.to(self.dtype)
        return solve_linearised(self, coefficients, direction, tolerance=tolerance, max_steps=max_steps).value


def solve_linearised(
    problem: BasisProblem,
    coefficients: Coefficients,
    direction: Images,
    *,
    tolerance: float,
    max_steps: int,
    throw: bool = True,
) -> Solution:
    """`a = P d`, `P` the symmetric derivative of the minimiser with respect to `Aᴴy` at `coefficients`.

    On the active set (`c ≠ 0`, unit phases `u = c/|c|`) the optimality condition, linearised, is

        `Ψ(AᴴAΨᴴa) + (λ/|c|)(a − Re⟨u, a⟩u) = Ψd`,   `a = 0` elsewhere:

    the modulus is straight along `u` and curved across. Conjugate gradients for `w = ūa`, of which the real
    part is along `u` and the imaginary part across: a coefficient near zero is curved so much that
    `a − Re⟨u, a⟩u` must not be a difference of rounded numbers. Preconditioner: the curvature, and ¼ in
    place of `ΨAᴴAΨᴴ`.

    Args:
        problem: the forward problem.
        coefficients: its solution.
        direction: `d`.
        tolerance: largest relative residual.
        max_steps: conjugate gradient steps after which it gives up.
        throw: raise if it gives up.

    Returns:
        `a` as an image; `stats`: `steps`, `residual`.

    Raises:
        NotConvergedError: if it gives up, and `throw`.
    """
    moduli = coefficients.abs()
    active = moduli > 0
    safe = torch.where(active, moduli, torch.ones_like(moduli))
    # Zero outside the active set, where a vector in the frame of `u` is therefore zero as well.
    unit = coefficients / safe
    curvature = problem.weight[:, None, None] / safe

    def apply(vector: Tensor) -> Tensor:
        curve = unit.conj() * problem.curve(unit * vector)
        return torch.complex(curve.real, curve.imag + curvature * vector.imag)

    def precondition(vector: Tensor) -> Tensor:
        return torch.complex(4.0 * vector.real, vector.imag / (0.25 + curvature))

    right = unit.conj() * problem.basis.forward(direction)
    tiny = torch.finfo(right.real.dtype).tiny
    size = _norm(right).clamp(min=tiny)
    solution, residual, taken = torch.zeros_like(right), right, 0
    search = precondition(residual)
    product = _inner(residual, search)
    worst = (_norm(residual) / size).max()
    while taken < max_steps and bool(worst > tolerance):
        image = apply(search)
        length = (product / _inner(search, image).clamp(min=tiny))[:, None, None]
        solution = solution + length * search
        residual = residual - length * image
        prepared = precondition(residual)
        before, product = product, _inner(residual, prepared)
        search = prepared + (product / before.clamp(min=tiny))[:, None, None] * search
        taken += 1
        worst = (_norm(residual) / size).max()
    return linearised_solution(
        "ℓ1",
        problem.basis.adjoint(unit * solution),
        residual=worst,
        steps=taken,
        tolerance=tolerance,
        throw=throw,
    )


def _inner(first: Tensor, second: Tensor) -> Float[Tensor, "batch"]:
    return (torch.view_as_real(first) * torch.view_as_real(second)).sum((-3, -2, -1))


def _norm(vector: Tensor) -> Float[Tensor, "batch"]:
    return torch.linalg.vector_norm(vector, dim=(-2, -1))
