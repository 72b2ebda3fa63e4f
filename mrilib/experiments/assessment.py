"""Scores of a slice that was reconstructed from clean data."""

import math

import numpy as np
import torch
from jaxtyping import Float64, Inexact

from mrilib.data.measurement import center_crop
from mrilib.metrics import quality


def cropped_modulus(
    reconstruction: Inexact[np.ndarray, "full_y full_x"], shape: tuple[int, int]
) -> Float64[np.ndarray, "y x"]:
    """Modulus of the middle of a reconstruction, cut as fastMRI cuts its targets."""
    return center_crop(torch.from_numpy(np.abs(reconstruction).astype(np.float64)), shape).numpy()


def assess(
    reconstruction: Inexact[np.ndarray, "full_y full_x"],
    target: Inexact[np.ndarray, "y x"],
    *,
    maximum: float,
) -> dict[str, float]:
    """Scores of one slice: moduli, on the middle of the grid that the target has, in float64.

    - `ssim`: 7×7 uniform window, data range `maximum`; `ssim_slice`: data range the target's maximum;
    - `psnr`: `10·log₁₀(maximum²/mean squared error)`, in dB, infinite for a perfect reconstruction;
    - `nmse`: `‖|x| − |x*|‖₂²/‖x*‖₂²`; `relative_error`: its square root.

    Neither image is matched to the other in mean or scale.

    Args:
        reconstruction: on the full grid, at least as large as the target, in the target's units.
        target: reference image `x*`, at least 7×7.
        maximum: of the target's volume, in the target's units.

    Raises:
        ValueError: if the reconstruction is not finite or smaller than the target, if the target is not
            finite or zero, or if `maximum` is less than the target's.

    Source: [zbontar2018], with the maximum of the volume; [darestani2021] for the central crop. Deviates
        from the latter's code, which takes the slice's maximum for SSIM and first matches one image to the
        other in mean and standard deviation.
    """
    if not np.isfinite(reconstruction).all():
        raise ValueError("assess: expected a finite reconstruction; count it as failed")
    reference = torch.from_numpy(np.abs(target).astype(np.float64))
    largest = float(reference.max())
    if not (math.isfinite(largest) and largest > 0):
        raise ValueError(f"assess: expected a finite target that is not zero, got maximum {largest}")
    # the maximum may have been kept in float32
    if not (math.isfinite(maximum) and maximum >= largest * (1 - 1e-6)):
        raise ValueError(
            f"assess: expected the volume's maximum in the target's units, at least {largest:.6g}, "
            f"got {maximum:.6g}"
        )
    rows, columns = target.shape
    image = torch.from_numpy(cropped_modulus(reconstruction, (rows, columns)))
    return {
        "ssim": float(quality.ssim(image, reference, data_range=maximum)),
        "ssim_slice": float(quality.ssim(image, reference)),
        "psnr": float(quality.psnr(image, reference, data_range=maximum)),
        "nmse": float(quality.nmse(image, reference)),
        "relative_error": float(quality.relative_error(image, reference)),
    }
