"""From raw k-space to what reconstructors see: undersampled, scaled once, with coil maps and target."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.data.masks import true_acceleration
from mrilib.operators.base import check_grid, check_mask, ifft2c
from mrilib.operators.coils import CoilFourier, calibration_shape, estimate_coil_maps

# `E|N(0, 1)|` has its median here: what makes a median of moduli a standard deviation.
NORMAL_MEDIAN = 0.6744897501960817
# Our choice: with less of the high frequencies there is little to tell noise from the object.
LEAST_PASSED = 0.01


@dataclass(frozen=True, eq=False)
class Measurement:
    """One slice, prepared: every array is divided by `scale`, so that none depends on the scanner's units.

    `kspace` is undersampled, with zeros outside `mask`; `coil_maps` come from its centre alone; `target` is
    the RSS of the fully sampled data. `calibration` is the size of that centre, in rows and columns.
    """

    kspace: Complex[Tensor, "coil ky kx"]
    mask: Bool[Tensor, "ky kx"] | Bool[Tensor, "kx"]
    coil_maps: Complex[Tensor, "coil ky kx"]
    target: Float[Tensor, "y x"]
    scale: float
    acceleration: float
    calibration: tuple[int, int]

    @property
    def operator(self) -> CoilFourier:
        return CoilFourier(mask=self.mask, coil_maps=self.coil_maps)


def prepare(
    kspace: Complex[Tensor, "coil ky kx"],
    mask: Bool[Tensor, "ky kx"] | Bool[Tensor, "kx"],
    *,
    target_shape: tuple[int, int] | None = None,
    target: Float[Tensor, "y x"] | None = None,
    calibration_width: int | tuple[int, int] | None = None,
) -> Measurement:
    """Undersample, scale and calibrate one slice: the only place where intensities are scaled.

    `y = P_Ω k / s` with `s = intensity_scale(k, mask)`, coil maps by ESPIRiT from the centre of `y`, and
    the target `rss_target(k, target_shape) / s`. Only the target sees data outside the mask.

    Args:
        kspace: fully sampled k-space of one slice, in the scanner's units.
        mask: `True` where k-space is sampled, `(ky, kx)`, or `(kx,)` for whole columns.
        target_shape: rows and columns of the target, cropped at the centre; all by default.
        target: the stored reference image instead, such as fastMRI's `reconstruction_rss`, in the units
            of `kspace`.
        calibration_width: of `estimate_coil_maps`; by default the fully sampled centre of the mask.

    Raises:
        ValueError: if shapes do not fit, `kspace` is not finite or zero on the mask, or both `target` and
            `target_shape` are given; and as `estimate_coil_maps`.
    """
    if target is not None and target_shape is not None:
        raise ValueError("prepare: expected target or target_shape, got both; leave one out")
    scale = intensity_scale(kspace, mask)
    undersampled = kspace * mask / scale
    if calibration_width is None:
        calibration = calibration_shape(mask.expand(kspace.shape[-2:]))
    elif isinstance(calibration_width, int):
        calibration = (calibration_width, calibration_width)
    else:
        calibration = calibration_width
    if target is None:
        target = rss_target(kspace, target_shape or (kspace.shape[-2], kspace.shape[-1]))
    return Measurement(
        kspace=undersampled,
        mask=mask.clone(),
        coil_maps=estimate_coil_maps(undersampled, calibration_width=calibration),
        target=target / scale,
        scale=scale,
        acceleration=true_acceleration(mask),
        calibration=calibration,
    )


def intensity_scale(
    kspace: Complex[Tensor, "coil ky kx"], mask: Bool[Tensor, "ky kx"] | Bool[Tensor, "kx"]
) -> float:
    """Maximum of the zero-filled RSS image: `max √Σ_c |Fᴴ P_Ω k_c|²` over all pixels, without a crop.

    Raises `ValueError` if shapes do not fit, or if `kspace` is not finite, or zero on the mask.
    """
    check_mask(mask, "intensity_scale", {2: "(ky, kx)", 1: "(kx,)"})
    check_grid(
        kspace, mask.expand(kspace.shape[-2], -1) if mask.ndim == 1 else mask, "intensity_scale", "kspace"
    )
    peak = _peak(kspace * mask, "intensity_scale")
    return peak * float(rss(ifft2c(kspace * mask / peak)).max())


def rss(images: Complex[Tensor, "*batch coil y x"]) -> Float[Tensor, "*batch y x"]:
    """Root sum of squares over coils, `√Σ_c|x_c|²`; its derivative is 0 where it is 0.

    `fastmri.rss` squares without taking moduli, so it is not used. In float32 squares of values above 1e19
    overflow: scale raw data first, as `rss_target` does.
    """
    return torch.linalg.vector_norm(images, dim=-3)


def rss_target(
    kspace: Complex[Tensor, "*batch coil ky kx"], shape: tuple[int, int]
) -> Float[Tensor, "*batch y x"]:
    """RSS image of fully sampled k-space, cropped at the centre to `shape`, in the units of `kspace`.

    Source: `reconstruction_rss` of fastMRI [zbontar2018] is this image.

    Raises `ValueError` if `shape` is larger than the image, or if `kspace` is not finite, or zero.
    """
    peak = _peak(kspace, "rss_target")
    return peak * rss(center_crop(ifft2c(kspace / peak), shape))


def center_crop(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The middle of the last two axes, from `(size − length) // 2` on, as fastMRI crops."""
    if not all(0 < length <= size for length, size in zip(shape, image.shape[-2:], strict=True)):
        raise ValueError(
            f"center_crop: expected a shape from 1×1 to {image.shape[-2]}×{image.shape[-1]}, the image's, "
            f"got {shape[0]}×{shape[1]}"
        )
    top, left = ((size - length) // 2 for length, size in zip(shape, image.shape[-2:], strict=True))
    return image[..., top : top + shape[0], left : left + shape[1]]


def noise_estimate(kspace: Complex[Tensor, "*batch coil ky kx"]) -> float:
    """Standard deviation of the noise in the real, and in the imaginary, part of k-space.

    Each coil's image is filtered by `h = ½ [1 −1; −1 1]`, in k-space `H`, which leaves noise and edges; then

        σ_c = median |Re d_c|, |Im d_c| / (0.6745·√(mean of |H|² 1_Ω)),    d_c = Fᴴ(H·k_c),

    with `Ω` the entries that are not zero in some coil; the mean is 1 if all are sampled. Returned is the
    root mean square of `σ_c` over coils and leading axes. The transform is orthonormal, so this is also
    the noise of a fully sampled coil image.

    The median bears strong edges in less than half of the image. Texture, ringing and aliasing add to the
    estimate, so for undersampled data it is an upper bound.

    Raises `ValueError` if `kspace` is not finite or zero, or if only its centre is sampled.

    Source: the median estimate of [donoho1994], with one level of Haar wavelets, undecimated.
    """
    peak = _peak(kspace, "noise_estimate")
    down, across = (
        1.0
        - torch.exp(2j * torch.pi * (torch.arange(size, device=kspace.device) / size - (size // 2) / size))
        for size in kspace.shape[-2:]
    )
    filtered = 0.5 * down[:, None] * across
    sampled = (kspace != 0).flatten(end_dim=-3).any(dim=0)
    passed = float((filtered.abs().square() * sampled).mean())
    if passed < LEAST_PASSED:
        raise ValueError(
            "noise_estimate: expected k-space sampled at high frequencies, got entries with "
            f"{passed:.2g} of the filter's energy; take fully sampled data"
        )
    details = torch.view_as_real(ifft2c(kspace / peak * filtered)).abs().flatten(end_dim=-4)
    deviations = details.flatten(start_dim=1).median(dim=1).values / NORMAL_MEDIAN
    return peak * float(deviations.double().square().mean().sqrt()) / math.sqrt(passed)


def center_column(kspace: Complex[Tensor, "*batch coil ky kx"]) -> int:
    """The column of most energy, `argmax_kx Σ|k|²` over all else: `width // 2` if k-space is centred.

    Raises `ValueError` if `kspace` is not finite or zero.
    """
    scaled = torch.view_as_real(kspace / _peak(kspace, "center_column")).double()
    return int(scaled.square().sum(dim=-1).flatten(end_dim=-2).sum(dim=0).argmax())


def _peak(kspace: Tensor, where: str) -> float:
    """Largest real or imaginary part; what is divided by it neither overflows nor vanishes when squared."""
    if not kspace.is_complex() or kspace.ndim < 3:
        raise ValueError(
            f"{where}: expected complex kspace (..., coil, ky, kx), got {kspace.dtype} of shape "
            f"{tuple(kspace.shape)}; a single coil has a coil axis of length 1"
        )
    peak = float(torch.view_as_real(kspace).abs().max())
    if not math.isfinite(peak):
        raise ValueError(f"{where}: expected finite kspace, got NaN or infinity; leave this slice out")
    if peak == 0.0:
        raise ValueError(f"{where}: kspace is zero wherever it is sampled; leave this slice out")
    return peak
