"""Run an iteration on a batch until each item's duality gap is certified."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from mrilib.solvers.solution import NotConvergedError, Solution, Status
from mrilib.solvers.total_variation.certificate import Certificate

CHECK = 20
# From this relative gap on, rounding in float32 holds back the dual.
SINGLE_PRECISION_FLOOR = 2e-5
STALLED_CHECKS = 8
# Of objectives that agree to this relative difference the later one belongs to the better image.
ROUNDING = 1e-14


class State(Protocol):
    """What an iteration keeps between steps, a tensor an item."""

    def __getitem__(self, items: Tensor) -> Any: ...
    def to(self, dtype: torch.dtype) -> Any: ...


class Iteration(Protocol):
    """A convex problem on a flat batch, and the iteration that solves it."""

    @property
    def dtype(self) -> torch.dtype: ...
    def advance(self, state: Any, steps: int) -> Any:
        """The state some steps later."""

    def certify(self, state: Any, image: Tensor) -> Certificate:
        """Objective at `image` and a lower bound of the minimum, in float64; any image is allowed."""

    def image(self, state: Any) -> Tensor:
        """Image of the state."""

    def __getitem__(self, items: Tensor) -> Any: ...
    def to(self, dtype: torch.dtype) -> Any: ...


def minimise(
    problem: Any, state: Any, *, tolerance: float, max_steps: int, name: str, throw: bool = True
) -> Solution:
    """Run `problem` from `state` until `(P − D)/P ≤ tolerance` for every item.

    `P` is an item's best objective and `D` its best dual value so far, both in float64. Items that are done
    leave the batch. Steps run in the precision of the data and, where float32 cannot reach the tolerance,
    go on in float64. On a CPU items run one at a time: a batch leaves the cache.

    Returns:
        Image in the precision of the data; `stats`: `objective`, `gap` (relative), `steps`; `state`: list of
        the items' states.

    Raises:
        NotConvergedError: if an item gives up or turns non-finite, and `throw`.
    """
    images = problem.image(state)
    count, device = images.shape[0], images.device
    chunk = 1 if device.type == "cpu" else max(count, 1)
    parts = []
    for first in range(0, count, chunk):
        items = torch.arange(first, min(first + chunk, count), device=device)
        parts.append(_run(problem[items], state[items], tolerance, max_steps))
    empty = torch.zeros(0, dtype=torch.float64, device=device)
    stats: dict[str, Any] = {
        key: torch.cat([part.stats[key] for part in parts]) if parts else empty
        for key in ("objective", "gap", "steps")
    }
    value = torch.cat([part.value for part in parts]) if parts else images
    states = [single for part in parts for single in part.state]
    gap = stats["gap"]
    status = Status.CONVERGED
    if bool(gap.isnan().any()):
        status = Status.NOT_FINITE
    elif bool((gap > tolerance).any()):
        status = Status.MAX_STEPS
    solution = Solution(value, status, stats, states)
    if throw and status is not Status.CONVERGED:
        raise NotConvergedError(
            f"{name}: {status.value} at relative duality gap {float(gap.max()):.1e} after "
            f"{int(stats['steps'].max())} steps, expected {tolerance:.1e}; "
            "raise max_steps or tolerance, or pass throw=False",
            solution,
        )
    return solution


def _run(problem: Any, state: Any, tolerance: float, max_steps: int) -> Solution:
    image = torch.zeros_like(problem.image(state))
    original, device = image.dtype, image.device
    items = torch.arange(image.shape[0], device=device)
    objective = torch.full(items.shape, math.inf, dtype=torch.float64, device=device)
    dual, gap, steps = -objective, objective.clone(), torch.zeros_like(items)
    final: list[Any] = [None] * image.shape[0]
    taken, stalled = 0, 0
    tiny = torch.finfo(torch.float64).tiny
    while items.numel():
        interval = min(CHECK, max_steps - taken)
        state = problem.advance(state, interval)
        taken += interval
        current = problem.image(state)
        previous = gap[items]
        broken = ~torch.isfinite(torch.view_as_real(current)).flatten(1).all(1)
        found = problem.certify(state, current)
        better = found.objective <= objective[items] * (1.0 + ROUNDING)
        image[items[better]] = found.image[better].to(original)
        objective[items] = torch.fmin(objective[items], found.objective)
        dual[items] = torch.fmax(dual[items], found.dual)
        now = (objective[items] - dual[items]) / objective[items].clamp(min=tiny)
        gap[items] = torch.where(broken, math.nan, now)
        steps[items] = taken
        going = (gap[items] > tolerance) & (taken < max_steps)
        for place in torch.nonzero(~going).flatten():
            final[int(items[place])] = state[place[None]].to(original)
        stalled = stalled + 1 if bool((gap[items] > 0.98 * previous).all()) else 0
        items, state, problem = items[going], state[going], problem[going]
        single = problem.dtype == torch.complex64
        if (
            single
            and items.numel()
            and (bool((gap[items] <= SINGLE_PRECISION_FLOOR).all()) or stalled >= STALLED_CHECKS)
        ):
            double = torch.complex128
            problem, state = problem.to(double), state.to(double)
    return Solution(image, Status.CONVERGED, {"objective": objective, "gap": gap, "steps": steps}, final)


def joined(states: list[Any]) -> Any:
    """The states of single items as one state of a batch."""
    kind = type(states[0])
    return kind(*(torch.cat([getattr(one, name) for one in states]) for name in kind.__dataclass_fields__))
