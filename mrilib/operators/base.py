"""Linear operators: what every reconstructor and attack expects of the measurement."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Bool, Complex, Float, Inexact
from torch import Tensor


class LinearOperator(ABC):
    """A linear map of tensors, fixed after construction: `operator.forward(x)`, or `operator @ x`.

    `operator.H` is the adjoint as an operator of its own; the inner product is `Re Σ conj(a)·b`.
    """

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Apply the operator."""

    @abstractmethod
    def adjoint(self, kspace: Tensor) -> Tensor:
        """Apply the adjoint."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "LinearOperator":
        """The same operator on another device."""

    @property
    def H(self) -> "LinearOperator":
        return _Adjoint(self)

    def __matmul__(self, image: Tensor) -> Tensor:
        return self.forward(image)


class _Adjoint(LinearOperator):
    def __init__(self, operator: LinearOperator) -> None:
        self._operator = operator

    def forward(self, image: Tensor) -> Tensor:
        return self._operator.adjoint(image)

    def adjoint(self, kspace: Tensor) -> Tensor:
        return self._operator.forward(kspace)

    def to(self, device: torch.device | str) -> "_Adjoint":
        return _Adjoint(self._operator.to(device))

    @property
    def H(self) -> LinearOperator:
        return self._operator


class MeasurementOperator(LinearOperator):
    """What measures an image: `y = Ax` on a mask, of one coil or of several.

    All that attacks, training and scoring know of coils stands here.

    Attributes:
        kspace_axes: trailing axes of k-space: 2 for a single coil, 3 with a coil axis.
    """

    kspace_axes: ClassVar[int]

    @property
    @abstractmethod
    def mask(self) -> Bool[Tensor, "ky kx"]:
        """`True` where k-space is sampled; `kspace * mask` holds for the k-space of all coils."""

    @property
    def samples(self) -> int:
        """Number m of sampled entries, of one coil."""
        return int(self.mask.sum())

    @property
    def kspace_shape(self) -> tuple[int, ...]:
        """Shape of one item's k-space: `(ky, kx)`, or `(coil, ky, kx)`."""
        return tuple(self.mask.shape)

    def of_item(self, index: int, batch: tuple[int, ...]) -> "MeasurementOperator":
        """What measures item `index` of the flattened `batch`: the same for all, or an item's own."""
        return self

    @abstractmethod
    def to_image(self, kspace: Complex[Tensor, "*batch_and_coil ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """Picture `r` of a perturbation of k-space: `A†e` of one coil, `Aᴴe` of several."""

    @abstractmethod
    def seen(self, image: Tensor) -> Tensor:
        """The image as far as coils see it, in the units of the reference image."""

    def kspace_norm(self, kspace: Complex[Tensor, "*batch_and_coil ky kx"]) -> Float[Tensor, "*batch"]:
        """`‖·‖₂` over all entries of all coils, summed in double precision."""
        return norm2(kspace, axes=self.kspace_axes)

    @abstractmethod
    def to(self, device: torch.device | str) -> "MeasurementOperator":
        """The same operator on another device."""


def norm2(array: Inexact[Tensor, "*any"], axes: int = 2) -> Float[Tensor, "*batch"]:
    """`‖·‖₂` over the last axes, summed in double precision: sums in float32 miss budgets by 1e-4."""
    double = torch.complex128 if array.is_complex() else torch.float64
    norms = torch.linalg.vector_norm(array, dim=tuple(range(-axes, 0)), dtype=double)
    return norms.to(array.real.dtype)


def fft2c(image: Complex[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch ky kx"]:
    """Centred orthonormal Fourier transform of the last two axes, equal to `fastmri.fft2c`."""
    shifted = torch.fft.ifftshift(image, dim=(-2, -1))
    return torch.fft.fftshift(torch.fft.fft2(shifted, norm="ortho"), dim=(-2, -1))


def ifft2c(kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
    """Inverse of `fft2c`."""
    shifted = torch.fft.ifftshift(kspace, dim=(-2, -1))
    return torch.fft.fftshift(torch.fft.ifft2(shifted, norm="ortho"), dim=(-2, -1))


def check_mask(mask: Tensor, where: str, axes: Mapping[int, str]) -> None:
    """Raise `ValueError` unless `mask` is boolean, with a number of axes named in `axes`, and not empty."""
    if mask.ndim not in axes or mask.dtype != torch.bool:
        raise ValueError(
            f"{where}: expected a boolean mask {' or '.join(axes.values())}, "
            f"got {mask.dtype} of shape {tuple(mask.shape)}; convert with mask > 0"
        )
    if not mask.any():
        raise ValueError(f"{where}: the mask samples nothing")


def check_grid(value: Tensor, mask: Bool[Tensor, "ky kx"], where: str, name: str) -> None:
    """Raise `ValueError` unless the last two axes and the device of `value` are those of the mask."""
    expected = tuple(mask.shape)
    if tuple(value.shape[-2:]) != expected:
        raise ValueError(
            f"{where}: expected {name} (..., {expected[0]}, {expected[1]}) from the mask, "
            f"got {tuple(value.shape)}; crop the {name} or build the mask for its size"
        )
    if value.device != mask.device:
        raise ValueError(
            f"{where}: {name} is on {value.device}, the mask on {mask.device}; move one with .to(device)"
        )
