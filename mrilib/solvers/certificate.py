"""What a duality gap is made of, whatever the problem."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class Certificate:
    """Image with its objective `P` and a lower bound `D` of the minimum, all in float64."""

    image: Complex[Tensor, "*batch y x"]
    objective: Float[Tensor, "*batch"]
    dual: Float[Tensor, "*batch"]


def bound(weight: Tensor, size: Tensor, correlation: Tensor, square: Tensor) -> Tensor:
    """`D = t·Re⟨q, y⟩ − ½t²‖q‖²` at the best feasible `t ≤ λ/size`."""
    tiny = torch.finfo(torch.float64).tiny
    factor = torch.minimum(weight / size.clamp(min=tiny), correlation / square.clamp(min=tiny))
    factor = factor.clamp(min=0.0)
    return factor * correlation - 0.5 * factor.square() * square
