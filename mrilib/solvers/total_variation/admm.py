"""ADMM for total variation with Fourier data: to a certified accuracy, and linearised at a solution."""

import math
from dataclasses import replace

import torch

from mrilib.operators.gradient import gradient
from mrilib.solvers.couplings import Field
from mrilib.solvers.solution import NotConvergedError, Solution, Status, linearised_solution
from mrilib.solvers.total_variation.certificate import Certificate, certify
from mrilib.solvers.total_variation.loops import Iteration
from mrilib.solvers.total_variation.problem import (
    OVER_RELAXATION,
    Problem,
    WarmStart,
    image_of,
    initial_state,
)

FIRST_CHECK, SHORTEST_CHECK, LONGEST_CHECK = 50, 20, 80
# A start from zero is first checked when it may have reached the tolerance: a check costs as much as 16
# steps, and at 40 lines the gap falls below 1e-2 at step 50 and tenfold in every 40 more, later slower.
EARLIEST_TOLERANCE, STEPS_A_DECADE = 1e-2, 40
BATCH_CHECK = 40  # of a batch, whose items end apart
LINEAR_CHECK = 40
# Between this relative gap and the next power of ten rounding in float32 begins to hold back the dual.
SINGLE_PRECISION_FLOOR = 1e-4
STALLED_CHECKS = 6


def minimise(
    problem: Problem,
    *,
    tolerance: float,
    max_steps: int,
    start: WarmStart | None = None,
    throw: bool = True,
) -> Solution:
    """Minimise `½‖Az − y‖² + λ‖∇z‖` to a certified relative duality gap.

    An item stops when `(P − D)/P ≤ tolerance`, `P` its best objective and `D` its best dual value so
    far, both in float64 (`certify`). Steps run in the precision of the data and, where float32 cannot
    reach the tolerance, go on in float64.

    Args:
        problem: images of maximum about 1 (the caller scales), with one batch axis; on a CPU without as well.
        tolerance: relative duality gap; the true relative error of the objective is smaller.
        max_steps: steps after which an item gives up.
        start: `Solution.state` of a nearby problem.
        throw: raise if an item gives up.

    Returns:
        Image in the precision of the data; `stats`: `objective`, `gap` (relative), `steps`; `state`.

    Raises:
        NotConvergedError: if an item gives up or turns non-finite, and `throw`.
    """
    if problem.data.ndim == 2:
        solution = _minimise_one(problem, start, tolerance, max_steps)
    elif problem.data.device.type == "cpu":
        # One at a time: a batch leaves the cache and triples the cost of an FFT.
        solution = _gathered(
            [
                _minimise_one(problem[item], None if start is None else start[item], tolerance, max_steps)
                for item in range(problem.data.shape[0])
            ]
        )
    else:
        solution = _minimise_batch(problem, start, tolerance, max_steps)
    solution = replace(solution, state=WarmStart(solution.state, problem.threshold))
    if throw and solution.status is not Status.CONVERGED:
        gap = float(solution.stats["gap"].max())
        raise NotConvergedError(
            f"total variation: {solution.status.value} at relative duality gap {gap:.1e} after "
            f"{int(solution.stats['steps'].max())} steps, expected {tolerance:.1e}; "
            "raise max_steps or tolerance, or pass throw=False",
            solution,
        )
    return solution


def _first_check(tolerance: float, warm: bool) -> int:
    """Steps before the first certificate: from zero, fewer have not been seen to reach the tolerance."""
    if warm or tolerance >= EARLIEST_TOLERANCE:
        return FIRST_CHECK
    return FIRST_CHECK + int(STEPS_A_DECADE * math.log10(EARLIEST_TOLERANCE / tolerance))


def _minimise_one(problem: Problem, start: WarmStart | None, tolerance: float, max_steps: int) -> Solution:
    original = problem.data.dtype
    best: Certificate | None = None
    iteration = Iteration(problem, start)
    dual, gap, stalled = -math.inf, math.inf, 0
    interval = min(_first_check(tolerance, warm=start is not None), max_steps)
    status = Status.MAX_STEPS
    while True:
        iteration.advance(interval)
        found = certify(iteration.problem, iteration.mean())
        dual = max(dual, float(found.dual))
        if best is None or found.objective < best.objective:
            best = found
        objective = float(best.objective)
        if not (math.isfinite(float(found.objective)) and math.isfinite(float(found.dual))):
            status, gap = Status.NOT_FINITE, math.nan
            break
        previous, gap = gap, (objective - dual) / objective if objective > 0 else 0.0
        if gap <= tolerance:
            status = Status.CONVERGED
            break
        if iteration.taken >= max_steps:
            break
        stalled = stalled + 1 if gap > 0.95 * previous else 0
        single = iteration.problem.data.dtype == torch.complex64
        if single and (gap <= SINGLE_PRECISION_FLOOR or stalled >= STALLED_CHECKS):
            iteration.to(torch.complex128)
            stalled = 0
        interval = min(_next_interval(gap, previous, interval, tolerance), max_steps - iteration.taken)
    stats = {
        "objective": best.objective,
        "gap": torch.tensor(gap, dtype=torch.float64),
        "steps": torch.tensor(iteration.taken),
    }
    return Solution(best.image.to(original), status, stats, iteration.state_for(problem).to(original))


