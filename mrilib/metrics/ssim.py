"""The metric `SSIM`."""

from typing import ClassVar

from torch import Tensor

from mrilib.metrics import quality
from mrilib.metrics.base import Metric
from mrilib.metrics.quantities import QUANTITIES, Quantity


class SSIM(Metric):
    """Structural similarity, whose data range is the maximum of the volume.

    Source: [wang2004]; [zbontar2018] for the range.
    """

    word: ClassVar[str] = "ssim"
    quantity: ClassVar[Quantity] = QUANTITIES["ssim"]

    def __call__(self, image: Tensor, reference: Tensor, *, maximum: float) -> float:
        return float(quality.ssim(image, reference, data_range=maximum))
