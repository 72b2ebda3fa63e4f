"""From images and from raw k-space to what every later stage sees: one measurement."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Complex, Float, Float64
from torch import Tensor
from torch.fft import fft, fftshift, ifftshift

from mrilib.data.intensity import intensity_scale, rss_target
from mrilib.data.sampling.base import true_acceleration
from mrilib.operators.base import check_grid, check_mask
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.coil_images import center_crop
from mrilib.operators.fourier import MaskedFourier

# Whose norm a level is relative to: the data as they were sampled, or the k-space before that.
Relative = Literal["data", "full"]
ARRAYS = ("kspace", "mask", "coil_maps", "reference", "acquired", "column_energy", "combined", "coil_sum")


@dataclass(frozen=True, eq=False)
class Measurement:
    """An image as it was measured: all that stages after this one know of the data.

    Every array is divided by `scale`, so that none depends on a scanner's units. Single-coil and multi-coil
    differ by the operator and by nothing above it.

    Args:
        kspace: `y`, zero outside the mask: `(ky, kx)` of a single coil, `(coil, ky, kx)` of several.
        mask: `True` where k-space is sampled, `(ky, kx)`, or `(kx,)` for whole columns.
        coil_maps: of the coils, from the centre of `kspace` alone; `None` for a single coil, and where nobody
            has estimated them (`mrilib.data.calibration`).
        reference: the image that errors refer to; with coils the RSS of the fully sampled data, cropped at
            the centre, so that it may be smaller than the reconstruction.
        scale: 1 for images, the maximum of the zero-filled RSS image for scans.
        maximum: data range of SSIM and PSNR in the units of the reference: the image's own maximum, and with
            coils that of its volume.
        about: who it is: plain values, such as `volume`, `slice`, `patient`, `anatomy`, `simulated`.
        acquired: `True` where the scanner acquired k-space, `(ky, kx)`, or `(kx,)` for whole columns; `None`
            for everything. The mask lies inside it.
        column_energy: `Σ|k|²` of every column of the k-space before it was undersampled, over rows and coils,
            in the squared units of `kspace`; what the scanner left out counts as zero. `None` where nobody
            knows.
        combined: `Σ_c conj(S_c) c_c` of the images `c_c` of the fully sampled data, on the whole grid, and
        coil_sum: `Σ_c c_c` of the same: what is to be seen of an object with a feature more follows from
            them (`mrilib.features.truth`). `None` of a single coil, whose image is both, and where nobody
            knows.
    """

    kspace: Complex[Tensor, "*coil ky kx"]
    mask: Bool[Tensor, "*ky kx"]
    coil_maps: Complex[Tensor, "coil ky kx"] | None
    reference: Float[Tensor, "y x"]
    scale: float
    maximum: float
    about: Mapping[str, Any] = field(default_factory=dict)
    acquired: Bool[Tensor, "*row kx"] | None = None
    column_energy: Float64[Tensor, "kx"] | None = None
    combined: Complex[Tensor, "ky kx"] | None = None
    coil_sum: Complex[Tensor, "ky kx"] | None = None

    def radius(self, level: float, relative_to: Relative = "data") -> float:
        """The budget `η`: a level times `‖y‖₂`, over all coils, or times `full_norm`.

        Raises:
            ValueError: if the latter is not known.
        """
        if relative_to == "data":
            return level * float(self.operator.kspace_norm(self.kspace))
        if self.full_norm is None:
            raise ValueError(
                f"Measurement: expected the norm of the full k-space of {self.name}, got none; measure it "
                "again, or take levels relative to the data"
            )
        return level * self.full_norm

    @property
    def full_norm(self) -> float | None:
        """`‖·‖₂` of the k-space before it was undersampled, of all coils; `None` where nobody knows."""
        return None if self.column_energy is None else math.sqrt(float(self.column_energy.sum()))

    @cached_property
    def operator(self) -> MaskedFourier | CoilFourier:
        """`A`.

        Raises:
            ValueError: for coils without maps.
        """
        if self.kspace.ndim == 2:
            return MaskedFourier(mask=self.mask.expand(self.kspace.shape))
        if self.coil_maps is None:
            raise ValueError("Measurement: expected coil maps, got none; call calibrated() first")
        return CoilFourier(mask=self.mask, coil_maps=self.coil_maps)

    @property
    def name(self) -> str:
        """Which image it is, for messages."""
        return image_name(self.about)

    @property
    def acceleration(self) -> float:
        """Entries of k-space that were acquired, over sampled ones."""
        return true_acceleration(self.mask, self.acquired)

    def to(self, device: torch.device | str) -> "Measurement":
        """The same on another device."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        moved: Any = {name: None if value is None else value.to(device) for name, value in arrays.items()}
        return replace(self, **moved)

    def compared(self, image: Tensor) -> Tensor:
        """The middle of an image, as large as the reference."""
        return center_crop(image, (self.reference.shape[-2], self.reference.shape[-1]))


