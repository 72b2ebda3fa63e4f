"""What a solver returns, and how it says that it failed."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from torch import Tensor


class Status(Enum):
    """How a solver ended."""

    CONVERGED = "converged"
    FIXED_STEPS = "fixed_steps"  # took the steps that it was given; there is nothing that it converges to
    MAX_STEPS = "max_steps"
    NOT_FINITE = "not_finite"

    @property
    def failed(self) -> bool:
        """Whether what was asked for is missing."""
        return self in (Status.MAX_STEPS, Status.NOT_FINITE)


@dataclass(frozen=True)
class Solution:
    """Result of a solver.

    Args:
        value: the solution, batched as the data were.
        status: the worst status over the batch.
        stats: numbers of the run, one tensor entry an item of the batch (`objective`, `gap`, `steps`). A
            solver that knows how far it is from the minimiser `z*` gives `error_bound`, in the units of
            k-space: `‖A(z − z*)‖₂` is no larger.
        state: what a later solve of a nearby problem can start from; `None` where there is none.
    """

    value: Tensor
    status: Status
    stats: dict[str, Any]
    state: Any = field(default=None, repr=False)


class NotConvergedError(RuntimeError):
    """A solver ended without reaching its tolerance; `solution` is where it stopped."""

    def __init__(self, message: str, solution: Solution) -> None:
        super().__init__(message)
        self.solution = solution


def linearised_solution(
    name: str, image: Tensor, *, residual: Tensor, steps: int, tolerance: float, throw: bool
) -> Solution:
    """Solution of a linearised problem that ended at a residual; `name` says of what.

    Raises:
        NotConvergedError: if the residual is above the tolerance or not finite, and `throw`.
    """
    status = Status.CONVERGED if residual <= tolerance else Status.MAX_STEPS
    if not bool(residual.isfinite()):
        status = Status.NOT_FINITE
    solution = Solution(image, status, {"steps": steps, "residual": residual})
    if throw and status is not Status.CONVERGED:
        raise NotConvergedError(
            f"linearised {name}: {status.value} at residual {float(residual):.1e} after {steps} "
            f"steps, expected {tolerance:.1e}; raise the tolerance or max_steps of Implicit",
            solution,
        )
    return solution
