"""Coil maps of a measurement."""

from dataclasses import replace

from mrilib.data.measurement import Measurement
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