def image_name(about: Mapping[str, Any]) -> str:
    """Which image that is, for messages: `slice 3 of file1000001`, `ellipses 0`, `image` if unknown."""
    if "volume" in about and "slice" in about:
        return f"slice {about['slice']} of {about['volume']}"
    return f"{about.get('source', 'image')} {about.get('position', '')}".rstrip()


def measure_image(
    image: Float[Tensor, "y x"], mask: Bool[Tensor, "*ky kx"], *, about: Mapping[str, Any] | None = None
) -> Measurement:
    """`y = P_Ω F x` of an image, by a single coil and without noise; its scale is 1.

    Raises:
        ValueError: if image and mask do not fit, or the mask samples nothing.
    """
    check_mask(mask, "measure_image", {2: "(ky, kx)", 1: "(kx,)"})
    operator = MaskedFourier(mask=mask.expand(image.shape[-2:]))
    return Measurement(
        kspace=operator.forward(image),
        mask=mask.clone(),
        coil_maps=None,
        reference=image,
        scale=1.0,
        maximum=float(image.max()),
        about=dict(about or {}),
        # Of columns the transform along rows alone says as much: that along columns keeps their energy.
        column_energy=_column_energy(fftshift(fft(ifftshift(image, dim=-1), norm="ortho"), dim=-1)),
    )


def measure(
    kspace: Complex[Tensor, "coil ky kx"],
    mask: Bool[Tensor, "*ky kx"],
    *,
    reference_shape: tuple[int, int] | None = None,
    reference: Float[Tensor, "y x"] | None = None,
    volume_maximum: float = 0.0,
    about: Mapping[str, Any] | None = None,
    acquired: Bool[Tensor, "*row kx"] | None = None,
) -> Measurement:
    """Undersample and scale one slice: the only place where intensities are scaled.

    `y = P_Ω k / s` with `s = intensity_scale(k, mask)`, and the reference `rss_target(k, shape) / s`, which
    alone sees data outside the mask. Coil maps are for `mrilib.data.calibration` to add.

    Args:
        kspace: fully sampled k-space of one slice, in the scanner's units.
        mask: `True` where k-space is sampled, `(ky, kx)`, or `(kx,)` for whole columns.
        reference_shape: rows and columns of the reference, cropped at the centre; all by default.
        reference: a stored image instead, such as fastMRI's `reconstruction_rss`, in the units of `kspace`.
        volume_maximum: maximum of the volume's reference images, in the units of `kspace`; no image has more
            than its volume, rounding apart, so the larger of both counts.
        about: who it is.
        acquired: `True` where k-space was acquired, `(ky, kx)`, or `(kx,)` for whole columns; everything by
            default.

    Raises:
        ValueError: if shapes do not fit, `kspace` is not finite or zero on the mask, the mask samples what
            was not acquired, or both `reference` and `reference_shape` are given.
    """
    if reference is not None and reference_shape is not None:
        raise ValueError("measure: expected reference or reference_shape, got both; leave one out")
    scale = intensity_scale(kspace, mask)
    if acquired is not None:
        _check_acquired(kspace, mask, acquired)
    if reference is None:
        reference = rss_target(kspace, reference_shape or (kspace.shape[-2], kspace.shape[-1]))
    reference = reference / scale
    return Measurement(
        kspace=kspace * mask / scale,
        mask=mask.clone(),
        coil_maps=None,
        reference=reference,
        scale=scale,
        maximum=max(volume_maximum / scale, float(reference.max())),
        about=dict(about or {}),
        acquired=None if acquired is None else acquired.clone(),
        column_energy=_column_energy(kspace) / scale**2,
    )


def _column_energy(kspace: Complex[Tensor, "*coil ky kx"]) -> Float64[Tensor, "kx"]:
    """`Σ|k|²` of every column: in double precision, for one column may have most of it."""
    columns = kspace.reshape(-1, kspace.shape[-1])
    return torch.linalg.vector_norm(columns, dim=0, dtype=torch.complex128).square()


def _check_acquired(kspace: Tensor, mask: Tensor, acquired: Tensor) -> None:
    """Raise `ValueError` unless the mask samples only what was acquired."""
    check_mask(acquired, "measure", {2: "(ky, kx)", 1: "(kx,)"})
    shape = kspace.shape[-2:]
    check_grid(kspace, acquired.expand(shape[0], -1) if acquired.ndim == 1 else acquired, "measure", "kspace")
    outside = int((mask & ~acquired).expand(shape).sum())
    if outside:
        raise ValueError(
            f"measure: expected a mask inside of what was acquired, got {outside} of "
            f"{int(mask.expand(shape).sum())} samples outside; draw it with "
            "`Sampling.drawn(shape, seed, acquired)`"
        )
