"""Multi-coil data and measurement, scaled and unshifted, with as few transforms as can be."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.operators.base import LinearOperator, fft2c, ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.items import Items

Images = Complex[Tensor, "batch y x"]
Coils = Complex[Tensor, "batch coil y x"]


@dataclass(frozen=True)
class CoilData(Items):
    """`A = P F S` with `‖A‖ ≤ 1` on a flat batch of centred images, and its data `y`.

    A mask of whole columns needs the transform along one axis alone: the other one is unitary, commutes
    with the mask, and is folded into the data, as are the shifts of the centred transform.

    Args:
        maps: `S`, `(items, coil, y, x)` with one set for all or one an item; `None` is a single coil.
        mask: zero frequency first.
        transformed: axes that `F` transforms.
        data: `y`, zero where the mask is.
        energy: `‖y‖²`, float64.
    """

    axes: ClassVar[Mapping[str, int]] = {"data": 3, "energy": 0}

    maps: Complex[Tensor, "items coil y x"] | None
    mask: Bool[Tensor, "y x"]
    transformed: tuple[int, ...]
    data: Coils
    energy: Float[Tensor, "batch"]

    @property
    def dtype(self) -> torch.dtype:
        return self.data.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.data.shape[-2], self.data.shape[-1]

    def spread(self, image: Images) -> Coils:
        """`F S x`, unmasked."""
        coils = image.unsqueeze(-3) if self.maps is None else image.unsqueeze(-3) * self.maps
        return torch.fft.fftn(coils, dim=self.transformed, norm="ortho")

    def gather(self, spectrum: Coils) -> Images:
        """`Sᴴ Fᴴ`, the adjoint of `spread`."""
        coils = torch.fft.ifftn(spectrum, dim=self.transformed, norm="ortho")
        return coils.squeeze(-3) if self.maps is None else (self.maps.conj() * coils).sum(-3)

    def forward(self, image: Images) -> Coils:
        """`A x`."""
        return self.spread(image) * self.mask

    def adjoint(self, data: Coils) -> Images:
        """`Aᴴ y`, for data that are zero outside the mask."""
        return self.gather(data)

    def normal(self, image: Images) -> Images:
        """`AᴴA x`."""
        return self.gather(self.forward(image))

    @functools.cached_property
    def exact_projected(self) -> Images:
        """`Aᴴy` in float64."""
        double = self.to(torch.complex128)
        return double.adjoint(double.data)

    @functools.cached_property
    def exact_constant(self) -> Images:
        """`AᴴA1` in float64."""
        double = self.to(torch.complex128)
        return double.normal(torch.ones_like(double.data[:, 0]))

    def repeated(self, count: int) -> "CoilData":
        """A single item's for as many items, without copies, of which nothing certifies."""
        return self.renewed(self.data.expand(count, *self.data.shape[1:]))

    def renewed(self, data: Coils) -> "CoilData":
        """The same for other data, of which nothing certifies: their energy is not asked for."""
        return replace(self, data=data, energy=self.energy.new_full(data.shape[:1], torch.nan))

    def to(self, dtype: torch.dtype) -> "CoilData":
        maps = None if self.maps is None else self.maps.to(dtype)
        return replace(super().to(dtype), maps=maps, energy=self.energy)

    def __getitem__(self, items: Tensor | int) -> "CoilData":
        found = super().__getitem__(items)
        if self.maps is None or self.maps.shape[0] == 1:
            return found
        return replace(found, maps=self.maps[items])


