"""What every measure of quality offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float64
from torch import Tensor

from mrilib.metrics.quantities import Quantity
from mrilib.store.classes import load_class


class Metric(ABC):
    """Quality of one reconstruction, held against its reference image.

    A config names a subclass by a short word of ours, or by `class: package.module:Name`; what else stands in
    the entry are the arguments of its constructor. The name of the entry is that of the column in scores and
    of the quantity in records.

    Attributes:
        word: what a config calls the class; classes outside this repository need none.
        quantity: how the number is shown: title, unit, decimals, and whether higher is better.
    """

    word: ClassVar[str]
    quantity: ClassVar[Quantity]

    @abstractmethod
    def __call__(
        self, image: Float64[Tensor, "y x"], reference: Float64[Tensor, "y x"], *, maximum: float
    ) -> float:
        """The number of one image; one that is not finite counts as missing.

        Args:
            image: modulus of the reconstruction, cropped to the reference.
            reference: modulus of the reference image.
            maximum: of the reference's volume, in the same units, at least that of the reference.
        """


def metric_from(described: Mapping[str, Any]) -> Metric:
    """A metric, from `class`, an import path, and the `arguments` of its constructor.

    Raises:
        ValueError: if the path names no metric, or one that does not say how its number is shown.
    """
    kind = load_class(described["class"], Metric)
    if not isinstance(getattr(kind, "quantity", None), Quantity):
        raise ValueError(
            f"metric {described['class']}: expected a class attribute `quantity`, a Quantity with the title; "
            "got none"
        )
    found: Metric = kind(**described["arguments"])
    return found
