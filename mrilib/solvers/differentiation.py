"""How to differentiate a solver: a value that the caller passes in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Implicit:
    """Differentiate the minimiser through its optimality conditions, in memory independent of the steps.

    Args:
        tolerance: relative residual of the linearised problem.
        max_steps: steps of the linearised problem after which it gives up.
    """

    tolerance: float = 1e-5
    max_steps: int = 20_000


@dataclass(frozen=True)
class Unrolled:
    """Differentiate through a fixed number of plain steps from zero (no over-relaxation), kept in memory.

    Args:
        steps: number of steps; the image is the last step's, without a certificate.
    """

    steps: int = 50