@dataclass(frozen=True)
class Scaled:
    """A measurement with `‖A‖ ≤ 1` and images of maximum about 1, and the way back.

    `A' = A/a` and `y' = y/s` turn `½‖Ax − y‖² + λ‖Kx‖` into `s²(½‖A'x' − y'‖² + λ'‖Kx'‖)` with
    `x = (s/a)x'` and `λ' = λ/(as)`.

    Args:
        measurement: of the scaled problem.
        scale: `s`, `(batch)`.
        bound: `a`, the largest `√Σ_c|S_c|²`.
        batch: shape of the batch that `measurement` has flat.
    """

    measurement: CoilData
    scale: Float[Tensor, "batch"]
    bound: float
    batch: torch.Size

    def data(self, kspace: Tensor, operator: MaskedFourier | CoilFourier) -> Coils:
        """`y'` of k-space, differentiably."""
        axes = self.measurement.transformed
        return _scaled_data(kspace, operator, axes, self.measurement.mask, self.scale)

    def kspace(self, data: Coils) -> Tensor:
        """K-space of a single item's `y'`, with the axes of its operator: the inverse of `data`."""
        coils = torch.fft.ifftn(data, dim=self.measurement.transformed, norm="ortho") * self.scale
        kspace = fft2c(coils)
        return kspace[:, 0] if self.measurement.maps is None else kspace

    def weight(self, weight: float) -> Float[Tensor, "batch"]:
        """`λ'` of `λ`."""
        return weight / (self.scale * self.bound)

    def image(self, value: Images) -> Complex[Tensor, "*batch y x"]:
        """`x` of `x'`."""
        image = self.images(value)
        return image.reshape(*self.batch, *image.shape[-2:])

    def slope(self, image: Images) -> Images:
        """`d'` of a linear term `Re⟨d, x⟩`, of the scaled problem."""
        return image / (self.scale * self.bound)[:, None, None]

    def images(self, value: Images) -> Images:
        """`x` of `x'`, of all items or of candidates of a single one."""
        return value * (self.scale / self.bound)[:, None, None]


def inner(first: Images, second: Images) -> Float[Tensor, "batch"]:
    """`Re⟨x, z⟩`."""
    return (torch.view_as_real(first) * torch.view_as_real(second)).sum((-3, -2, -1))


def sampled_axes(mask: Bool[Tensor, "y x"]) -> tuple[int, ...]:
    """Axes along which a mask varies: one of whole columns or rows needs the transform along one alone."""
    if bool((mask == mask[:1]).all()):
        return (-1,)
    return (-2,) if bool((mask == mask[:, :1]).all()) else (-2, -1)


def scaled_data(kspace: Tensor, operator: LinearOperator, where: str) -> Scaled:
    """Scaled measurement of `kspace` by a `MaskedFourier` or `CoilFourier` operator.

    The scale is the largest modulus of the zero-filled image; it conditions the numbers and changes no
    minimiser.

    Raises:
        ValueError: for another operator, or coil maps that are zero everywhere.
    """
    if isinstance(operator, CoilFourier):
        maps: Tensor | None = operator.coil_maps
    elif isinstance(operator, MaskedFourier):
        maps = None
    else:
        raise ValueError(
            f"{where}: expected a MaskedFourier or CoilFourier operator, got {type(operator).__name__}"
        )
    kspace = kspace.detach()
    zero_filled = operator.adjoint(kspace)  # checks shape and device
    batch = zero_filled.shape[:-2]
    bound = 1.0
    if maps is not None:
        bound = math.sqrt(float(maps.abs().square().sum(-3).amax()))
        if bound == 0:
            raise ValueError(f"{where}: the coil maps are zero everywhere; estimate them again")
        if maps.ndim > 3:
            maps = maps.expand(*batch, *maps.shape[-3:])
        maps = maps.reshape(-1, *maps.shape[-3:]).to(kspace.dtype) / bound
    scale = zero_filled.abs().amax(dim=(-2, -1)).reshape(-1) / bound
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    axes = sampled_axes(operator.mask)
    mask = torch.fft.ifftshift(operator.mask)
    data = _scaled_data(kspace, operator, axes, mask, scale)
    energy = torch.view_as_real(data.to(torch.complex128)).square().sum(dim=(-4, -3, -2, -1))
    return Scaled(CoilData(maps, mask, axes, data, energy), scale, bound, batch)


def _scaled_data(
    kspace: Tensor,
    operator: MaskedFourier | CoilFourier,
    axes: tuple[int, ...],
    mask: Tensor,
    scale: Tensor,
) -> Coils:
    coils = ifft2c(kspace * operator.mask).reshape(len(scale), -1, *kspace.shape[-2:])
    return torch.fft.fftn(coils, dim=axes, norm="ortho") * mask / scale[:, None, None, None]
