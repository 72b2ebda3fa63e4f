"""Periodic forward differences and their spectrum."""

import math

import torch
from jaxtyping import Float, Inexact
from torch import Tensor


def gradient(image: Inexact[Tensor, "*batch y x"]) -> Inexact[Tensor, "*batch 2 y x"]:
    """`∇x`: periodic forward differences along x (first) and y (second), no scaling."""
    return torch.stack([torch.roll(image, -1, -1) - image, torch.roll(image, -1, -2) - image], dim=-3)


def divergence(field: Inexact[Tensor, "*batch 2 y x"]) -> Inexact[Tensor, "*batch y x"]:
    """`∇ᵀp`, the adjoint of `gradient` (minus the divergence as the calculus defines it)."""
    along_x, along_y = field.unbind(-3)
    return torch.roll(along_x, 1, -1) - along_x + torch.roll(along_y, 1, -2) - along_y


def laplacian_spectrum(
    height: int, width: int, *, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Float[Tensor, "height width"]:
    """Eigenvalues `4 − 2cos(2πk/height) − 2cos(2πl/width)` of `∇ᵀ∇`, zero frequency first."""
    rows = 2.0 - 2.0 * torch.cos(torch.arange(height, dtype=torch.float64) * (2.0 * math.pi / height))
    columns = 2.0 - 2.0 * torch.cos(torch.arange(width, dtype=torch.float64) * (2.0 * math.pi / width))
    return (rows[:, None] + columns[None, :]).to(device=device, dtype=dtype)
