"""How total variation couples the parts of a difference: norm, dual norm, shrinkage, its derivative.

Fields are complex, `(*batch, 2, y, x)`: differences along x and y. `thresholds` are real and broadcast
against fields. All four functions of a coupling see the field as real vectors, one a group:

| coupling | group | norm |
|---|---|---|
| `split` | each real and each imaginary part apart | `Σ |Re p| + |Im p|` |
| `complex` | one complex difference | `Σ |p|` |
| `isotropic` | both differences of a pixel | `Σ √(|p₁|² + |p₂|²)` |
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Complex, Float
from torch import Tensor

Field = Complex[Tensor, "*batch 2 y x"]
Threshold = Float[Tensor, "*#batch 1 1 1"] | float


class Coupling(ABC):
    """A norm of fields of differences, as a sum over groups of their Euclidean norms."""

    @abstractmethod
    def norm(self, field: Field) -> Float[Tensor, "*batch"]:
        """`‖p‖₁`: the sum over groups."""

    @abstractmethod
    def dual_norm(self, field: Field) -> Float[Tensor, "*batch"]:
        """The largest group."""

    @abstractmethod
    def shrink(self, field: Field, threshold: Threshold) -> Field:
        """`argmin_z ½‖z − s‖² + τ‖z‖`: every group shortened by `τ`, or to zero."""

    @abstractmethod
    def jacobian(self, field: Field, direction: Field, threshold: Threshold) -> Field:
        """Derivative of `shrink` at `field`, applied to `direction`; a symmetric real-linear map."""


class Split(Coupling):
    """Real and imaginary parts apart."""

    def norm(self, field: Field) -> Float[Tensor, "*batch"]:
        return torch.view_as_real(field).abs().sum(dim=(-4, -3, -2, -1))

    def dual_norm(self, field: Field) -> Float[Tensor, "*batch"]:
        return torch.view_as_real(field).abs().amax(dim=(-4, -3, -2, -1))

    def shrink(self, field: Field, threshold: Threshold) -> Field:
        parts = torch.view_as_real(field)
        limit = torch.as_tensor(_unsqueezed(threshold), dtype=parts.dtype, device=parts.device)
        return torch.view_as_complex(parts - parts.clamp(-limit, limit))

    def jacobian(self, field: Field, direction: Field, threshold: Threshold) -> Field:
        active = torch.view_as_real(field).abs() > _unsqueezed(threshold)
        return torch.view_as_complex(torch.view_as_real(direction) * active)


class Radial(Coupling):
    """Groups whose Euclidean norm is taken over `axes` of the field (none: the complex modulus)."""

    def __init__(self, *, axes: tuple[int, ...]) -> None:
        self._axes = axes

    def _squares(self, field: Field) -> Float[Tensor, "*batch c y x"]:
        squares = torch.view_as_real(field).square().sum(-1)
        return squares.sum(self._axes, keepdim=True) if self._axes else squares

    def _length(self, field: Field) -> Float[Tensor, "*batch c y x"]:
        return self._squares(field).sqrt()

    def norm(self, field: Field) -> Float[Tensor, "*batch"]:
        return self._length(field).sum(dim=(-3, -2, -1))

    def dual_norm(self, field: Field) -> Float[Tensor, "*batch"]:
        return self._length(field).amax(dim=(-3, -2, -1))

    def shrink(self, field: Field, threshold: Threshold) -> Field:
        squares = self._squares(field)
        # clamped before the root: autograd's derivative of the root at zero is infinite
        length = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
        return field * ((length - threshold).clamp(min=0) / length)

    def jacobian(self, field: Field, direction: Field, threshold: Threshold) -> Field:
        length = self._length(field)
        safe = length.clamp(min=torch.finfo(length.dtype).tiny)
        unit = field / safe
        along = (unit.conj() * direction).real
        if self._axes:
            along = along.sum(self._axes, keepdim=True)
        shortened = 1.0 - threshold / safe
        mapped = shortened * direction + (1.0 - shortened) * along * unit
        return torch.where(length > threshold, mapped, torch.zeros_like(mapped))


def _unsqueezed(threshold: Threshold) -> Tensor | float:
    return threshold.unsqueeze(-1) if isinstance(threshold, Tensor) else threshold


COUPLINGS: dict[str, Coupling] = {
    "split": Split(),
    "complex": Radial(axes=()),
    "isotropic": Radial(axes=(-3,)),
}
