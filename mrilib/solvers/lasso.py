"""ℓ1 minimisation with a data term, in one dimension, for some frequencies."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier, Spectrum
from mrilib.solvers.recovery import EVERY, shrunk

# What an entry shrinks by in a step, of the largest that the data can hold if it stands alone.
STEP = 0.005


@dataclass(frozen=True)
class Lasso:
    """Minimisers with their relative duality gaps, and the steps that were taken."""

    value: Complex[Tensor, "batch size"]
    gap: Float[Tensor, "batch"]
    steps: int


def lasso(
    fourier: PartialFourier,
    data: Complex[Tensor, "batch size"],
    weight: Float[Tensor, "batch"],
    *,
    tolerance: float = 1e-7,
    max_steps: int = 5000,
) -> Lasso:
    """Minimise `½‖Az − y‖² + λ‖z‖₁` over complex `z`, for each item.

    Douglas–Rachford splitting of both terms, whose proximal maps are closed forms, for `AAᴴ` is the identity
    on the frequencies. The gap is to `Re⟨q, y⟩ − ½‖q‖²`, `q` the residual scaled to `‖Aᴴq‖∞ ≤ λ`.

    Args:
        fourier: frequencies of each item.
        data: `y`, zero where nothing is measured.
        weight: `λ > 0`.
        tolerance: of the gap; an item that does not reach it says so by its gap.
        max_steps: of all items together.
    """
    value = fourier.adjoint(data)
    peak = value.abs().amax(dim=-1, keepdim=True)
    # Entries are about n/m times their adjoint; a step shrinks them by a small part of that.
    scale = STEP * peak * fourier.size / fourier.mask.sum(dim=-1, keepdim=True)
    length = scale / weight.unsqueeze(-1)
    pull = length / (1 + length)
    gap = torch.full_like(weight, torch.inf)
    items = torch.arange(weight.shape[0], device=weight.device)
    here, target, moving, taken = fourier, data, value.clone(), 0
    while taken < max_steps and items.numel():
        for _ in range(EVERY):
            sparse = shrunk(moving, scale)
            reflected = 2 * sparse - moving
            moving = moving + reflected - sparse + pull * here.adjoint(target - here.forward(reflected))
        taken += EVERY
        value[items] = sparse
        gap[items] = _gap(here, target, weight[items], sparse)
        going = gap[items] > tolerance
        items, here, target, moving = items[going], here[going], target[going], moving[going]
        scale, pull = scale[going], pull[going]
    return Lasso(value, gap, taken)


def _gap(fourier: PartialFourier, data: Spectrum, weight: Tensor, value: Spectrum) -> Float[Tensor, "batch"]:
    residual = data - fourier.forward(value)
    tiny = torch.finfo(torch.float64).tiny
    largest = fourier.adjoint(residual).abs().amax(dim=-1).clamp(min=tiny)
    dual = residual * (weight / largest).clamp(max=1.0).unsqueeze(-1)
    objective = residual.abs().square().sum(dim=-1) / 2 + weight * value.abs().sum(dim=-1)
    below = (dual.conj() * data).sum(dim=-1).real - dual.abs().square().sum(dim=-1) / 2
    return (objective - below) / objective.clamp(min=tiny)
