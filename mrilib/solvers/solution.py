"""What a solver returns, and how it says that it failed."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from torch import Tensor


class Status(Enum):
    """How a solver ended."""

    CONVERGED = "converged"
    MAX_STEPS = "max_steps"
    NOT_FINITE = "not_finite"


@dataclass(frozen=True)
class Solution:
    """Result of a solver.

    Args:
        value: the solution, batched as the data were.
        status: the worst status over the batch.
        stats: numbers of the run, one tensor entry an item of the batch (`objective`, `gap`, `steps`).
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
