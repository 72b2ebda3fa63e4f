"""What convex models have in common: checks of their arguments, a certified solution, and its derivative."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mrilib.operators.base import LinearOperator
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.posed import Posed
from mrilib.solvers.solution import Solution
from mrilib.store.classes import load_class


class Convex(Reconstructor):
    """A minimiser, solved to a certified relative accuracy by what serves the operator.

    A subclass names in `on_one_coil` and `on_coils` the classes of `mrilib.solvers.posed` that pose its
    problem, which are loaded when they are needed.

    Args:
        weight: `λ > 0`, used as given, in the units of the image.
        tolerance: relative duality gap `(P − D)/P` at which it stops; the true error of the objective is
            smaller. Below about 1e-5 the last steps run in float64.
        max_steps: steps after which it gives up.
        differentiation: `Implicit` (the derivative of the minimiser) or `Unrolled`. The latter's image with
            gradient is the one after its fixed steps; `solve`, and a call without gradient, still minimise.

    Raises:
        ValueError: for arguments out of range.
    """

    family = "sparse"
    search_on_coils = "mrilib.attacks.searches.coupled_coils:CoupledSplitting"
    joint = "mrilib.attacks.searches.joint_convex:ConvexStep"
    unrolled = "mrilib.attacks.searches.unrolled_convex:ConvexUnrolling"
    through_adjoint = True
    # Certified to 1e-3 on a core (docs/performance.md).
    seconds_on_coils = 20.0

    def __init__(
        self, *, weight: float, tolerance: float, max_steps: int, differentiation: Implicit | Unrolled
    ) -> None:
        name = type(self).__name__
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"{name}: expected weight > 0, got {weight}")
        if not 0 < tolerance < 1:
            raise ValueError(f"{name}: expected 0 < tolerance < 1, got {tolerance}")
        if max_steps < 1:
            raise ValueError(f"{name}: expected max_steps >= 1, got {max_steps}")
        self.weight, self.tolerance, self.max_steps = float(weight), float(tolerance), int(max_steps)
        self.differentiation = differentiation

    @property
    @abstractmethod
    def model(self) -> dict[str, Any]:
        """What is minimised: the arguments of the classes that pose the problem."""

    def steps_on(self, operator: LinearOperator) -> bool:
        """Whether its problem there can be taken step by step (`ScaledProblem.coupled`)."""
        path = self._path(operator)
        return path is not None and hasattr(load_class(path, Posed), "coupled")

    def _path(self, operator: LinearOperator) -> str | None:
        """Import path of what poses the problem there."""
        if isinstance(operator, CoilFourier):
            return self.on_coils
        return self.on_one_coil if isinstance(operator, MaskedFourier) else None

    def posed(self, kspace: Tensor, operator: LinearOperator) -> Posed:
        """The problem of `kspace`.

        Raises:
            ValueError: for k-space that is real or not finite, for an operator that is neither
                `MaskedFourier` nor `CoilFourier`, and for what the problem's class refuses.
        """
        path = self._path(operator)
        if path is None:
            raise ValueError(
                f"{type(self).__name__}: expected a MaskedFourier or CoilFourier operator, got "
                f"{type(operator).__name__}"
            )
        check_kspace(kspace, type(self).__name__)
        found: Posed = load_class(path, Posed)(kspace.detach(), operator, **self.model)
        return found

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Image `(*batch, y, x)` of `kspace` `(*batch, ky, kx)`, multi-coil `(*batch, coil, ky, kx)`."""
        if not (torch.is_grad_enabled() and kspace.requires_grad):
            return self.solve(kspace, operator).value
        posed = self.posed(kspace, operator)
        data = posed.data(kspace)
        if isinstance(self.differentiation, Unrolled):
            return posed.image(posed.unroll(data, self.differentiation.steps))
        return posed.image(_Argmin.apply(data, posed, self))

    @torch.no_grad()
    def solve(
        self, kspace: Tensor, operator: LinearOperator, *, start: Any = None, throw: bool = True
    ) -> Solution:
        """Image with its certificate.

        Args:
            kspace: `(*batch, ky, kx)`, multi-coil `(*batch, coil, ky, kx)`.
            operator: the `MaskedFourier` or `CoilFourier` that measured it.
            start: `Solution.state` of an earlier solve of a nearby weight and nearby k-space.
            throw: raise if an item does not reach the tolerance; else its status says so.

        Returns:
            Image; `stats`, one entry an item: `objective` `P` (in the units of k-space squared), `gap` `g`,
            `steps`, and `error_bound` `√(2gP) ≥ ‖A(z − z*)‖₂`, for `½‖Az − y‖²` grows at least by half the
            square of what `Az` changes from the minimiser.
        """
        posed = self.posed(kspace, operator)
        solution = posed.minimise(
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            start=None if start is None else start.reshape(-1),
            throw=throw,
        )
        batch = posed.scale.shape
        stats = {key: value.reshape(batch) for key, value in solution.stats.items()}
        stats["objective"] = stats["objective"] * posed.scale.double().square()
        stats["error_bound"] = (2.0 * stats["gap"].clamp(min=0.0) * stats["objective"]).sqrt()
        state = solution.state.reshape(*batch)
        return Solution(posed.image(solution.value), solution.status, stats, state)


class _Argmin(torch.autograd.Function):
    """`data → argmin` of a posed problem, differentiated at the solution."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, posed: Posed, method: Convex) -> Tensor:
        solution = posed.minimise(
            tolerance=method.tolerance, max_steps=method.max_steps, start=None, throw=True
        )
        ctx.posed, ctx.state, ctx.differentiation = posed, solution.state, method.differentiation
        return solution.value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        derivative = ctx.posed.derivative(
            ctx.state,
            cotangent,
            tolerance=ctx.differentiation.tolerance,
            max_steps=ctx.differentiation.max_steps,
        )
        return derivative, None, None
