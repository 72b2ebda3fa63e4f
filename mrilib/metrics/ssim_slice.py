"""The metric `SliceSSIM`."""

from typing import ClassVar

from torch import Tensor

from mrilib.metrics import quality
from mrilib.metrics.base import Metric
from mrilib.metrics.quantities import QUANTITIES, Quantity


class SliceSSIM(Metric):
    """Structural similarity, whose data range is the maximum of the reference image.

    Source: [wang2004]; [darestani2021]'s code for the range.
    """

    word: ClassVar[str] = "ssim_slice"
    quantity: ClassVar[Quantity] = QUANTITIES["ssim_slice"]

    def __call__(self, image: Tensor, reference: Tensor, *, maximum: float) -> float:
        return float(quality.ssim(image, reference))
