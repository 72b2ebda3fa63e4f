"""Linear reconstructions: controls whose worst case is known."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mrilib.operators.base import LinearOperator
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.solvers.conjugate_gradients import conjugate_gradients
from mrilib.solvers.solution import NotConvergedError, Solution, Status


class ZeroFilled(Reconstructor):
    """`Aᴴ y`: missing k-space left at zero.

    A perturbation `e` on the mask changes the image by `Aᴴe`, whatever the image. So the largest single
    pixel that `‖e‖ ≤ η` reaches is `η·√m/n` on an n×n image with m samples, by the spike, and its
    amplification is 1.
    """

    family: ClassVar[str] = "linear"
    word: ClassVar[str] = "zero-filled"
    through_adjoint = True

    def response(self, normal: Tensor, right: Tensor) -> Tensor:
        """`b`: see `Reconstructor.response`."""
        return right

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        check_kspace(kspace, "ZeroFilled")
        return operator.adjoint(kspace)


class Tikhonov(Reconstructor):
    """Minimise `½‖Az − y‖² + ½λ‖z‖²`: `z = (AᴴA + λ)⁻¹ Aᴴy`, by conjugate gradients.

    Linear, so its worst perturbation is a singular vector. With coil maps and small `λ` it is SENSE
    [pruessmann2001].

    Args:
        weight: `λ > 0`, used as given; `‖A‖ ≤ 1`.
        tolerance: relative residual of the normal equations at which it stops; the relative error of the
            image is at most `1/λ + 1` times that.
        max_steps: steps after which it gives up.

    Raises:
        ValueError: for arguments out of range, and k-space that is real or not finite.
        NotConvergedError: if it gives up.
    """

    family: ClassVar[str] = "linear"
    word: ClassVar[str] = "tikhonov"
    through_adjoint = True
    # On a core (docs/performance.md).
    seconds_on_coils = 10.0

    def __init__(self, *, weight: float, tolerance: float = 1e-5, max_steps: int = 1000) -> None:
        if not (math.isfinite(weight) and weight > 0 and 0 < tolerance < 1 and max_steps >= 1):
            raise ValueError(
                "Tikhonov: expected weight > 0, 0 < tolerance < 1 and max_steps >= 1, "
                f"got {weight}, {tolerance} and {max_steps}"
            )
        self.weight, self.tolerance, self.max_steps = float(weight), float(tolerance), int(max_steps)

    def response(self, normal: Tensor, right: Tensor) -> Tensor:
        """`(AᴴA + λ)⁻¹b`: see `Reconstructor.response`."""
        identity = torch.eye(normal.shape[-1], dtype=normal.dtype, device=normal.device)
        return torch.linalg.solve(normal + self.weight * identity, right)

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        check_kspace(kspace, "Tikhonov")
        return _Inverse.apply(operator.adjoint(kspace), self, operator)

    @torch.no_grad()
    def solve(
        self, kspace: Tensor, operator: LinearOperator, *, start: Tensor | None = None, throw: bool = True
    ) -> Solution:
        """Image; `stats`, one entry an item: see below.

        - `residual`: `‖r‖₂/‖Aᴴy‖₂` of `r = Aᴴy − (AᴴA + λ)z`;
        - `steps`: until it was reached;
        - `error_bound`: `‖r‖₂/√λ ≥ ‖A(z − z*)‖₂`, for the error is `(AᴴA + λ)⁻¹r`.

        `start`: an image to begin from.
        """
        check_kspace(kspace, "Tikhonov")
        return self._solve(operator.adjoint(kspace), operator, start, throw)

    def _solve(self, right: Tensor, operator: LinearOperator, start: Tensor | None, throw: bool) -> Solution:
        found = conjugate_gradients(
            lambda image: self._normal(image, operator),
            right,
            start=start,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
        )
        status = Status.CONVERGED if found.reached else Status.MAX_STEPS
        if not bool(found.energy.isfinite().all()):
            status = Status.NOT_FINITE
        bound = found.energy.sqrt() / math.sqrt(self.weight)
        stats = {"residual": found.relative, "steps": found.steps, "error_bound": bound}
        solution = Solution(found.image, status, stats, found.image)
        if throw and status is not Status.CONVERGED:
            raise NotConvergedError(
                f"Tikhonov: {status.value}, relative residual {float(found.relative.max()):.1e} after "
                f"{int(found.steps.max())} steps, expected at most {self.tolerance:.1e}; raise max_steps, "
                "the weight or the tolerance",
                solution,
            )
        return solution

    def _normal(self, image: Tensor, operator: LinearOperator) -> Tensor:
        return operator.adjoint(operator.forward(image)) + self.weight * image


class _Inverse(torch.autograd.Function):
    """`Aᴴy → (AᴴA + λ)⁻¹Aᴴy`, its own adjoint."""

    @staticmethod
    def forward(ctx: Any, right: Tensor, method: Tikhonov, operator: LinearOperator) -> Tensor:
        ctx.method, ctx.operator = method, operator
        return method._solve(right, operator, None, throw=True).value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        return ctx.method._solve(cotangent, ctx.operator, None, throw=True).value, None, None
