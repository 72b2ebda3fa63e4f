"""Multi-coil measurement: coil maps, then the masked Fourier transform of every coil's image."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.operators.base import MeasurementOperator, check_grid, check_mask, fft2c, ifft2c


class CoilFourier(MeasurementOperator):
    """`A = P_Ω F S`: coil maps `S_c`, centred orthonormal Fourier transform `F`, zero outside the mask `Ω`.

    `(A x)_c = P_Ω F (S_c x)` and `Aᴴ y = Σ_c conj(S_c) Fᴴ P_Ω y_c`. `A` is injective where the maps are not
    zero, so `Aᴴ` is no pseudo-inverse, and there is no `pinv`. Unsampled entries are kept as zeros. The
    result has the higher precision of maps and argument.

    Args:
        mask: `True` where k-space is sampled, `(ky, kx)`, or `(kx,)` for whole columns; zero frequency at
            `size // 2`.
        coil_maps: `(coil, y, x)`, or one set an item, `(*batch, coil, y, x)`, for images
            `(*more, *batch, y, x)`.

    Raises:
        ValueError: if the mask is not boolean, has another number of axes or samples nothing, or if the
            maps are not complex and finite, or not of the mask's size.
    """

    kspace_axes = 3

    def __init__(
        self,
        *,
        mask: Bool[Tensor, "ky kx"] | Bool[Tensor, "kx"],
        coil_maps: Complex[Tensor, "*batch coil y x"],
    ) -> None:
        check_mask(mask, "CoilFourier", {2: "(ky, kx)", 1: "(kx,)"})
        if not coil_maps.is_complex() or coil_maps.ndim < 3:
            raise ValueError(
                "CoilFourier: expected complex coil_maps (coil, y, x) or (*batch, coil, y, x), "
                f"got {coil_maps.dtype} of shape {tuple(coil_maps.shape)}"
            )
        if not torch.isfinite(torch.view_as_real(coil_maps)).all():
            raise ValueError("CoilFourier: expected finite coil_maps, got NaN or infinite entries")
        if mask.ndim == 1:
            mask = mask.expand(coil_maps.shape[-2], -1)
        check_grid(coil_maps, mask, "CoilFourier", "coil_maps")
        self._mask = mask.detach().clone()
        self._coil_maps = coil_maps.detach().clone()

    @property
    def mask(self) -> Bool[Tensor, "ky kx"]:
        return self._mask

    @property
    def coil_maps(self) -> Complex[Tensor, "*batch coil y x"]:
        return self._coil_maps

    @property
    def kspace_shape(self) -> tuple[int, ...]:
        return tuple(self._coil_maps.shape[-3:])

    def of_item(self, index: int, batch: tuple[int, ...]) -> "CoilFourier":
        """The operator of item `index` of the flattened `batch`, with that item's maps."""
        items = self._coil_maps.shape[:-3]
        if not items:
            return self
        if tuple(batch[-len(items) :]) != tuple(items):
            raise ValueError(
                f"CoilFourier.of_item: expected the batch axes (..., {', '.join(map(str, items))}) of the "
                f"coil_maps, got {tuple(batch)}; give one item for every set of maps"
            )
        sets = self._coil_maps.reshape(-1, *self.kspace_shape)
        return CoilFourier(mask=self._mask, coil_maps=sets[index % len(sets)])

    @property
    def norm(self) -> float:
        """Upper bound of `‖A‖₂`, reached by a full mask: the largest `√Σ_c|S_c|²`, 1 for normalised maps."""
        return float(torch.linalg.vector_norm(self._coil_maps, dim=-3).max())

    def seen(
        self, image: Complex[Tensor, "*batch y x"] | Float[Tensor, "*batch y x"]
    ) -> Complex[Tensor, "*batch y x"] | Float[Tensor, "*batch y x"]:
        """`x·√Σ_c|S_c|²`: its modulus is the RSS of the coil images `S_c x`, to compare with an RSS target.

        Where all maps are zero nothing is measured, and what `x` has there is the method's whim.
        """
        return image * torch.linalg.vector_norm(self._coil_maps, dim=-3)

    def forward(
        self, image: Complex[Tensor, "*batch y x"] | Float[Tensor, "*batch y x"]
    ) -> Complex[Tensor, "*batch coil ky kx"]:
        """`A x`. Real images are taken as complex ones without imaginary part."""
        check_grid(image, self._mask, "CoilFourier.forward", "image")
        self._check_batch(image.shape[:-2], "forward", "image", image)
        return fft2c(image.unsqueeze(-3) * self._coil_maps) * self._mask

    def adjoint(self, kspace: Complex[Tensor, "*batch coil ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`Aᴴ y`; entries outside the mask count as zero."""
        check_grid(kspace, self._mask, "CoilFourier.adjoint", "kspace")
        coils = self._coil_maps.shape[-3]
        if kspace.ndim < 3 or kspace.shape[-3] != coils:
            raise ValueError(
                f"CoilFourier.adjoint: expected kspace (..., {coils}, ky, kx), one entry a coil map, "
                f"got {tuple(kspace.shape)}; put the coil axis third from the end"
            )
        self._check_batch(kspace.shape[:-3], "adjoint", "kspace", kspace)
        return (self._coil_maps.conj() * ifft2c(kspace * self._mask)).sum(dim=-3)

    def to_image(self, kspace: Complex[Tensor, "*batch coil ky kx"]) -> Complex[Tensor, "*batch y x"]:
        """`Aᴴ y`. It is no pseudo-inverse: with coils `A` is injective, and `A†` of a spike is the spike."""
        return self.adjoint(kspace)

    def to(self, device: torch.device | str) -> "CoilFourier":
        return CoilFourier(mask=self._mask.to(device), coil_maps=self._coil_maps.to(device))

    def _check_batch(self, batch: torch.Size, method: str, name: str, value: Tensor) -> None:
        items = self._coil_maps.shape[:-3]
        if items and batch[-len(items) :] != items:
            raise ValueError(
                f"CoilFourier.{method}: expected {name} with the batch axes (..., "
                f"{', '.join(map(str, items))}) of the coil_maps, got {tuple(value.shape)}; "
                "give one item for every set of maps"
            )
