"""Quality of a reconstruction against its reference image."""

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

SSIM_WINDOW = 7
SSIM_K1, SSIM_K2 = 0.01, 0.03


def relative_error(
    image: Inexact[Tensor, "*batch y x"], reference: Inexact[Tensor, "*batch y x"]
) -> Float[Tensor, "*batch"]:
    """`‖ |x| − |x*| ‖₂ / ‖x*‖₂`, of moduli.

    Source: [alaifari2023], by which its λ was chosen. Raises `ValueError` for shapes that differ.
    """
    image, reference = _moduli(image, reference, "relative_error")
    return _norm(image - reference) / _norm(reference)


def nmse(
    image: Inexact[Tensor, "*batch y x"], reference: Inexact[Tensor, "*batch y x"]
) -> Float[Tensor, "*batch"]:
    """`‖ |x| − |x*| ‖₂² / ‖x*‖₂²` of every item. Source: [zbontar2018]."""
    return relative_error(image, reference).square()


def psnr(
    image: Inexact[Tensor, "*batch y x"],
    reference: Inexact[Tensor, "*batch y x"],
    *,
    data_range: float | Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch"]:
    """`10·log₁₀(range² / mean squared error)` of moduli, in dB.

    Args:
        image: reconstruction.
        reference: reference image.
        data_range: one number or one an item; by default the reference's maximum.

    Source: [zbontar2018], there with the maximum of the volume.
    """
    image, reference = _moduli(image, reference, "psnr")
    span = _span(reference, data_range)
    return 10.0 * torch.log10(span.square() / (image - reference).square().mean(dim=(-2, -1)))


def ssim(
    image: Inexact[Tensor, "*batch y x"],
    reference: Inexact[Tensor, "*batch y x"],
    *,
    data_range: float | Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Structural similarity of moduli: mean over all 7×7 uniform windows inside the image.

    `((2μₓμᵧ + c₁)(2σₓᵧ + c₂)) / ((μₓ² + μᵧ² + c₁)(σₓ² + σᵧ² + c₂))`, `c₁ = (0.01·range)²`,
    `c₂ = (0.03·range)²`, unbiased (co)variances.

    Args:
        image: reconstruction, at least 7×7.
        reference: reference image.
        data_range: one number or one an item; by default the reference's maximum.

    Source: [wang2004], with the uniform window of [zbontar2018] and of scikit-image.
    """
    image, reference = _moduli(image, reference, "ssim")
    if min(image.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"ssim: expected at least {SSIM_WINDOW} pixels a side, got {tuple(image.shape)}")
    span = _span(reference, data_range)[..., None, None]
    pixels = SSIM_WINDOW**2
    unbiased = pixels / (pixels - 1)
    # Differences from a common level keep the variances of bright flat regions accurate.
    level = reference.mean(dim=(-2, -1), keepdim=True)
    first, second = image - level, reference - level
    means = _window_mean(torch.stack([first, second, first * first, second * second, first * second]))
    mean_first, mean_second = means[0], means[1]
    variance_first = unbiased * (means[2] - mean_first.square())
    variance_second = unbiased * (means[3] - mean_second.square())
    covariance = unbiased * (means[4] - mean_first * mean_second)
    mean_first, mean_second = mean_first + level, mean_second + level
    c1, c2 = (SSIM_K1 * span).square(), (SSIM_K2 * span).square()
    similarity = ((2 * mean_first * mean_second + c1) * (2 * covariance + c2)) / (
        (mean_first.square() + mean_second.square() + c1) * (variance_first + variance_second + c2)
    )
    return similarity.mean(dim=(-2, -1))


def _window_mean(image: Tensor) -> Tensor:
    flat = image.reshape(-1, 1, *image.shape[-2:])
    mean = torch.nn.functional.avg_pool2d(flat, SSIM_WINDOW, stride=1)
    return mean.reshape(*image.shape[:-2], *mean.shape[-2:])


def _span(reference: Tensor, data_range: float | Tensor | None) -> Tensor:
    if data_range is None:
        return reference.amax(dim=(-2, -1))
    return torch.as_tensor(data_range, dtype=reference.dtype, device=reference.device)


def _norm(image: Tensor) -> Tensor:
    return torch.linalg.vector_norm(image, dim=(-2, -1))


def _moduli(image: Tensor, reference: Tensor, where: str) -> tuple[Tensor, Tensor]:
    if image.shape[-2:] != reference.shape[-2:]:
        raise ValueError(
            f"{where}: expected images of one size, got {tuple(image.shape)} and {tuple(reference.shape)}"
        )
    return image.abs(), reference.abs()
