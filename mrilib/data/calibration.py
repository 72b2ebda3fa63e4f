"""Coil maps of a measurement."""

from dataclasses import replace

from jaxtyping import Complex
from torch import Tensor

from mrilib.data.measurement import Measurement
from mrilib.operators.base import check_grid, ifft2c
from mrilib.operators.espirit import WIDEN, calibration_shape, estimate_coil_maps

# Patches of six samples, and two more: what `estimate_coil_maps` needs by default.
NARROWEST = 8


def calibrated(measurement: Measurement, *, width: int | tuple[int, int] | None = None) -> Measurement:
    """The measurement with coil maps by ESPIRiT from the centre of its k-space, and from nothing else.

    Args:
        measurement: of several coils.
        width: `calibration_width` of `estimate_coil_maps`; by default the fully sampled centre of the mask.

    Raises:
        ValueError: for a single coil; and as `estimate_coil_maps`.
    """
    if measurement.kspace.ndim != 3:
        raise ValueError(
            f"calibrated: expected k-space (coil, ky, kx), got {tuple(measurement.kspace.shape)}; "
            "a single coil needs no maps"
        )
    if width is None:
        width = calibration_shape(measurement.mask.expand(measurement.kspace.shape[-2:]))
        if min(width) < NARROWEST:
            raise ValueError(
                f"calibrated: expected a centre of at least {NARROWEST}×{NARROWEST} entries for coil maps, "
                f"got {width[0]} rows and {width[1]} columns; {WIDEN}"
            )
    return replace(measurement, coil_maps=estimate_coil_maps(measurement.kspace, calibration_width=width))


def with_truth(measurement: Measurement, kspace: Complex[Tensor, "coil ky kx"]) -> Measurement:
    """The measurement with `combined` and `coil_sum`, of the fully sampled data.

    Args:
        measurement: of several coils, with maps.
        kspace: fully sampled k-space of the slice, in the scanner's units, as it was measured.

    Raises:
        ValueError: without coil maps, or if shapes do not fit.
    """
    maps = measurement.coil_maps
    if maps is None:
        raise ValueError("with_truth: expected coil maps, got none; call calibrated() first")
    check_grid(kspace, measurement.mask.expand(maps.shape[-2:]), "with_truth", "kspace")
    images = ifft2c(kspace) / measurement.scale
    return replace(measurement, combined=(maps.conj() * images).sum(dim=-3), coil_sum=images.sum(dim=-3))
