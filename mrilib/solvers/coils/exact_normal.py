"""Residuals in float64 by way of images: what certificates need of data that many coils measured."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.coils.data import CoilData, Images, inner


@dataclass(frozen=True)
class Fit:
    """An image in float64 and its residual `q = y − Ax`.

    Attributes:
        image: `x`.
        slope: `Aᴴq`.
        correlation: `Re⟨q, y⟩`.
        square: `‖q‖²`.
    """

    image: Complex[Tensor, "batch y x"]
    slope: Complex[Tensor, "batch y x"]
    correlation: Float[Tensor, "batch"]
    square: Float[Tensor, "batch"]


class ExactNormal:
    """`AᴴA` and `Aᴴy` in float64: with `Aᴴq = Aᴴy − AᴴAx` no residual of all coils is ever made,

        `Re⟨q, y⟩ = ‖y‖² − Re⟨x, Aᴴy⟩`,   `‖q‖² = Re⟨q, y⟩ − Re⟨x, Aᴴq⟩`.

    Args:
        measurement: `A` and `y`, in any precision.
    """

    def __init__(self, measurement: CoilData) -> None:
        self._given = measurement
        maps = None if measurement.maps is None else measurement.maps.to(torch.complex128)
        self._measurement = replace(measurement, maps=maps)

    def fit(self, image: Images) -> Fit:
        """Residual of an image."""
        image = image.to(torch.complex128)
        slope = self._given.exact_projected - self._measurement.normal(image)
        return self._fit(image, slope)

    def without_mean(self, fit: Fit) -> Fit:
        """That of `x + κ·1`, `κ` such that the mean of `Aᴴq` is zero."""
        constant = self._given.exact_constant
        size = constant.real.sum((-2, -1)).clamp(min=torch.finfo(torch.float64).tiny)
        mean = (fit.slope.sum((-2, -1)) / size)[:, None, None]
        return self._fit(fit.image + mean, fit.slope - mean * constant)

    def _fit(self, image: Images, slope: Images) -> Fit:
        correlation = self._given.energy - inner(image, self._given.exact_projected)
        return Fit(image, slope, correlation, correlation - inner(image, slope))
