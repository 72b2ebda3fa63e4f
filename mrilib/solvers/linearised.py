"""Run the splitting of a linearised problem until it settles."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.solvers.solution import Solution, linearised_solution

CHECK = 20


def settled(
    step: Callable[[], tuple[Tensor, Tensor, Tensor]],
    *,
    name: str,
    tolerance: float,
    max_steps: int,
    throw: bool,
) -> Solution:
    """The image that `step` comes to.

    Args:
        step: takes a step; image `a`, its field `Ka`, and `Ka − Jt`, all with the batch first.
        name: of the problem, for messages.
        tolerance: largest `‖Ka − Jt‖/‖Ka‖` and largest relative change of `a` in a step, over all items.
        max_steps: steps after which it gives up, at least 1.
        throw: raise if it gives up.

    Returns:
        `a`; `stats`: `steps`, `residual`.

    Raises:
        NotConvergedError: if it gives up, and `throw`.
    """
    residual = image = torch.tensor(torch.inf)
    for taken in range(1, max_steps + 1):
        previous = image
        image, slopes, mismatch = step()
        if taken == 1:
            previous = torch.zeros_like(image)
            # Where the solution is flat sizes go to zero: those of the first step take their place.
            least = _norm(slopes), _norm(image)
            tiny = torch.finfo(least[0].dtype).tiny
        if taken % CHECK == 0 or taken == max_steps:
            changes = [
                _norm(change) / _norm(value).maximum(floor).clamp(min=tiny)
                for change, value, floor in zip(
                    (mismatch, image - previous), (slopes, image), least, strict=True
                )
            ]
            residual = torch.maximum(*changes).max()
            if not bool(residual.isfinite()) or residual <= tolerance:
                break
    return linearised_solution(name, image, residual=residual, steps=taken, tolerance=tolerance, throw=throw)


def _norm(value: Tensor) -> Float[Tensor, "batch"]:
    return torch.linalg.vector_norm(value.flatten(1), dim=1)
