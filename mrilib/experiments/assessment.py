"""Quality of one reconstruction."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float64, Inexact

from mrilib.metrics.base import Metric
from mrilib.metrics.nmse import NMSE
from mrilib.metrics.psnr import PSNR
from mrilib.metrics.ssim import SSIM
from mrilib.metrics.ssim_slice import SliceSSIM
from mrilib.operators.coil_images import center_crop

# The metrics of every run; a config may name others beside them.
OURS: Mapping[str, Metric] = {metric.word: metric for metric in (SSIM(), SliceSSIM(), PSNR(), NMSE())}


def cropped_modulus(
    reconstruction: Inexact[np.ndarray, "full_y full_x"], shape: tuple[int, int]
) -> Float64[np.ndarray, "y x"]:
    """Modulus of the middle of a reconstruction, cut as fastMRI cuts its targets."""
    return center_crop(torch.from_numpy(np.abs(reconstruction).astype(np.float64)), shape).numpy()


def assess(
    reconstruction: Inexact[np.ndarray, "full_y full_x"],
    reference: Inexact[np.ndarray, "y x"],
    *,
    maximum: float,
    metrics: Mapping[str, Metric] = OURS,
) -> dict[str, float]:
    """Quality of one reconstruction: moduli, on the middle of the grid that the reference has, in float64.

    By default:

    - `ssim`: 7×7 uniform window, data range `maximum`; `ssim_slice`: data range the reference's maximum;
    - `psnr`: `10·log₁₀(maximum²/mean squared error)`, in dB, infinite for a perfect reconstruction;
    - `nmse`: `‖|x| − |x*|‖₂²/‖x*‖₂²`.

    Neither image is matched to the other in mean or scale.

    Args:
        reconstruction: on the full grid, at least as large as the reference, in the reference's units.
        reference: image `x*`, at least 7×7.
        maximum: of the reference's volume, in the reference's units.
        metrics: those to compute, by name.

    Returns:
        The number of each metric, by its name.

    Raises:
        ValueError: if the reconstruction is not finite or smaller than the reference, if the reference is
            not finite or zero, or if `maximum` is less than the reference's.

    Source: [zbontar2018], with the maximum of the volume; [darestani2021] for the central crop. Deviates
        from the latter's code, which takes the slice's maximum for SSIM and first matches one image to the
        other in mean and standard deviation.
    """
    if not np.isfinite(reconstruction).all():
        raise ValueError("assess: expected a finite reconstruction; count it as failed")
    truth = torch.from_numpy(np.abs(reference).astype(np.float64))
    largest = float(truth.max())
    if not (math.isfinite(largest) and largest > 0):
        raise ValueError(f"assess: expected a finite reference that is not zero, got maximum {largest}")
    # the maximum may have been kept in float32
    if not (math.isfinite(maximum) and maximum >= largest * (1 - 1e-6)):
        raise ValueError(
            f"assess: expected the volume's maximum in the reference's units, at least {largest:.6g}, "
            f"got {maximum:.6g}"
        )
    rows, columns = reference.shape
    image = torch.from_numpy(cropped_modulus(reconstruction, (rows, columns)))
    return {name: float(metric(image, truth, maximum=maximum)) for name, metric in metrics.items()}
