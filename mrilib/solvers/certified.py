"""Run an iteration on a batch until each item's duality gap is certified."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from mrilib.solvers.certificate import Certificate
from mrilib.solvers.items import Items
from mrilib.solvers.solution import NotConvergedError, Solution, Status

CHECK = 20
# From this relative gap on, rounding in float32 holds back the dual.
SINGLE_PRECISION_FLOOR = 2e-5
STALLED_CHECKS, STALLED = 8, 0.98
# Of objectives that agree to this relative difference the later one belongs to the better image; an objective
# and a bound that do are equal.
ROUNDING = 1e-14

Given = TypeVar("Given", bound="Problem")


@dataclass(frozen=True)
class Problem(Items, ABC):
    """A convex problem on a flat batch: as many problems as there are items."""

    @property
    @abstractmethod
    def measured(self) -> Tensor:
        """The data, `(batch, ..., y, x)`, of the size, the precision and the device of the image."""

    @property
    def count(self) -> int:
        """Number of items."""
        return self.measured.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.measured.shape[-2], self.measured.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        """The complex type of the image."""
        return self.measured.dtype

    @property
    def device(self) -> torch.device:
        return self.measured.device


class Run(ABC):
    """An iteration under way on the items of a batch that are not done.

    Attributes:
        taken: steps so far.
        stalled: factor on the gap from check to check above which it counts as not falling.
        rounding: relative difference up to which the later of two objectives counts as the smaller.
    """

    taken: int = 0
    stalled: ClassVar[float] = STALLED
    rounding: ClassVar[float] = ROUNDING

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The complex type of the steps."""

    @abstractmethod
    def advance(self, steps: int) -> None:
        """Take `steps` steps."""

    @abstractmethod
    def certify(self) -> Certificate:
        """Objective at the present image, and a lower bound of the minimum."""

    @abstractmethod
    def keep(self, items: Tensor) -> None:
        """Drop the other items."""

    @abstractmethod
    def to(self, dtype: torch.dtype) -> None:
        """Go on in the precision of the complex type `dtype`."""

    @abstractmethod
    def left(self, items: Tensor) -> Items:
        """What a later solve of nearby problems can start from, in the precision of the data."""

    def first_interval(self, tolerance: float) -> int:
        """Steps before the first certificate."""
        return CHECK

    def next_interval(self, gap: Tensor, previous: Tensor, last: int, tolerance: float) -> int:
        """Steps before the next one, from the gaps at this one and at the one before, `last` steps ago."""
        return CHECK

    def held_back(self, gap: Tensor, stalled: int, max_steps: int) -> bool:
        """Whether it is rounding in single precision that keeps the items from smaller gaps.

        Args:
            gap: of the items that go on.
            stalled: checks in a row at which no gap fell.
            max_steps: steps after which items give up.
        """
        return bool((gap <= SINGLE_PRECISION_FLOOR).all()) or stalled >= STALLED_CHECKS


@dataclass(frozen=True)
class BegunProblem(Problem):
    """A problem that knows its iteration."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the model, for messages."""

    @abstractmethod
    def begun(self, start: Any) -> Run:
        """The iteration from a start, else from zero."""

    def minimise(
        self, *, tolerance: float, max_steps: int, start: Any = None, throw: bool = True
    ) -> Solution:
        """To a certified relative duality gap: see `certified.minimise`."""
        return minimise(
            self,
            type(self).begun,
            tolerance=tolerance,
            max_steps=max_steps,
            start=start,
            throw=throw,
            name=self.name,
        )


@dataclass(frozen=True)
class SteppedProblem(BegunProblem):
    """A problem that keeps a state between steps, a dataclass of its own."""

    @abstractmethod
    def zero(self) -> Items:
        """State of the zero image."""

    @abstractmethod
    def advance(self, state: Any, steps: int) -> Any:
        """The state some steps later."""

    @abstractmethod
    def image(self, state: Any) -> Tensor:
        """Image of the state."""

    @abstractmethod
    def certify(self, state: Any, image: Tensor) -> Certificate:
        """Objective at `image` and a lower bound of the minimum, in float64; any image is allowed."""

    @abstractmethod
    def left(self, state: Any) -> Items:
        """What a later solve of nearby problems can start from; its `state_for` is such a problem's state."""

    def begun(self, start: Any) -> Run:
        """The iteration from a start, else from zero."""
        return SteppedRun(self, self.zero() if start is None else start.state_for(self))


class SteppedRun(Run):
    """The iteration of a `SteppedProblem`, from a state."""

    def __init__(self, problem: SteppedProblem, state: Any) -> None:
        self._original = self.problem = problem
        self._state, self._items = state, torch.arange(problem.count, device=problem.device)

    @property
    def dtype(self) -> torch.dtype:
        return self.problem.dtype

    def advance(self, steps: int) -> None:
        self._state = self.problem.advance(self._state, steps)
        self.taken += steps

    def certify(self) -> Certificate:
        return self.problem.certify(self._state, self.problem.image(self._state))

    def keep(self, items: Tensor) -> None:
        self.problem, self._state, self._items = self.problem[items], self._state[items], self._items[items]

    def to(self, dtype: torch.dtype) -> None:
        self.problem, self._state = self.problem.to(dtype), self._state.to(dtype)

    def left(self, items: Tensor) -> Items:
        original = self._original[self._items[items]]
        return original.left(self._state[items].to(original.dtype))