def _next_interval(gap: float, previous: float, interval: int, tolerance: float) -> int:
    """Steps until the tolerance if the gap keeps falling as fast as it did, within bounds."""
    if gap >= previous:
        return (SHORTEST_CHECK + LONGEST_CHECK) // 2
    if math.isfinite(previous):
        wanted = interval * math.log(gap / tolerance) / math.log(previous / gap)
    else:
        wanted = STEPS_A_DECADE * math.log10(gap / tolerance)
    return int(min(max(wanted, SHORTEST_CHECK), LONGEST_CHECK))


def _minimise_batch(problem: Problem, start: WarmStart | None, tolerance: float, max_steps: int) -> Solution:
    """All items of a batch at once on a GPU; those that are done leave the batch."""
    items = torch.arange(problem.data.shape[0], device=problem.data.device)
    image = torch.zeros_like(problem.data)
    final = initial_state(problem)
    objective = torch.full(items.shape, math.inf, dtype=torch.float64, device=items.device)
    dual, gap = -objective, objective.clone()
    steps = torch.zeros_like(items)
    iteration, original = Iteration(problem, start), problem.data.dtype
    interval = min(_first_check(tolerance, warm=start is not None), max_steps)
    while items.numel():
        iteration.advance(interval)
        interval = min(BATCH_CHECK, max_steps - iteration.taken)
        found = certify(iteration.problem, iteration.mean())
        better = found.objective < objective[items]
        image[items[better]] = found.image[better].to(original)
        objective[items] = torch.minimum(objective[items], found.objective)
        dual[items] = torch.maximum(dual[items], found.dual)
        gap[items] = (objective[items] - dual[items]) / objective[items].clamp(
            min=torch.finfo(torch.float64).tiny
        )
        gap[items] = torch.where(found.objective.isfinite(), gap[items], math.nan)
        steps[items] = iteration.taken
        final[items] = iteration.state_for(problem[items]).to(original)
        going = (gap[items] > tolerance) & (iteration.taken < max_steps)
        items = items[going]
        if not bool(going.all()):
            iteration.keep(going)
        if (
            iteration.problem.data.dtype == torch.complex64
            and items.numel()
            and (bool((gap[items] <= SINGLE_PRECISION_FLOOR).all()) or iteration.taken >= max_steps // 2)
        ):
            iteration.to(torch.complex128)
    status = Status.CONVERGED
    if gap.isnan().any():
        status = Status.NOT_FINITE
    elif bool((gap > tolerance).any()):
        status = Status.MAX_STEPS
    return Solution(image, status, {"objective": objective, "gap": gap, "steps": steps}, final)


def _gathered(solutions: list[Solution]) -> Solution:
    order = [Status.CONVERGED, Status.MAX_STEPS, Status.NOT_FINITE]
    return Solution(
        torch.stack([solution.value for solution in solutions]),
        max((solution.status for solution in solutions), key=order.index),
        {
            key: torch.stack([solution.stats[key] for solution in solutions])
            for key in ("objective", "gap", "steps")
        },
        torch.stack([solution.state for solution in solutions]),
    )


def solve_linearised(
    problem: Problem, state: Field, *, tolerance: float, max_steps: int, throw: bool = True
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
    image = torch.zeros_like(problem.data)
    norm, tiny = torch.linalg.vector_norm, torch.finfo(problem.spectrum.dtype).tiny
    residual = torch.tensor(math.inf)
    for taken in range(1, max_steps + 1):
        kept = rule.jacobian(state, tangent, threshold)
        previous, image = image, image_of(problem, inverse, 2.0 * kept - tangent)
        mismatch = gradient(image) - kept
        tangent = tangent + OVER_RELAXATION * mismatch
        if taken == 1:
            least = norm(gradient(image), dim=(-3, -2, -1)), norm(image, dim=(-2, -1))
        if taken % LINEAR_CHECK == 0 or taken == max_steps:
            differences = norm(gradient(image), dim=(-3, -2, -1)).maximum(least[0]).clamp(min=tiny)
            size = norm(image, dim=(-2, -1)).maximum(least[1]).clamp(min=tiny)
            residual = torch.maximum(
                norm(mismatch, dim=(-3, -2, -1)) / differences, norm(image - previous, dim=(-2, -1)) / size
            ).max()
            if not bool(residual.isfinite()) or residual <= tolerance:
                break
    return linearised_solution(
        "total variation", image, residual=residual, steps=taken, tolerance=tolerance, throw=throw
    )
