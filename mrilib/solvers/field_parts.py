"""Fields as the kernels of a single image want them, and the sweep by itself."""

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.solvers import kernels
from mrilib.solvers.couplings import Field

RULES = {"split": kernels.SPLIT, "complex": kernels.COMPLEX, "isotropic": kernels.ISOTROPIC}


def interleaved(array: Tensor) -> np.ndarray:
    """The numbers of a complex tensor as floats `(..., 2x)`, sharing its memory."""
    numbers: np.ndarray = array.numpy()
    return numbers.view(numbers.real.dtype)


def parts_of(field: Field, *, split: bool) -> np.ndarray:
    """A copy as `(component, y, part, x)`: real and imaginary parts of a row apart, or in one part."""
    if split:
        return interleaved(field.resolve_conj().clone(memory_format=torch.contiguous_format))[:, :, None]
    parts: np.ndarray = torch.stack([field.real, field.imag], dim=-2).numpy()
    return parts


def field_of(parts: np.ndarray) -> Field:
    """The field `(component, y, x)` of what `parts_of` made."""
    tensor = torch.from_numpy(parts)
    if parts.shape[2] == 1:
        return torch.view_as_complex(tensor.reshape(*parts.shape[:2], -1, 2)).clone()
    return torch.complex(*tensor.unbind(-2))


class Sweep:
    """`s ← s + α(∇x − S(s))` and `∇ᵀ(2S(s) − s)` of one image on one core, in one pass over the pixels.

    Args:
        field: `s`, complex `(2, y, x)`.
        coupling: a key of `COUPLINGS`.
        threshold: `τ` of the shrinkage `S`.
        relaxation: `α`.

    Attributes:
        reflected: `∇ᵀ(2S(s) − s)`, `(y, x)`; the next `move` writes elsewhere.
    """

    reflected: Complex[Tensor, "y x"]

    def __init__(self, field: Field, *, coupling: str, threshold: float, relaxation: float) -> None:
        self._rule = RULES[coupling]
        self._parts = parts_of(field, split=self._rule == kernels.SPLIT)
        kind = self._parts.dtype.type
        self._threshold, self._relax = kind(threshold), kind(relaxation)
        # Without relaxation the state stays, and the image turns into its `∇ᵀv`.
        self.reflected = torch.zeros_like(field[0])
        self._sweep(kind(0))

    def move(self, image: Complex[Tensor, "y x"]) -> None:
        """One step, given its image."""
        self.reflected = image.resolve_conj().clone(memory_format=torch.contiguous_format)
        self._sweep(self._relax)

    def field(self) -> Field:
        """`s`."""
        return field_of(self._parts)

    def _sweep(self, relax: np.floating) -> None:
        kernels.sweep(interleaved(self.reflected), self._parts, self._threshold, relax, self._rule)