def extrapolated(
    gap: Tensor,
    previous: Tensor,
    last: int,
    tolerance: float,
    bounds: tuple[int, int],
    steps_a_decade: float,
) -> int:
    """Steps until every item's gap is below the tolerance if it keeps falling as fast as it did.

    Args:
        gap: of the items that go on, now.
        previous: the same `last` steps ago, infinite where nothing was known.
        last: steps since then.
        tolerance: relative gap sought.
        bounds: fewest and most steps; their mean for a gap that did not fall.
        steps_a_decade: where nothing was known.
    """
    most = 0.0
    for now, before in zip(gap.tolist(), previous.tolist(), strict=True):
        if now >= before:
            wanted = sum(bounds) / 2
        elif math.isfinite(before):
            wanted = last * math.log(now / tolerance) / math.log(before / now)
        else:
            wanted = steps_a_decade * math.log10(now / tolerance)
        most = max(most, wanted)
    return int(min(max(most, bounds[0]), bounds[1]))


def minimise(
    problem: Given,
    begun: Callable[[Given, Any], Run],
    *,
    tolerance: float,
    max_steps: int,
    start: Any,
    throw: bool,
    name: str,
) -> Solution:
    """Solve a problem until `(P − D)/P ≤ tolerance` for every item.

    On a CPU items run one at a time: a batch leaves the cache, and an FFT then takes three times as long.

    Args:
        problem: what to minimise.
        begun: the iteration, from a problem and a start.
        tolerance: relative duality gap; the true relative error of the objective is smaller.
        max_steps: steps after which an item gives up.
        start: `Solution.state` of a nearby problem, or `None`.
        throw: raise if an item gives up.
        name: of the problem, for messages.

    Returns:
        Image in the precision of the data; `stats`: `objective`, `gap` (relative), `steps`; `state`.

    Raises:
        NotConvergedError: if an item gives up or turns non-finite, and `throw`.
    """
    chunk = 1 if problem.device.type == "cpu" else problem.count
    parts = []
    for first in range(0, problem.count, chunk):
        items = torch.arange(first, min(first + chunk, problem.count), device=problem.device)
        # Whole where it is all: what it has computed once serves derivatives as well.
        part = problem if chunk >= problem.count else problem[items]
        own = None if start is None else start[items]
        parts.append(run(part, begun(part, own), tolerance=tolerance, max_steps=max_steps))
    stats = {key: torch.cat([part.stats[key] for part in parts]) for key in parts[0].stats}
    state = parts[0].state.joined([part.state for part in parts])
    gap = stats["gap"]
    status = _status(gap, tolerance)
    solution = Solution(torch.cat([part.value for part in parts]), status, stats, state)
    if throw and status is not Status.CONVERGED:
        raise NotConvergedError(
            f"{name}: {status.value} at relative duality gap {float(gap.max()):.1e} after "
            f"{int(stats['steps'].max())} steps, expected {tolerance:.1e}; "
            "raise max_steps or tolerance, or pass throw=False",
            solution,
        )
    return solution


def run(problem: Problem, iteration: Run, *, tolerance: float, max_steps: int) -> Solution:
    """Run an iteration of all items at once, until each is done.

    `P` is an item's best objective and `D` its best dual value so far, both in float64. Items that are done
    leave the batch. Steps run in the precision of the data and, where float32 cannot reach the tolerance,
    go on in float64.
    """
    count, original, device = problem.count, problem.dtype, problem.device
    image = torch.zeros((count, *problem.shape), dtype=original, device=device)
    items = torch.arange(count, device=device)
    objective = torch.full((count,), math.inf, dtype=torch.float64, device=device)
    dual, gap, steps = -objective, objective.clone(), torch.zeros_like(items)
    done: list[Tensor] = []
    left: list[Items] = []
    interval, stalled = min(iteration.first_interval(tolerance), max_steps), 0
    tiny = torch.finfo(torch.float64).tiny
    while items.numel():
        iteration.advance(interval)
        found, previous = iteration.certify(), gap[items]
        better = found.objective < objective[items] * (1.0 + iteration.rounding)
        image[items[better]] = found.image[better].to(original)
        objective[items] = torch.fmin(objective[items], found.objective)
        dual[items] = torch.fmax(dual[items], found.dual)
        now = (objective[items] - dual[items]) / objective[items].clamp(min=tiny)
        now = torch.where(now.abs() <= ROUNDING, 0.0, now)
        gap[items] = now = torch.where(found.objective.isfinite(), now, math.nan)
        steps[items] = iteration.taken
        stalled = stalled + 1 if bool((now > iteration.stalled * previous).all()) else 0
        going = (now > tolerance) & (iteration.taken < max_steps)
        if not bool(going.all()):
            ended = torch.nonzero(~going).flatten()
            done.append(items[ended])
            left.append(iteration.left(ended))
            items, now, previous = items[going], now[going], previous[going]
            iteration.keep(going)
        if not items.numel():
            break
        if iteration.dtype == torch.complex64 and iteration.held_back(now, stalled, max_steps):
            iteration.to(torch.complex128)
        following = iteration.next_interval(now, previous, interval, tolerance)
        interval = min(following, max_steps - iteration.taken)
    state = left[0].joined(left)[torch.argsort(torch.cat(done))]
    stats = {"objective": objective, "gap": gap, "steps": steps}
    return Solution(image, _status(gap, tolerance), stats, state)


def _status(gap: Tensor, tolerance: float) -> Status:
    if bool(gap.isnan().any()):
        return Status.NOT_FINITE
    return Status.MAX_STEPS if bool((gap > tolerance).any()) else Status.CONVERGED
