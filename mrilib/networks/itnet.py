"""The iterative network: a U-Net in turn with steps towards the data."""

from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Complex
from pydantic import Field
from torch import Tensor, nn

from mrilib.networks.unet import UNet
from mrilib.operators.channels import to_channels, to_complex


@runtime_checkable
class Forward(Protocol):
    """An operator with a pseudo-inverse."""

    def forward(self, image: Tensor) -> Tensor: ...

    def adjoint(self, kspace: Tensor) -> Tensor: ...

    def pinv(self, kspace: Tensor) -> Tensor: ...


class ItNet(nn.Module):
    """`x₀ = A†y`; then for k = 1 … `steps`: `x ← x + U(x)`, `x ← x − λ_k Aᴴ(Ax − y)`.

    `U` is one network on two real channels, the same in every step; the scalars `λ_k` are learned.
    `(batch, ky, kx)` and its operator to `(batch, y, x)`, both complex.

    The `λ_k` start at 1: our choice. Where `A Aᴴ` is the identity on the samples, as for `MaskedFourier`,
    every step then meets the data exactly, whatever an untrained `U` says.

    Args:
        steps: number of steps.
        network: `U`, from `(batch, 2, y, x)` to the same; `None`: `UNet(base=base, levels=levels)`.
        base: features of that U-Net's first level; not used with a given network.
        levels: poolings of that U-Net; not used with a given network.

    Attributes:
        takes: says that the network is given k-space and operator; image networks have no such attribute.

    Raises:
        ValueError: if `steps` is below 1; at the call if k-space is not complex `(batch, ky, kx)`, or from
            operator and network if the size does not suit them.

    Source: [genzel2022], ItNet. Deviates: its code starts from a trained `U`, with `λ_k` all 0.1 on ellipses
    and 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.8, 0.15 on fastMRI data.
    """

    word: ClassVar[str] = "itnet"
    takes: ClassVar[str] = "kspace"

    def __init__(
        self,
        *,
        steps: Annotated[int, Field(ge=1)] = 8,
        network: nn.Module | None = None,
        base: Annotated[int, Field(ge=1)] = 32,
        levels: Annotated[int, Field(ge=1)] = 4,
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"ItNet: expected at least 1 step, got {steps}; the reference has 8")
        self.network = UNet(base=base, levels=levels) if network is None else network
        self.weights = nn.Parameter(torch.ones(steps))

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, network: Any, levels: int, **others: Any) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are too small for such a network."""
        if network is None:
            UNet.check_shape(shape, levels=levels)

    def forward(
        self, kspace: Complex[Tensor, "batch ky kx"], operator: Forward
    ) -> Complex[Tensor, "batch y x"]:
        if not kspace.is_complex() or kspace.ndim != 3:
            raise ValueError(
                f"ItNet: expected complex kspace (batch, ky, kx), got {kspace.dtype} of shape "
                f"{tuple(kspace.shape)}; make one batch axis with .reshape"
            )
        x = operator.pinv(kspace)
        for weight in self.weights:
            x = x + to_complex(self.network(to_channels(x)))
            x = x - weight * operator.adjoint(operator.forward(x) - kspace)
        return x
