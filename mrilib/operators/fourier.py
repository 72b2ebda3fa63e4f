"""Single-coil measurement: masked Fourier transform."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.operators.base import MeasurementOperator, check_grid, check_mask, fft2c, ifft2c


class MaskedFourier(MeasurementOperator):
    """`A = P_Ω F`: centred orthonormal Fourier transform `F`, zero outside the mask `Ω`.

    Unsampled entries are kept as zeros, so that `A Aᴴ = P_Ω` and the pseudo-inverse is the adjoint.

    Args:
        mask: `True` where k-space is sampled, `(ky, kx)`, zero frequency at `size // 2`.

    Raises:
        ValueError: if the mask is not a 2-D boolean tensor or samples nothing.
    """

    kspace_axes = 2

    def __init__(self, *, mask: Bool[Tensor, "ky kx"]) -> None:
        check_mask(mask, "MaskedFourier", {2: "(ky, kx)"})
        self._mask = mask.detach().clone()

    @property
    def mask(self) -> Bool[Tensor, "ky kx"]:
        return self._mask

    def forward(
        self, image: Complex[Tensor, "*batch y x"] | Float[Tensor, "*batch y x"]
    ) -> Complex[Tensor, "*batch ky kx"]:
        """`A x`. Real images are taken as complex ones without imaginary part."""
        check_grid(image, self._mask, "MaskedFourier.forward", "image")
        if not image.is_complex():
            image = torch.complex(image, torch.zeros_like(image))
        return fft2c(image) * self._mask

    def adjoint(self, kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`Aᴴ y`; entries outside the mask count as zero."""
        check_grid(kspace, self._mask, "MaskedFourier.adjoint", "kspace")
        return ifft2c(kspace * self._mask)

    def pinv(self, kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`A† y`, equal to `Aᴴ y`."""
        return self.adjoint(kspace)

    def to_image(self, kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`A† y`."""
        return self.pinv(kspace)

    def seen(self, image: Tensor) -> Tensor:
        """The image itself: a single coil is taken to see all alike."""
        return image

    def to(self, device: torch.device | str) -> "MaskedFourier":
        return MaskedFourier(mask=self._mask.to(device))
