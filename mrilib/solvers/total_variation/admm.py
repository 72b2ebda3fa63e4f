"""ADMM for total variation with Fourier data: to a certified accuracy, and linearised at a solution.

The driver is that of `certified`. What differs from other iterations: the certificate is that of an average
over steps; it costs as much as 16 steps, so that checks come when the tolerance may have been reached; and
one image on a CPU runs in loops that have no batch axis.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.fourier import MaskedFourier
from mrilib.operators.gradient import gradient
from mrilib.solvers.certificate import Certificate
from mrilib.solvers.certified import Run, extrapolated
from mrilib.solvers.certified import minimise as certified
from mrilib.solvers.couplings import Field
from mrilib.solvers.linearised import settled
from mrilib.solvers.posed import Posed
from mrilib.solvers.solution import Solution
from mrilib.solvers.total_variation.certificate import certify
from mrilib.solvers.total_variation.loops import Iteration
from mrilib.solvers.total_variation.problem import (
    OVER_RELAXATION,
    VariationProblem,
    VariationStart,
    image_of,
    initial_state,
    problem_of,
    scaled_data,
    transformed,
)
from mrilib.solvers.total_variation.unrolling import unroll

FIRST_CHECK, CHECKS = 50, (20, 80)
# A start from zero is first checked when it may have reached the tolerance: a check costs as much as 16
# steps, and at 40 lines the gap falls below 1e-2 at step 50 and tenfold in every 40 more, later slower.
EARLIEST_TOLERANCE, STEPS_A_DECADE = 1e-2, 40.0
BATCH_CHECK = 40  # of a batch, whose items end apart
LINEAR_CHECK = 40
# Between this relative gap and the next power of ten rounding in float32 begins to hold back the dual.
SINGLE_PRECISION_FLOOR = 1e-4
STALLED_CHECKS = 6


class BatchRun(Run):
    """The iteration on a batch, as a GPU takes it."""

    rounding = 0.0

    def __init__(self, problem: VariationProblem, start: VariationStart | None) -> None:
        self._problem, self._warm = problem, start is not None
        self._iteration = Iteration(problem, start)

    @property
    def dtype(self) -> torch.dtype:
        return self._iteration.problem.dtype

    def advance(self, steps: int) -> None:
        self._iteration.advance(steps)
        self.taken = self._iteration.taken

    def certify(self) -> Certificate:
        return certify(self._iteration.problem, self._iteration.mean())

    def keep(self, items: Tensor) -> None:
        self._problem = self._problem[items]
        self._iteration.keep(items)

    def to(self, dtype: torch.dtype) -> None:
        self._iteration.to(dtype)

    def left(self, items: Tensor) -> VariationStart:
        state = self._iteration.state_for(self._problem).to(self._problem.dtype)
        return VariationStart(state, self._problem.threshold)[items]

    def first_interval(self, tolerance: float) -> int:
        """From zero, fewer steps have not been seen to reach the tolerance."""
        if self._warm or tolerance >= EARLIEST_TOLERANCE:
            return FIRST_CHECK
        return FIRST_CHECK + int(STEPS_A_DECADE * math.log10(EARLIEST_TOLERANCE / tolerance))

    def next_interval(self, gap: Tensor, previous: Tensor, last: int, tolerance: float) -> int:
        return BATCH_CHECK

    def held_back(self, gap: Tensor, stalled: int, max_steps: int) -> bool:
        return bool((gap <= SINGLE_PRECISION_FLOOR).all()) or self.taken >= max_steps // 2


class ImageRun(BatchRun):
    """The iteration on a single item, in fused loops on a CPU."""

    stalled = 0.95

    def __init__(self, problem: VariationProblem, start: VariationStart | None) -> None:
        super().__init__(problem[0], None if start is None else start[0])

    def certify(self) -> Certificate:
        found = super().certify()
        return Certificate(found.image[None], found.objective[None], found.dual[None])

    def keep(self, items: Tensor) -> None:
        """Nothing to drop: the only item goes on."""

    def left(self, items: Tensor) -> VariationStart:
        state = self._iteration.state_for(self._problem).to(self._problem.dtype)
        return VariationStart(state[None], self._problem.threshold[None])[items]

    def next_interval(self, gap: Tensor, previous: Tensor, last: int, tolerance: float) -> int:
        return extrapolated(gap, previous, last, tolerance, CHECKS, STEPS_A_DECADE)

    def held_back(self, gap: Tensor, stalled: int, max_steps: int) -> bool:
        return bool((gap <= SINGLE_PRECISION_FLOOR).all()) or stalled >= STALLED_CHECKS


class OneCoil(Posed):
    """Total variation of what one coil measured.

    Args:
        kspace: `(*batch, ky, kx)`.
        operator: a `MaskedFourier`.
        weight: `λ`.
        coupling: a key of `COUPLINGS`.

    Raises:
        ValueError: if the mask misses the zero frequency.
    """

    def __init__(self, kspace: Tensor, operator: MaskedFourier, *, weight: float, coupling: str) -> None:
        problem, self.scale = problem_of(kspace, operator, weight=weight, coupling=coupling)
        self._problem, self._operator = problem.reshape(-1), operator

    def data(self, kspace: Tensor) -> Tensor:
        data = transformed(scaled_data(kspace, self._operator, self.scale))
        return data.reshape(-1, *data.shape[-2:])

    def image(self, value: Tensor) -> Complex[Tensor, "*batch y x"]:
        image = value.reshape(*self.scale.shape, *value.shape[-2:])
        return torch.fft.fftshift(image, dim=(-2, -1)) * self.scale[..., None, None]

    def minimise(
        self, *, tolerance: float, max_steps: int, start: VariationStart | None, throw: bool
    ) -> Solution:
        return minimise(self._problem, tolerance=tolerance, max_steps=max_steps, start=start, throw=throw)

    def unroll(self, data: Tensor, steps: int) -> Tensor:
        problem = replace(self._problem, data=data)
        return unroll(problem, initial_state(problem), steps)

    def derivative(
        self, start: VariationStart, cotangent: Tensor, *, tolerance: float, max_steps: int
    ) -> Tensor:
        linear = replace(self._problem, data=torch.fft.fft2(cotangent))
        image = solve_linearised(linear, start.field, tolerance=tolerance, max_steps=max_steps).value
        # The data are fft2(Aᴴy): the adjoint of its inverse is the transform over the number of pixels.
        return torch.fft.fft2(image) / (image.shape[-2] * image.shape[-1])


def minimise(
    problem: VariationProblem,
    *,
    tolerance: float,
    max_steps: int,
    start: VariationStart | None = None,
    throw: bool = True,
) -> Solution:
    """Minimise `½‖Az − y‖² + λ‖∇z‖` to a certified relative duality gap: see `certified.minimise`.

    Args:
        problem: images of maximum about 1 (the caller scales), with one batch axis, or a single one without.
        tolerance: relative duality gap; the true relative error of the objective is smaller.
        max_steps: steps after which an item gives up.
        start: `Solution.state` of a nearby problem.
        throw: raise if an item gives up.

    Raises:
        NotConvergedError: if an item gives up or turns non-finite, and `throw`.
    """
    if problem.data.ndim == 2:
        solution = minimise(
            problem.reshape(1),
            tolerance=tolerance,
            max_steps=max_steps,
            start=None if start is None else start.reshape(1),
            throw=throw,
        )
        stats = {key: value[0] for key, value in solution.stats.items()}
        return replace(solution, value=solution.value[0], stats=stats, state=solution.state[0])
    return certified(
        problem,
        ImageRun if problem.device.type == "cpu" else BatchRun,
        tolerance=tolerance,
        max_steps=max_steps,
        start=start,
        throw=throw,
        name="total variation",
    )


def solve_linearised(
    problem: VariationProblem, state: Field, *, tolerance: float, max_steps: int, throw: bool = True
) -> Solution:
    """Solution of the problem linearised at the fixed point `state`, for `problem.data`.

    With `M = S'(s)` the step becomes `t ← t + α(∇a − Mt)`, `a = (AᴴA + ρ∇ᵀ∇)⁻¹(d + ρ∇ᵀ(2M − 1)t)`,
    whose fixed point is `a = P d` with `P` symmetric: the derivative of the minimiser with respect to
    `Aᴴy`, and its adjoint.

    Args:
        problem: the forward problem with `data` replaced by `fft2(d)`, one batch axis.
        state: states of the forward problems at their solutions.
        tolerance: largest `‖∇a − Mt‖/‖∇a‖` and largest relative change of `a` in a step; `a` of the first
            step takes the place of a smaller one, for where the minimiser is flat `∇a` goes to zero.
        max_steps: steps after which it gives up.
        throw: raise if it gives up.

    Returns:
        `a`; `stats`: `steps`, `residual`.

    Raises:
        NotConvergedError: if it gives up, and `throw`.
    """
    rule, threshold, inverse = problem.rule, problem.threshold, problem.inverse()
    tangent = torch.zeros_like(state)

    def step() -> tuple[Tensor, Field, Field]:
        nonlocal tangent
        kept = rule.jacobian(state, tangent, threshold)
        image = image_of(problem, inverse, 2.0 * kept - tangent)
        slopes = gradient(image)
        tangent = tangent + OVER_RELAXATION * (slopes - kept)
        return image, slopes, slopes - kept

    return settled(step, name="total variation", tolerance=tolerance, max_steps=max_steps, throw=throw)
