"""Single-coil measurement: masked Fourier transform."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.operators.base import LinearOperator, fft2c, ifft2c


class MaskedFourier(LinearOperator):
    """`A = P_Ω F`: centred orthonormal Fourier transform `F`, zero outside the mask `Ω`.

    Unsampled entries are kept as zeros, so that `A Aᴴ = P_Ω` and the pseudo-inverse is the adjoint.

    Args:
        mask: `True` where k-space is sampled, `(ky, kx)`, zero frequency at `size // 2`.

    Raises:
        ValueError: if the mask is not a 2-D boolean tensor or samples nothing.
    """

    def __init__(self, *, mask: Bool[Tensor, "ky kx"]) -> None:
        if mask.ndim != 2 or mask.dtype != torch.bool:
            raise ValueError(
                "MaskedFourier: expected a boolean mask (ky, kx), "
                f"got {mask.dtype} of shape {tuple(mask.shape)}; convert with mask > 0"
            )
        if not mask.any():
            raise ValueError("MaskedFourier: the mask samples nothing")
        self._mask = mask.detach().clone()

    @property
    def mask(self) -> Bool[Tensor, "ky kx"]:
        return self._mask

    @property
    def samples(self) -> int:
        """Number m of sampled entries."""
        return int(self._mask.sum())

    def forward(
        self, image: Complex[Tensor, "*batch y x"] | Float[Tensor, "*batch y x"]
    ) -> Complex[Tensor, "*batch ky kx"]:
        """`A x`. Real images are taken as complex ones without imaginary part."""
        self._check(image, "forward", "image")
        if not image.is_complex():
            image = torch.complex(image, torch.zeros_like(image))
        return fft2c(image) * self._mask

    def adjoint(self, kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`Aᴴ y`; entries outside the mask count as zero."""
        self._check(kspace, "adjoint", "kspace")
        return ifft2c(kspace * self._mask)

    def pinv(self, kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`A† y`, equal to `Aᴴ y`."""
        return self.adjoint(kspace)

    def to(self, device: torch.device | str) -> "MaskedFourier":
        return MaskedFourier(mask=self._mask.to(device))

    def _check(self, value: Tensor, method: str, name: str) -> None:
        expected = tuple(self._mask.shape)
        if tuple(value.shape[-2:]) != expected:
            raise ValueError(
                f"MaskedFourier.{method}: expected {name} (..., {expected[0]}, {expected[1]}) from the mask, "
                f"got {tuple(value.shape)}; crop the {name} or build the mask for its size"
            )
        if value.device != self._mask.device:
            raise ValueError(
                f"MaskedFourier.{method}: {name} is on {value.device}, the mask on {self._mask.device}; "
                "move one with .to(device)"
            )
