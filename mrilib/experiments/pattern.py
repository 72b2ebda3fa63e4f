"""The perturbation that it takes to make a feature appear, or to hide an annotated one."""

from typing import Any, ClassVar

from mrilib.experiments.smallest import Smallest
from mrilib.metrics.quantities import Quantity

# By kind of the findings.
MARKS = {"appear": "a feature appears", "hide": "an annotated feature is hidden"}


class SmallestLevel(Smallest):
    """The smallest level `‖z‖₂/‖y‖₂` that was found for a pattern, by method: the median over images.

    Of an image with several places or boxes their median counts. Every number is an upper bound of the
    smallest there is.

    Args:
        feature: name of an entry of `features` of the kind `appear` or `hide`.
        source: of images.
        mask: by default the only one under which the source was studied.

    Raises:
        ValueError: if the run has no such findings.

    Source: our choice; see `mrilib.features.kinds.pattern`.
    """

    word: ClassVar[str] = "smallest-perturbation"
    quantity: ClassVar[Quantity] = Quantity(
        "Smallest perturbation ‖z‖₂/‖y‖₂ that was found, %",
        axis="smallest perturbation found\n‖z‖₂/‖y‖₂ (%)",
        percent=True,
    )
    number: ClassVar[str] = "level"
    marks: ClassVar[tuple[str, ...]] = ("kind",)

    def mark(self, row: dict[str, Any]) -> str:
        return MARKS.get(row["kind"], str(row["kind"]))

    @property
    def note(self) -> str:
        return (
            "Median over images [95 % interval, resampled by patient]; < and >: beyond the levels that were "
            "tried. Upper bounds: a better search may find less. Methods without derivative were tried with "
            "the best direction of the zero-filled image alone."
        )
