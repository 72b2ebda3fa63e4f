"""The closed-form perturbation of one pixel."""

import math

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.base import MeasurementOperator


def spike(
    operator: MeasurementOperator, location: tuple[int, int] | Tensor, radius: float
) -> Complex[Tensor, "*coil ky kx"]:
    """`e = η·Aδ/‖Aδ‖₂`: the measurements of a single pixel at `location`, scaled to norm `radius`.

    With a single coil, a method that recovers both the image and the image with the pixel has amplification
    `n²/m` on it (9.376, 5.990 and 3.134 on 256² pixels for 25, 40 and 80 radial lines).

    Args:
        operator: the measurement.
        location: row and column of the pixel.
        radius: `η ≥ 0`, in the units of k-space, over all coils.

    Raises:
        ValueError: if the location is outside the image or seen by no coil (`Aδ = 0`), or the radius negative
            or not finite.

    Source: [alaifari2023], section 5.
    """
    height, width = operator.mask.shape
    row, column = (int(index) for index in location)
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"spike: expected a location inside ({height}, {width}), got ({row}, {column})")
    if not (math.isfinite(radius) and radius >= 0):
        raise ValueError(f"spike: expected a finite radius >= 0, got {radius}")
    pixel = torch.zeros(height, width, dtype=torch.complex64, device=operator.mask.device)
    pixel[row, column] = 1.0
    measured = operator.forward(pixel)
    norm = operator.kspace_norm(measured)
    if not bool(norm > 0):
        raise ValueError(
            f"spike: no coil sees the pixel ({row}, {column}), so it has no measurements; choose another"
        )
    return measured * (radius / norm)
