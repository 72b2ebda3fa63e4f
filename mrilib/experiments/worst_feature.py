"""The contrast from which on a small feature survives, at the place and in the shape that is lost most."""

from typing import Any, ClassVar

from mrilib.experiments.smallest import Smallest
from mrilib.metrics.quantities import Quantity

# Of a record's place and shape.
MARKS = {
    ("worst", "worst shape"): "worst place, worst shape",
    ("worst", "window"): "worst place, full window",
    ("median", "window"): "median place, full window",
    ("best", "window"): "best place, full window",
}


class SmallestContrast(Smallest):
    """The smallest contrast at which half of a feature is shown, by method: the median over images.

    A record for each method and each of: the worst shape at the worst place, and the full window at the
    worst, the median and the best place of each image, each method's own.

    Args:
        feature: name of an entry of `features` of the kind `worst-feature`.
        source: of images.
        mask: by default the only one under which the source was studied.

    Raises:
        ValueError: if the run has no such findings.

    Source: our choice; see `mrilib.features.kinds.worst`.
    """

    word: ClassVar[str] = "smallest-contrast"
    quantity: ClassVar[Quantity] = Quantity(
        "Smallest contrast at which half of a feature is shown",
        "image maximum",
        axis="smallest contrast that survives\n(units of the image maximum)",
        decimals=3,
    )
    number: ClassVar[str] = "contrast"
    marks: ClassVar[tuple[str, ...]] = ("place", "shape")

    def mark(self, row: dict[str, Any]) -> str:
        return MARKS.get((row["place"], row["shape"]), "")

    @property
    def note(self) -> str:
        return (
            "Median over images [95 % interval, resampled by patient]; < and >: beyond the contrasts that "
            "were tested. Places and shape are each method's own, of those that were looked at. The shape of "
            "methods without derivative is the worst of a few."
        )
