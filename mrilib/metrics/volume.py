"""Quality of a whole volume, from the scores of its slices."""

import math
from collections.abc import Mapping, Sequence

import numpy as np


def volume_scores(scores: Sequence[Mapping[str, float]], norms: Sequence[float]) -> dict[str, float]:
    """SSIM, PSNR and NMSE of a volume, as fastMRI evaluates volumes and not slices.

    - `ssim`: the mean of the slices', which all have the volume's maximum as their data range;
    - `psnr`: `10·log₁₀(maximum²/mean squared error)`, the mean over the pixels of all slices:
      `−10·log₁₀ mean(10^(−psnr/10))` of the slices', in dB;
    - `nmse`: `Σ‖|x| − |x*|‖₂²/Σ‖x*‖₂²`, the slices' weighted by the squared norms of their references.

    Args:
        scores: `ssim`, `psnr` and `nmse` of every slice of the volume, such as `assess` gives with the
            volume's maximum. All slices have one size.
        norms: `‖x*‖₂` of every slice in one unit: the norm of a measurement's reference times its scale.

    Returns:
        `ssim`, `psnr` and `nmse`; NaN where a slice has none.

    Raises:
        ValueError: without a slice, for another number of norms, or for norms that are not positive.

    Source: `fastmri.evaluate` [zbontar2018], version 0.3.0.
    """
    if not scores or len(scores) != len(norms):
        raise ValueError(
            f"volume_scores: expected scores and a norm of every slice, got {len(scores)} and {len(norms)}"
        )
    if not all(math.isfinite(norm) and norm > 0 for norm in norms):
        raise ValueError(f"volume_scores: expected norms that are finite and > 0, got {list(norms)}")
    ssim, psnr, nmse = (
        np.array([each[name] for each in scores], dtype=np.float64) for name in ("ssim", "psnr", "nmse")
    )
    error = float((10.0 ** (-psnr / 10.0)).mean())
    return {
        "ssim": float(ssim.mean()),
        "psnr": -10.0 * math.log10(error) if error else math.inf,
        "nmse": float(np.average(nmse, weights=np.square(np.asarray(norms, dtype=np.float64)))),
    }
