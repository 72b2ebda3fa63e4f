"""Small artificial features: windows of a few pixels, carried into k-space exactly."""

import math
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.base import MeasurementOperator, fft2c

# A feature times the coil maps, or the same real constant in the image of every coil.
Coils = Literal["maps", "constant"]


def feature_window(
    shape: tuple[int, int], *, row: int, column: int, size: int, amplitude: float = 1.0
) -> Float[Tensor, "y x"]:
    """`f`: `amplitude` in the `size × size` pixels from `(row, column)` down and to the right, else 0.

    Args:
        shape: rows and columns of the image.
        row, column: of the first pixel, that with the least indices.
        size: pixels along each side.
        amplitude: in the units of the image; negative for dark features.

    Raises:
        ValueError: if the window is empty or leaves the image, or if the amplitude is not finite.
    """
    height, width = shape
    if size < 1 or not (0 <= row <= height - size and 0 <= column <= width - size):
        raise ValueError(
            f"feature_window: expected {size}×{size} pixels from ({row}, {column}) inside of "
            f"{height}×{width}; move the feature, or make it smaller"
        )
    if not math.isfinite(amplitude):
        raise ValueError(f"feature_window: expected a finite amplitude, got {amplitude}")
    window = torch.zeros(height, width)
    window[row : row + size, column : column + size] = amplitude
    return window


def add_feature(
    kspace: Complex[Tensor, "*batch_and_coil ky kx"],
    operator: MeasurementOperator,
    *,
    row: int,
    column: int,
    size: int,
    amplitude: float,
    coils: Coils = "maps",
) -> Complex[Tensor, "*batch_and_coil ky kx"]:
    """The data that the operator measures of the same object with a feature `f` more: see `feature_window`.

    - `maps`: `y + A f`: coils see the feature by their maps, as they see the object;
    - `constant`: `y_c + P_Ω F f` for every coil `c`, whatever it sees: the window has the same real value in
      every coil's image. What is then to be seen is the RSS of the altered coil images; on empty
      background it is `√C·amplitude` with `C` coils.

    With a single coil the two are the same. Both are exact: the transform of the window is not truncated.

    Args:
        kspace: data `y`, `(*batch, ky, kx)`, or `(*batch, coil, ky, kx)` under a multi-coil operator.
        operator: what measured it.
        row, column: of the window's first pixel.
        size: pixels along each side; 2 to 5 in the paper.
        amplitude: in the units of the image. The authors' is a sixth of the RSS image's maximum, constant.
        coils: how coils see it.

    Raises:
        ValueError: as `feature_window`, for another `coils`, and if the k-space is not that of the operator.

    Source: [darestani2021], section 5.3, whose code takes `constant`; `maps` is our choice.
    """
    shape = operator.kspace_shape
    if tuple(kspace.shape[-len(shape) :]) != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(
            f"add_feature: expected kspace (..., {expected}) from the operator, got {tuple(kspace.shape)}"
        )
    if coils not in ("maps", "constant"):
        raise ValueError(f"add_feature: expected coils 'maps' or 'constant', got {coils!r}")
    height, width = operator.mask.shape
    window = feature_window((height, width), row=row, column=column, size=size, amplitude=amplitude)
    window = window.to(device=kspace.device, dtype=kspace.dtype)
    window = window.expand(*kspace.shape[: -operator.kspace_axes], height, width)
    return kspace + feature_data(window, operator, coils)


def feature_data(
    feature: Complex[Tensor, "*batch y x"], operator: MeasurementOperator, coils: Coils
) -> Complex[Tensor, "*batch_and_coil ky kx"]:
    """What a feature adds to the data: `A f`, or `P_Ω F f` in every coil.

    Args:
        feature: `f`, of several windows or one, on the operator's grid.
        operator: what measures it.
        coils: how coils see it: see `add_feature`.
    """
    if coils == "maps":
        return operator.forward(feature)
    sampled = fft2c(feature) * operator.mask
    if operator.kspace_axes == 2:
        return sampled
    return sampled.unsqueeze(-3).expand(*feature.shape[:-2], *operator.kspace_shape)
