"""Conjugate gradients for images: `Nx = b`, `N` Hermitian and not negative."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Descended:
    """Where conjugate gradients ended.

    Args:
        image: `x`.
        energy: `‖b − Nx‖²`, as the recursion has it.
        reached: whether that is at most the square of the tolerance times `‖b‖²`.
        relative: `‖b − Nx‖/‖b‖`.
        steps: until it was reached.
    """

    image: Complex[Tensor, "*batch y x"]
    energy: Float[Tensor, "*batch"]
    reached: bool
    relative: Float[Tensor, "*batch"]
    steps: Int[Tensor, "*batch"]


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor],
    right: Complex[Tensor, "*batch y x"],
    *,
    start: Tensor | None = None,
    tolerance: float,
    max_steps: int,
) -> Descended:
    """`x` with `‖b − Nx‖ ≤ tolerance·‖b‖` in every item, or after `max_steps`."""
    image = torch.zeros_like(right) if start is None else start
    residual = right if start is None else right - normal(image)
    direction, energy = residual, _energy(residual)
    tiny, whole = torch.finfo(energy.dtype).tiny, _energy(right)
    goal, taken = tolerance**2 * whole, 0
    steps = torch.zeros_like(energy[..., 0, 0], dtype=torch.long)
    while bool((running := energy > goal).any()) and taken < max_steps:
        applied = normal(direction)
        # An item that is done has nothing to step along.
        length = energy / _product(direction, applied).clamp(min=tiny)
        image = image + length * direction
        residual = residual - length * applied
        before, energy = energy, _energy(residual)
        direction = residual + energy / before.clamp(min=tiny) * direction
        steps = steps + running[..., 0, 0]
        taken += 1
    relative = (energy / whole.clamp(min=tiny)).sqrt()
    return Descended(image, energy[..., 0, 0], bool((energy <= goal).all()), relative[..., 0, 0], steps)


def _energy(image: Tensor) -> Tensor:
    """`‖·‖²` of every item, with the axes of the image."""
    return _product(image, image)


def _product(first: Tensor, second: Tensor) -> Tensor:
    return (first.conj() * second).real.sum(dim=(-2, -1), keepdim=True)
