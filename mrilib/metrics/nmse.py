"""The metric `NMSE`."""

from typing import ClassVar

from torch import Tensor

from mrilib.metrics import quality
from mrilib.metrics.base import Metric
from mrilib.metrics.quantities import QUANTITIES, Quantity


class NMSE(Metric):
    """Squared error, divided by the squared norm of the reference.

    Source: [zbontar2018].
    """

    word: ClassVar[str] = "nmse"
    quantity: ClassVar[Quantity] = QUANTITIES["nmse"]

    def __call__(self, image: Tensor, reference: Tensor, *, maximum: float) -> float:
        return float(quality.nmse(image, reference))
