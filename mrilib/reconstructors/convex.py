"""What convex models have in common: checks of their arguments, and the derivative of a minimiser."""

import math
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mrilib.solvers.coils.data import Scaled
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.solution import Solution


@runtime_checkable
class Problem(Protocol):
    """A convex problem on a flat batch of measurements, as the solvers for coils and for bases pose it."""

    @property
    def measurement(self) -> Any: ...
    def minimise(
        self, *, tolerance: float, max_steps: int, start: Any = None, throw: bool = True
    ) -> Solution: ...
    def unroll(self, data: Tensor, steps: int) -> Tensor: ...
    def derivative(self, state: Any, cotangent: Tensor, *, tolerance: float, max_steps: int) -> Tensor: ...


@runtime_checkable
class Method(Protocol):
    """How such a problem is solved, and differentiated."""

    tolerance: float
    max_steps: int
    differentiation: Implicit | Unrolled


def check_arguments(where: str, weight: float, tolerance: float, max_steps: int) -> None:
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"{where}: expected weight > 0, got {weight}")
    if not 0 < tolerance < 1:
        raise ValueError(f"{where}: expected 0 < tolerance < 1, got {tolerance}")
    if max_steps < 1:
        raise ValueError(f"{where}: expected max_steps >= 1, got {max_steps}")


def solved(
    method: Method,
    scaled: Scaled,
    problem: Problem,
    start: Any,
    throw: bool,
) -> Solution:
    """The certified minimiser of a scaled problem, in the units and the batch shape of the data."""
    solution = problem.minimise(
        tolerance=method.tolerance,
        max_steps=method.max_steps,
        start=None if start is None else start.reshape(-1),
        throw=throw,
    )
    stats = {key: value.reshape(scaled.batch) for key, value in solution.stats.items()}
    stats["objective"] = stats["objective"] * scaled.scale.double().square().reshape(scaled.batch)
    state = solution.state.reshape(*scaled.batch)
    return Solution(scaled.image(solution.value), solution.status, stats, state)


def differentiable(
    method: Method,
    scaled: Scaled,
    problem: Problem,
    kspace: Tensor,
    operator: Any,
) -> Tensor:
    if isinstance(method.differentiation, Unrolled):
        image = problem.unroll(scaled.data(kspace, operator), method.differentiation.steps)
    else:
        image = _Argmin.apply(scaled.data(kspace, operator), problem, method)
    return scaled.image(image)


class _Argmin(torch.autograd.Function):
    """`y → argmin` of a scaled problem: its derivative is `P Aᴴ` with `P` symmetric."""

    @staticmethod
    def forward(
        ctx: Any,
        data: Tensor,
        problem: Problem,
        method: Method,
    ) -> Tensor:
        solution = problem.minimise(tolerance=method.tolerance, max_steps=method.max_steps)
        ctx.problem, ctx.state, ctx.differentiation = problem, solution.state, method.differentiation
        return solution.value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        image = ctx.problem.derivative(
            ctx.state,
            cotangent,
            tolerance=ctx.differentiation.tolerance,
            max_steps=ctx.differentiation.max_steps,
        )
        return ctx.problem.measurement.forward(image), None, None
