"""The metric `PSNR`."""

from typing import ClassVar

from torch import Tensor

from mrilib.metrics import quality
from mrilib.metrics.base import Metric
from mrilib.metrics.quantities import QUANTITIES, Quantity


class PSNR(Metric):
    """Ratio of peak to noise in dB, whose peak is the maximum of the volume.

    Source: [zbontar2018].
    """

    word: ClassVar[str] = "psnr"
    quantity: ClassVar[Quantity] = QUANTITIES["psnr"]

    def __call__(self, image: Tensor, reference: Tensor, *, maximum: float) -> float:
        return float(quality.psnr(image, reference, data_range=maximum))
