"""The complex soft threshold, and its derivative."""

import torch
from jaxtyping import Complex
from torch import Tensor


def shrink(
    coefficients: Complex[Tensor, "*batch y x"], threshold: Tensor | float
) -> Complex[Tensor, "*batch y x"]:
    """Every modulus shortened by `threshold`, or to zero."""
    # clamped before the root: autograd's derivative of the root at zero is infinite
    squares = torch.view_as_real(coefficients).square().sum(-1)
    length = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
    return coefficients * (1.0 - threshold / length).clamp(min=0.0)


def shrink_derivative(
    coefficients: Complex[Tensor, "*batch y x"],
    direction: Complex[Tensor, "*batch y x"],
    threshold: Tensor | float,
) -> Complex[Tensor, "*batch y x"]:
    """Derivative of `shrink` at `coefficients`, applied to `direction`."""
    length = coefficients.abs()
    safe = length.clamp(min=torch.finfo(length.dtype).tiny)
    unit, kept = coefficients / safe, 1.0 - threshold / safe
    mapped = kept * direction + (1.0 - kept) * (unit.conj() * direction).real * unit
    return torch.where(length > threshold, mapped, torch.zeros_like(mapped))
