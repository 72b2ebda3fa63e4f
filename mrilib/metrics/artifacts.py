"""Size of the artifact that a perturbation causes."""

from jaxtyping import Float, Inexact
from torch import Tensor


def severity(artifact: Inexact[Tensor, "*batch y x"]) -> Float[Tensor, "*batch"]:
    """`‖ρ‖∞`: largest modulus of a pixel, in the units of the image.

    Source: [alaifari2023], section 4.
    """
    return artifact.abs().amax(dim=(-2, -1))


def amplification(
    artifact: Inexact[Tensor, "*batch y x"], image_perturbation: Inexact[Tensor, "*batch y x"]
) -> Float[Tensor, "*batch"]:
    """`α = ‖ρ‖∞ / ‖r‖∞`, `r = A†e`: how much a method enlarges the largest pixel of a perturbation.

    Source: [alaifari2023], section 4. Zero over zero is NaN.
    """
    return severity(artifact) / severity(image_perturbation)
